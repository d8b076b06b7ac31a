/**
 * A process that carries, or follows, one Child SA of a cluster with keys that were negotiated elsewhere:
 * a TUN device, a socket of port 4500 and a worker of the packet path, and nothing else of a gateway.
 *
 * The first argument is a `ClusterNodeSetup` as JSON. It prints JSON lines and reads them: numbers that its SA
 * wants are granted once it has said so, as if another node had acknowledged them.
 */
import { createInterface } from 'node:readline';
import { EncryptionId } from '../../src/crypto/transform.ts';
import type { ClusterParameters } from '../../src/esp/cluster-share.ts';
import type { TakeOver } from '../../src/esp/sa-ownership.ts';
import { dropReasonName } from '../../src/events/drop-reason.ts';
import { EdgeDigest } from '../../src/events/edge-digest.ts';
import { SendLease } from '../../src/events/send-lease.ts';
import { createSharedCounters, SA_COUNTERS } from '../../src/events/shared-counters.ts';
import { now } from '../../src/io/clock.ts';
import { native } from '../../src/io/native.ts';
import type { InstalledChildSa } from '../../src/io/packet-loop-protocol.ts';
import { PacketLoops } from '../../src/io/packet-loops.ts';
import { after } from '../../src/wire/instant.ts';
import { fromHex } from '../../src/wire/octets.ts';
import { childSa, selector } from './esp-gateway.ts';
import { octetsOf } from './inner-packets.ts';

export interface ClusterNodeSetup {
  readonly tun: string;
  readonly local: string;
  readonly remote: string;
  readonly localNet: string;
  readonly remoteNet: string;
  readonly spiIn: number;
  readonly spiOut: number;
  /** AES-GCM-16 keys with their salts, in hex. */
  readonly keyIn: string;
  readonly keyOut: string;
  readonly cluster: ClusterParameters;
}

export interface ClusterNodeOrder {
  readonly take?: TakeOver;
  readonly give?: true;
  readonly edges?: readonly number[];
  /** How long the node may send from now on. */
  readonly lease?: number;
  /** Say what was counted. */
  readonly count?: true;
}

const ID = 1;
const NATT_PORT = 4500;

function installed(setup: ClusterNodeSetup): InstalledChildSa {
  const endpoint = (text: string) => ({
    address: { family: 4 as const, octets: octetsOf(text) },
    port: NATT_PORT,
  });
  const { spiIn, spiOut, cluster } = setup;
  const [encryptionKeyIn, encryptionKeyOut] = [fromHex(setup.keyIn), fromHex(setup.keyOut)];
  return {
    ...childSa({ id: ID, spiIn, spiOut, cluster, replayWindow: 1024 }),
    encr: { id: EncryptionId.AES_GCM_16, keyLength: (encryptionKeyIn.length - 4) * 8 },
    local: endpoint(setup.local),
    remote: endpoint(setup.remote),
    localTs: [selector(setup.localNet)],
    remoteTs: [selector(setup.remoteNet)],
    ...{ encryptionKeyIn, encryptionKeyOut },
    ...{ integrityKeyIn: new Uint8Array(0), integrityKeyOut: new Uint8Array(0) },
  };
}

async function main(setup: ClusterNodeSetup): Promise<void> {
  const layer = native();
  const tun = layer.openTun(setup.tun, { vnetHeader: false, multiQueue: false, further: false });
  const natt4 = layer.udpSocket({ family: 4, port: NATT_PORT, bufferOctets: 4 << 20 });
  const counters = createSharedCounters(4);
  const lease = new SendLease();
  const closed = { natt6: undefined, esp4: undefined, esp6: undefined };
  const plain = { plain4: undefined, plain6: undefined, offload: undefined };
  const mtu = { nattPort: NATT_PORT, tunMtu: 1400, outerMtu: 1500, mssClamp: true };
  const fail = (error: Error): never => {
    print({ failed: error.message });
    return process.exit(1);
  };
  const loops = await PacketLoops.start(
    [{ counters, tun: tun.fd, natt4, ...closed, ...plain, ...mtu, lease: lease.memory }],
    {
      report: (report) => {
        if (report.kind === 'installed') print({ ready: true });
        if (report.kind !== 'cluster') return;
        const { report: said } = report;
        if (said.kind !== 'sequence-wanted') return print({ [said.kind]: said, at: now() });
        print({ granted: said.upTo });
        loops.cluster.grant(ID, said.upTo);
      },
      replaced: fail,
      failed: fail,
    },
  );
  const sa = installed(setup);
  const digest = new EdgeDigest(counters);
  digest.add(setup.spiIn, sa.rowIn);
  const digests = setInterval(() => {
    const edges = [...digest.read()];
    if (edges.length > 0) print({ edges });
  }, 100);
  lease.extend(after(now(), 600_000));
  loops.install(sa, sa);
  const lines = createInterface({ input: process.stdin });
  lines.on('line', (line) => {
    const order: ClusterNodeOrder = JSON.parse(line);
    if (order.take) loops.cluster.take(ID, order.take);
    if (order.give) {
      print({ asked: now() });
      loops.cluster.give(ID);
    }
    if (order.edges) loops.cluster.followEdges(Uint32Array.from(order.edges));
    if (order.lease !== undefined) lease.extend(after(now(), order.lease));
    if (order.count) print({ counted: counted() });
  });
  lines.on('close', async () => {
    clearInterval(digests);
    await loops.stop();
    for (const fd of [tun.fd, natt4]) layer.close(fd);
  });

  function counted() {
    const drops = [...counters.drops.entries()].filter(([, count]) => count > 0);
    return {
      drops: Object.fromEntries(drops.map(([reason, count]) => [dropReasonName(reason), count])),
      inbound: [...counters.sas.subarray(0, SA_COUNTERS)],
      outbound: [...counters.sas.subarray(SA_COUNTERS, 2 * SA_COUNTERS)],
    };
  }
}

function print(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

await main(JSON.parse(process.argv[2] ?? ''));
