/** Child SAs of a node: what the packet loop is told of them, and what their snapshots say. */
import assert from 'node:assert/strict';
import { EdgeDigest } from '../../../src/events/edge-digest.ts';
import {
  createSharedCounters,
  SA_COUNTERS,
  SaCounter,
} from '../../../src/events/shared-counters.ts';
import { ClusteredChildSas } from '../../../src/gateway/cluster/clustered-child-sas.ts';
import { CounterRows } from '../../../src/gateway/counter-rows.ts';
import type { ChildSequences } from '../../../src/ike/snapshot.ts';
import type { ClusterCommand } from '../../../src/io/cluster-protocol.ts';
import type { InstalledChildSa } from '../../../src/io/packet-loop-protocol.ts';
import { PacketLoopsCluster } from '../../../src/io/packet-loops-cluster.ts';
import { spi } from '../../../src/ipsec/spi.ts';
import { childSa } from '../../support/child-sas.ts';

const [ONE, OTHER] = [
  childSa({ id: 1, spiIn: spi(0x1001) }),
  childSa({ id: 2, spiIn: spi(0x2002) }),
];
/** The segment is the lowest digit of the SPI. */
const segmentOf = (spiIn: number) => spiIn % 16;

function low(number: number) {
  return { high: 0, low: number };
}

function sequences(reserved: number, edge: number): ChildSequences {
  const traffic = { packetsIn: 5, octetsIn: 500, packetsOut: 6, octetsOut: 600 };
  return { outboundReserved: low(reserved), inboundEdge: low(edge), ...traffic };
}

class Node {
  readonly counters = createSharedCounters(4);
  readonly rows = new CounterRows(this.counters);
  readonly told: ClusterCommand[] = [];
  readonly installed: NonNullable<InstalledChildSa['cluster']>[] = [];
  isSolo = false;
  readonly loops = new PacketLoopsCluster({
    tell: (_worker, command) => void this.told.push(command),
    workers: 1,
    workerOf: () => 0,
  });
  readonly sas: ClusteredChildSas;

  constructor(window: 'bounded' | 'strict' = 'strict') {
    this.sas = new ClusteredChildSas({
      ...{ sid: 9, sampling: { every: 64, residue: 1 }, window, segmentOf, rows: this.rows },
      isSolo: () => this.isSolo,
      digest: new EdgeDigest(this.counters),
      install: ({ id }, cluster) => {
        this.installed.push(cluster);
        const rows = this.rows.take(id);
        const { spiIn } = [ONE, OTHER].find((one) => one.id === id) ?? ONE;
        this.loops.installed({ ...bare(id, spiIn), ...(rows ?? { rowIn: 0, rowOut: 0 }), cluster });
        return rows !== undefined;
      },
      setOutbound: () => {},
      packetLoops: () => this.loops,
    });
  }

  /** The packet loop counted. */
  count(id: number, direction: 'in' | 'out', column: number, value: number): void {
    const rows = this.rows.of(id);
    const row = direction === 'in' ? rows?.rowIn : rows?.rowOut;
    this.counters.sas[(row ?? 0) * SA_COUNTERS + column] = value;
  }

  took() {
    return this.told.flatMap((command) => (command.kind === 'take' ? [command] : []));
  }
}

function bare(id: number, spiIn: number): InstalledChildSa {
  const { localTs, remoteTs, limits, local, remote, encr } = ONE;
  const none = new Uint8Array(0);
  return {
    ...{ id, spiIn, spiOut: 1, encr, mode: 'tunnel', esn: false, local, remote, localTs, remoteTs },
    ...{ udpEncapsulation: true, replayWindow: 64, copyDf: true, copyEcn: true, copyDscp: 'no' },
    ...{ icmpErrors: true, priority: 0, nonFirstFragments: false, tfcPadding: 0, dummyPackets: 0 },
    ...{
      limits,
      outbound: 'now',
      rowIn: 0,
      rowOut: 0,
      encryptionKeyIn: none,
      integrityKeyIn: none,
    },
    ...{ encryptionKeyOut: none, integrityKeyOut: none },
  };
}

describe('The Child SAs of a node', () => {
  it('begin with numbers that their first snapshot gives away, also before they are installed', () => {
    const { sas, installed } = new Node();
    assert.deepEqual(sas.sequences(1)?.outboundReserved, low(256));
    sas.install(ONE);
    assert.equal(installed[0]?.role, 'active');
    assert.deepEqual([installed[0]?.used, installed[0]?.reserved], [low(0), low(256)]);
    assert.deepEqual(sas.sequences(1)?.outboundReserved, low(256));
  });

  it('say in snapshots what was granted, or what the packet loop took without', () => {
    const node = new Node();
    node.sas.install(ONE);
    node.sas.grant(ONE.spiIn, low(900));
    assert.deepEqual(node.sas.sequences(1)?.outboundReserved, low(900));
    node.count(1, 'out', SaCounter.SHARED, 5000);
    assert.deepEqual(node.sas.sequences(1)?.outboundReserved, low(5000));
  });

  it('follow another node, and go on behind all it may have sent', () => {
    const node = new Node();
    node.sas.follow(ONE, sequences(700, 40));
    const [followed] = node.installed;
    assert.deepEqual([followed?.role, followed?.foreign], ['passive', 'hand-on']);
    assert.deepEqual([followed?.reserved, followed?.edge], [low(700), low(40)]);
    node.sas.activate(ONE, sequences(1200, 60));
    const [take] = node.took();
    assert.deepEqual([take?.how.used, take?.how.reserved], [low(1200), low(1200)]);
    assert.equal(take?.how.window, 'strict');
    assert.deepEqual(node.sas.sequences(1)?.outboundReserved, low(1200));
  });

  it('are given up when the packet loop knows, which may still send until then', () => {
    const node = new Node();
    const given = { kind: 'given', id: 1, used: low(7), edge: low(3) } as const;
    node.sas.install(ONE);
    assert.equal(node.sas.isGiving, false);
    node.sas.deactivate(ONE);
    assert.equal(node.sas.isGiving, true);
    node.sas.hear(given);
    assert.equal(node.sas.isGiving, false);
    node.sas.activate(ONE, sequences(1200, 60));
    node.sas.deactivate(ONE);
    node.sas.forget(ONE);
    assert.equal(node.sas.isGiving, false);
  });

  it('say nothing of numbers that nobody knows', () => {
    const { sas } = new Node();
    sas.follow(ONE, undefined);
    sas.activate({ ...ONE, outbound: 'never' }, undefined);
    assert.equal(sas.sequences(1), undefined);
  });

  it('that were handed over have the window their last state says, strict or not', () => {
    const node = new Node();
    node.sas.follow(ONE, sequences(700, 40));
    node.sas.taking(segmentOf(ONE.spiIn), true);
    node.sas.activate(ONE, sequences(700, 55));
    const edges = node.told.flatMap((one) => (one.kind === 'follow-edges' ? [...one.edges] : []));
    assert.deepEqual(edges, [ONE.spiIn, 0, 55]);
    assert.equal(node.took()[0]?.how.window, 'bounded');
  });

  it('stand still for a hand-over, all of their segments before it is said', () => {
    const node = new Node();
    node.sas.install(ONE);
    node.sas.install(OTHER);
    let frozen = 0;
    node.sas.freeze(new Set([1, 2]), () => frozen++);
    node.sas.hear({ kind: 'given', id: 1, used: low(17), edge: low(23) });
    assert.equal(frozen, 0);
    node.sas.hear({ kind: 'given', id: 2, used: low(1), edge: low(2) });
    assert.equal(frozen, 1);
    assert.deepEqual(node.sas.sequences(1)?.inboundEdge, low(23));
    const given = node.told.filter(({ kind }) => kind === 'give').length;
    node.sas.deactivate(ONE);
    assert.equal(node.told.filter(({ kind }) => kind === 'give').length, given);
    assert.deepEqual(node.sas.counts, { active: 1, passive: 1 });
  });

  it('wait for nobody where a segment has none', () => {
    const { sas } = new Node();
    sas.install(ONE);
    let frozen = 0;
    sas.freeze(new Set([7]), () => frozen++);
    assert.equal(frozen, 1);
  });

  it('that stood still go on as they were when the hand-over does not happen', () => {
    const node = new Node();
    node.sas.install(ONE);
    let frozen = 0;
    node.sas.freeze(new Set([1]), () => frozen++);
    node.sas.thaw(new Set([1]));
    assert.equal(node.took()[0]?.how.window, 'unchanged');
    node.sas.hear({ kind: 'given', id: 1, used: low(17), edge: low(23) });
    assert.equal(frozen, 0);
  });

  it('tell others where their windows are as long as they are here', () => {
    const node = new Node();
    node.sas.install(ONE);
    node.count(1, 'in', SaCounter.SEQUENCE, 77);
    assert.deepEqual([...node.sas.edges()], [ONE.spiIn, 0, 77]);
    node.sas.deactivate(ONE);
    assert.equal(node.sas.edges(true).length, 0);
  });

  it('need no leave of others where there are none', () => {
    const node = new Node();
    node.isSolo = true;
    node.sas.install(ONE);
    assert.equal(node.installed[0]?.solo, true);
    node.sas.goAlone(ONE.spiIn);
    assert.ok(node.told.some(({ kind }) => kind === 'go-alone'));
  });

  it('are forgotten when they end, also in the middle of a hand-over', () => {
    const { sas } = new Node();
    sas.install(ONE);
    let frozen = 0;
    sas.freeze(new Set([1]), () => frozen++);
    sas.forget(ONE);
    assert.equal(frozen, 1);
    assert.equal(sas.find(ONE.spiIn), undefined);
  });
});
