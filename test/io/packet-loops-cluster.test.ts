import assert from 'node:assert/strict';
import type { TakeOver } from '../../src/esp/sa-ownership.ts';
import type { ClusterCommand } from '../../src/io/cluster-protocol.ts';
import { PacketLoopsCluster } from '../../src/io/packet-loops-cluster.ts';
import { ipAddress } from '../../src/wire/address.ts';
import { halves } from '../support/cluster-engines.ts';
import { childSa, clusterParameters, withKeys } from '../support/esp-gateway.ts';

const SA = withKeys(childSa({ id: 7, spiIn: 0x1001 }));
const PASSIVE = { ...SA, cluster: { ...clusterParameters, role: 'passive' } as const };
const HERE = ipAddress(Uint8Array.of(192, 0, 2, 1));
const HOW: TakeOver = {
  sid: 0x77,
  used: halves(100),
  reserved: halves(300),
  solo: false,
  window: 'strict',
};

describe('SAs of a cluster, as the workers are told of them', () => {
  let told: (readonly [number, ClusterCommand])[];
  let cluster: PacketLoopsCluster;

  beforeEach(() => {
    told = [];
    cluster = new PacketLoopsCluster({
      tell: (worker, command) => told.push([worker, command]),
      workers: 2,
      workerOf: (spiIn) => spiIn % 2,
    });
  });

  it('are told of at the worker that has them, others not at all', () => {
    assert.equal(cluster.installed(SA), SA);
    cluster.give(7);
    assert.deepEqual(told, []);
    assert.equal(cluster.installed(PASSIVE), PASSIVE);
    cluster.take(7, HOW);
    assert.deepEqual(told, [[1, { kind: 'take', id: 7, how: HOW }]]);
    cluster.forget(7);
    cluster.give(7);
    cluster.grant(7, halves(5));
    assert.equal(told.length, 1);
  });

  it('are installed at another worker as they are by then', () => {
    cluster.installed(PASSIVE);
    cluster.sample(7, { every: 8, residue: 1 });
    cluster.take(7, HOW);
    const taken = { used: halves(120), edge: halves(50), exposure: 0 };
    cluster.hear(1, { kind: 'taken', id: 7, ...taken });
    cluster.grant(7, halves(900));
    cluster.grant(7, halves(400));
    const active = {
      ...{ role: 'active', sid: 0x77, solo: false, foreign: 'discard' },
      ...{ used: halves(120), edge: halves(50), reserved: halves(900) },
      sampling: { every: 8, residue: 1 },
    };
    assert.deepEqual(cluster.installed(PASSIVE).cluster, active);
    assert.deepEqual(cluster.installed(SA).cluster, active, 'whatever it was to begin with');
    cluster.goAlone(7);
    assert.equal(cluster.installed(PASSIVE).cluster?.solo, true);
    cluster.give(7);
    cluster.hear(1, { kind: 'given', id: 7, used: halves(950), edge: halves(60) });
    const { role, used } = cluster.installed(PASSIVE).cluster ?? assert.fail('it is of a cluster');
    assert.deepEqual([role, used], ['passive', halves(950)]);
  });

  it('are asked again for what a worker did not answer, and only that', () => {
    cluster.installed(PASSIVE);
    cluster.askAgain(7);
    assert.deepEqual(told, []);
    cluster.take(7, HOW);
    assert.equal(cluster.installed(PASSIVE).cluster?.role, 'passive');
    cluster.askAgain(7);
    assert.deepEqual(told[1], told[0]);
    cluster.give(7);
    // The answer to what was asked before.
    cluster.hear(1, { kind: 'taken', id: 7, used: halves(1), edge: halves(1), exposure: 0 });
    cluster.askAgain(7);
    assert.deepEqual(told.at(-1), [1, { kind: 'give', id: 7 }]);
    cluster.hear(1, { kind: 'given', id: 7, used: halves(1), edge: halves(1) });
    cluster.askAgain(7);
    assert.equal(told.length, 4);
  });

  it('that are not here have their packets taken in lots, whoever they are of', () => {
    const packet = { kind: 'read', octets: new Uint8Array(30) } as const;
    const some = Array.from({ length: 20 }, () => ({ id: 99, packet }));
    for (let taken = 20; taken <= 100; taken += 20) {
      cluster.hear(0, { kind: 'foreign-packets', packets: some });
    }
    const lot = { kind: 'foreign-taken', count: 40 } as const;
    assert.deepEqual(told, [
      [0, lot],
      [0, lot],
    ]);
    const [one, two] = [packet, { ...packet }];
    cluster.foreignPackets([
      { spiIn: 0x1001, packet: one },
      { spiIn: 0x1000, packet: two },
      { spiIn: 0x1003, packet: two },
    ]);
    assert.deepEqual(told.slice(2), [
      [1, { kind: 'foreign-packets', packets: [one, two] }],
      [0, { kind: 'foreign-packets', packets: [two] }],
    ]);
  });

  it('that are not here are asked for at every worker, its share each, and at new ones', () => {
    cluster.replaced(1);
    assert.deepEqual(told, [], 'nobody asked for them');
    cluster.handOnUnknown(100);
    cluster.replaced(1);
    const share = { kind: 'hand-on-unknown', perSecond: 50 } as const;
    assert.deepEqual(told, [
      [0, share],
      [1, share],
      [1, share],
    ]);
    const packet = { octets: new Uint8Array(30), local: HERE, remote: { address: HERE, port: 1 } };
    const arrival = { kind: 'arrival', ...packet, trafficClass: 0 } as const;
    const some = Array.from({ length: 70 }, () => ({ id: undefined, packet: arrival }));
    cluster.hear(0, { kind: 'foreign-packets', packets: some });
    assert.equal(told.length, 3, 'there is no credit to give back');
  });

  it('get the edges of other nodes, each worker its own', () => {
    cluster.followEdges(Uint32Array.of(2, 0, 20, 3, 1, 30, 4, 0, 0xffff_ffff));
    assert.deepEqual(told, [
      [0, { kind: 'follow-edges', edges: Uint32Array.of(2, 0, 20, 4, 0, 0xffff_ffff) }],
      [1, { kind: 'follow-edges', edges: Uint32Array.of(3, 1, 30) }],
    ]);
  });
});
