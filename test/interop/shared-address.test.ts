/**
 * Shared addresses on real links: two nodes on bridges, a peer on the WAN and a host on the LAN, whose
 * kernels ask for the addresses and send to what they are told.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import type { Network } from '../../lab/namespaces.ts';
import { NO_PINS } from '../../src/cluster/pinned-ranges.ts';
import {
  noRuleset,
  type SegmentFilter,
  samplingOf,
  segmentRuleset,
} from '../../src/cluster/segment-filter.ts';
import { segmentHash, segmentOfAddress, segmentOfSpi } from '../../src/cluster/segment-hash.ts';
import { formatAddress, type IpAddress, ipAddress, parseAddress } from '../../src/wire/address.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { CLUSTER_NODES, type ClusterNode, clusterLink } from '../support/cluster-link.ts';
import {
  espPayload,
  ethernetFrame,
  hardwareAddress,
  sendFrames,
  udpPacket,
} from '../support/ethernet-frames.ts';
import { filterCounts } from '../support/filter-counters.ts';
import { LinkCluster } from '../support/link-cluster.ts';
import { seededNumbers, seededRandom } from '../support/seeded-random.ts';

const hash = segmentHash(256, 0x5eed);
const random = seededRandom(60);
const number = seededNumbers(61);
const WAN = ['192.0.2.100', '2001:db8:1::100'] as const;
const LAN = ['10.1.0.100', '2001:db8:a::100'] as const;
const WAN_GROUPS = ['01:00:5e:00:00:20', '33:33:00:00:00:20'] as const;
const LAN_GROUPS = ['01:00:5e:00:00:21', '33:33:00:00:00:21'] as const;
const VIRTUAL = ['00:00:5e:00:01:07', '00:00:5e:00:01:08'] as const;
const NUMBER: Readonly<Record<ClusterNode, number>> = { a: 1, b: 2 };
const SAMPLED = 16;

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  assert.ok(address !== undefined, text);
  return address;
}

/** Neighbouring segments go to different nodes. */
function ownerOf(segment: number): ClusterNode {
  return segment % 2 === 0 ? 'a' : 'b';
}

function filterOf(node: ClusterNode): SegmentFilter {
  const all = Array.from({ length: hash.count }, (_, segment) => segment);
  const sampling = samplingOf(NUMBER[node], SAMPLED);
  return {
    hash,
    sourceSeed: 1,
    own: all.filter((segment) => ownerOf(segment) === node),
    wan: { devices: ['wan'], addresses: WAN.map(addressOf), port: 500, portNatT: 4500, sampling },
    lan: { devices: ['lan'], hardwareAddresses: LAN_GROUPS, pins: NO_PINS },
  };
}

function shared(addresses: readonly string[], hardware: readonly string[]) {
  return addresses.map((address, index) => ({ address, hardwareAddress: hardware[index] ?? '' }));
}

/** What a host believes about its neighbour. */
async function neighbour(network: Network, node: string, device: string, address: string) {
  const { stdout } = await network.exec(node, ['ip', 'neigh', 'show', address, 'dev', device]);
  return /lladdr (\S+)/.exec(stdout)?.[1];
}

/** Has a host ask where the addresses are, so that nothing waits for the answer later. */
async function resolve(network: Network, node: string, addresses: readonly string[]) {
  const device = node === 'p' ? 'wan' : 'lan';
  const lines = addresses.map((address) => `${address} 9999 00`);
  await datagrams(network, node, lines);
  return Promise.all(
    addresses.map((address) =>
      until(`${address} at ${node}`, () => neighbour(network, node, device, address)),
    ),
  );
}

/** Sends datagrams and answers how many came back, from which address. */
async function datagrams(
  network: Network,
  node: string,
  lines: readonly string[],
  wait = 0,
): Promise<Readonly<Record<string, number>>> {
  const argv = ['/usr/bin/python3', 'test/support/send-datagrams.py', String(wait)];
  const { stdout } = await network.exec(node, argv, { input: `${lines.join('\n')}\n` });
  return JSON.parse(stdout);
}

async function applyFilter(network: Network, node: ClusterNode, ruleset: string): Promise<void> {
  await network.exec(node, ['nft', '-f', '-'], { input: ruleset });
}

/** ESP packets in UDP to an address, and how many of them a node is to have. */
function espTo(address: string, spis: readonly number[], perSpi: number) {
  const lines: string[] = [];
  const expected = { a: 0, b: 0 };
  for (const spi of spis) {
    for (let sequence = 1; sequence <= perSpi; sequence++) {
      lines.push(`${address} 4500 ${toHex(espPayload(spi, sequence))}`);
      for (const node of CLUSTER_NODES) {
        const own = ownerOf(segmentOfSpi(spi, hash)) === node;
        if (own || sequence % SAMPLED === NUMBER[node]) expected[node]++;
      }
    }
  }
  return { lines, expected };
}

describe('Shared addresses on a link', function () {
  this.timeout(30_000);
  let network: Network;
  let cluster: LinkCluster | undefined;

  afterEach(() => {
    cluster?.stop();
    cluster = undefined;
    network?.destroy();
  });

  it('active-active: both nodes hear every packet, each has its own and samples', async () => {
    network = await clusterLink();
    for (const node of CLUSTER_NODES) {
      await applyFilter(network, node, segmentRuleset(filterOf(node)));
    }
    cluster = await LinkCluster.start(network, [
      { device: 'wan', mode: 'active-active', shared: shared(WAN, WAN_GROUPS) },
    ]);
    for (const node of CLUSTER_NODES)
      cluster.order(node, { kind: 'serve', device: 'wan', addresses: WAN });
    cluster.order('a', { kind: 'test-flooding', device: 'wan', members: [1, 2] });
    const tested = await cluster.wait('a', 'flooding-tested');
    assert.deepEqual(tested.deaf, []);
    assert.deepEqual(await resolve(network, 'p', WAN), WAN_GROUPS);
    for (const node of CLUSTER_NODES)
      assert.ok((await cluster.answered(node)) >= 2, `${node} answers`);
    const spis = Array.from({ length: 10 }, () => Math.floor(number() * 2 ** 32));
    for (const address of WAN) {
      const before = { a: await filterCounts(network, 'a'), b: await filterCounts(network, 'b') };
      const { lines, expected } = espTo(address, spis, 16);
      await datagrams(network, 'p', lines);
      for (const node of CLUSTER_NODES) {
        const counts = await filterCounts(network, node);
        const of = (name: 'udp_esp_own' | 'udp_esp_sampled' | 'udp_esp_foreign') =>
          counts[name] - before[node][name];
        const [own, sampled, foreign] = [
          of('udp_esp_own'),
          of('udp_esp_sampled'),
          of('udp_esp_foreign'),
        ];
        assert.equal(own + sampled + foreign, lines.length, `${node} hears all to ${address}`);
        assert.equal(own + sampled, expected[node]);
        await until(`${expected[node]} at the socket of ${node}`, async () => {
          const counted = (await cluster?.counts(node))?.[address];
          return counted === expected[node] || undefined;
        });
      }
    }
  });

  it('active-active: what a host of the LAN sends is forwarded once', async () => {
    network = await clusterLink({
      sysctls: ['net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'],
    });
    for (const node of CLUSTER_NODES) {
      await network.ip(node, [
        'link add inner type veth peer name sink',
        'link set sink up',
        'link set inner up',
        'route add 10.9.0.0/16 dev inner',
        'route add 2001:db8:9::/48 dev inner',
      ]);
      const seen = 'chain forward {\ntype filter hook forward priority 0; policy accept;\n';
      const count = 'iif "lan" oif "inner" counter\n';
      const ruleset = `${segmentRuleset(filterOf(node))}table inet seen {\n${seen}${count}}\n}\n`;
      await applyFilter(network, node, ruleset);
    }
    await network.ip('h', [
      `route add 10.9.0.0/16 via ${LAN[0]}`,
      `route add 2001:db8:9::/48 via ${LAN[1]}`,
    ]);
    cluster = await LinkCluster.start(network, [
      { device: 'lan', mode: 'active-active', shared: shared(LAN, LAN_GROUPS) },
    ]);
    for (const node of CLUSTER_NODES)
      cluster.order(node, { kind: 'serve', device: 'lan', addresses: LAN });
    const clients = Array.from({ length: 100 }, (_, index) =>
      index % 2 === 0
        ? ipAddress(Uint8Array.of(10, 9, ...random(2)))
        : ipAddress(Uint8Array.from([...fromHex('20010db80009'), ...random(10)])),
    );
    const expected = { a: 0, b: 0 };
    for (const client of clients) expected[ownerOf(segmentOfAddress(client, hash))] += 2;
    const lines = clients.flatMap((client) => {
      const line = `${formatAddress(client)} 9000 00`;
      return [line, line];
    });
    assert.deepEqual(await resolve(network, 'h', LAN), LAN_GROUPS);
    await datagrams(network, 'h', lines);
    for (const node of CLUSTER_NODES) {
      const { stdout } = await network.exec(node, ['nft', 'list', 'table', 'inet', 'seen']);
      assert.equal(Number(/packets (\d+)/.exec(stdout)?.[1]), expected[node], node);
    }
    assert.ok(expected.a > 0 && expected.b > 0 && expected.a + expected.b === lines.length);
  });

  it('active-passive: traffic follows the announcement, each address its own master', async () => {
    network = await clusterLink();
    cluster = await LinkCluster.start(network, [
      { device: 'wan', mode: 'active-passive', shared: shared(WAN, VIRTUAL) },
    ]);
    const masters = async (four: ClusterNode, six: ClusterNode) => {
      for (const node of CLUSTER_NODES) {
        const mine = [four === node, six === node];
        const hardwareAddresses = VIRTUAL.filter((_, index) => mine[index]);
        const mastered = { devices: ['wan'], hardwareAddresses };
        const ruleset = segmentRuleset({ hash, sourceSeed: 1, own: [], mastered });
        await applyFilter(network, node, ruleset);
        cluster?.order(node, {
          kind: 'serve',
          device: 'wan',
          addresses: WAN.filter((_, index) => mine[index]),
        });
        // Answered in order: what comes after has been heard of.
        await cluster?.counts(node);
      }
    };
    const counted = async (node: ClusterNode) => {
      const counts = (await cluster?.counts(node)) ?? {};
      return WAN.map((address) => counts[address] ?? 0);
    };
    const lines = WAN.flatMap((address) => Array.from({ length: 20 }, () => `${address} 4500 00`));
    const back = { [WAN[0]]: 20, [WAN[1]]: 20 };
    await masters('a', 'a');
    assert.deepEqual(await datagrams(network, 'p', lines, 2), back);
    assert.deepEqual(
      [await counted('a'), await counted('b')],
      [
        [20, 20],
        [0, 0],
      ],
    );
    for (const [index, address] of WAN.entries()) {
      assert.equal(await neighbour(network, 'p', 'wan', address), VIRTUAL[index]);
    }
    await masters('b', 'a');
    assert.deepEqual(await datagrams(network, 'p', lines, 2), back);
    assert.deepEqual(
      [await counted('a'), await counted('b')],
      [
        [20, 40],
        [20, 0],
      ],
    );
    await masters('b', 'b');
    assert.deepEqual(await datagrams(network, 'p', lines, 2), back);
    assert.deepEqual(
      [await counted('a'), await counted('b')],
      [
        [20, 40],
        [40, 20],
      ],
    );
    for (const node of CLUSTER_NODES) await applyFilter(network, node, noRuleset('netdev'));
  });

  describe('behind a switch that snoops, with a querier', () => {
    beforeEach(async () => {
      network = await clusterLink({ querier: true });
      for (const node of CLUSTER_NODES) await applyFilter(network, node, HEARD);
      cluster = await LinkCluster.start(network, [
        { device: 'wan', mode: 'active-active', shared: shared(WAN, WAN_GROUPS) },
      ]);
      await until('the switch to drop', async () => {
        const heard = await flooded();
        return [...heard.a, ...heard.b].every((count) => count === 0) || undefined;
      });
    });

    it('the test finds it out, and what the deaf nodes say cures it', async () => {
      let tests = 0;
      for (const node of CLUSTER_NODES) {
        // A machine that stands still for a while makes a node deaf for a while.
        const rounds = await until(`${node} to be heard`, async () => {
          tests++;
          cluster?.order(node, { kind: 'test-flooding', device: 'wan', members: [1, 2] });
          const tested = await cluster?.wait(node, 'flooding-tested');
          return tested?.deaf.length === 0 ? tested.rounds : undefined;
        });
        assert.ok(rounds > 1 || tests > 1, 'not at once');
      }
      assert.deepEqual(await flooded(), { a: [1, 1], b: [1, 1] });
    });

    it('a node that no word helps is named', async () => {
      await network.ip('s', ['link set wan-b type bridge_slave mcast_router 0']);
      cluster?.order('a', { kind: 'test-flooding', device: 'wan', members: [1, 2] });
      const tested = await cluster?.wait('a', 'flooding-tested');
      assert.deepEqual([tested?.deaf, tested?.rounds], [[2], 4]);
      assert.deepEqual((await flooded()).b, [0, 0]);
    });

    /** How many of one packet of each family from the peer come to the nodes. */
    async function flooded(): Promise<Readonly<Record<ClusterNode, readonly number[]>>> {
      const before = { a: await heardAt('a'), b: await heardAt('b') };
      const from = await hardwareAddress(network, 'p', 'wan');
      const frames = WAN.map((address, index) => {
        const destination = addressOf(address).octets;
        const ends = { source: destination.map((octet, at) => (at > 1 ? 9 : octet)), destination };
        const packet = udpPacket(ends, { from: 4500, to: 4500 }, espPayload(0x1000, 1));
        return ethernetFrame({ from, to: WAN_GROUPS[index] ?? '' }, packet);
      });
      await sendFrames(network, 'p', 'wan', frames);
      const after = { a: await heardAt('a'), b: await heardAt('b') };
      const more = (node: ClusterNode) =>
        after[node].map((count, index) => count - (before[node][index] ?? 0));
      return { a: more('a'), b: more('b') };
    }

    async function heardAt(node: ClusterNode): Promise<readonly number[]> {
      const { stdout } = await network.exec(node, ['nft', 'list', 'table', 'netdev', 'heard']);
      return [...stdout.matchAll(/packets (\d+)/g)].map(([, packets]) => Number(packets));
    }
  });
});

/** Counts UDP to port 4500 that comes in for the shared addresses, a counter for each. */
const HEARD = [
  'table netdev heard {',
  'chain in {',
  'type filter hook ingress device "wan" priority 0; policy accept;',
  `ip daddr ${WAN[0]} udp dport 4500 counter`,
  `ip6 daddr ${WAN[1]} udp dport 4500 counter`,
  '}',
  '}\n',
].join('\n');
