import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import type { EspSaParameters } from '../../src/esp/esp-sa.ts';
import { DropReason } from '../../src/events/drop-reason.ts';
import { createSharedCounters } from '../../src/events/shared-counters.ts';
import { native } from '../../src/io/native.ts';
import { PacketLoop } from '../../src/io/packet-loop.ts';
import type {
  InstalledChildSa,
  PacketLoopReport,
  PacketLoopSetup,
} from '../../src/io/packet-loop-protocol.ts';
import { formatEndpoint } from '../../src/wire/address.ts';
import { childSa, testKeys } from '../support/esp-gateway.ts';
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
      natt4,
      natt6: undefined,
      esp4: undefined,
      esp6: undefined,
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

  it('says so when it dies', async () => {
    const loop = new PacketLoop(setup({ tun: 1_000_000 }), reports.listener);
    await reports.until(() => reports.crashes.length > 0);
    assert.match(reports.crashes[0]?.message ?? '', /the packet loop died/);
    await loop.stop();
    assert.equal(reports.crashes.length, 1);
  });
});

function withKeys(parameters: EspSaParameters): InstalledChildSa {
  const { encryption, integrity } = testKeys(parameters, 1);
  return {
    ...parameters,
    encryptionKeyIn: encryption,
    integrityKeyIn: integrity,
    encryptionKeyOut: encryption,
    integrityKeyOut: integrity,
  };
}
