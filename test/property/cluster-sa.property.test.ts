/**
 * What must hold for an SA that several nodes carry in turn, whatever happens between them.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import { asNumber, ClusterEngines, halves, ivOf, numberOf } from '../support/cluster-engines.ts';
import { type ArrivingPacket, clusterParameters, testKeys, UDP } from '../support/esp-gateway.ts';

const NODES = 3;
const HALF = 2 ** 32;

const node = fc.nat({ max: NODES - 1 });
const some = fc.integer({ min: 1, max: 300 });

/** What happens to the nodes; `split` = one takes the SA although nobody gave it or died. */
const deed = fc.oneof(
  fc.record({ what: fc.constant('send' as const), node, count: some }),
  fc.record({ what: fc.constant('hand-over' as const), node, count: some }),
  fc.record({ what: fc.constant('crash' as const), node, count: some }),
);
const unruly = fc.oneof(
  deed,
  fc.record({ what: fc.constant('split' as const), node, count: some }),
  fc.record({ what: fc.constant('reinstall' as const), node, count: some }),
);

/** Before and behind the border of the halves. */
const start = fc.constantFrom(0, HALF - 300, 5 * HALF - 300);

describe('An SA that nodes take from one another', () => {
  it('never has an IV twice under its key, split brain and all', () => {
    fc.assert(
      fc.property(fc.array(unruly, { maxLength: 12 }), start, (deeds, from) => {
        const cluster = new ClusterEngines(
          NODES,
          { every: 8, residue: 0 },
          { esn: true, start: from },
        );
        const seen = new Set<string>();
        for (const { what, node: index, count } of deeds) {
          if (what === 'reinstall') reinstall(cluster, index);
          else if (what !== 'send') cluster.take(index, 'bounded', lowest(cluster, what));
          // Each of them tries, whoever has the SA.
          for (let sender = 0; sender < NODES; sender++) {
            for (const octets of cluster.send(sender, count)) {
              assert.ok(!seen.has(ivOf(octets)), ivOf(octets));
              seen.add(ivOf(octets));
            }
          }
        }
      }),
      { numRuns: 30 },
    );
  });

  it('goes on with numbers that only grow, which its peer takes all', () => {
    fc.assert(
      fc.property(fc.array(deed, { minLength: 3, maxLength: 15 }), start, (deeds, from) => {
        const cluster = new ClusterEngines(
          NODES,
          { every: 8, residue: 0 },
          { esn: true, start: from },
        );
        let owner = 0;
        let sent = 0;
        let last = from;
        for (const { what, node: index, count } of deeds) {
          if (what === 'hand-over') {
            const { used } = cluster.give(owner);
            cluster.take(index, 'bounded', { used, reserved: used });
            owner = index;
          } else if (what === 'crash') {
            cluster.give(owner);
            cluster.take(index, 'bounded');
            owner = index;
          }
          for (let sender = 0; sender < NODES; sender++) {
            const packets = cluster.send(sender, count);
            assert.equal(packets.length, sender === owner ? count : 0);
            sent += packets.length;
            for (const octets of packets) {
              const number = nextOf(last, numberOf(octets));
              assert.ok(number - last <= 1000, `${last} ${number}`);
              last = number;
              cluster.peer.fromSocket(UDP, { octets });
            }
          }
          assert.equal(cluster.peer.delivered.length, sent);
          const { topHigh: high, topLow: low } = cluster.peerSa.window;
          assert.ok(
            asNumber({ high, low }) === last || sent === 0,
            'both halves as the peer has them',
          );
        }
      }),
      { numRuns: 30 },
    );
  });
});

describe('A window that follows samples', () => {
  const every = fc.constantFrom(1, 2, 8, 64);
  const lost = fc.array(fc.boolean(), { minLength: 1, maxLength: 64 });

  it('is behind by less than the samples that were lost in a row, and one', () => {
    fc.assert(
      fc.property(every, lost, start, fc.nat(), (n, pattern, from, draw) => {
        const residue = draw % n;
        const cluster = new ClusterEngines(2, { every: n, residue }, { esn: true, start: from });
        let lostInARow = 0;
        let samples = 0;
        for (let number = from + 1; number <= from + 200; number++) {
          const packets = cluster.peerSends(1);
          const isSample = number % n === residue;
          const isLost = isSample && pattern[samples++ % pattern.length] === true;
          if (isSample) lostInARow = isLost ? lostInARow + 1 : 0;
          if (!isLost) cluster.receive(1, packets);
          const behind = number - cluster.edgeOf(1);
          assert.ok(
            behind <= n * (lostInARow + 1) - 1,
            `${behind} with ${lostInARow} of ${n} lost`,
          );
          assert.ok(behind >= 0);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('never moves for a forged number', () => {
    fc.assert(
      fc.property(every, fc.array(fc.integer({ min: 0, max: HALF - 1 })), (n, forged) => {
        const cluster = new ClusterEngines(2, { every: n, residue: 0 }, { esn: true });
        cluster.receive(1, cluster.peerSends(70));
        const before = cluster.edgeOf(1);
        const [genuine] = cluster.peerSends(1);
        for (const number of forged.filter((one) => one !== 71)) {
          const octets = genuine?.octets.slice() ?? assert.fail('the peer sends');
          new DataView(octets.buffer).setUint32(4, number);
          cluster.receive(1, [{ octets }]);
        }
        assert.equal(cluster.edgeOf(1), before);
      }),
      { numRuns: 40 },
    );
  });

  it('lets in again after a take-over no more than said, none where it is strict', () => {
    fc.assert(
      fc.property(
        every,
        fc.constantFrom('bounded' as const, 'strict' as const),
        fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 150 }),
        start,
        (n, window, places, from) => {
          const sampling = { every: n, residue: 0 };
          const cluster = new ClusterEngines(2, sampling, {
            esn: true,
            start: from,
            replayWindow: 256,
          });
          const captured = shuffled(cluster.peerSends(places.length), places);
          cluster.receive(0, captured);
          cluster.receive(1, captured);
          const accepted = cluster.node(0).gateway.delivered.length;
          cluster.give(0);
          const { exposure } = cluster.take(1, window);
          const replayed = cluster.receive(1, captured);
          assert.ok(
            replayed <= Math.min(exposure, accepted),
            `${replayed} with ${exposure} allowed`,
          );
          assert.ok(window === 'bounded' || replayed === 0);
          assert.equal(cluster.receive(1, captured), 0, 'each at most once');
        },
      ),
      { numRuns: 80 },
    );
  });
});

/** What a node that does not know better would go by. */
function lowest(cluster: ClusterEngines, what: string) {
  if (what === 'crash' || what === 'hand-over') return {};
  return { used: halves(0), reserved: halves(cluster.granted) };
}

/** The node forgets the SA and gets it again: with the same keys, and the same sender. */
function reinstall(cluster: ClusterEngines, index: number): void {
  const { gateway, sa, sid } = cluster.node(index);
  gateway.engine.remove(sa.parameters.id);
  const keys = [testKeys(sa.parameters, 2), testKeys(sa.parameters, 1)] as const;
  const reserved = halves(cluster.granted);
  gateway.install({ ...sa.parameters, cluster: { ...clusterParameters, sid, reserved } }, ...keys);
}

/** The number above `last` whose low half this is. */
function nextOf(last: number, low: number): number {
  const same = last - (last % HALF) + low;
  return same > last ? same : same + HALF;
}

/** Packets change places with those so much later. */
function shuffled(
  packets: readonly ArrivingPacket[],
  places: readonly number[],
): readonly ArrivingPacket[] {
  const order = [...packets];
  for (const [at, later] of places.entries()) {
    const [one, other] = [order[at], order[at + later]];
    if (one && other) [order[at], order[at + later]] = [other, one];
  }
  return order;
}
