import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { DropReason } from '../../src/events/drop-reason.ts';
import { createSharedCounters } from '../../src/events/shared-counters.ts';
import { native } from '../../src/io/native.ts';
import { PacketLoop } from '../../src/io/packet-loop.ts';
import type { PacketLoopReport, PacketLoopSetup } from '../../src/io/packet-loop-protocol.ts';
import { formatEndpoint, ipAddress } from '../../src/wire/address.ts';
import { childSa, mirrored, withKeys } from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';
import { describeNative } from '../support/native-addon.ts';
import { portOf } from '../support/native-ends.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

/** Collects what the loop reports, and waits for it. */
class Reports {
  readonly all: PacketLoopReport[] = [];
  readonly crashes: Error[] = [];
  #wake: () => void = () => {};

  readonly listener = {
    report: (report: PacketLoopReport): void => {
      this.all.push(report);
      this.#wake();
    },
    crashed: (error: Error): void => {
      this.crashes.push(error);
      this.#wake();
    },
  };

  of(kind: PacketLoopReport['kind']): readonly PacketLoopReport[] {
    return this.all.filter((report) => report.kind === kind);
  }

  async until(enough: () => boolean): Promise<void> {
    while (!enough()) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

describeNative('Packet loop', () => {
  // A socket stands in for the TUN device: what counts here is the way of the messages.
  let tun: number;
  let natt4: number;
  let reports: Reports;

  beforeEach(() => {
    tun = native().udpSocket({ family: 4, port: 0, address: LOOPBACK });
    natt4 = native().udpSocket({ family: 4, port: 0, address: LOOPBACK, bufferOctets: 1 << 22 });
    reports = new Reports();
  });

  afterEach(() => {
    for (const fd of [tun, natt4]) native().close(fd);
  });

  function setup(more: Partial<PacketLoopSetup> = {}): PacketLoopSetup {
    return {
      counters: createSharedCounters(8),
      tun,
      offload: undefined,
      natt4,
      natt6: undefined,
      esp4: undefined,
      esp6: undefined,
      plain4: undefined,
      plain6: undefined,
      nattPort: 4500,
      tunMtu: 1400,
      outerMtu: 1500,
      mssClamp: true,
      ...more,
    };
  }

  it('installs and removes, and ends when told', async () => {
    const loop = new PacketLoop(setup(), reports.listener);
    const parameters = childSa();
    const sa = withKeys(parameters);
    loop.tell({ kind: 'install', sa });
    loop.tell({
      kind: 'path-mtu',
      spiOut: parameters.spiOut,
      remote: parameters.remote,
      mtu: 1400,
    });
    loop.tell({ kind: 'remove', id: parameters.id });
    await loop.stop();
    assert.deepEqual(reports.all, [
      { kind: 'ready' },
      { kind: 'installed', id: 1, innerMtu: 1400 },
      { kind: 'path-mtu-changed', id: 1, outerMtu: 1400, innerMtu: 1338 },
      { kind: 'removed', id: 1 },
      { kind: 'stopped' },
    ]);
    assert.deepEqual(reports.crashes, []);
    assert.ok(
      sa.encryptionKeyIn.some((octet) => octet !== 0),
      'our copy of the keys is ours',
    );
  });

  it('hands IKE messages over with their addresses, and no more than are taken', async () => {
    const counters = createSharedCounters(8);
    const loop = new PacketLoop(setup({ counters }), reports.listener);
    const sender = createSocket('udp4');
    sender.bind(0, '127.0.0.1');
    await once(sender, 'listening');
    const full = (): number => counters.drops[DropReason['ike-queue-full']] ?? 0;
    const message = new Uint8Array(4 + 28).fill(7, 4);
    const send = async (count: number): Promise<void> => {
      for (let sent = 0; sent < count; sent++) {
        await new Promise((resolve) => sender.send(message, portOf(natt4), '127.0.0.1', resolve));
      }
    };
    await send(300);
    await reports.until(() => reports.of('ike').length === 256);
    while (full() < 44) await new Promise((resolve) => setTimeout(resolve, 5));
    assert.equal(full(), 44);
    const [first] = reports.of('ike');
    assert.ok(first?.kind === 'ike');
    assert.deepEqual(first.octets, message.subarray(4));
    assert.equal(formatEndpoint(first.local), '127.0.0.1[4500]');
    assert.equal(formatEndpoint(first.remote), `127.0.0.1[${sender.address().port}]`);

    loop.tell({ kind: 'ike-taken', count: 10 });
    await new Promise((resolve) => setTimeout(resolve, 50));
    await send(12);
    await reports.until(() => reports.of('ike').length === 266);
    await loop.stop();
    assert.equal(full(), 46);
    sender.close();
  });

  it('installs an SA whose peer no socket reaches', async () => {
    const loop = new PacketLoop(setup(), reports.listener);
    const parameters = childSa({ udpEncapsulation: false });
    loop.tell({ kind: 'install', sa: withKeys(parameters) });
    loop.tell({ kind: 'remove', id: parameters.id });
    await loop.stop();
    assert.deepEqual(
      reports.all.map(({ kind }) => kind),
      ['ready', 'installed', 'removed', 'stopped'],
    );
  });

  it('switches, moves and counts SAs while packets pass', async () => {
    const counters = createSharedCounters(8);
    const loop = new PacketLoop(setup({ counters }), reports.listener);
    const here = (port: number) => ({ address: ipAddress(LOOPBACK), port });
    // What leaves on the first SA comes back to the same loop on the second one.
    const sa = childSa({
      spiIn: 0x101,
      spiOut: 0x102,
      local: here(4500),
      remote: here(portOf(natt4)),
      limits: { softOctets: 0, hardOctets: 0, softPackets: 2, hardPackets: 0 },
    });
    const twin = { ...mirrored(sa), id: 2, spiOut: 0x103, remote: here(9), rowIn: 2, rowOut: 3 };
    loop.tell({ kind: 'install', sa: withKeys(sa) });
    loop.tell({ kind: 'install', sa: withKeys({ ...twin, outbound: 'after-inbound' }) });
    await reports.until(() => reports.of('installed').length === 2);
    const inside = createSocket('udp4');
    const enter = (data: number): void =>
      inside.send(udpPacket('10.1.0.10', '10.2.0.10', data), portOf(tun), '127.0.0.1');
    enter(1);
    await reports.until(() => reports.of('peer-moved').length > 0);
    assert.deepEqual(reports.of('outbound-activated'), [{ kind: 'outbound-activated', id: 2 }]);
    const [moved] = reports.of('peer-moved');
    assert.ok(moved?.kind === 'peer-moved');
    assert.equal(moved.id, 2);
    assert.equal(formatEndpoint(moved.local), `127.0.0.1[${portOf(natt4)}]`);
    assert.equal(formatEndpoint(moved.remote), `127.0.0.1[${portOf(natt4)}]`);

    const elsewhere = createSocket('udp4').bind(0, '127.0.0.1');
    await once(elsewhere, 'listening');
    const remote = here(elsewhere.address().port);
    loop.tell({ kind: 'move', id: 1, local: here(4500), remote, udpEncapsulation: true });
    await reports.until(() => reports.of('moved').length > 0);
    assert.deepEqual(reports.of('moved'), [{ kind: 'moved', id: 1, innerMtu: 1400 }]);
    enter(2);
    const [octets] = await once(elsewhere, 'message');
    assert.deepEqual([...octets.subarray(0, 8)], [0, 0, 1, 2, 0, 0, 0, 2], 'SPI and next number');
    await reports.until(() => reports.of('traffic-limit').length > 0);
    const limit = { kind: 'traffic-limit', limit: 'soft' } as const;
    assert.deepEqual(reports.of('traffic-limit'), [{ ...limit, id: 1 }]);

    loop.tell({ kind: 'set-outbound', id: 1, outbound: 'never' });
    loop.tell({ kind: 'path-mtu', spiOut: 0x102, remote, mtu: 1300 });
    await reports.until(() => reports.of('path-mtu-changed').length > 0);
    enter(3);
    while (counters.drops[DropReason['no-policy']] === 0) {
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    for (const id of [1, 2, 3]) {
      loop.tell({ kind: 'set-outbound', id, outbound: 'now' });
      loop.tell({ kind: 'remove', id });
      loop.tell({ kind: 'move', id, local: here(1), remote: here(1), udpEncapsulation: true });
    }
    await loop.stop();
    assert.equal(reports.of('moved').length, 1, 'what is gone does not move');
    for (const socket of [inside, elsewhere]) socket.close();
  });

  it('says so when it dies', async () => {
    const loop = new PacketLoop(setup({ tun: 1_000_000 }), reports.listener);
    await reports.until(() => reports.crashes.length > 0);
    assert.match(reports.crashes[0]?.message ?? '', /the packet loop died/);
    await loop.stop();
    assert.equal(reports.crashes.length, 1);
  });
});
