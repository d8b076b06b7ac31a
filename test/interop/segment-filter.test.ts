/**
 * The packet filter of two nodes in the kernel: every packet to a shared address is had by exactly one,
 * samples of it by the other, to the packet.
 */
import assert from 'node:assert/strict';
import type { Network } from '../../lab/namespaces.ts';
import { pinsOf } from '../../src/cluster/pinned-ranges.ts';
import {
  arpRuleset,
  FilterCounter,
  noRuleset,
  type SegmentFilter,
  samplingOf,
  segmentRuleset,
} from '../../src/cluster/segment-filter.ts';
import {
  segmentHash,
  segmentOfAddress,
  segmentOfIkeSpi,
  segmentOfSpi,
} from '../../src/cluster/segment-hash.ts';
import { ownershipRuleset } from '../../src/cluster/segment-sets.ts';
import {
  formatAddress as formatted,
  type IpAddress,
  ipAddress,
  parseAddress,
  parsePrefix,
  prefixRange,
} from '../../src/wire/address.ts';
import { checksum } from '../../src/wire/checksum.ts';
import { writeU16 } from '../../src/wire/field.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { CLUSTER_NODES, type ClusterNode, clusterLink } from '../support/cluster-link.ts';
import {
  espPayload,
  ethernetFrame,
  hardwareAddress,
  type IpEnds,
  ikePayload,
  ipPacket,
  NON_ESP_MARKER,
  sendFrames,
  udpPacket,
} from '../support/ethernet-frames.ts';
import { filterCounts, noCounts } from '../support/filter-counters.ts';
import { seededNumbers, seededRandom } from '../support/seeded-random.ts';

const random = seededRandom(50);
const number = seededNumbers(51);
const hash = segmentHash(256, 0x5eed);
const sourceSeed = 0xabcd1234;
const sourceHash = segmentHash(256, sourceSeed);
const SPIS = 12;
const PACKETS = 128;
const SAMPLED = 16;
/** SAs that are sampled otherwise. */
const SLOW = [0x1001, 0xc0ffee01];
const FAST = [0x2002, 0xfedcba98, 0x99999999];
const ESP = 50;
const CLUSTER_MAC = '01:00:5e:00:00:20';
const LAN_MACS = ['01:00:5e:00:00:21', '33:33:00:00:00:21'] as const;
const NUMBER: Readonly<Record<ClusterNode, number>> = { a: 1, b: 2 };

/** Neighbouring segments go to different nodes. */
function ownerOf(segment: number): ClusterNode {
  return segment % 3 === 0 ? 'a' : 'b';
}

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  assert.ok(address !== undefined, text);
  return address;
}

function rangeOf(text: string) {
  const prefix = parsePrefix(text);
  assert.ok(prefix !== undefined, text);
  return prefixRange(prefix);
}

const SHARED = [addressOf('192.0.2.100'), addressOf('2001:db8:1::100')];
const PINNED = [
  { range: rangeOf('10.8.0.0/16'), segment: 3 },
  { range: rangeOf('10.9.0.0/16'), segment: 4 },
  { range: rangeOf('2001:db8:9::/48'), segment: 3 },
];

function filterOf(node: ClusterNode, own?: readonly number[]): SegmentFilter {
  const all = Array.from({ length: hash.count }, (_, segment) => segment);
  return {
    hash,
    sourceSeed,
    own: own ?? all.filter((segment) => ownerOf(segment) === node),
    wan: {
      devices: ['wan'],
      addresses: SHARED,
      port: 500,
      portNatT: 4500,
      sampling: samplingOf(NUMBER[node], SAMPLED),
      ownSamplings: [
        { sampling: samplingOf(NUMBER[node], 1), spis: SLOW },
        { sampling: samplingOf(NUMBER[node], 64), spis: FAST },
      ],
    },
    lan: { devices: ['lan'], hardwareAddresses: LAN_MACS, pins: pinsOf(PINNED) },
  };
}

function spis(): readonly number[] {
  const any = Array.from({ length: SPIS }, () => Math.floor(number() * 2 ** 32));
  return [...any, ...SLOW, ...FAST];
}

function intervalOf(spi: number): number {
  return SLOW.includes(spi) ? 1 : FAST.includes(spi) ? 64 : SAMPLED;
}

/** Counts at both nodes that a packet makes. */
type Kind = 'esp' | 'udp_esp' | 'ike' | 'source' | 'lan';

class Expected {
  readonly counts = { a: noCounts(), b: noCounts() };

  add(kind: Kind, segment: number, sequence?: number, interval = SAMPLED): void {
    for (const node of CLUSTER_NODES) {
      const own = ownerOf(segment) === node;
      const sampled = sequence !== undefined && sequence % interval === NUMBER[node] % interval;
      this.#count(node, kind, own ? 'own' : sampled ? 'sampled' : 'foreign');
    }
  }

  #count(node: ClusterNode, kind: Kind, what: 'own' | 'sampled' | 'foreign'): void {
    const name = `${kind}_${what}`;
    const found = Object.values(FilterCounter).find((one) => one === name);
    assert.ok(found !== undefined, name);
    this.counts[node][found]++;
  }
}

describe('The packet filter of two nodes', function () {
  this.timeout(30_000);
  let network: Network;
  let expected: Expected;
  let packets: Uint8Array[];

  before(async () => {
    network = await clusterLink();
  });
  after(() => network.destroy());

  beforeEach(async () => {
    expected = new Expected();
    packets = [];
    for (const node of CLUSTER_NODES) {
      const input = `flush ruleset\n${segmentRuleset(filterOf(node))}`;
      await network.exec(node, ['nft', '-f', '-'], { input });
    }
  });

  /** All packets to all nodes, shuffled, then every counter of both is as it must be. */
  async function check(to: string = CLUSTER_MAC, from: 'p' | 'h' = 'p'): Promise<void> {
    const device = from === 'p' ? 'wan' : 'lan';
    const ends = { from: await hardwareAddress(network, from, device), to };
    const order = packets.map((packet) => ({ packet, at: number() })).sort((x, y) => x.at - y.at);
    const frames = order.map(({ packet }) => ethernetFrame(ends, packet));
    await sendFrames(network, from, device, frames);
    for (const node of CLUSTER_NODES) {
      assert.deepEqual(await filterCounts(network, node), expected.counts[node], node);
    }
  }

  for (const destination of SHARED) {
    const name = `IPv${destination.family}`;
    const peer = destination.family === 4 ? addressOf('192.0.2.9') : addressOf('2001:db8:1::9');
    const ends: IpEnds = { source: peer.octets, destination: destination.octets };
    const nat = { from: 4501, to: 4500 };

    it(`gives each ESP packet over ${name} to its owner, and samples to the other`, async () => {
      for (const spi of spis()) {
        const first = Math.floor(number() * 2 ** 31);
        for (let sequence = first; sequence < first + PACKETS; sequence++) {
          packets.push(ipPacket(ends, ESP, espPayload(spi, sequence)));
          expected.add('esp', segmentOfSpi(spi, hash), sequence, intervalOf(spi));
        }
      }
      await check();
    });

    it(`does so with ESP in UDP over ${name}`, async () => {
      for (const spi of spis()) {
        const first = Math.floor(number() * 2 ** 31);
        for (let sequence = first; sequence < first + PACKETS; sequence++) {
          packets.push(udpPacket(ends, nat, espPayload(spi, sequence)));
          expected.add('udp_esp', segmentOfSpi(spi, hash), sequence, intervalOf(spi));
        }
      }
      await check();
    });

    it(`gives IKE messages over ${name} to the owner of our SPI`, async () => {
      for (let each = 0; each < 64; each++) {
        const initiator = each % 2 === 0;
        const message = {
          initiatorSpi: random(8),
          responderSpi: random(8),
          exchange: 35,
          initiator,
        };
        const ours = initiator ? message.responderSpi : message.initiatorSpi;
        const octets = ikePayload(message);
        packets.push(udpPacket(ends, { from: 500, to: 500 }, octets));
        packets.push(udpPacket(ends, nat, concatOctets(NON_ESP_MARKER, octets)));
        for (const _ of [500, 4500]) expected.add('ike', segmentOfIkeSpi(ours, hash));
      }
      await check();
    });

    it(`gives what has no SPI of ours over ${name} to one of both, by its source`, async () => {
      const request = {
        initiatorSpi: random(8),
        responderSpi: new Uint8Array(8),
        exchange: 34,
        initiator: true,
      };
      const echo = Uint8Array.of(destination.family === 4 ? 8 : 128, 0, 0, 0, 0, 0, 0, 0);
      for (let each = 0; each < 64; each++) {
        const source = ipAddress(random(destination.octets.length));
        const to = { ...ends, source: source.octets };
        packets.push(udpPacket(to, { from: 500, to: 500 }, ikePayload(request)));
        packets.push(udpPacket(to, nat, concatOctets(NON_ESP_MARKER, ikePayload(request))));
        packets.push(ipPacket(to, destination.family === 4 ? 1 : 58, echo));
        packets.push(udpPacket(to, { from: 53, to: 53 }, new Uint8Array(12)));
        packets.push(ipPacket(to, 6, new Uint8Array(20)));
        for (let of = 0; of < 5; of++) expected.add('source', segmentOfAddress(source, sourceHash));
      }
      await check();
    });

    it(`splits what hosts of the LAN send to clients over ${name}`, async () => {
      const pinned = destination.family === 4 ? ['10.8.1.2', '10.9.255.255'] : ['2001:db8:9:1::7'];
      const hashed = Array.from({ length: 100 }, () =>
        ipAddress(random(destination.octets.length)),
      );
      for (const client of [...pinned.map(addressOf), ...hashed]) {
        const to = { ...ends, destination: client.octets };
        const first = formatted(client).startsWith('10.8') || client.family === 6 ? 3 : 4;
        const isPinned = pinned.some((one) => one === formatted(client));
        packets.push(udpPacket(to, { from: 53, to: 53 }, new Uint8Array(12)));
        expected.add('lan', isPinned ? first : segmentOfAddress(client, hash));
      }
      await check(LAN_MACS[destination.family === 4 ? 0 : 1], 'h');
    });
  }

  it('lets every node have later fragments and what ICMP reports, and leaves other addresses alone', async () => {
    const four = {
      source: Uint8Array.of(192, 0, 2, 9),
      destination: Uint8Array.of(192, 0, 2, 100),
    };
    const later = udpPacket(four, { from: 4500, to: 4500 }, espPayload(0x1000, 5));
    // Fragment offset 8; a bridge drops what has a wrong header checksum.
    writeU16(later, 6, 0x2001);
    writeU16(later, 10, 0);
    writeU16(later, 10, checksum(later, 0, 20));
    const unreachable = ipPacket(four, 1, Uint8Array.of(3, 4, 0, 0, 0, 0, 5, 0));
    const six = { source: random(16), destination: SHARED[1]?.octets ?? new Uint8Array(16) };
    const fragmentHeader = Uint8Array.of(17, 0, 0, 8, 0, 0, 0, 1);
    const laterSix = ipPacket(six, 44, concatOctets(fragmentHeader, new Uint8Array(16)));
    const solicitation = ipPacket(
      six,
      58,
      concatOctets(Uint8Array.of(135, 0, 0, 0), new Uint8Array(20)),
    );
    const elsewhere = { ...four, destination: Uint8Array.of(192, 0, 2, 101) };
    packets.push(
      later,
      laterSix,
      unreachable,
      solicitation,
      ipPacket(elsewhere, ESP, espPayload(0x1000, 5)),
    );
    for (const node of CLUSTER_NODES) {
      expected.counts[node].fragment = 2;
      expected.counts[node].icmp_not_asking = 2;
    }
    await check();
  });

  it('hears nothing of what it does not own where it owns nothing', async () => {
    const own: number[] = [];
    const filter = filterOf('a', own);
    assert.ok(filter.wan !== undefined);
    const without = {
      ...filter,
      wan: { ...filter.wan, sampling: samplingOf(NUMBER.a, 0), ownSamplings: [] },
    };
    await network.exec('a', ['nft', '-f', '-'], { input: segmentRuleset(without) });
    const four = {
      source: Uint8Array.of(192, 0, 2, 9),
      destination: Uint8Array.of(192, 0, 2, 100),
    };
    for (let sequence = 1; sequence <= 64; sequence++) {
      packets.push(ipPacket(four, ESP, espPayload(0x1000, sequence)));
      expected.counts.a.esp_foreign++;
      const owner = ownerOf(segmentOfSpi(0x1000, hash));
      if (owner === 'b') expected.counts.b.esp_own++;
      else expected.counts.b[sequence % SAMPLED === NUMBER.b ? 'esp_sampled' : 'esp_foreign']++;
    }
    await check();
  });

  it('gives and takes segments and what is pinned to them without a rule', async () => {
    const swapped = { a: filterOf('b').own, b: filterOf('a').own };
    for (const node of CLUSTER_NODES) {
      const input = ownershipRuleset({
        own: swapped[node],
        count: hash.count,
        pins: pinsOf(PINNED),
      });
      await network.exec(node, ['nft', '-f', '-'], { input });
    }
    const four = { source: random(4), destination: Uint8Array.of(192, 0, 2, 100) };
    const other = { a: 'b', b: 'a' } as const;
    for (const spi of spis()) {
      packets.push(ipPacket(four, ESP, espPayload(spi, 0x10000)));
      const owner = other[ownerOf(segmentOfSpi(spi, hash))];
      expected.counts[owner].esp_own++;
      expected.counts[other[owner]][SLOW.includes(spi) ? 'esp_sampled' : 'esp_foreign']++;
    }
    await check();
    expected = new Expected();
    packets = [];
    const before = { a: await filterCounts(network, 'a'), b: await filterCounts(network, 'b') };
    for (const node of CLUSTER_NODES) Object.assign(expected.counts[node], before[node]);
    for (const { range, segment } of PINNED) {
      const { octets, family } = range.last;
      const source = random(octets.length);
      if (family === 6) continue;
      packets.push(
        udpPacket({ source, destination: octets }, { from: 53, to: 53 }, new Uint8Array(9)),
      );
      const owner = other[ownerOf(segment)];
      expected.counts[owner].lan_own++;
      expected.counts[other[owner]].lan_foreign++;
    }
    await check(LAN_MACS[0], 'h');
  });

  it('gives an address of the machine with the hardware address of the cluster in ARP', async () => {
    await network.ip('a', ['address add 192.0.2.100/32 dev wan']);
    const mangled = {
      device: 'wan',
      address: SHARED[0] ?? addressOf('::'),
      hardwareAddress: CLUSTER_MAC,
    };
    const known = async () => {
      await network.ip('p', ['neigh flush dev wan']);
      await network.exec('p', ['ping', '-c1', '-W0.2', '192.0.2.100'], { mayFail: true });
      const { stdout } = await network.exec('p', [
        'ip',
        'neigh',
        'show',
        '192.0.2.100',
        'dev',
        'wan',
      ]);
      return /lladdr (\S+)/.exec(stdout)?.[1];
    };
    await network.exec('a', ['nft', '-f', '-'], { input: arpRuleset([mangled]) });
    assert.equal(await known(), CLUSTER_MAC);
    await network.exec('a', ['nft', '-f', '-'], { input: noRuleset('arp') });
    assert.equal(await known(), await hardwareAddress(network, 'a', 'wan'));
    await network.ip('a', ['address delete 192.0.2.100/32 dev wan']);
  });

  it('is replaced in one piece: no packet passes between, none is lost', async () => {
    const four = {
      source: Uint8Array.of(192, 0, 2, 9),
      destination: Uint8Array.of(192, 0, 2, 100),
    };
    const passed = 'chain in {\ntype filter hook ingress device "wan" priority 0; policy accept;\n';
    const input = `table netdev passed {\n${passed}meta l4proto esp counter\n}\n}\n`;
    await network.exec('a', ['nft', '-f', '-'], { input });
    const spis = Array.from({ length: 400 }, () => Math.floor(number() * 2 ** 32));
    // Never the sampled sequence number; segment 9 comes and goes, and is nobody's here.
    const used = spis.filter((spi) => segmentOfSpi(spi, hash) !== 9);
    const own = used.filter((spi) => ownerOf(segmentOfSpi(spi, hash)) === 'a');
    const ends = { from: await hardwareAddress(network, 'p', 'wan'), to: CLUSTER_MAC };
    const frames = used.map((spi) => ethernetFrame(ends, ipPacket(four, ESP, espPayload(spi, 16))));
    const segments = filterOf('a').own;
    let rounds = 0;
    let replaced = 0;
    const replacing = (async () => {
      for (; replaced < 10; replaced++) {
        const now = replaced % 2 === 0 ? segments.filter((one) => one !== 9) : segments;
        const rules = segmentRuleset(filterOf('a', now));
        const sets = ownershipRuleset({ own: now, count: hash.count, pins: pinsOf(PINNED) });
        await network.exec('a', ['nft', '-f', '-'], { input: replaced % 4 < 2 ? rules : sets });
      }
    })();
    for (; replaced < 10; rounds++) await sendFrames(network, 'p', 'wan', frames);
    await replacing;
    const { stdout } = await network.exec('a', ['nft', 'list', 'table', 'netdev', 'passed']);
    assert.equal(Number(/packets (\d+)/.exec(stdout)?.[1]), own.length * rounds);
    const counts = await filterCounts(network, 'a');
    assert.deepEqual(
      [counts.esp_own, counts.esp_foreign],
      [own.length * rounds, (used.length - own.length) * rounds],
      'the counters went on counting',
    );
  });
});
