/**
 * The shared addresses of a cluster as its nodes own them, in the three modes: two nodes on bridges, a peer on the
 * WAN and a host on the LAN whose kernels ask where the addresses are, and to whom every packet comes exactly once.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { until } from '../../lab/command.ts';
import type { Network } from '../../lab/namespaces.ts';
import { segmentHash, segmentOfAddress, segmentOfSpi } from '../../src/cluster/segment-hash.ts';
import { formatAddress, type IpAddress, ipAddress } from '../../src/wire/address.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { AddressCluster } from '../support/address-cluster.ts';
import { CLUSTER_NODES, type ClusterNode, clusterLink } from '../support/cluster-link.ts';
import { espPayload } from '../support/ethernet-frames.ts';
import { seededNumbers, seededRandom } from '../support/seeded-random.ts';

const SEGMENTS = 256;
const SEED = 0x74736777;
const hash = segmentHash(SEGMENTS, SEED);
const number = seededNumbers(81);
const random = seededRandom(80);
const WAN = ['192.0.2.100', '2001:db8:1::100'] as const;
const SECOND = ['192.0.2.101', '2001:db8:1::101'] as const;
const LAN = ['10.1.0.100', '2001:db8:a::100'] as const;
const ALL = Array.from({ length: SEGMENTS }, (_, segment) => segment);
const even = ALL.filter((segment) => segment % 2 === 0);
const odd = ALL.filter((segment) => segment % 2 === 1);

const address = (name: string, addresses: readonly string[], more: string) =>
  `${name} {\n addrs = ${addresses.join(', ')}\n ${more}\n}\n`;
const wanAndLan = `addresses {
${address('wan', WAN, 'device = wan')}${address('lan', LAN, 'device = lan\n side = lan')}}`;

/** Of a host's kernel: what it believes about its neighbours. */
async function neighbour(network: Network, node: 'p' | 'h', of: string) {
  const device = node === 'p' ? 'wan' : 'lan';
  const { stdout } = await network.exec(node, ['ip', 'neigh', 'show', of, 'dev', device]);
  return /lladdr (\S+)/.exec(stdout)?.[1];
}

async function ping(network: Network, of: string, count = 10, wait = 1) {
  const argv = ['ping', '-n', '-c', String(count), '-i', '0.02', '-W', String(wait), of];
  const { stdout } = await network.exec('p', argv, { mayFail: true });
  const received = Number(/(\d+) received/.exec(stdout)?.[1]);
  return { received, twice: /duplicates/.test(stdout) };
}

/** Sends datagrams and answers how many came back, from which address. */
async function datagrams(network: Network, node: 'p' | 'h', lines: readonly string[], wait = 0) {
  const argv = ['/usr/bin/python3', 'test/support/send-datagrams.py', String(wait)];
  const { stdout } = await network.exec(node, argv, { input: `${lines.join('\n')}\n` });
  const answers: Readonly<Record<string, number>> = JSON.parse(stdout);
  return answers;
}

describe('The shared addresses of a cluster', function () {
  this.timeout(40_000);
  let network: Network;
  let cluster: AddressCluster;

  afterEach(() => {
    cluster?.stop();
    network?.destroy();
  });

  async function lease(): Promise<void> {
    for (const node of CLUSTER_NODES) cluster.order(node, { kind: 'lease' });
  }

  /** Datagrams from the peer's address to port 4500, and how many of them each node had at its sockets. */
  async function received(lines: readonly string[], wait = 0) {
    const of = async (node: ClusterNode) =>
      Object.values(await cluster.counts(node)).reduce((sum, one) => sum + one, 0);
    const before = { a: await of('a'), b: await of('b') };
    const answers = await datagrams(network, 'p', lines, wait);
    return { a: (await of('a')) - before.a, b: (await of('b')) - before.b, answers };
  }

  it('active-active: every node has the packets of its segments, before and after a move', async () => {
    network = await clusterLink({
      sysctls: ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'],
    });
    await inner(network);
    cluster = await AddressCluster.start(network, `mode = active-active\n${wanAndLan}`);
    await lease();
    for (const node of CLUSTER_NODES) cluster.order(node, { kind: 'members', nodes: [1, 2] });
    await until('both to be tested', async () => {
      const found = await Promise.all(CLUSTER_NODES.map((node) => cluster.status(node)));
      const results = found.flatMap(({ flooding }) => Object.values(flooding));
      assert.deepEqual(
        results.flatMap(({ deaf }) => deaf),
        [],
      );
      return results.every(({ tested }) => tested) && results.length === 4 ? true : undefined;
    });
    // No sample of either node: each packet is for exactly one.
    const spis = Array.from({ length: 20 }, () => 256 + Math.floor(number() * 2 ** 31));
    const esp = (to: string) =>
      spis.flatMap((spi) => [5, 6].map((one) => `${to} 4500 ${toHex(espPayload(spi, one))}`));
    const clients = Array.from({ length: 40 }, (_, index) =>
      index % 2 === 0
        ? ipAddress(Uint8Array.of(10, 9, ...random(2)))
        : ipAddress(Uint8Array.from([...fromHex('20010db80009'), ...random(10)])),
    );
    for (const [ofA, ofB] of [
      [even, odd],
      [odd, even],
      [ALL, []],
    ] as const) {
      await cluster.own('a', ofA);
      await cluster.own('b', ofB);
      const isOfA = (segment: number) => new Set<number>(ofA).has(segment);
      const expected = spis.filter((spi) => isOfA(segmentOfSpi(spi, hash))).length * 2;
      for (const to of WAN) {
        const lines = esp(to);
        const { a, b, answers } = await received(lines, 2);
        assert.deepEqual([a, b, answers[to]], [expected, lines.length - expected, lines.length]);
        assert.deepEqual(await ping(network, to), { received: 10, twice: false });
      }
      await lanSplit(clients, isOfA);
    }
    assert.match((await neighbour(network, 'p', WAN[0])) ?? '', /^01:00:5e:00:00:/);
    assert.match((await neighbour(network, 'p', WAN[1])) ?? '', /^33:33:00:00:00:/);
    const { filter } = await cluster.status('a');
    assert.ok((filter.udp_esp_own?.packets ?? 0) > 0 && (filter.lan_own?.packets ?? 0) > 0);
  });

  /** What a host sends to clients is forwarded by whoever has their segments, and what is pinned by its owner. */
  async function lanSplit(clients: readonly IpAddress[], isOfA: (segment: number) => boolean) {
    const pinnedTo = 7;
    for (const node of CLUSTER_NODES) {
      const ranges = [{ prefix: '10.9.0.0/17', segment: pinnedTo }];
      cluster.order(node, { kind: 'pinned', ranges });
    }
    await until('the range to be pinned', async () => {
      for (const node of CLUSTER_NODES) {
        const argv = ['nft', 'list', 'table', 'netdev', 'tsgw_cluster'];
        const { stdout } = await network.exec(node, argv);
        if (!stdout.includes('10.9.0.0')) return undefined;
      }
      return true;
    });
    const segmentOf = (client: IpAddress) =>
      client.family === 4 && (client.octets[2] ?? 0) < 128
        ? pinnedTo
        : segmentOfAddress(client, hash);
    const before = { a: await forwarded('a'), b: await forwarded('b') };
    await datagrams(
      network,
      'h',
      clients.map((client) => `${formatAddress(client)} 9000 00`),
    );
    const expected = clients.filter((client) => isOfA(segmentOf(client))).length;
    const after = { a: await forwarded('a'), b: await forwarded('b') };
    assert.deepEqual(
      [after.a - before.a, after.b - before.b],
      [expected, clients.length - expected],
    );
  }

  async function forwarded(node: ClusterNode): Promise<number> {
    const { stdout } = await network.exec(node, ['nft', 'list', 'table', 'inet', 'seen']);
    return Number(/packets (\d+)/.exec(stdout)?.[1]);
  }

  it('active-passive: each address has the owner of its group as master, announced at once', async () => {
    network = await clusterLink();
    const second = address('second', SECOND, 'device = wan\n prefer = b');
    const lines = wanAndLan.replace('addresses {', `addresses {\n${second}`);
    cluster = await AddressCluster.start(network, `mode = active-passive\n${lines}`);
    const capture = await Capture.start(network, 'p');
    await lease();
    // `second` stands first, so that the even segments are its; `wan` has the odd ones.
    const moves: readonly (readonly [readonly number[], readonly number[]])[] = [
      [ALL, []],
      [odd, even],
      [even, odd],
      [[], ALL],
      [odd, even],
    ];
    const times: number[] = [];
    let last: readonly number[] = [];
    for (const [ofA, ofB] of moves) {
      const losesA = last.length > ofA.length || last === even;
      // Who gives something up does so first.
      const order = losesA ? (['a', 'b'] as const) : (['b', 'a'] as const);
      for (const node of order) {
        const { at } = await cluster.own(node, node === 'a' ? ofA : ofB);
        times.push(at);
      }
      last = ofA;
      const expected = { a: 0, b: 0 };
      for (const segment of [0, 1]) expected[ofA.includes(segment) ? 'a' : 'b'] += 20;
      const lines = [...WAN, ...SECOND].flatMap((to) =>
        new Array<string>(10).fill(`${to} 4500 00`),
      );
      const { a, b, answers } = await received(lines, 2);
      assert.deepEqual({ a, b }, expected);
      assert.deepEqual(Object.values(answers), [10, 10, 10, 10]);
    }
    for (const to of [...WAN, ...SECOND]) {
      assert.deepEqual(await ping(network, to, 3), { received: 3, twice: false }, to);
    }
    assert.match((await neighbour(network, 'p', WAN[0])) ?? '', /^00:00:5e:00:01:/);
    assert.match((await neighbour(network, 'p', WAN[1])) ?? '', /^00:00:5e:00:02:/);
    const { addresses } = await cluster.status('b');
    assert.deepEqual(
      addresses.map(({ name, served, master }) => [name, served, master]),
      [
        ['second', true, 2],
        ['second', true, 2],
        ['wan', false, undefined],
        ['wan', false, undefined],
        // The first of the LAN goes with the first of the WAN.
        ['lan', true, 2],
        ['lan', true, 2],
      ],
    );
    await announcedSoon(await capture.stop(), times);
  });

  /** Both families, at best within 10 ms of the word of ownership: others have the machine, too. */
  async function announcedSoon(file: string, times: readonly number[]): Promise<void> {
    const fields = ['frame.time_epoch', 'arp.isgratuitous', 'eth.src'];
    for (const filter of ['arp.isgratuitous == 1', 'icmpv6.type == 136 && ipv6.dst == ff02::1']) {
      const frames = await dissect(file, { filter, fields });
      const stamps = frames.map((one) => Number(one.get('frame.time_epoch')?.[0]) * 1_000);
      assert.ok(stamps.length > 0, filter);
      const waits = times.flatMap((at) => {
        const next = stamps.find((stamp) => stamp >= at);
        return next === undefined ? [] : [next - at];
      });
      assert.ok(Math.min(...waits) <= 10, `${filter}: ${waits.map((one) => one.toFixed(1))} ms`);
      for (const one of frames) assert.match(one.get('eth.src')?.[0] ?? '', /^00:00:5e:00:0[12]:/);
    }
  }

  it('active-passive: is silent when the lease has ended, and where another interface comes up', async () => {
    network = await clusterLink();
    cluster = await AddressCluster.start(network, `mode = active-passive\n${wanAndLan}`);
    await cluster.own('a', ALL);
    assert.equal((await ping(network, WAN[0], 1, 0.3)).received, 0, 'no lease was given');
    cluster.order('a', { kind: 'lease', length: 3_000 });
    assert.equal((await ping(network, WAN[0], 1)).received, 1);
    cluster.order('a', { kind: 'lease', length: 0 });
    await network.ip('p', ['neigh flush dev wan']);
    const { addresses } = await cluster.status('a');
    assert.ok(addresses.every(({ served }) => !served));
    assert.equal((await ping(network, WAN[0], 1, 0.3)).received, 0);
    cluster.order('a', { kind: 'lease' });
    await network.ip('a', ['link set wan down']);
    const down = await cluster.wait('a', 'legs');
    assert.deepEqual([down.wan, down.lan], [false, true]);
    await network.ip('a', ['link set wan up']);
    assert.equal((await cluster.wait('a', 'legs')).wan, true);
    assert.equal((await ping(network, WAN[0], 2)).received, 2);
  });

  it('leaves nothing behind, or an address that nobody answers for', async () => {
    network = await clusterLink();
    cluster = await AddressCluster.start(network, `mode = active-active\n${wanAndLan}`);
    await lease();
    await cluster.own('a', ALL);
    assert.equal((await ping(network, WAN[0], 1)).received, 1);
    const listed = async () => {
      const nft = await network.exec('a', ['nft', 'list', 'tables']);
      const ip = await network.exec('a', ['ip', '-o', 'address', 'show', 'dev', 'lo']);
      const sysctl = ['sysctl', '-n', 'net.ipv4.conf.wan.arp_ignore'];
      const { stdout } = await network.exec('a', sysctl);
      return [nft.stdout.includes('tsgw_cluster'), ip.stdout.includes(WAN[0]), stdout.trim()];
    };
    assert.deepEqual(await listed(), [true, true, '1']);
    cluster.order('a', { kind: 'close', keepAddresses: false });
    await cluster.wait('a', 'closed');
    assert.deepEqual(await listed(), [false, false, '0']);
    cluster.launch(network, 'a');
    await cluster.wait('a', 'ready');
    cluster.order('a', { kind: 'close', keepAddresses: true });
    await cluster.wait('a', 'closed');
    assert.deepEqual(await listed(), [true, true, '1']);
    assert.equal((await ping(network, WAN[0], 1, 0.3)).received, 0);
    cluster.launch(network, 'a');
    await cluster.wait('a', 'ready');
    await network.exec('a', ['nft', 'delete', 'table', 'netdev', 'tsgw_cluster']);
    cluster.order('a', { kind: 'lease' });
    await cluster.own('a', odd);
    assert.ok((await listed())[0], 'a filter that was taken away comes back');
  });

  it('forward: the machine has the addresses, and no link is told', async () => {
    network = await clusterLink();
    const lines = `addresses {\n${address('wan', ['198.51.100.7'], 'device = wan')}}`;
    cluster = await AddressCluster.start(network, `mode = forward\n${lines}`);
    await lease();
    await cluster.own('a', ALL);
    await network.ip('p', ['route add 198.51.100.7 via 192.0.2.2']);
    assert.deepEqual(await ping(network, '198.51.100.7', 3), { received: 3, twice: false });
    assert.equal((await received(['198.51.100.7 4500 00'], 2)).b, 1, 'wherever it comes');
    assert.equal(await neighbour(network, 'p', '198.51.100.7'), undefined);
    const { stdout } = await network.exec('a', ['nft', 'list', 'ruleset']);
    assert.equal(stdout.trim(), '');
  });

  it('active-active is refused by a node that a snooping switch keeps deaf, until it is cured', async () => {
    network = await clusterLink({ querier: true });
    const lines = `addresses {\n${address('wan', WAN, 'device = wan')}}`;
    cluster = await AddressCluster.start(network, `mode = active-active\n${lines}`);
    await lease();
    await network.ip('s', ['link set wan-b type bridge_slave mcast_router 0 mcast_flood off']);
    await cluster.own('a', even);
    await cluster.own('b', odd);
    for (const node of CLUSTER_NODES) cluster.order(node, { kind: 'members', nodes: [1, 2] });
    const ofA = await cluster.wait('a', 'said', /do not reach/, 15_000);
    assert.match(
      ofA.what,
      /device wan: frames to 01:.* do not reach node b:.*mcast_router 2.*forward/,
    );
    assert.equal(ofA.level, 'error');
    const ofB = await cluster.wait('b', 'said', /refused/, 15_000);
    assert.match(ofB.what, /active-active is refused.*this node/);
    assert.deepEqual((await cluster.wait('b', 'legs')).wan, false);
    const served = async (node: ClusterNode) =>
      (await cluster.status(node)).addresses.some((one) => one.served);
    assert.deepEqual([await served('a'), await served('b')], [true, false]);
    assert.match((await cluster.status('b')).troubles.join(), /flooding: nothing .* on wan$/);
    await network.ip('s', ['link set wan-b type bridge_slave mcast_router 2 mcast_flood on']);
    cluster.order('a', { kind: 'probe' });
    await cluster.wait('b', 'said', /reach this node again/, 15_000);
    assert.equal((await cluster.wait('b', 'legs')).wan, true);
    assert.equal(await served('b'), true);
  });
});

/** Inner networks behind each node, and a counter of what is forwarded to them. */
async function inner(network: Network): Promise<void> {
  for (const node of CLUSTER_NODES) {
    await network.ip(node, [
      'link add inner type veth peer name sink',
      'link set sink up',
      'link set inner up',
      'route add 10.9.0.0/16 dev inner',
      'route add 2001:db8:9::/48 dev inner',
    ]);
    const seen = 'chain forward {\ntype filter hook forward priority 0; policy accept;\n';
    const input = `table inet seen {\n${seen}iif "lan" oif "inner" counter\n}\n}\n`;
    await network.exec(node, ['nft', '-f', '-'], { input });
  }
  await network.ip('h', [
    `route add 10.9.0.0/16 via ${LAN[0]}`,
    `route add 2001:db8:9::/48 via ${LAN[1]}`,
  ]);
}
