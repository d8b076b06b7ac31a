/**
 * The section `gateway { }`: what concerns the whole daemon. It is tsgw's own; strongSwan keeps
 * such settings in strongswan.conf, whose names and defaults are used where they exist.
 */
import type { Findings } from './findings.ts';
import type { Section } from './section.ts';
import { SettingsReader } from './settings-reader.ts';
import {
  parseBoolean,
  parseDecimal,
  parseInteger,
  parseSeconds,
  parseWord,
  refuse,
  type Setting,
} from './values.ts';

export interface GatewaySettings {
  /** Name of the TUN device. */
  readonly device: string;
  /** MTU of the TUN device; 0 = derived from the path. */
  readonly mtu: number;
  /** Lower the MSS of TCP connections to what fits into the tunnel. */
  readonly mssClamp: boolean;
  /** `auto`: super-packets between us, the device and the sockets where the kernel has them. */
  readonly offload: 'auto' | 'off';
  /** The library that ciphers packets; `auto` = the fastest that is there and right. */
  readonly aead: 'auto' | 'evp' | 'ipsec-mb';
  /** Threads that move packets; 0 = as many as the machine's cores make worth while. */
  readonly workers: number;
  /** The resolver's file, for name servers that gateways give us; empty = left alone. */
  readonly resolvConf: string;
  readonly portIke: number;
  /** UDP port for IKE and UDP-encapsulated ESP once a NAT is seen. */
  readonly portNatT: number;
  /** Half-open IKE SAs from which on an initiator must return a cookie. */
  readonly cookieThreshold: number;
  readonly cookieThresholdPerAddress: number;
  readonly halfOpenTimeoutSeconds: number;
  /** Transmissions after the first before a peer counts as dead. */
  readonly retransmitTries: number;
  readonly retransmitTimeoutSeconds: number;
  /** Each further retransmission waits this many times longer. */
  readonly retransmitBase: number;
  /** Seconds between NAT keepalives; 0 = none. */
  readonly keepAliveSeconds: number;
  readonly maxHalfOpen: number;
  readonly maxIkeSas: number;
  /** IKE SAs of one peer identity within one connection; 0 = no limit. */
  readonly maxIkeSasPerIdentity: number;
  /** Child SAs of one IKE SA. */
  readonly maxChildren: number;
  /** Octets of an IP packet that a fragment of an IKE message fills at most (RFC 7383). */
  readonly fragmentSize: number;
  /** Seconds for which a replaced Child SA still receives after its Delete. */
  readonly deleteRekeyedDelaySeconds: number;
}

export const DEFAULT_GATEWAY_SETTINGS: GatewaySettings = Object.freeze({
  device: 'tsgw0',
  mtu: 0,
  mssClamp: true,
  offload: 'auto',
  aead: 'auto',
  workers: 0,
  resolvConf: '/etc/resolv.conf',
  portIke: 500,
  portNatT: 4500,
  cookieThreshold: 30,
  cookieThresholdPerAddress: 3,
  halfOpenTimeoutSeconds: 30,
  retransmitTries: 5,
  retransmitTimeoutSeconds: 4.0,
  retransmitBase: 1.8,
  keepAliveSeconds: 20,
  maxHalfOpen: 1000,
  maxIkeSas: 30_000,
  maxIkeSasPerIdentity: 64,
  maxChildren: 256,
  fragmentSize: 1280,
  deleteRekeyedDelaySeconds: 5,
});

/** The keys of the section, as swanctl.conf writes them. */
export const GATEWAY_KEYS = [
  'device',
  'mtu',
  'mss_clamp',
  'offload',
  'aead',
  'workers',
  'resolv_conf',
  'port',
  'port_nat_t',
  'cookie_threshold',
  'cookie_threshold_ip',
  'half_open_timeout',
  'retransmit_tries',
  'retransmit_timeout',
  'retransmit_base',
  'keep_alive',
  'max_half_open',
  'max_ike_sas',
  'max_ike_sas_per_identity',
  'max_children',
  'fragment_size',
  'delete_rekeyed_delay',
] as const;

/** How a setting is written: `portNatT` as `port_nat_t`. */
export function settingName(key: keyof GatewaySettings): string {
  const written = key
    .replace(/Seconds$/, '')
    .replace(/PerAddress$/, 'Ip')
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
  return written === 'port_ike' ? 'port' : written;
}

/** The settings of the section; without a section, the defaults. */
export function readGatewaySettings(
  section: Section | undefined,
  findings: Findings,
): GatewaySettings {
  const defaults = DEFAULT_GATEWAY_SETTINGS;
  if (section === undefined) return defaults;
  const reader = new SettingsReader(section, 'gateway', findings);
  const key = <T>(
    name: (typeof GATEWAY_KEYS)[number],
    parse: (at: Setting) => T,
    otherwise: T,
  ): T => reader.read(name, parse, otherwise);
  const integer =
    (least: number, most: number) =>
    (setting: Setting): number =>
      parseInteger(setting, least, most);
  const portIke = key('port', integer(1, 0xffff), defaults.portIke);
  const portNatT = key('port_nat_t', integer(1, 0xffff), defaults.portNatT);
  if (portIke === portNatT) {
    // RFC 7296 §2.23: only the NAT traversal port carries the non-ESP marker.
    findings.error(reader.at, 'gateway.port and gateway.port_nat_t must differ');
  }
  return Object.freeze({
    device: key('device', parseDevice, defaults.device),
    mtu: key('mtu', parseMtu, defaults.mtu),
    mssClamp: key('mss_clamp', parseBoolean, defaults.mssClamp),
    offload: key('offload', parseOffload, defaults.offload),
    aead: key('aead', (setting) => parseWord(setting, AEAD_WORDS), defaults.aead),
    workers: key('workers', parseWorkers, defaults.workers),
    resolvConf: key('resolv_conf', parseResolvConf, defaults.resolvConf),
    portIke,
    portNatT,
    cookieThreshold: key('cookie_threshold', integer(0, 1e6), defaults.cookieThreshold),
    cookieThresholdPerAddress: key(
      'cookie_threshold_ip',
      integer(0, 1e6),
      defaults.cookieThresholdPerAddress,
    ),
    halfOpenTimeoutSeconds: key('half_open_timeout', parseSeconds, defaults.halfOpenTimeoutSeconds),
    retransmitTries: key('retransmit_tries', integer(0, 100), defaults.retransmitTries),
    retransmitTimeoutSeconds: key(
      'retransmit_timeout',
      (setting) => parseDecimal(setting, 0.1, 3600),
      defaults.retransmitTimeoutSeconds,
    ),
    retransmitBase: key(
      'retransmit_base',
      (setting) => parseDecimal(setting, 1, 10),
      defaults.retransmitBase,
    ),
    keepAliveSeconds: key('keep_alive', parseSeconds, defaults.keepAliveSeconds),
    maxHalfOpen: key('max_half_open', integer(1, 1e7), defaults.maxHalfOpen),
    maxIkeSas: key('max_ike_sas', integer(1, 1e7), defaults.maxIkeSas),
    maxIkeSasPerIdentity: key(
      'max_ike_sas_per_identity',
      integer(0, 1e7),
      defaults.maxIkeSasPerIdentity,
    ),
    maxChildren: key('max_children', integer(1, 1e6), defaults.maxChildren),
    fragmentSize: key('fragment_size', integer(576, 0xffff), defaults.fragmentSize),
    deleteRekeyedDelaySeconds: key(
      'delete_rekeyed_delay',
      parseSeconds,
      defaults.deleteRekeyedDelaySeconds,
    ),
  });
}

const AEAD_WORDS = { auto: 'auto', evp: 'evp', 'ipsec-mb': 'ipsec-mb' } as const;

/** Linux takes up to 15 characters, none of them a blank or a slash. */
function parseDevice(setting: Setting): string {
  if (!/^[A-Za-z0-9_.:-]{1,15}$/.test(setting.text) || /^\.{1,2}$/.test(setting.text)) {
    refuse(setting, 'write a device name of up to 15 letters and digits, such as tsgw0');
  }
  return setting.text;
}

function parseWorkers(setting: Setting): number {
  const workers = Number(setting.text);
  if (setting.text === 'auto') return 0;
  if (/^\d+$/.test(setting.text) && workers >= 1 && workers <= MOST_WORKERS) return workers;
  return refuse(setting, `write auto, or 1 to ${MOST_WORKERS} threads`);
}

/** Beyond, the rings between them cost more than a further one is worth. */
const MOST_WORKERS = 16;

function parseResolvConf(setting: Setting): string {
  if (setting.text === 'no') return '';
  return setting.text.startsWith('/')
    ? setting.text
    : refuse(setting, 'write a path such as /etc/resolv.conf, or no');
}

function parseOffload(setting: Setting): 'auto' | 'off' {
  if (setting.text === 'auto' || setting.text === 'off') return setting.text;
  return refuse(setting, 'write auto, or off to take and give packets one by one');
}

/** RFC 8200 §5: a link that carries IPv6 has at least 1280. */
function parseMtu(setting: Setting): number {
  return setting.text === '0' ? 0 : parseInteger(setting, 1280, 0xffff);
}
