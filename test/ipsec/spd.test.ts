import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PolicyList } from '../../src/ipsec/policy-list.ts';
import { automaticPriority, Policy, Spd, type SpdEntry, type SpdRow } from '../../src/ipsec/spd.ts';
import {
  ANY_PORTS,
  formatSelector,
  selectorMatchesFlow,
  type TrafficSelector,
} from '../../src/ipsec/traffic-selector.ts';
import { parseAddress, parsePrefix, prefixRange } from '../../src/wire/address.ts';
import { addressToWords, createFlow, type Flow } from '../../src/wire/flow.ts';

function selector(text: string, protocol = 0, port?: number): TrafficSelector {
  const prefix = parsePrefix(text);
  assert.ok(prefix !== undefined);
  const ports = port === undefined ? ANY_PORTS : { startPort: port, endPort: port };
  return { range: prefixRange(prefix), protocol, ...ports };
}

function protect(id: number, local: string, remote: string, priority = 0): SpdEntry {
  return {
    id,
    action: 'protect',
    sa: id * 10,
    localTs: [selector(local)],
    remoteTs: [selector(remote)],
    priority,
  };
}

function flow(from: string, to: string, protocol = 17, port = 53): Flow {
  const [source, destination] = [parseAddress(from), parseAddress(to)];
  assert.ok(source && destination);
  const made = createFlow();
  made.family = source.family;
  made.protocol = protocol;
  addressToWords(source, made.source, 0);
  addressToWords(destination, made.destination, 0);
  made.sourcePort = 1024;
  made.destinationPort = port;
  return made;
}

describe('SPD (RFC 4301 §4.4.1)', () => {
  const packet = flow('10.1.0.1', '10.2.0.1');

  it('has no policy until one is inserted', () => {
    const spd = new Spd();
    assert.equal(spd.lookup(packet), Policy.NONE);
    spd.insert(protect(1, '10.1.0.0/16', '10.2.0.0/16'));
    assert.equal(spd.lookup(packet), 10);
    assert.equal(spd.lookup(flow('10.2.0.1', '10.1.0.1')), Policy.NONE);
    assert.ok(spd.remove(1));
    assert.ok(!spd.remove(1));
    assert.equal(spd.lookup(packet), Policy.NONE);
  });

  it('finds the narrower selectors first, whatever came first', () => {
    const spd = new Spd();
    spd.insert(protect(1, '10.1.0.0/16', '10.2.0.0/24'));
    spd.insert(protect(2, '10.1.0.0/16', '10.0.0.0/8'));
    assert.equal(spd.lookup(packet), 10);
    assert.equal(spd.lookup(flow('10.1.0.1', '10.2.1.1')), 20);
    spd.insert({
      ...protect(3, '10.1.0.0/16', '10.2.0.0/24'),
      remoteTs: [selector('10.2.0.0/24', 17, 53)],
    });
    assert.equal(spd.lookup(packet), 30);
    assert.equal(spd.lookup(flow('10.1.0.1', '10.2.0.1', 17, 54)), 10);
  });

  it('finds the newest SA among equal selectors, so that a successor takes over', () => {
    const spd = new Spd();
    spd.insert(protect(1, '10.1.0.0/16', '10.2.0.0/16'));
    spd.insert(protect(2, '10.1.0.0/16', '10.2.0.0/16'));
    assert.equal(spd.lookup(packet), 20);
    spd.remove(2);
    assert.equal(spd.lookup(packet), 10);
  });

  it('puts a lower configured priority first', () => {
    const spd = new Spd();
    spd.insert(protect(1, '10.1.0.1', '10.2.0.1'));
    spd.insert(protect(2, '0.0.0.0/0', '0.0.0.0/0', 5));
    spd.insert(protect(3, '0.0.0.0/0', '0.0.0.0/0', 4));
    assert.equal(spd.lookup(packet), 30);
    spd.insert(protect(3, '0.0.0.0/0', '0.0.0.0/0', 1_000_000));
    spd.remove(2);
    assert.equal(spd.lookup(packet), 10);
  });

  it('bypasses and discards', () => {
    const spd = new Spd();
    const { localTs, remoteTs } = protect(0, '10.1.0.0/16', '10.0.0.0/8');
    spd.insert({ id: 1, action: 'discard', localTs, remoteTs, priority: 0 });
    assert.equal(spd.lookup(packet), Policy.DISCARD);
    spd.insert(protect(2, '10.1.0.0/16', '10.2.0.0/16'));
    assert.equal(spd.lookup(packet), 20);
    spd.insert({ id: 3, action: 'bypass', localTs, remoteTs, priority: 0 });
    assert.equal(spd.lookup(packet), Policy.BYPASS);
    assert.deepEqual(
      spd.rows().map(({ entry, remote }) => `${entry.action} ${formatSelector(remote)}`),
      ['bypass 10.0.0.0/8', 'protect 10.2.0.0/16', 'discard 10.0.0.0/8'],
    );
  });

  it('refuses to protect with no SA, and a trap that is none', () => {
    const { localTs, remoteTs } = protect(0, '10.1.0.0/16', '10.0.0.0/8');
    for (const action of ['protect', 'trap'] as const) {
      const entry = { id: 1, action, localTs, remoteTs, priority: 0 } as const;
      assert.throws(() => new Spd().insert(entry), new RegExp(`1: ${action} by nothing`));
    }
  });

  it('finds an SA before the trap of the same selectors, whichever came last', () => {
    for (const priority of [0, 77]) {
      const spd = new Spd();
      const sa = protect(1, '10.1.0.0/16', '10.2.0.0/16', priority);
      const { sa: _, ...selectors } = sa;
      spd.insert({ ...selectors, id: 2, action: 'trap', trap: 0 });
      spd.insert(sa);
      spd.insert({ ...selectors, id: 3, action: 'trap', trap: 5 });
      assert.equal(spd.lookup(packet), 10);
      spd.remove(1);
      assert.equal(spd.lookup(packet), Policy.TRAP - 5, 'the newest trap');
      spd.remove(3);
      assert.equal(spd.lookup(packet), Policy.TRAP);
      spd.insert({ ...selectors, id: 4, action: 'bypass' });
      assert.equal(spd.lookup(packet), Policy.BYPASS);
    }
  });

  it('stays in order while entries come and go', () => {
    const entries = fc.array(
      fc.record({
        id: fc.integer({ min: 1, max: 8 }),
        comes: fc.boolean(),
        action: fc.constantFrom('protect' as const, 'trap' as const, 'bypass' as const),
        remotes: fc.array(fc.constantFrom('10.2.0.0/16', '10.0.0.0/8', '10.2.0.1'), {
          minLength: 1,
          maxLength: 3,
        }),
        priority: fc.constantFrom(0, 0, 5, 250_000),
      }),
      { maxLength: 40 },
    );
    fc.assert(
      fc.property(entries, (steps) => {
        const spd = new Spd();
        const listed = new PolicyList();
        let plain: readonly SpdEntry[] = [];
        for (const { id, comes, action, remotes, priority } of steps) {
          const remoteTs = remotes.map((remote) => selector(remote));
          const localTs = [selector('10.1.0.0/16')];
          const entry = { id, action, sa: id, trap: id, localTs, remoteTs, priority };
          const others = plain.filter((one) => one.id !== id);
          assert.equal(comes || spd.remove(id), comes || others.length < plain.length);
          if (comes) spd.insert(entry);
          if (comes) listed.insert(entry);
          else listed.remove(id);
          plain = comes ? [entry, ...others] : others;
        }
        const expected = plain
          .flatMap((entry) =>
            entry.localTs.flatMap((local) =>
              entry.remoteTs.map((remote) => ({
                row: `${entry.id} ${formatSelector(remote)}`,
                trap: entry.action === 'trap' ? 1 : 0,
                priority: entry.priority || automaticPriority(entry.action, local, remote),
              })),
            ),
          )
          .sort((a, b) => a.priority - b.priority || a.trap - b.trap);
        assert.deepEqual(
          spd.rows().map(({ entry, remote }) => `${entry.id} ${formatSelector(remote)}`),
          expected.map(({ row }) => row),
        );
        assert.deepEqual(listed.rows(), spd.rows());
        const first = spd.rows()[0];
        assert.equal(spd.lookup(flow('10.1.0.1', '10.2.0.1')), first ? answer(first) : Policy.NONE);
      }),
      { numRuns: 200 },
    );

    function answer({ entry: { id, action } }: SpdRow): number {
      if (action === 'bypass') return Policy.BYPASS;
      return action === 'trap' ? Policy.TRAP - id : id;
    }
  });

  it('replaces an entry of the same id', () => {
    const spd = new Spd();
    spd.insert(protect(1, '10.1.0.0/16', '10.2.0.0/16'));
    spd.insert(protect(1, '10.1.0.0/16', '10.3.0.0/16'));
    assert.equal(spd.lookup(packet), Policy.NONE);
    assert.equal(spd.rows().length, 1);
  });

  it('orders automatic priorities by width of addresses, then protocol, then ports', () => {
    const priority = (remote: TrafficSelector): number =>
      automaticPriority('protect', selector('10.1.0.0/16'), remote);
    const ordered = [
      selector('10.2.0.1/32', 6, 22),
      selector('10.2.0.1/32', 6),
      selector('10.2.0.1/32'),
      selector('10.2.0.0/31', 6, 22),
      selector('10.2.0.0/16'),
      selector('0.0.0.0/0'),
    ].map(priority);
    assert.deepEqual(
      ordered,
      ordered.toSorted((a, b) => a - b),
    );
    assert.equal(new Set(ordered).size, ordered.length);
    const all = [selector('::/0'), selector('::1')] as const;
    assert.ok(
      automaticPriority('bypass', all[0], all[0]) < automaticPriority('protect', all[1], all[1]),
    );
    assert.ok(
      automaticPriority('protect', all[0], all[0]) < automaticPriority('discard', all[1], all[1]),
    );
  });

  it('answers what a plain search through its rows answers', () => {
    const prefixes = fc.constantFrom(
      '10.0.0.0/8',
      '10.1.0.0/16',
      '10.1.0.0/30',
      '10.1.0.2',
      '0.0.0.0/0',
    );
    const ends = fc
      .record({
        prefix: prefixes,
        protocol: fc.constantFrom(0, 6, 17),
        port: fc.constantFrom(undefined, 53),
      })
      .map(({ prefix, protocol, port }) => selector(prefix, protocol, port));
    const entries = fc.array(
      fc.record({
        localTs: fc.array(ends, { maxLength: 2 }),
        remoteTs: fc.array(ends, { maxLength: 2 }),
        priority: fc.constantFrom(0, 0, 1, 300_000),
      }),
      { maxLength: 5 },
    );
    const hosts = fc.constantFrom('10.1.0.1', '10.1.0.2', '10.9.0.1', '192.0.2.1');
    fc.assert(
      fc.property(entries, fc.array(fc.tuple(hosts, hosts), { maxLength: 10 }), (list, packets) => {
        const spd = new Spd();
        for (const [id, entry] of list.entries())
          spd.insert({ ...entry, id, action: 'protect', sa: id });
        for (const [from, to] of packets) {
          const one = flow(from, to);
          const fitting = list
            .flatMap(({ localTs, remoteTs, priority }, id) =>
              localTs.flatMap((local) =>
                remoteTs.map((remote) => ({
                  id,
                  local,
                  remote,
                  priority: priority || automaticPriority('protect', local, remote),
                })),
              ),
            )
            .filter(
              ({ local, remote }) =>
                selectorMatchesFlow(local, one, 'source') &&
                selectorMatchesFlow(remote, one, 'destination'),
            )
            .sort((a, b) => a.priority - b.priority || b.id - a.id);
          assert.equal(spd.lookup(one), fitting[0]?.id ?? Policy.NONE);
        }
      }),
      { numRuns: 150 },
    );
  });
});
