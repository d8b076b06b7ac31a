/**
 * Addresses and traffic selectors as swanctl.conf writes them.
 *
 * `local_addrs`: `%any`, an address, a prefix, a range, a name. `local_ts`: `10.1.0.0/16[tcp/80]`,
 * a range, or `dynamic`, with a protocol and a port, port range, `opaque`, or ICMP type and code.
 */
import type { AddressMatch, SelectorTemplate } from '../ipsec/connection.ts';
import {
  type AddressRange,
  compareAddresses,
  type IpAddress,
  parseAddress,
  parsePrefix,
  prefixRange,
} from '../wire/address.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { didYouMean } from './nearest-name.ts';
import { refuse, type Setting } from './values.ts';

/** Where a peer or we ourselves may be (`local_addrs`, `remote_addrs`). */
export function parseAddressMatch(setting: Setting): AddressMatch {
  const { text } = setting;
  if (text === '%any' || text === '%any4' || text === '%any6') {
    return text === '%any' ? { kind: 'any' } : { kind: 'any', family: text === '%any4' ? 4 : 6 };
  }
  const address = parseAddress(text);
  if (address !== undefined) return { kind: 'address', address };
  if (text.includes('/')) {
    const prefix = parsePrefix(text);
    if (prefix === undefined) refuse(setting, 'write a prefix such as 192.0.2.0/24');
    return { kind: 'prefix', prefix };
  }
  const range = parseRange(setting);
  if (range !== undefined) return { kind: 'range', range };
  if (!isHostName(text)) {
    refuse(
      setting,
      'write %any, an address, a prefix, a range such as 192.0.2.1-192.0.2.9 or a name',
    );
  }
  return { kind: 'name', name: text };
}

/** A virtual address to ask for (`vips`): 0.0.0.0 and :: stand for any. */
export function parseVirtualAddress(setting: Setting): IpAddress {
  return parseAddress(setting.text) ?? refuse(setting, 'write an address, 0.0.0.0 or ::');
}

/** One traffic selector (`local_ts`, `remote_ts`). */
export function parseSelector(setting: Setting): SelectorTemplate {
  const [, addresses = '', bracketed] = /^([^[]*)(?:\[([^\]]*)\])?$/.exec(setting.text) ?? [];
  const upper = bracketed === undefined ? ANY_UPPER : parseUpperLayer(setting, bracketed.trim());
  const text = addresses.trim();
  if (text === 'dynamic') return { kind: 'dynamic', ...upper };
  const prefix = parsePrefix(text);
  const range = prefix ? prefixRange(prefix) : parseRange({ ...setting, text });
  if (range === undefined) {
    refuse(
      setting,
      'write dynamic or a subnet such as 10.1.0.0/16, with [tcp/80] behind if needed',
    );
  }
  return { kind: 'fixed', selector: { range, ...upper } };
}

/** The names of IP protocols that may be written, for hints. */
export function protocolNames(): readonly string[] {
  return Object.keys(PROTOCOLS);
}

/** The number of an IP protocol by name or number; 0 for any. */
export function protocolNumber(text: string): number | undefined {
  if (/^(\d{1,3}|0x[0-9a-f]{1,2})$/i.test(text)) {
    return Number(text) <= 0xff ? Number(text) : undefined;
  }
  return PROTOCOLS[text.toLowerCase()];
}

interface UpperLayer {
  readonly protocol: number;
  readonly startPort: number;
  readonly endPort: number;
}

const ANY_UPPER: UpperLayer = { protocol: 0, startPort: 0, endPort: 0xffff };

/** `tcp`, `tcp/80`, `udp/1000-2000`, `icmp/8`, `icmp/8(0)`, `/80`, `any/any`. */
function parseUpperLayer(setting: Setting, text: string): UpperLayer {
  const [name = '', port = 'any', ...more] = text.split('/').map((part) => part.trim());
  const protocol = name === '' ? 0 : protocolNumber(name);
  if (protocol === undefined || more.length > 0) {
    const hint = didYouMean(name.toLowerCase(), Object.keys(PROTOCOLS));
    refuse(setting, `${name} is no protocol: write [tcp], [udp/500], [17] or [icmp/8]${hint}`);
  }
  if (port === 'any' || port === '') return { protocol, startPort: 0, endPort: 0xffff };
  // RFC 7296 §3.13.1: start 65535 and end 0 stand for OPAQUE.
  if (port === 'opaque') return { protocol, startPort: 0xffff, endPort: 0 };
  if (protocol === IpProtocol.ICMP || protocol === IpProtocol.IPV6_ICMP)
    return parseIcmp(setting, protocol, port);
  const single = portNumber(port);
  if (single !== undefined) return { protocol, startPort: single, endPort: single };
  const [startPort, endPort, ...rest] = port.split('-').map((part) => portNumber(part.trim()));
  const bounded = startPort !== undefined && endPort !== undefined && startPort <= endPort;
  if (!bounded || rest.length > 0) {
    refuse(setting, `${port} is no port: write a number, a range such as 1000-2000, or opaque`);
  }
  return { protocol, startPort, endPort };
}

/**
 * RFC 7296 §3.13.1: the type is the high octet of the port and the code the low one. Like
 * strongSwan, a type alone stands for its code 0.
 */
function parseIcmp(setting: Setting, protocol: number, text: string): UpperLayer {
  const [from = '', to = from, ...more] = text.split('-').map((part) => part.trim());
  const startPort = icmpPort(from);
  const endPort = icmpPort(to);
  if (startPort === undefined || endPort === undefined || startPort > endPort || more.length > 0) {
    refuse(setting, `${text} is no ICMP type: write a type such as 8, or type(code) such as 3(4)`);
  }
  return { protocol, startPort, endPort };
}

/** `8`, `3(4)`, or both octets as one number from 256. */
export function icmpPort(text: string): number | undefined {
  const [, type, code] = /^(\d{1,5})(?:\((\d{1,3})\))?$/.exec(text) ?? [];
  if (type === undefined) return undefined;
  const number = Number(type);
  if (code === undefined && number > 0xff) return number <= 0xffff ? number : undefined;
  return number <= 0xff && Number(code ?? 0) <= 0xff ? number * 256 + Number(code ?? 0) : undefined;
}

/** A port by number, or by the name of its service. */
export function portNumber(text: string): number | undefined {
  if (/^(\d{1,5}|0x[0-9a-f]{1,4})$/i.test(text)) {
    return Number(text) <= 0xffff ? Number(text) : undefined;
  }
  return SERVICES[text.toLowerCase()];
}

/** `a-b`, or undefined where the text is no range of addresses. */
export function parseRange(setting: Setting): AddressRange | undefined {
  const [from = '', to = '', ...more] = setting.text.split('-').map((part) => part.trim());
  const first = parseAddress(from);
  const last = parseAddress(to);
  if (first === undefined || last === undefined || more.length > 0) return undefined;
  if (first.family !== last.family || compareAddresses(first, last) > 0) {
    refuse(setting, 'write the lower address first, and two addresses of one family');
  }
  return { first, last };
}

/** RFC 1123 §2.1; the last label is no number, so that 192.0.2.300 is not taken for a name. */
function isHostName(text: string): boolean {
  const labels = text.replace(/\.$/, '').split('.');
  return (
    text.length <= 253 &&
    labels.every((label) => /^[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?$/i.test(label)) &&
    !/^\d+$/.test(labels.at(-1) ?? '')
  );
}

/** Names of IP protocols (IANA "Protocol Numbers") as /etc/protocols spells them. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  any: 0,
  icmp: 1,
  igmp: 2,
  ipencap: 4,
  ipv4: 4,
  tcp: 6,
  egp: 8,
  udp: 17,
  dccp: 33,
  ipv6: 41,
  rsvp: 46,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  icmpv6: 58,
  eigrp: 88,
  ospf: 89,
  ipip: 94,
  etherip: 97,
  encap: 98,
  pim: 103,
  ipcomp: 108,
  vrrp: 112,
  l2tp: 115,
  sctp: 132,
  'mobility-header': 135,
  udplite: 136,
};

/** Service names seen in configurations; any other port is written as a number. */
const SERVICES: Readonly<Record<string, number>> = {
  'ftp-data': 20,
  ftp: 21,
  ssh: 22,
  telnet: 23,
  smtp: 25,
  domain: 53,
  bootps: 67,
  bootpc: 68,
  tftp: 69,
  http: 80,
  kerberos: 88,
  ntp: 123,
  snmp: 161,
  bgp: 179,
  ldap: 389,
  https: 443,
  isakmp: 500,
  syslog: 514,
  ldaps: 636,
  openvpn: 1194,
  l2f: 1701,
  l2tp: 1701,
  radius: 1812,
  'ipsec-nat-t': 4500,
};
