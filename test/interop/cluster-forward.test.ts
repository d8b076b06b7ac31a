/**
 * A strongSwan client of two nodes, in the mode in which no address moves: whichever of them the router and the
 * host behind them send to, everything arrives.
 */
import assert from 'node:assert/strict';
import { type ClusterNodeName, clusterAddresses } from '../../lab/cluster-network.ts';
import type { Network } from '../../lab/namespaces.ts';
import { PacketStream } from '../../lab/packet-stream.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { compiledProgram } from '../../lab/programs.ts';
import { nft } from '../../lab/topology.ts';
import { TsgwCluster } from '../../lab/tsgw-cluster.ts';
import { onlyTsgw } from '../support/lab.ts';

describe('A cluster whose packets come to any node', function () {
  this.timeout(60_000);
  onlyTsgw();
  let cluster: TsgwCluster;
  let inner: string;
  before(async () => {
    requirePrerequisites();
    cluster = await TsgwCluster.build({ mode: 'forward', cluster: UNHURRIED });
    await cluster.start();
    inner = await cluster.connect();
  });
  afterEach(function tellLogs() {
    if (this.currentTest?.state === 'failed') console.log(cluster?.said());
  });
  after(() => cluster?.destroy());

  it('has every packet at the node that is asked, and at the other one, of any size', async () => {
    const owner = await cluster.owner();
    const [other] = cluster.others(owner);
    assert.ok(other);
    await cluster.standsBy(other);
    await countAt(cluster.network, other);
    for (const name of [owner, other]) {
      await cluster.sendTo(name);
      assert.deepEqual(await pings(56, 200), [200, 200], `to ${name}`);
      assert.deepEqual(await pings(FULL_SIZE, 100), [100, 100], `to ${name}, full-sized`);
      assert.deepEqual(await pings(4000, 20), [20, 20], `to ${name}, in fragments`);
    }
    const came = await countedAt(cluster.network, other);
    for (const packets of came) assert.ok(packets >= 320, `${packets} came to the other node`);
    for (const name of ['forwarded-esp', 'forwarded-read']) {
      const count = await figure(other, name);
      assert.ok(count >= 320, `${name} ${count}`);
    }
    assert.equal(await cluster.owner(), owner, 'and serves where it served');
  });

  it('is asked for new SAs at either node', async () => {
    const owner = await cluster.owner();
    const [other = owner] = cluster.others(owner);
    await cluster.sendTo(other);
    const before = await figure(other, 'forwarded-ike');
    assert.ok(await cluster.client.isAnswered(), 'a rekeying, asked at the other node');
    await cluster.client.swanctl.must(['--terminate', '--ike', 'gateway']);
    inner = await cluster.connect();
    assert.deepEqual(await pings(56, 50), [50, 50]);
    const after = await figure(other, 'forwarded-ike');
    assert.ok(after >= before + 4, `${after - before} messages of IKE`);
  });

  it('loses nothing while the node that is asked gives everything to the other one', async () => {
    const owner = await cluster.owner();
    const [other = owner] = cluster.others(owner);
    await cluster.standsBy(other);
    await cluster.sendTo(owner);
    const ends = [
      { node: 'client', address: inner },
      { node: 'host', address: clusterAddresses.host },
    ] as const;
    const stream = await PacketStream.start(cluster, { perSecond: 400, ends });
    await cluster.order(owner, ['drain']);
    assert.equal(await cluster.owner(), other);
    const { there, back } = await stream.stop();
    // As many as fit into the move, which is over in a tenth of a second where nothing else runs.
    assert.ok(there.sent > 20 && back.sent > 20, `${there.sent} and ${back.sent}`);
    assert.deepEqual([there.lost, back.lost, there.duplicated, back.duplicated], [0, 0, 0, 0]);
  });

  async function figure(name: ClusterNodeName, which: string): Promise<number> {
    const { metrics }: Status = JSON.parse(await cluster.order(name, ['status', '--json']));
    return metrics[which] ?? 0;
  }

  /** From the client, answered by the host: each passes in both directions. Sent, and answered. */
  async function pings(octets: number, count: number): Promise<readonly [number, number]> {
    const { host } = clusterAddresses;
    const [interval, patience, mayFragment] = [0.005, 2, 0];
    const numbers = [count, interval, patience, octets, mayFragment].map(String);
    const argv = [await compiledProgram('echo'), host, ...numbers, inner];
    const { stdout } = await cluster.network.exec('client', argv, { timeout: 30_000 });
    const { sent, received }: Counted = JSON.parse(stdout);
    return [sent, received];
  }
});

/** What the client's device takes whole. */
const FULL_SIZE = 1400 - 28;

/** Who serves is to change when it is told to, and not because the machine has much to do. */
const UNHURRIED = ['timers {', '  heartbeat = 300ms', '  lease = 1600ms', '  takeover = 2s', '}'];

/** Has the kernel of a node count packets in UDP from clients, and those of hosts for clients. */
async function countAt(network: Network, node: string): Promise<void> {
  await nft(network, node, [
    'table inet came {',
    'counter arrivals { }',
    'counter reads { }',
    'chain in {',
    'type filter hook prerouting priority raw;',
    'iifname "wan" udp dport 4500 counter name arrivals',
    `iifname "lan" ip daddr ${clusterAddresses.pool} counter name reads`,
    '}',
    '}',
  ]);
}

async function countedAt(network: Network, node: string): Promise<readonly number[]> {
  const { stdout } = await network.exec(node, ['nft', 'list', 'counters', 'table', 'inet', 'came']);
  return ['arrivals', 'reads'].map((name) => {
    return Number(new RegExp(`counter ${name} {\\s+packets (\\d+)`).exec(stdout)?.[1]);
  });
}

interface Status {
  readonly metrics: Readonly<Record<string, number>>;
}

interface Counted {
  readonly sent: number;
  readonly received: number;
}
