/**
 * A process with a TUN device, sockets and one packet loop with one Child SA of static keys.
 *
 * Run inside a network namespace: the first argument is a `NodeSetup` as JSON. Prints one JSON
 * line when ready, stops on the first line it reads and prints its counters as another.
 */
import { createInterface } from 'node:readline';
import { dropReasonName } from '../../src/events/drop-reason.ts';
import { createSharedCounters, SA_COUNTERS } from '../../src/events/shared-counters.ts';
import { native } from '../../src/io/native.ts';
import { PacketLoop } from '../../src/io/packet-loop.ts';
import type { InstalledChildSa, PacketLoopReport } from '../../src/io/packet-loop-protocol.ts';
import { childSa, mirrored, testKeys } from './esp-gateway.ts';
import { octetsOf } from './inner-packets.ts';

/** What the two processes of a test are told; `side` decides who is who. */
export interface NodeSetup {
  readonly side: 'a' | 'b';
  readonly outerA: string;
  readonly outerB: string;
  readonly udp: boolean;
  readonly encr: { readonly id: number; readonly keyLength?: number };
  readonly integ?: { readonly id: number };
  readonly esn: boolean;
}

const NATT_PORT = 4500;

function installedChildSa(setup: NodeSetup): InstalledChildSa {
  const six = setup.outerA.includes(':');
  const endpoint = (text: string) => ({
    address: { family: six ? (6 as const) : (4 as const), octets: octetsOf(text) },
    port: setup.udp ? NATT_PORT : 0,
  });
  const a = childSa({
    local: endpoint(setup.outerA),
    remote: endpoint(setup.outerB),
    udpEncapsulation: setup.udp,
    encr: setup.encr,
    ...(setup.integ === undefined ? {} : { integ: setup.integ }),
    esn: setup.esn,
    replayWindow: 1024,
  });
  const aToB = testKeys(a, 1);
  const bToA = testKeys(a, 2);
  const [out, into] = setup.side === 'a' ? [aToB, bToA] : [bToA, aToB];
  return {
    ...(setup.side === 'a' ? a : mirrored(a)),
    encryptionKeyOut: out.encryption,
    integrityKeyOut: out.integrity,
    encryptionKeyIn: into.encryption,
    integrityKeyIn: into.integrity,
  };
}

function main(setup: NodeSetup): void {
  const layer = native();
  const tun = layer.openTun('tsgw0', { vnetHeader: false, multiQueue: false, further: false });
  const sockets = {
    natt4: layer.udpSocket({ family: 4, port: NATT_PORT, bufferOctets: 4 << 20 }),
    natt6: layer.udpSocket({ family: 6, port: NATT_PORT, bufferOctets: 4 << 20 }),
    esp4: layer.rawSocket(4, 50, { bufferOctets: 4 << 20 }),
    esp6: layer.rawSocket(6, 50, { bufferOctets: 4 << 20 }),
    plain4: layer.rawSocket(4, 255),
    plain6: layer.rawSocket(6, 255),
  };
  const counters = createSharedCounters(16);
  const loop = new PacketLoop(
    {
      counters,
      tun: tun.fd,
      offload: undefined,
      ...sockets,
      nattPort: NATT_PORT,
      tunMtu: 1500,
      outerMtu: 1500,
      mssClamp: true,
    },
    {
      report: (report: PacketLoopReport) => {
        if (report.kind === 'ready') loop.tell({ kind: 'install', sa: installedChildSa(setup) });
        if (report.kind === 'ike') {
          loop.tell({ kind: 'ike-taken', count: 1 });
          print({ ike: report.octets.length, from: report.remote.port });
        }
        if (report.kind === 'installed') print({ ready: true });
        if (report.kind === 'path-mtu-changed') print({ pathMtu: report.outerMtu });
      },
      crashed: (error) => {
        print({ crashed: error.message });
        process.exit(1);
      },
    },
  );
  const lines = createInterface({ input: process.stdin });
  lines.once('line', async () => {
    await loop.stop();
    for (const fd of [tun.fd, ...Object.values(sockets)]) layer.close(fd);
    lines.close();
    const drops = Object.fromEntries(
      [...counters.drops.entries()]
        .filter(([, count]) => count > 0)
        .map(([reason, count]) => [dropReasonName(reason), count]),
    );
    print({
      drops,
      inbound: [...counters.sas.subarray(0, SA_COUNTERS)],
      outbound: [...counters.sas.subarray(SA_COUNTERS, 2 * SA_COUNTERS)],
    });
  });
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

main(JSON.parse(process.argv[2] ?? ''));
