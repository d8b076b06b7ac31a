import assert from 'node:assert/strict';
import { type PinnedHost, pinsOf } from '../../../src/cluster/pinned-ranges.ts';
import { PinnedHosts } from '../../../src/gateway/cluster/pinned-hosts.ts';
import { ipAddress } from '../../../src/wire/address.ts';
import { toHex } from '../../../src/wire/octets.ts';

/** Of the network 10.0.x.y and one of IPv6, by number: its segment. */
function hosts(segments: Readonly<Record<number, number>>): ReadonlyMap<string, PinnedHost> {
  const pinned = Object.entries(segments).map(([text, segment]) => {
    const number = Number(text);
    const octets = Uint8Array.of(10, 0, number >> 8, number);
    const address = ipAddress(number === 6 ? new Uint8Array(16).fill(6) : octets);
    return { range: { first: address, last: address }, segment };
  });
  return pinsOf(pinned).hosts;
}

describe('Pinned single addresses in the kernel', () => {
  it('are changed by what differs', () => {
    const known = new PinnedHosts();
    known.filled(hosts({ 1: 1, 2: 2, 3: 3 }));
    const batches = known.changesTo(hosts({ 2: 2, 3: 9, 4: 4, 6: 5 }));
    assert.deepEqual(
      batches.map((changes) =>
        changes.map(({ map, gone, come }) => [
          map,
          gone.map((key) => toHex(key)),
          come.map(({ key, value }) => `${toHex(key)} ${toHex(value)}`),
        ]),
      ),
      [
        [
          ['pinned_hosts_4', ['0a000001', '0a000003'], []],
          ['pinned_hosts_6', [], []],
        ],
        [
          ['pinned_hosts_4', [], ['0a000003 09000080', '0a000004 04000080']],
          ['pinned_hosts_6', [], ['06060606060606060606060606060606 05000080']],
        ],
      ],
    );
    assert.deepEqual(known.changesTo(hosts({ 2: 2, 3: 9, 4: 4, 6: 5 })), []);
  });

  it('are changed in batches that a socket takes', () => {
    const all = Object.fromEntries(Array.from({ length: 5_000 }, (_, one) => [one, 1]));
    const batches = new PinnedHosts().changesTo(hosts(all));
    const lengths = batches.map((one) => one.reduce((sum, { come }) => sum + come.length, 0));
    assert.deepEqual(lengths, [2_000, 2_000, 1_000]);
  });
});
