/**
 * The section `pools { }`: virtual addresses and what clients are told beside them.
 *
 * `addrs` is a subnet or a range. Of a subnet the first and the last address are not leased unless
 * it has only two, and host bits say where to start; of a large one only the first 2^31 are. Every
 * other key is an attribute: a name, or its decimal number with addresses, subnets or text.
 */
import { MAX_POOL_SIZE, type PoolPolicy } from '../ipsec/address-pool.ts';
import {
  AttributeType,
  MAX_ATTRIBUTE_TYPE,
  type PoolAttribute,
} from '../ipsec/configuration-attribute.ts';
import {
  type AddressRange,
  addressAfter,
  addressDistance,
  compareAddresses,
  equalAddresses,
  type IpAddress,
  ipAddress,
  isUnicastAddress,
  parseAddress,
  parsePrefix,
  prefixRange,
} from '../wire/address.ts';
import { parseRange } from './addresses.ts';
import { checkSection } from './check-section.ts';
import { type ConfigWarning, Findings } from './findings.ts';
import { frozen } from './frozen.ts';
import { didYouMean } from './nearest-name.ts';
import { POOL } from './schema.ts';
import { ConfigError, type Section } from './section.ts';
import { SettingsReader } from './settings-reader.ts';
import { refuse, type Setting } from './values.ts';

/** Reads one pool. Throws the first `ConfigError`; `readPools` notes them all. */
export function poolFromSettings(
  name: string,
  section: Section,
): { readonly pool: PoolPolicy; readonly warnings: readonly ConfigWarning[] } {
  const findings = new Findings();
  const path = `pools.${name}`;
  checkSection(section, POOL, path, findings);
  const pool = readPool(name, new SettingsReader(section, path, findings));
  const [error] = findings.errors;
  if (error !== undefined) throw error;
  // Only a pool with a fault is none, and its fault was thrown.
  if (pool === undefined) throw new Error(`pool ${name}: neither read nor refused`);
  return { pool, warnings: findings.warnings };
}

/** The pools of the section, in order; what is wrong with them is noted. */
export function readPools(section: Section | undefined, findings: Findings): readonly PoolPolicy[] {
  if (section === undefined) return [];
  return new SettingsReader(section, 'pools', findings)
    .sections()
    .flatMap(({ name, reader }) => readPool(name, reader) ?? []);
}

/** A pool may still come by vici; until it does, clients get nothing from it. */
export function warnOfMissingPools(
  connections: Section | undefined,
  known: readonly string[],
  findings: Findings,
): void {
  if (connections === undefined) return;
  for (const { reader } of new SettingsReader(connections, 'connections', findings).sections()) {
    for (const { path, text, at } of reader.list('pools')) {
      if (known.includes(text)) continue;
      findings.warn(at, `${path} = ${text}: there is no such pool${didYouMean(text, known)}`);
    }
  }
}

function readPool(name: string, reader: SettingsReader): PoolPolicy | undefined {
  const addresses = reader.findings.attempt(() => parseAddrs(requiredAddrs(reader)));
  const attributes = reader.keys('').flatMap((key) => readAttributes(key, reader));
  const octets = attributes.reduce((sum, { value }) => sum + 4 + value.length, 0);
  if (attributes.length > MAX_ATTRIBUTES || octets > MAX_OCTETS) {
    const what = `${attributes.length} attributes of ${octets} octets`;
    const most = `at most ${MAX_ATTRIBUTES} of ${MAX_OCTETS} octets fit into an answer`;
    reader.findings.error(reader.at, `${reader.path}: ${what}, ${most}`);
  }
  return addresses && frozen({ name, ...addresses, attributes });
}

function requiredAddrs(reader: SettingsReader): Setting {
  const setting = reader.setting('addrs');
  if (setting !== undefined) return setting;
  throw new ConfigError(reader.at, `${reader.path} has no addrs: write addrs = 10.3.0.0/24`);
}

/** `10.3.0.0/24`, `10.3.0.5`, `10.3.0.10-10.3.0.20`. */
function parseAddrs(setting: Setting): Pick<PoolPolicy, 'base' | 'range'> {
  const [head = ''] = setting.text.split('/');
  const base = parseAddress(head.trim());
  const prefix = parsePrefix(setting.text);
  const range = base && prefix ? leasable(base, prefixRange(prefix)) : parseRange(setting);
  if (range === undefined) {
    refuse(setting, 'write one subnet such as 10.3.0.0/24 or one range such as 10.3.0.1-10.3.0.9');
  }
  const { first, last } = range;
  if (compareAddresses(first, last) > 0) {
    refuse(setting, 'no address is left to lease: write a larger subnet, or a range');
  }
  if (!isUnicastAddress(first) || !isUnicastAddress(last)) {
    refuse(setting, 'write addresses that hosts can have');
  }
  const large = addressDistance(first, last) >= MAX_POOL_SIZE;
  return {
    base: base ?? first,
    range: { first, last: large ? addressAfter(first, MAX_POOL_SIZE - 1) : last },
  };
}

/** As strongSwan: the subnet's own address and its last one are nobody's, if there are others. */
function leasable(base: IpAddress, { first, last }: AddressRange): AddressRange {
  if (addressDistance(first, last) < 2) return { first: base, last };
  const start = equalAddresses(base, first) ? addressAfter(first, 1) : base;
  return { first: start, last: addressAfter(last, -1) };
}

/** Nothing of a key that is no attribute: the schema knows it, or has refused it. */
function readAttributes(key: string, reader: SettingsReader): readonly PoolAttribute[] {
  if (/^\d/.test(key)) return reader.readList(key, (setting) => parseNumbered(key, setting), []);
  const named = NAMED.get(key);
  return named ? reader.readList(key, (setting) => parseNamed(key, named, setting), []) : [];
}

function parseNamed(key: string, named: NamedAttribute, setting: Setting): PoolAttribute {
  const subnet = named.kind === 'subnet';
  const octets = subnet ? subnetOctets(setting.text) : addressOctets(setting.text);
  if (octets === undefined) refuse(setting, `write ${subnet ? 'a subnet' : 'an address'}`);
  const type = octets.family === 4 ? named.ip4 : named.ip6;
  if (type === undefined) refuse(setting, `${key} is for IPv4 only`);
  return { type, value: octets.value };
}

/** `25 = example.org`: what the value is written as decides what octets it becomes. */
function parseNumbered(key: string, setting: Setting): PoolAttribute {
  const type = /^\d{1,5}$/.test(key) ? Number(key) : 0;
  if (type < 1 || type > MAX_ATTRIBUTE_TYPE) {
    refuse(setting, `attribute types are decimal numbers from 1 to ${MAX_ATTRIBUTE_TYPE}`);
  }
  const { text } = setting;
  const octets = text.includes('/') ? subnetOctets(text) : addressOctets(text);
  return { type, value: octets?.value ?? new TextEncoder().encode(text) };
}

interface ValueOctets {
  readonly family: 4 | 6;
  readonly value: Uint8Array;
}

function addressOctets(text: string): ValueOctets | undefined {
  const address = parseAddress(text);
  return address && { family: address.family, value: address.octets };
}

// RFC 7296 §3.15.1: an IPv4 subnet is address and mask, an IPv6 one address and prefix length.
function subnetOctets(text: string): ValueOctets | undefined {
  const prefix = parsePrefix(text);
  if (prefix === undefined) return undefined;
  const { address, length } = prefix;
  const mask = prefixRange({ address: ALL_ONES, length }).first.octets;
  const behind = address.family === 4 ? mask : [length];
  return { family: address.family, value: Uint8Array.of(...address.octets, ...behind) };
}

interface NamedAttribute {
  readonly kind: 'address' | 'subnet';
  readonly ip4: number;
  readonly ip6?: number;
}

const {
  INTERNAL_IP4_ADDRESS,
  INTERNAL_IP4_NETMASK,
  INTERNAL_IP4_DNS,
  INTERNAL_IP4_NBNS,
  INTERNAL_IP4_DHCP,
  INTERNAL_IP6_ADDRESS,
  INTERNAL_IP6_DNS,
  INTERNAL_IP6_NBNS,
  INTERNAL_IP6_DHCP,
  INTERNAL_IP4_SUBNET,
  INTERNAL_IP6_SUBNET,
  P_CSCF_IP4_ADDRESS,
  P_CSCF_IP6_ADDRESS,
  INTERNAL_IP4_SERVER,
  INTERNAL_IP6_SERVER,
  UNITY_SPLIT_INCLUDE,
  UNITY_LOCAL_LAN,
} = AttributeType;

const NAMED: ReadonlyMap<string, NamedAttribute> = new Map<string, NamedAttribute>([
  ['address', { kind: 'address', ip4: INTERNAL_IP4_ADDRESS, ip6: INTERNAL_IP6_ADDRESS }],
  ['dns', { kind: 'address', ip4: INTERNAL_IP4_DNS, ip6: INTERNAL_IP6_DNS }],
  ['nbns', { kind: 'address', ip4: INTERNAL_IP4_NBNS, ip6: INTERNAL_IP6_NBNS }],
  ['dhcp', { kind: 'address', ip4: INTERNAL_IP4_DHCP, ip6: INTERNAL_IP6_DHCP }],
  ['netmask', { kind: 'address', ip4: INTERNAL_IP4_NETMASK }],
  ['server', { kind: 'address', ip4: INTERNAL_IP4_SERVER, ip6: INTERNAL_IP6_SERVER }],
  ['subnet', { kind: 'subnet', ip4: INTERNAL_IP4_SUBNET, ip6: INTERNAL_IP6_SUBNET }],
  ['p_cscf', { kind: 'address', ip4: P_CSCF_IP4_ADDRESS, ip6: P_CSCF_IP6_ADDRESS }],
  ['split_include', { kind: 'subnet', ip4: UNITY_SPLIT_INCLUDE }],
  ['split_exclude', { kind: 'subnet', ip4: UNITY_LOCAL_LAN }],
]);

const ALL_ONES = ipAddress(new Uint8Array(4).fill(0xff));

/** What a pool says goes into one message, beside what other pools say. */
const MAX_ATTRIBUTES = 100;
const MAX_OCTETS = 4096;
