import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { EspSaParameters } from '../../src/esp/esp-sa.ts';
import { DropReason } from '../../src/events/drop-reason.ts';
import { SendLease } from '../../src/events/send-lease.ts';
import {
  createSharedCounters,
  SA_COUNTERS,
  SaCounter,
  type SharedCounters,
  shareCounters,
  WorkerCounter,
} from '../../src/events/shared-counters.ts';
import { now } from '../../src/io/clock.ts';
import type { ClusterReport } from '../../src/io/cluster-protocol.ts';
import { native } from '../../src/io/native.ts';
import type { PacketLoopReport } from '../../src/io/packet-loop-protocol.ts';
import { PacketLoopShares } from '../../src/io/packet-loop-shares.ts';
import { PacketLoops } from '../../src/io/packet-loops.ts';
import { ipAddress } from '../../src/wire/address.ts';
import { after } from '../../src/wire/instant.ts';
import { toHex } from '../../src/wire/octets.ts';
import { halves, ivOf, numberOf } from '../support/cluster-engines.ts';
import { childSa, clusterParameters, selector, withKeys } from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';
import { describeNative } from '../support/native-addon.ts';
import { portOf } from '../support/native-ends.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const WORKERS = 2;

describeNative('Workers of the packet path', () => {
  let tuns: readonly number[];
  let natts: readonly number[];
  let shares: PacketLoopShares;
  let counters: readonly SharedCounters[];
  let peer: Socket;
  let inside: Socket;
  let loops: PacketLoops;
  let reports: PacketLoopReport[];
  let replaced: ((spiIn: number) => boolean)[];
  let failures: Error[];
  let lease: SendLease | undefined;
  let changed: () => void = () => {};

  beforeEach(async () => {
    const addon = native();
    // Sockets stand in for the queues of the TUN device.
    tuns = [0, 1].map(() => addon.udpSocket({ family: 4, port: 0, address: LOOPBACK }));
    const shared = { family: 4, address: LOOPBACK, bufferOctets: 1 << 20, shared: true } as const;
    const first = addon.udpSocket({ ...shared, port: 0 });
    natts = [first, addon.udpSocket({ ...shared, port: portOf(first) })];
    addon.shareBySpi(first, WORKERS);
    shares = new PacketLoopShares(WORKERS);
    const one = createSharedCounters(16);
    counters = [one, shareCounters(one)];
    peer = createSocket('udp4').bind(0, '127.0.0.1');
    inside = createSocket('udp4');
    await once(peer, 'listening');
    [reports, replaced, failures] = [[], [], []];
    loops = await start();
  });

  function start(lookMilliseconds?: number): Promise<PacketLoops> {
    return PacketLoops.start(
      counters.map((own, worker) => ({
        counters: own,
        tun: tuns[worker] ?? -1,
        offload: undefined,
        natt4: natts[worker],
        natt6: undefined,
        esp4: undefined,
        esp6: undefined,
        plain4: undefined,
        plain6: undefined,
        nattPort: 4500,
        tunMtu: 1400,
        outerMtu: 1500,
        mssClamp: true,
        ...(shares.all[worker] && { share: shares.all[worker] }),
        ...(lease && { lease: lease.memory }),
      })),
      {
        report: (report) => {
          reports.push(report);
          changed();
        },
        replaced: (_, concerns) => {
          replaced.push(concerns);
          changed();
        },
        failed: (error) => {
          failures.push(error);
          changed();
        },
      },
      lookMilliseconds,
    );
  }

  afterEach(async () => {
    await loops.stop();
    shares.close();
    for (const fd of [...tuns, ...natts]) native().close(fd);
    lease = undefined;
    peer.close();
    inside.close();
  });

  async function until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      await new Promise<void>((resolve) => {
        changed = resolve;
      });
    }
  }

  function of(kind: PacketLoopReport['kind']): number {
    return reports.filter((report) => report.kind === kind).length;
  }

  /** The SA of this inbound SPI, towards the peer; packets to 10.2.`net`.0/24 are its own. */
  function sa(id: number, spiIn: number, net: number): EspSaParameters {
    return childSa({
      id,
      spiIn,
      spiOut: 0x9000 + id,
      local: { address: ipAddress(LOOPBACK), port: 4500 },
      remote: { address: ipAddress(LOOPBACK), port: peer.address().port },
      remoteTs: [selector(`10.2.${net}.0/24`)],
      rowIn: id * 2,
      rowOut: id * 2 + 1,
    });
  }

  async function install(...all: readonly EspSaParameters[]): Promise<void> {
    const before = of('installed');
    for (const one of all) loops.install(withKeys(one), one);
    await until(() => of('installed') === before + all.length);
  }

  /** A packet comes in at a queue; answers SPI and sequence number that it left with. */
  async function pass(worker: number, net: number): Promise<readonly number[]> {
    const octets = await passed(worker, net);
    const view = new DataView(octets.buffer, octets.byteOffset);
    return [view.getUint32(0), view.getUint32(4)];
  }

  /** As `pass`, with all that left. */
  async function passed(worker: number, net: number): Promise<Uint8Array> {
    const arrived = once(peer, 'message');
    enter(worker, net);
    const [octets]: Uint8Array[] = await arrived;
    return octets ?? assert.fail('a packet left');
  }

  function enter(worker: number, net: number): void {
    const packet = udpPacket('10.1.0.10', `10.2.${net}.10`, 1);
    inside.send(packet, portOf(tuns[worker] ?? -1), '127.0.0.1');
  }

  /** What workers said of SAs of a cluster. */
  function clusterReports(): readonly ClusterReport[] {
    return reports.flatMap((one) => (one.kind === 'cluster' ? [one.report] : []));
  }

  async function dropped(worker: number, reason: number, count: number): Promise<void> {
    while ((counters[worker]?.drops[reason] ?? 0) < count) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  function work(worker: number, column: number): number {
    return counters[worker]?.work[column] ?? 0;
  }

  it('have an SA each, and give each other the packets of theirs', async () => {
    await install(sa(1, 0x1000, 1), sa(2, 0x1001, 2));
    for (const [entered, net, expected] of [
      [0, 1, [0x9001, 1]],
      [1, 1, [0x9001, 2]],
      [1, 2, [0x9002, 1]],
      [0, 2, [0x9002, 2]],
    ] as const) {
      assert.deepEqual(await pass(entered, net), expected);
    }
    for (const worker of [0, 1]) {
      // Counted behind the send.
      while (work(worker, WorkerCounter.PACKETS_OUT) < 2) {
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
      assert.equal(work(worker, WorkerCounter.HANDED_OVER), 1);
      assert.equal(work(worker, WorkerCounter.TAKEN_OVER), 1);
      assert.equal(work(worker, WorkerCounter.PACKETS_OUT), 2);
    }
    loops.setOutbound(2, 'never');
    await until(() => of('outbound-set') === 1);
    loops.remove(1);
    await until(() => of('removed') === 1);
    loops.installPolicy({
      id: -1,
      action: 'discard',
      localTs: [selector('0.0.0.0/0')],
      remoteTs: [selector('0.0.0.0/0')],
      priority: 0,
    });
    await install(sa(3, 0x1003, 3));
    assert.deepEqual(await pass(0, 3), [0x9003, 1], 'after what was told before');
    assert.equal(work(0, WorkerCounter.HANDED_OVER), 2);
  });

  it('receive the packets of their own SPIs', async () => {
    // The filter of the kernel says who; no SA is there, so each counts what it does not know.
    const unknown = (worker: number): number => counters[worker]?.drops[4] ?? 0;
    const expected = [0, 0];
    for (let spi = 0x2000; spi < 0x2010; spi++) {
      const packet = new Uint8Array(40);
      new DataView(packet.buffer).setUint32(0, spi);
      const worker = spi % WORKERS;
      expected[worker] = (expected[worker] ?? 0) + 1;
      inside.send(packet, portOf(natts[0] ?? -1), '127.0.0.1');
    }
    while (unknown(0) + unknown(1) < 16) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.deepEqual([unknown(0), unknown(1)], expected);
  });

  it('are replaced when they die, and their SAs go on behind the last number', async () => {
    const mine = sa(2, 0x1001, 2);
    await install(sa(1, 0x1000, 1), mine);
    assert.deepEqual(await pass(0, 2), [0x9002, 1]);
    assert.deepEqual(await pass(0, 2), [0x9002, 2]);
    counters[0]?.sas.set([700], mine.rowIn * SA_COUNTERS + SaCounter.SEQUENCE);
    loops.expect(0x1007);
    await loops.terminate(1);
    await until(() => replaced.length === 1);
    assert.deepEqual([replaced[0]?.(0x1000), replaced[0]?.(0x1001)], [false, true]);
    loops.install(withKeys(mine), mine, true);
    await until(() => of('installed') === 3 && of('expected') > 0);
    assert.deepEqual(await pass(0, 2), [0x9002, 3], 'no number twice');
    assert.deepEqual(await pass(1, 1), [0x9001, 1], 'the new one knows of the others');
    assert.deepEqual(failures, []);
  });

  it('answer what was asked of one that died', async () => {
    await install(sa(2, 0x1001, 2), sa(4, 0x1003, 4));
    const death = loops.terminate(1);
    loops.setOutbound(4, 'never');
    loops.remove(2);
    await death;
    await until(() => of('removed') === 1 && of('outbound-set') === 1);
    assert.equal(replaced.length, 1);
  });

  it('carry an SA of a cluster once they are told to, and until they are told not to', async () => {
    const mine = {
      ...sa(2, 0x1001, 2),
      cluster: { ...clusterParameters, role: 'passive' } as const,
    };
    await install(mine);
    enter(0, 2);
    await dropped(1, DropReason['outbound-passive'], 1);
    const [used, reserved] = [halves(500), halves(756)];
    loops.cluster.take(2, { sid: 0x0102, used, reserved, solo: false, window: 'bounded' });
    await until(() => clusterReports().length === 1);
    assert.deepEqual(clusterReports()[0], {
      ...{ kind: 'taken', id: 2, used, edge: halves(0), exposure: 63 },
    });
    const octets = await passed(0, 2);
    assert.equal(toHex(octets.subarray(0, 16)), '00009002000001f50102000000000001');
    const asked = performance.now();
    loops.cluster.give(2);
    await until(() => clusterReports().length === 2);
    assert.ok(performance.now() - asked < 100, 'at once, also on a machine that is busy');
    assert.deepEqual(clusterReports()[1], {
      ...{ kind: 'given', id: 2, used: halves(501), edge: halves(0) },
    });
    enter(1, 2);
    await dropped(1, DropReason['outbound-passive'], 2);
  });

  it('go on with an SA of a cluster at the place of one that died', async () => {
    const cluster = { ...clusterParameters, sid: 0x0abc, reserved: halves(256) };
    const mine = { ...sa(2, 0x1001, 2), cluster };
    await install(mine);
    const first = await passed(1, 2);
    loops.cluster.grant(2, halves(700));
    await loops.terminate(1);
    await until(() => replaced.length === 1);
    loops.install(withKeys(mine), mine, true);
    await until(() => of('installed') === 2);
    const second = await passed(1, 2);
    assert.deepEqual([numberOf(first), numberOf(second)], [1, 2]);
    assert.equal(ivOf(first), '0abc000000000001');
    assert.ok(ivOf(second) > ivOf(first) && ivOf(second).startsWith('0abc'));
    // What it has by now it had from the control thread.
    const shared = mine.rowOut * SA_COUNTERS + SaCounter.SHARED;
    assert.equal(counters[1]?.sas[shared], 700);
    const death = loops.terminate(1);
    loops.cluster.give(2);
    await death;
    await until(() => replaced.length === 2);
    loops.install(withKeys(mine), mine, true);
    await until(() => clusterReports().some(({ kind }) => kind === 'given'));
    enter(1, 2);
    await dropped(1, DropReason['outbound-passive'], 1);
  });

  it('follow the edges that other nodes tell', async () => {
    const passive = { ...clusterParameters, role: 'passive' } as const;
    const [one, other] = [sa(1, 0x1000, 1), sa(2, 0x1001, 2)];
    await install({ ...one, cluster: passive }, { ...other, cluster: passive });
    loops.cluster.followEdges(Uint32Array.of(0x1000, 0, 40, 0x1001, 0, 50));
    for (const { id } of [one, other]) {
      loops.cluster.take(id, { ...clusterParameters, window: 'bounded' });
    }
    await until(() => clusterReports().filter(({ kind }) => kind === 'taken').length === 2);
    const edges = [one, other].map(
      ({ rowIn }) => counters[0]?.sas[rowIn * SA_COUNTERS + SaCounter.SEQUENCE],
    );
    assert.deepEqual(edges, [40, 50]);
  });

  it('hand on what belongs to another node, as much as is taken, and take what one hands on', async () => {
    const foreign = { ...clusterParameters, role: 'passive', foreign: 'hand-on' } as const;
    const mine = { ...sa(2, 0x1001, 2), cluster: foreign };
    await install(mine, sa(1, 0x1000, 1));
    // More than a worker may have on their way at once.
    for (let packet = 1; packet <= 300; packet++) {
      enter(1, 2);
      await until(() => clusterReports().length === packet);
    }
    const [report] = clusterReports();
    assert.ok(report?.kind === 'foreign-packets' && report.packets[0]?.id === 2);
    assert.equal(counters[1]?.drops[DropReason['outbound-passive']], 0);
    loops.cluster.take(2, { ...foreign, reserved: halves(256), window: 'bounded' });
    await until(() => clusterReports().some(({ kind }) => kind === 'taken'));
    const arrived = once(peer, 'message');
    loops.cluster.foreignPackets(report.packets.map(({ packet }) => ({ spiIn: 0x1001, packet })));
    const [octets]: Uint8Array[] = await arrived;
    assert.equal(numberOf(octets ?? new Uint8Array(8)), 1);
  });

  it('send as long as the lease of the node holds', async () => {
    await loops.stop();
    lease = new SendLease();
    loops = await start();
    await install(sa(1, 0x1000, 1));
    enter(0, 1);
    await dropped(0, DropReason['lease-over'], 1);
    lease.extend(after(now(), 60_000));
    assert.deepEqual(await pass(0, 1), [0x9001, 2]);
    lease.end();
    enter(0, 1);
    await dropped(0, DropReason['lease-over'], 2);
  });

  it('are replaced when they stand still', async () => {
    await loops.stop();
    // Looked at more often than it beats, one that is well stands still, too.
    loops = await start(20);
    await until(() => replaced.length > 0);
    assert.deepEqual(failures, []);
  });

  it('are given up when they die again and again', async () => {
    for (let death = 1; death <= 5; death++) {
      const before = of('ready');
      await loops.terminate(0);
      await until(() => failures.length > 0 || of('ready') > before);
    }
    assert.equal(failures.length, 1);
    assert.equal(replaced.length, 4);
  });
});
