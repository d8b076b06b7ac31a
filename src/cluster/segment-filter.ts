/**
 * What a node's kernel lets in of packets that every node of the cluster gets: a ruleset of nft as text.
 *
 * On the WAN, of what is sent to a shared address, a node has the ESP packets and IKE messages of its own segments, bare
 * or in UDP (RFC 3948), and of foreign SAs those whose sequence numbers fall to it as samples.
 * What carries no SPI of ours - IKE_SA_INIT, echo requests, anything else - goes by its source, so that exactly
 * one node answers. On the LAN the addresses of clients decide. Everything it counts has a name (`FilterCounter`).
 *
 * The text replaces what was there in one transaction: no packet sees half of a ruleset. What changes with
 * the node's segments alone is in sets (`segment-sets.ts`).
 */
import { type Sampling, samplingMask } from '../ipsec/replay-sampling.ts';
import { formatAddress, type IpAddress } from '../wire/address.ts';
import { NO_PINS, type Pins } from './pinned-ranges.ts';
import type { SegmentHash } from './segment-hash.ts';
import {
  declaredSets,
  FilterMap,
  FilterSet,
  hardwareText,
  ownershipRuleset,
  TABLE,
} from './segment-sets.ts';
import { PROBE_PORT } from './virtual-address/flooding-probe.ts';

/** SAs that are sampled otherwise than most, by their inbound SPI: slow ones more often, fast ones less. */
export interface OwnSampling {
  readonly sampling: Sampling;
  readonly spis: readonly number[];
}

export interface SegmentFilter {
  readonly hash: SegmentHash;
  /** See `sourceSeed`; of all nodes the same. */
  readonly sourceSeed: number;
  /** Segments of this node. */
  readonly own: readonly number[];
  /** Of what hosts of the LAN send; unset = `own`. */
  readonly ownLan?: readonly number[];
  readonly wan?: {
    readonly devices: readonly string[];
    /** The shared addresses. */
    readonly addresses: readonly IpAddress[];
    /** Where IKE is heard without and with the marker of RFC 3948: 500 and 4500. */
    readonly port: number;
    readonly portNatT: number;
    /** Of foreign SAs, the same as their windows are followed by (`ipsec/replay-sampling.ts`). */
    readonly sampling: Sampling;
    readonly ownSamplings?: readonly OwnSampling[];
  };
  readonly lan?: {
    readonly devices: readonly string[];
    /** Hardware addresses that all nodes have, as `01:00:5e:00:00:21`. */
    readonly hardwareAddresses: readonly string[];
    readonly pins: Pins;
  };
  /** Virtual hardware addresses that are this node's now (`active-passive`), on any of the devices. */
  readonly mastered?: {
    readonly devices: readonly string[];
    readonly hardwareAddresses: readonly string[];
  };
}

/** An IPv4 address that is given as the cluster's hardware address in the kernel's own ARP packets. */
export interface ArpMangling {
  readonly device: string;
  readonly address: IpAddress;
  readonly hardwareAddress: string;
}

/** Packets that came in or were dropped, by what decided. */
export const FilterCounter = {
  ESP_OWN: 'esp_own',
  ESP_SAMPLED: 'esp_sampled',
  ESP_FOREIGN: 'esp_foreign',
  UDP_ESP_OWN: 'udp_esp_own',
  UDP_ESP_SAMPLED: 'udp_esp_sampled',
  UDP_ESP_FOREIGN: 'udp_esp_foreign',
  IKE_OWN: 'ike_own',
  IKE_FOREIGN: 'ike_foreign',
  SOURCE_OWN: 'source_own',
  SOURCE_FOREIGN: 'source_foreign',
  FRAGMENT: 'fragment',
  ICMP: 'icmp_not_asking',
  LAN_OWN: 'lan_own',
  LAN_FOREIGN: 'lan_foreign',
} as const;
export type FilterCounter = (typeof FilterCounter)[keyof typeof FilterCounter];

/** The samples of a node: of other packets than those of other nodes, as far as there are enough. */
export function samplingOf(node: number, every: number): Sampling {
  return { every, residue: every === 0 ? 0 : node % every };
}

/** The whole filter of a node, for `nft -f`. */
export function segmentRuleset(filter: SegmentFilter): string {
  const { wan, lan, mastered } = filter;
  const own = ownRule(filter);
  const chains = [
    ...(wan === undefined ? [] : wanChains(wan, own, filter.sourceSeed)),
    ...(lan === undefined ? [] : lanChains(lan, ownRule(filter, FilterSet.OWN_LAN))),
    ...(mastered?.devices ?? []).map(masteredChain),
  ];
  const counters = Object.values(FilterCounter).map(counter);
  const { count } = filter.hash;
  const ownership = ownershipRuleset({
    own: filter.own,
    ...(filter.ownLan && { ownLan: filter.ownLan }),
    count,
    pins: lan?.pins ?? NO_PINS,
    mastered: mastered?.hardwareAddresses ?? [],
  });
  return replaced('netdev', [...declaredSets(), ...counters, ...chains]) + ownership;
}

/**
 * The kernel's ARP packets about the addresses carry the cluster's hardware address, where no responder
 * of ours answers in its place.
 */
export function arpRuleset(mangled: readonly ArpMangling[]): string {
  const rules = mangled.map(({ device, address, hardwareAddress }) => {
    if (address.family !== 4) throw new RangeError(`ARP for ${formatAddress(address)}`);
    const ours = `oif ${deviceText(device)} arp saddr ip ${formatAddress(address)}`;
    return `${ours} arp saddr ether set ${hardwareText(hardwareAddress)}`;
  });
  const hook = 'type filter hook output priority 0; policy accept;';
  return replaced('arp', [chain('out', [hook, ...rules])]);
}

/** Takes away what either of the above left, also where nothing is. */
export function noRuleset(family: 'netdev' | 'arp'): string {
  return `table ${family} ${TABLE} {\n}\ndelete table ${family} ${TABLE}\n`;
}

/** A rule that accepts what hashes to the node's own segments, and counts it. */
type OwnRule = (
  key: string,
  name: FilterCounter,
  other?: { readonly seed?: number; readonly also?: string },
) => string;

function ownRule({ hash }: SegmentFilter, set: FilterSet = FilterSet.OWN): OwnRule {
  return (key, name, { seed = hash.seed, also = '' } = {}) => {
    const hashed = `jhash ${key} mod ${hash.count} seed 0x${seed.toString(16)}`;
    return `${hashed} @${set} ${also}${accepted(name)}`;
  };
}

function wanChains(
  wan: NonNullable<SegmentFilter['wan']>,
  own: OwnRule,
  sourceSeed: number,
): readonly string[] {
  const families = [4, 6] as const;
  const jumps = families.flatMap((family) => {
    const addresses = wan.addresses.filter((one) => one.family === family).map(formatAddress);
    const field = family === 4 ? 'ip daddr' : 'ip6 daddr';
    return addresses.length === 0 ? [] : [`${field} { ${addresses.join(', ')} } goto to_shared`];
  });
  const { ESP_OWN, ESP_SAMPLED, ESP_FOREIGN } = FilterCounter;
  const { UDP_ESP_OWN, UDP_ESP_SAMPLED, UDP_ESP_FOREIGN } = FilterCounter;
  return [
    chain('by_source', [
      own('ip saddr', FilterCounter.SOURCE_OWN, { seed: sourceSeed, also: AS_HOST }),
      own('ip6 saddr', FilterCounter.SOURCE_OWN, { seed: sourceSeed, also: AS_HOST }),
      dropped(FilterCounter.SOURCE_FOREIGN),
    ]),
    ...ikeChains('ike_messages', 64, own),
    // RFC 3948 §2.2: where ESP in UDP is heard IKE stands behind four octets of zero.
    ...ikeChains('marked_ike_messages', 96, own),
    chain('esp_packets', [
      own('esp spi', ESP_OWN),
      ...foreign(wan, 'esp spi', '@th,32,32', { sampled: ESP_SAMPLED, foreign: ESP_FOREIGN }),
    ]),
    chain('udp_esp_packets', [
      '@th,64,32 0 goto marked_ike_messages',
      own('@th,64,32', UDP_ESP_OWN),
      ...foreign(wan, '@th,64,32', '@th,96,32', {
        sampled: UDP_ESP_SAMPLED,
        foreign: UDP_ESP_FOREIGN,
      }),
    ]),
    chain('to_shared', [
      // Only the first fragment shows whose it is; the others are of use to the node that has it.
      `ip frag-off & 0x1fff != 0 ${accepted(FilterCounter.FRAGMENT)}`,
      `frag frag-off != 0 ${accepted(FilterCounter.FRAGMENT)}`,
      PROBES,
      'meta l4proto esp goto esp_packets',
      `udp dport ${wan.portNatT} goto udp_esp_packets`,
      `udp dport ${wan.port} goto ike_messages`,
      // What is wrong with a path, and who has an address, is of use to every node; an answer is for one.
      `icmp type != echo-request ${accepted(FilterCounter.ICMP)}`,
      `icmpv6 type != echo-request ${accepted(FilterCounter.ICMP)}`,
      'goto by_source',
    ]),
    ...wan.devices.map((device, at) => chain(`from_wan_${at}`, [ingress(device), ...jumps])),
  ];
}

/**
 * RFC 7296 §3.1: who sets the I flag is the initiator, and ours is the responder's SPI; else ours is the initiator's.
 * `at` is the bit of the UDP datagram where the message begins.
 */
function ikeChains(name: string, at: number, own: OwnRule): readonly string[] {
  const responder = `@th,${at + 64},64`;
  return [
    chain(`${name}_of_responder`, [
      own(`@th,${at},64`, FilterCounter.IKE_OWN),
      dropped(FilterCounter.IKE_FOREIGN),
    ]),
    chain(name, [
      `@th,${at + 152},8 & 0x08 == 0 goto ${name}_of_responder`,
      // RFC 7296 §3.1: zero in the first message of a new IKE SA.
      `${responder} 0 goto by_source`,
      own(responder, FilterCounter.IKE_OWN),
      dropped(FilterCounter.IKE_FOREIGN),
    ]),
  ];
}

/** Of frames to the cluster's hardware address: who owns the inner address they are for. */
function lanChains(lan: NonNullable<SegmentFilter['lan']>, own: OwnRule): readonly string[] {
  const { LAN_OWN, LAN_FOREIGN } = FilterCounter;
  const { HOSTS_4, HOSTS_6, RANGES_4, RANGES_6 } = FilterMap;
  const rules = [
    `ether daddr != { ${lan.hardwareAddresses.map(hardwareText).join(', ')} } accept`,
    PROBES,
    'icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept',
    // What is found later counts; where nothing is found a rule ends and changes nothing.
    'meta mark set 0',
    `meta mark set ip daddr map @${RANGES_4}`,
    `meta mark set ip6 daddr map @${RANGES_6}`,
    `meta mark set ip daddr map @${HOSTS_4}`,
    `meta mark set ip6 daddr map @${HOSTS_6}`,
    'meta mark != 0 goto to_pinned',
    own('ip daddr', LAN_OWN, { also: AS_HOST }),
    own('ip6 daddr', LAN_OWN, { also: AS_HOST }),
    `meta protocol { ip, ip6 } ${dropped(LAN_FOREIGN)}`,
  ];
  const pinned = chain('to_pinned', [
    `meta mark @${FilterSet.OWN_MARKS} meta mark set 0 ${AS_HOST}${accepted(LAN_OWN)}`,
    dropped(LAN_FOREIGN),
  ]);
  const chains = lan.devices.map((device, at) =>
    chain(`from_lan_${at}`, [ingress(device), ...rules]),
  );
  return [pinned, ...chains];
}

/** The kernel takes frames to another hardware address than the device's for somebody else's. */
function masteredChain(device: string, index: number): string {
  const here = `ether daddr @${FilterSet.MASTERED} ${AS_HOST}accept`;
  return chain(`mastered_${index}`, [ingress(device, -310), here]);
}

interface EspCounters {
  readonly sampled: FilterCounter;
  readonly foreign: FilterCounter;
}

/** Rules for packets of foreign SAs: `spi` and the sequence number behind it, as nft names them. */
function foreign(
  { sampling, ownSamplings = [] }: NonNullable<SegmentFilter['wan']>,
  spi: string,
  sequence: string,
  counters: EspCounters,
): readonly string[] {
  const special = ownSamplings
    .filter(({ spis }) => spis.length > 0)
    .flatMap(({ sampling: own, spis }) => {
      const of = `${spi} { ${spis.map((one) => `0x${(one >>> 0).toString(16)}`).join(', ')} } `;
      return [...samples(own, of, sequence, counters), `${of}${dropped(counters.foreign)}`];
    });
  return [...special, ...samples(sampling, '', sequence, counters), dropped(counters.foreign)];
}

/** No rule where there are no samples, and no match where every packet is one. */
function samples(
  sampling: Sampling,
  of: string,
  sequence: string,
  { sampled }: EspCounters,
): readonly string[] {
  const mask = samplingMask(sampling);
  if (sampling.every === 0) return [];
  const match = mask === 0 ? '' : `${sequence} & ${mask} == ${sampling.residue} `;
  return [`${of}${match}${accepted(sampled)}`];
}

function accepted(name: FilterCounter): string {
  return `counter name "${name}" accept`;
}

function dropped(name: FilterCounter): string {
  return `counter name "${name}" drop`;
}

function counter(name: FilterCounter): string {
  return `counter ${name} {\n}`;
}

/** Every node is to hear them, that is what they are for. */
const PROBES = `udp sport ${PROBE_PORT} udp dport ${PROBE_PORT} accept`;

/** The kernel forwards, and takes TCP from, only frames that are for this machine alone. */
const AS_HOST = 'meta pkttype set host ';

/** Before anything else of this machine looks at the packet. */
function ingress(device: string, priority = -300): string {
  const hook = `type filter hook ingress device ${deviceText(device)}`;
  return `${hook} priority ${priority}; policy accept;`;
}

function chain(name: string, lines: readonly string[]): string {
  return `chain ${name} {\n${lines.join('\n')}\n}`;
}

/** Counters go on counting: they are the table's, not the rules'. */
function replaced(family: 'netdev' | 'arp', parts: readonly string[]): string {
  const table = `table ${family} ${TABLE}`;
  return `${table} {\n}\nflush ${table}\n${table} {\n${parts.join('\n')}\n}\n`;
}

/** Names stand in a program for nft: nothing may stand in them that ends a word there. */
function deviceText(device: string): string {
  if (!/^[\w.:@-]{1,15}$/.test(device))
    throw new RangeError(`device name ${JSON.stringify(device)}`);
  return `"${device}"`;
}
