import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PolicyIndex } from '../../src/ipsec/policy-index.ts';
import {
  ANY_PORTS,
  selectorMatchesFlow,
  type TrafficSelector,
} from '../../src/ipsec/traffic-selector.ts';
import { type IpAddress, ipAddress } from '../../src/wire/address.ts';
import { addressToWords, createFlow, type Flow } from '../../src/wire/flow.ts';

interface Policy {
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
  readonly priority: number;
}

function address(family: 4 | 6, low: number): IpAddress {
  const octets = new Uint8Array(family === 4 ? 4 : 16).fill(10, 0, 2);
  new DataView(octets.buffer).setUint16(octets.length - 2, low);
  return ipAddress(octets);
}

function range(family: 4 | 6, first: number, last: number): TrafficSelector {
  return {
    range: { first: address(family, first), last: address(family, last) },
    protocol: 0,
    ...ANY_PORTS,
  };
}

function packet(family: 4 | 6, from: number, to: number): Flow {
  const flow = createFlow();
  flow.family = family;
  flow.protocol = 17;
  addressToWords(address(family, from), flow.source, 0);
  addressToWords(address(family, to), flow.destination, 0);
  return flow;
}

describe('Policies in an index (RFC 4301 §4.4.1)', () => {
  it('answers what a plain search answers, while policies come and go', () => {
    const families = fc.constantFrom<4 | 6>(4, 4, 4, 6);
    // Prefixes, single addresses, ranges that are neither, and a few that run backwards.
    const ranges = fc.tuple(fc.nat(12), fc.integer({ min: -1, max: 12 }));
    const change = fc.oneof(
      { weight: 3, arbitrary: fc.tuple(families, families, ranges, ranges, fc.nat(1)) },
      { weight: 1, arbitrary: fc.nat() },
    );
    const packets = fc.array(fc.tuple(families, fc.nat(12), fc.nat(12)), { maxLength: 8 });
    fc.assert(
      fc.property(fc.array(fc.tuple(change, packets), { maxLength: 60 }), (steps) => {
        const index = new PolicyIndex();
        const policies = new Map<number, Policy>();
        for (const [what, looked] of steps) {
          if (typeof what === 'number') {
            const row = [...policies.keys()][what % Math.max(1, policies.size)];
            if (row === undefined) continue;
            index.remove(row);
            policies.delete(row);
          } else {
            const [own, their, [a, b], [c, d], priority] = what;
            const policy = {
              local: range(own, a, a + b),
              remote: range(their, c, c + d),
              priority,
            };
            const row = index.insert(policy.local, policy.remote, priority);
            assert.ok(!policies.has(row), 'a row is not given twice');
            policies.set(row, policy);
          }
          for (const [family, from, to] of looked) {
            const flow = packet(family, from, to);
            assert.equal(index.find(flow), plainFind(policies, flow));
          }
        }
      }),
      { numRuns: 300 },
    );
  });

  it('finds each of many, and nothing once they are gone', () => {
    const index = new PolicyIndex();
    const local = range(4, 0, 0xff);
    const rows = Array.from({ length: 5000 }, (_, at) =>
      index.insert(local, range(4, 0x1000 + at, 0x1000 + at), 1),
    );
    for (const [at, row] of rows.entries()) {
      assert.equal(index.find(packet(4, 7, 0x1000 + at)), row);
    }
    assert.equal(index.find(packet(4, 7, 0x0fff)), -1);
    for (const row of rows) index.remove(row);
    for (const at of rows.keys()) assert.equal(index.find(packet(4, 7, 0x1000 + at)), -1);
  });

  it('refuses to remove what is not there', () => {
    const index = new PolicyIndex();
    const row = index.insert(range(4, 0, 0xff), range(4, 1, 1), 1);
    index.remove(row);
    assert.throws(() => index.remove(row), /no policy in row/);
  });
});

/** The strongest that fits, of those the newest. Entries of a Map stay in the order they came. */
function plainFind(policies: ReadonlyMap<number, Policy>, flow: Flow): number {
  let found = -1;
  let strongest = Number.POSITIVE_INFINITY;
  for (const [row, { local, remote, priority }] of policies) {
    const fits =
      selectorMatchesFlow(local, flow, 'source') &&
      selectorMatchesFlow(remote, flow, 'destination') &&
      local.range.first.family === remote.range.first.family;
    if (!fits || priority > strongest) continue;
    found = row;
    strongest = priority;
  }
  return found;
}
