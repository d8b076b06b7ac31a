/**
 * One SA with a real strongSwan, negotiated by tsgw, whose place two further processes take in turn: the
 * peer goes on as if nothing had happened, and takes every packet.
 *
 *
 *            h1 --- g1 ==== g2 --- h2      n2 has g1's outer addresses, too, and a copy of what comes to it,
 *                   ||                     as behind a multicast MAC; what it sends leaves by g1's wire.
 *                   n2
 */
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Capture, dissect } from '../../lab/capture.ts';
import { until } from '../../lab/command.ts';
import { nft, setOffloads, type Topology } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import type { ClusterParameters } from '../../src/esp/cluster-share.ts';
import { SaCounter } from '../../src/events/shared-counters.ts';
import type { TakeOverWindow } from '../../src/ipsec/replay-sampling.ts';
import { halves } from '../support/cluster-engines.ts';
import type { ClusterNodeOrder, ClusterNodeSetup } from '../support/cluster-node.ts';
import { clusterParameters } from '../support/esp-gateway.ts';
import { onlyTsgw, useLab } from '../support/lab.ts';

const SAMPLING = { every: 8, residue: 5 };
const ALONE = { reserved: halves(0), solo: false };

interface Counted {
  readonly drops: Readonly<Record<string, number>>;
  readonly inbound: readonly number[];
  readonly outbound: readonly number[];
}

/** A process of `cluster-node.ts`. */
class NodeProcess {
  readonly lines: Readonly<Record<string, unknown>>[] = [];
  readonly #child: ChildProcess;

  constructor(command: readonly string[], setup: ClusterNodeSetup) {
    const [first = '', ...rest] = command;
    const script = 'build/test/support/cluster-node.js';
    const argv = [...rest, process.execPath, script, JSON.stringify(setup)];
    this.#child = spawn(first, argv, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('a child without output');
    const lines = createInterface({ input: this.#child.stdout });
    lines.on('line', (line) => this.lines.push(JSON.parse(line)));
  }

  tell(order: ClusterNodeOrder): void {
    this.#child.stdin?.write(`${JSON.stringify(order)}\n`);
  }

  /** What it said last of that kind, once it said something behind the first `from` lines. */
  said(what: string, from = 0): Promise<unknown> {
    return until(`a node to say ${what}`, async () => {
      const found = this.lines.slice(from).findLast((line) => what in line);
      return found?.[what];
    });
  }

  async counted(): Promise<Counted> {
    const before = this.lines.length;
    this.tell({ count: true });
    return JSON.parse(JSON.stringify(await this.said('counted', before)));
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child.kill(signal);
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }
}

describe('An SA with strongSwan that processes take over from one another', function () {
  this.timeout(60_000);
  onlyTsgw();
  const lab = useLab();
  const nodes: NodeProcess[] = [];
  let capture: Capture;
  const captures: string[] = [];
  before(() => addSecondNode(lab.topology));
  after(() => {
    for (const node of nodes.splice(0)) node.kill();
  });

  it('loses nothing more, repeats no number and no IV, and takes no more replays than said', async () => {
    const negotiated = await negotiate();
    capture = await Capture.start(lab.topology.network, 'g1');
    const first = await node('g1', negotiated, { sid: 1, role: 'active' });
    const second = await node('n2', negotiated, { sid: 2, role: 'passive' });
    await route('g1');
    assert.deepEqual(await clientPings(200), [200, 200]);
    await crash(first, second, 'strict');

    const third = await node('g1', negotiated, { sid: 3, role: 'passive' });
    await handOver(second, third, negotiated.spiIn);
    assert.deepEqual(await clientPings(100), [100, 100]);
    await crash(third, second, 'bounded');
    await lapse(second);
    captures.push(await capture.stop());
    await onlyOnce(lab.tsgw.keyLog, captures);
  });

  /** The active one dies and the other takes its place; what was captured so far comes again. */
  async function crash(dying: NodeProcess, next: NodeProcess, window: TakeOverWindow) {
    const isLevel = async () => {
      const [ahead, behind] = [await dying.counted(), await next.counted()].map(edgeOf);
      return (ahead ?? 0) - (behind ?? 0) < SAMPLING.every || undefined;
    };
    await until('the next one to have seen the last sample', isLevel);
    const replays = await capture.stop();
    captures.push(replays);
    dying.kill();
    capture = await Capture.start(lab.topology.network, 'g1');
    const used = JSON.parse(JSON.stringify(await dying.said('granted')));
    const before = next.lines.length;
    next.tell({ take: { sid: 2, used, ...ALONE, window } });
    await route('n2');
    const taken = JSON.parse(JSON.stringify(await next.said('taken', before)));
    // While the client is silent, what was heard before is all there is.
    const silent = await next.counted();
    const resend = ['/usr/bin/python3', RESEND, replays, 'wan', '1', '192.0.2.2'];
    const resent = Number((await lab.topology.network.exec('g2', resend)).stdout);
    assert.ok(resent >= 100, `${resent} packets came again`);
    const accepted = await until('what came again to be judged', async () => {
      const now = await next.counted();
      const more = packetsIn(now) - packetsIn(silent);
      return refused(now) - refused(silent) + more >= resent ? more : undefined;
    });
    assert.equal(taken.exposure, window === 'strict' ? 0 : SAMPLING.every - 1);
    assert.ok(accepted <= taken.exposure, `${accepted} of ${taken.exposure} accepted again`);
    // The price of strictness: as many as two samples are apart, once.
    const [sent = 0, received = 0] = await clientPings(50);
    assert.ok(sent - received <= (window === 'strict' ? 2 * SAMPLING.every : 0));
    assert.deepEqual(await clientPings(50), [50, 50], 'and none after that');
  }

  /** By plan, under load: the next one begins with the next number, its window where it was. */
  async function handOver(giving: NodeProcess, next: NodeProcess, spiIn: number) {
    const load = clientPings(150);
    const before = packetsIn(await giving.counted());
    const passes = async () => packetsIn(await giving.counted()) > before + 20 || undefined;
    await until('pings to pass', passes);
    giving.tell({ give: true });
    const { used, edge } = JSON.parse(JSON.stringify(await giving.said('given')));
    const given = Number(giving.lines.find((line) => 'given' in line)?.at);
    const took = given - Number(await giving.said('asked'));
    assert.ok(took < 20, `${took} ms, on a machine that does other things, too`);
    next.tell({ edges: [spiIn, edge.high, edge.low] });
    next.tell({ take: { sid: 3, used, ...ALONE, window: 'bounded' } });
    await route('g1');
    await load;
    assert.equal((await giving.counted()).outbound[SaCounter.SEQUENCE], used.low);
    const taken = JSON.parse(JSON.stringify(await next.said('taken')));
    assert.deepEqual(taken.used, used);
    assert.ok(taken.edge.low >= edge.low);
  }

  /** It wakes up with packets and intentions of the time before its lease was over, and is silent. */
  async function lapse(active: NodeProcess) {
    active.tell({ lease: 500 });
    const before = await active.counted();
    active.signal('SIGSTOP');
    assert.deepEqual(await clientPings(5), [5, 0]);
    active.signal('SIGCONT');
    const after = await until('what had waited to be judged', async () => {
      const now = await active.counted();
      return (now.drops['lease-over'] ?? 0) >= 5 ? now : undefined;
    });
    assert.equal(after.outbound[SaCounter.PACKETS], before.outbound[SaCounter.PACKETS]);
    active.tell({ lease: 60_000 });
    assert.deepEqual(await clientPings(5), [5, 5]);
  }

  /** By tsgw, which then ends without a word. */
  async function negotiate(): Promise<Omit<ClusterNodeSetup, 'tun' | 'cluster'>> {
    await setOffloads(lab.topology, 'off');
    const { subjectChild } = await lab.up('initiator', { espProposals: 'aes256gcm16' });
    const spiIn = Number.parseInt(String(subjectChild.raw['spi-in']), 16);
    const spiOut = Number.parseInt(String(subjectChild.raw['spi-out']), 16);
    const keys = keysOf(join(lab.tsgw.keyLog, 'esp_sa'));
    await lab.subject.kill();
    const ends = { local: '192.0.2.1', remote: '192.0.2.2' };
    const nets = { localNet: '10.1.0.0/16', remoteNet: '10.2.0.0/16' };
    const [keyIn = '', keyOut = ''] = [keys.get(spiIn), keys.get(spiOut)];
    return { spiIn, spiOut, keyIn, keyOut, ...ends, ...nets };
  }

  async function node(
    at: 'g1' | 'n2',
    setup: Omit<ClusterNodeSetup, 'tun' | 'cluster'>,
    as: Pick<ClusterParameters, 'sid' | 'role'>,
  ): Promise<NodeProcess> {
    const { network } = lab.topology;
    const cluster = { ...clusterParameters, ...as, sampling: SAMPLING };
    const made = new NodeProcess(network.at(at), { ...setup, tun: 'inner', cluster });
    nodes.push(made);
    await made.said('ready');
    await network.ip(at, [
      'link set inner mtu 1400 up',
      'route add 10.2.0.0/16 dev inner metric 9',
    ]);
    return made;
  }

  /** What h1 sends goes to that node. */
  async function route(at: 'g1' | 'n2'): Promise<void> {
    const way = at === 'g1' ? 'dev inner' : 'via 10.99.0.2';
    await lab.topology.network.ip('g1', [`route replace 10.2.0.0/16 ${way}`]);
  }

  /** Sent and answered. */
  async function clientPings(count: number): Promise<readonly number[]> {
    const options = { from: 'h2', to: '10.1.0.10', count, intervalSeconds: 0.005 } as const;
    const { sent, received } = await ping(lab.topology, options);
    return [sent, received];
  }
});

/** A further node of the cluster beside g1. */
async function addSecondNode({ network }: Topology): Promise<void> {
  const macOf = async (node: string) => {
    const { stdout } = await network.exec(node, ['cat', '/sys/class/net/wan/address']);
    return stdout.trim();
  };
  const [ours, peers] = [await macOf('g1'), await macOf('g2')];
  const sysctls = ['all', 'default'].map((one) => `net.ipv4.conf.${one}.rp_filter=0`);
  await network.addNode('n2', [...sysctls, 'net.ipv4.ip_forward=1']);
  await network.link(
    { node: 'g1', device: 'copy', addresses: [] },
    { node: 'n2', device: 'wan', addresses: ['192.0.2.1/24'] },
  );
  await network.link(
    { node: 'g1', device: 'lan2', addresses: ['10.99.0.1/24'] },
    { node: 'n2', device: 'lan', addresses: ['10.99.0.2/24'] },
  );
  await network.ip('n2', [
    `link set wan address ${ours}`,
    `neighbor add 192.0.2.2 lladdr ${peers} dev wan nud permanent`,
    'route add 10.1.0.0/16 via 10.99.0.1',
  ]);
  await nft(network, 'g1', [
    'table netdev second {',
    'chain arriving { type filter hook ingress device "wan" priority 0;',
    'ip saddr 192.0.2.2 udp dport 4500 dup to "copy"; }',
    'chain leaving { type filter hook ingress device "copy" priority 0;',
    'ip saddr 192.0.2.1 udp sport 4500 fwd to "wan"; }',
    '}',
  ]);
}

const RESEND = 'test/support/resend.py';

function packetsIn({ inbound }: Counted): number {
  return inbound[SaCounter.PACKETS] ?? 0;
}

function edgeOf({ inbound }: Counted): number {
  return inbound[SaCounter.SEQUENCE] ?? 0;
}

function refused({ drops }: Counted): number {
  const { 'replayed-sequence-number': replayed = 0, 'sequence-left-of-window': left = 0 } = drops;
  return replayed + left;
}

/** By SPI, in hex. */
function keysOf(file: string): ReadonlyMap<number, string> {
  const rows = readFileSync(file, 'utf8').trimEnd().split('\n');
  return new Map(
    rows.map((row) => {
      const [, , , spi = '', , key = ''] = row.split(',').map((field) => field.replaceAll('"', ''));
      return [Number(spi), key.replace('0x', '')];
    }),
  );
}

/** What g1 sent, in order: each ICV is good, numbers only grow, and no IV is there twice. */
async function onlyOnce(keyLog: string, files: readonly string[]) {
  const sent: { readonly sequence: number; readonly iv: string }[] = [];
  for (const file of files) {
    const packets = await dissect(file, {
      fields: ['esp.sequence', 'esp.iv', 'esp.icv_good'],
      // The kernel of a node without a socket quotes what it got.
      filter: 'esp && !(icmp.type == 3) && ip.src == 192.0.2.1',
      keyLog,
    });
    for (const packet of packets) {
      const [iv = ''] = packet.get('esp.iv') ?? [];
      assert.deepEqual(packet.get('esp.icv_good'), ['1']);
      sent.push({ sequence: Number(packet.get('esp.sequence')?.[0]), iv });
    }
  }
  assert.ok(sent.length > 100, `${sent.length} packets were seen`);
  assert.equal(new Set(sent.map(({ iv }) => iv)).size, sent.length);
  for (const [at, { sequence }] of sent.entries()) {
    assert.ok(at === 0 || sequence > (sent[at - 1]?.sequence ?? 0), `${at}: ${sequence}`);
  }
  return sent;
}
