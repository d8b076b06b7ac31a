/**
 * Traffic selectors (RFC 7296 §2.9, §3.13; RFC 4301 §4.4.1.1) as ranges.
 *
 * Values for negotiation and listings. The packet path compiles them (`selector-pairs.ts`).
 */
import {
  type AddressRange,
  compareAddresses,
  formatAddress,
  formatPrefix,
  type IpAddress,
  rangeContains,
  rangePrefixes,
} from '../wire/address.ts';
import { addressFromWords, type Flow, OPAQUE } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';

/** Addresses, an IP protocol (0 = any) and ports; for ICMP the ports are type and code. */
export interface TrafficSelector {
  readonly range: AddressRange;
  /** IP protocol number, 0 for any. */
  readonly protocol: number;
  /** 0-65535; `startPort` 65535 with `endPort` 0 means OPAQUE (RFC 7296 §3.13.1). */
  readonly startPort: number;
  readonly endPort: number;
}

/** Every port, seen or not. */
export const ANY_PORTS = { startPort: 0, endPort: 0xffff } as const;
/** Only packets whose ports cannot be seen. */
export const OPAQUE_PORTS = { startPort: 0xffff, endPort: 0 } as const;

type Ports = Pick<TrafficSelector, 'startPort' | 'endPort'>;

/** What both selectors describe, or undefined when there is nothing. */
export function intersectSelectors(
  a: TrafficSelector,
  b: TrafficSelector,
): TrafficSelector | undefined {
  const range = intersectRanges(a.range, b.range);
  const ports = intersectPorts(a, b);
  const sameProtocol = a.protocol === b.protocol || a.protocol === 0 || b.protocol === 0;
  if (range === undefined || ports === undefined || !sameProtocol) return undefined;
  return { range, protocol: a.protocol || b.protocol, ...ports };
}

/** Everything `inner` describes, `outer` describes too. */
export function selectorContains(outer: TrafficSelector, inner: TrafficSelector): boolean {
  // What costs least comes first: a hostile offer is compared with itself many times.
  return (
    (outer.protocol === 0 || outer.protocol === inner.protocol) &&
    portsContain(outer, inner) &&
    rangeContains(outer.range, inner.range.first) &&
    rangeContains(outer.range, inner.range.last)
  );
}

/** What TSi or TSr can hold: the number of selectors is one octet (RFC 7296 §3.13). */
const MAX_SELECTORS = 255;
/** Intersections of offer and policy that are looked at; honest offers come to a few hundred. */
const MAX_CANDIDATES = 4096;

/**
 * The responder's choice (RFC 7296 §2.9): what of the offer the policy allows, in the order of the
 * offer, without selectors that others contain. Empty means TS_UNACCEPTABLE. What is more than an
 * answer can hold falls away, as a responder may choose any part of an offer.
 */
export function narrow(
  policy: readonly TrafficSelector[],
  offered: readonly TrafficSelector[],
): readonly TrafficSelector[] {
  let kept: TrafficSelector[] = [];
  let candidates = 0;
  for (const offer of offered) {
    for (const allowed of policy) {
      const intersection = intersectSelectors(offer, allowed);
      if (!intersection) continue;
      if (++candidates > MAX_CANDIDATES) return [...kept];
      // What the policy says itself stands once for all SAs under it.
      const common = selectorContains(intersection, allowed) ? allowed : intersection;
      // Of equal ones the first stays.
      if (kept.some((one) => selectorContains(one, common))) continue;
      kept = kept.filter((one) => !selectorContains(common, one));
      kept.push(common);
      if (kept.length === MAX_SELECTORS) return [...kept];
    }
  }
  // A copy has no more room than it needs.
  return [...kept];
}

/** What a selector is held against: one end of a packet. */
export interface FlowEnd {
  readonly address: IpAddress;
  readonly protocol: number;
  readonly port: number;
}

export function flowEnd(flow: Flow, end: 'source' | 'destination'): FlowEnd {
  const { family, protocol } = flow;
  const port = end === 'source' ? flow.sourcePort : flow.destinationPort;
  return { address: addressFromWords(family, flow[end]), protocol, port };
}

/** Does one end of a packet fit? The packet path asks `SelectorPairs` the same for both ends. */
export function selectorMatchesFlow(
  selector: TrafficSelector,
  flow: Flow,
  end: 'source' | 'destination',
): boolean {
  return selectorMisses(selector, flowEnd(flow, end)) === SelectorMiss.NONE;
}

/** What of one end of a packet does not fit, as bits; of another protocol, ports say nothing. */
export const SelectorMiss = { NONE: 0, ADDRESS: 1, PROTOCOL: 2, PORT: 4 } as const;

export function selectorMisses(selector: TrafficSelector, end: FlowEnd): number {
  const address = rangeContains(selector.range, end.address) ? 0 : SelectorMiss.ADDRESS;
  if (selector.protocol !== 0 && selector.protocol !== end.protocol) {
    return address | SelectorMiss.PROTOCOL;
  }
  return address | (portMatches(selector, end.port) ? 0 : SelectorMiss.PORT);
}

/** It wants to see ports, or wants that none is seen: fragments of one packet may differ by it. */
export function namesPorts(selector: TrafficSelector): boolean {
  return !isAnyPorts(selector);
}

/** The selector of one address, any protocol and port. */
export function hostSelector(address: IpAddress): TrafficSelector {
  return { range: { first: address, last: address }, protocol: 0, ...ANY_PORTS };
}

/** `10.1.0.0/16`, `10.0.0.1..10.0.0.9`, `10.1.0.0/16[tcp/22]`: strongSwan's spelling. */
export function formatSelector(selector: TrafficSelector): string {
  return formatRange(selector.range) + formatProtocolAndPorts(selector);
}

/** `[tcp/22]`, `[icmp/8(1)]`, `[0/1000-2000]` or nothing; ports are numbers, never service names. */
export function formatProtocolAndPorts(selector: Omit<TrafficSelector, 'range'>): string {
  const { protocol } = selector;
  const name = PROTOCOL_NAMES.get(protocol) ?? `${protocol}`;
  if (isAnyPorts(selector)) return protocol === 0 ? '' : `[${name}]`;
  return `[${name}/${formatPorts(protocol, selector)}]`;
}

function formatRange(range: AddressRange): string {
  const [prefix, ...more] = rangePrefixes(range);
  if (prefix !== undefined && more.length === 0) return formatPrefix(prefix);
  return `${formatAddress(range.first)}..${formatAddress(range.last)}`;
}

function formatPorts(protocol: number, ports: Ports): string {
  const { startPort, endPort } = ports;
  if (isOpaquePorts(ports)) return 'OPAQUE';
  const icmp = protocol === IpProtocol.ICMP || protocol === IpProtocol.IPV6_ICMP;
  const print = icmp ? formatTypeAndCode : String;
  return startPort === endPort ? print(startPort) : `${print(startPort)}-${print(endPort)}`;
}

function formatTypeAndCode(port: number): string {
  const code = port & 0xff;
  return code === 0 ? `${port >>> 8}` : `${port >>> 8}(${code})`;
}

function intersectRanges(a: AddressRange, b: AddressRange): AddressRange | undefined {
  if (a.first.family !== b.first.family) return undefined;
  const first = compareAddresses(a.first, b.first) < 0 ? b.first : a.first;
  const last = compareAddresses(a.last, b.last) < 0 ? a.last : b.last;
  const order = compareAddresses(first, last);
  // One address is held once: a gateway has thousands of selectors of hosts.
  return order > 0 ? undefined : { first, last: order === 0 ? first : last };
}

function isAnyPorts(ports: Ports): boolean {
  return ports.startPort === 0 && ports.endPort === 0xffff;
}

function isOpaquePorts(ports: Ports): boolean {
  return ports.startPort === 0xffff && ports.endPort === 0;
}

/** A range that runs backwards and is not OPAQUE describes nothing. */
function isEmptyPorts(ports: Ports): boolean {
  return ports.startPort > ports.endPort && !isOpaquePorts(ports);
}

// RFC 4301 §4.4.1.1: ANY contains OPAQUE; a range of ports does not.
function portsContain(outer: Ports, inner: Ports): boolean {
  if (isAnyPorts(outer)) return true;
  if (isOpaquePorts(outer) || isOpaquePorts(inner)) {
    return isOpaquePorts(outer) && isOpaquePorts(inner);
  }
  return outer.startPort <= inner.startPort && inner.endPort <= outer.endPort;
}

function intersectPorts(a: Ports, b: Ports): Ports | undefined {
  if (isEmptyPorts(a) || isEmptyPorts(b)) return undefined;
  if (isAnyPorts(a)) return portsOf(b);
  if (isAnyPorts(b)) return portsOf(a);
  if (isOpaquePorts(a) || isOpaquePorts(b)) {
    return isOpaquePorts(a) && isOpaquePorts(b) ? OPAQUE_PORTS : undefined;
  }
  const startPort = Math.max(a.startPort, b.startPort);
  const endPort = Math.min(a.endPort, b.endPort);
  return startPort <= endPort ? { startPort, endPort } : undefined;
}

function portsOf({ startPort, endPort }: Ports): Ports {
  return { startPort, endPort };
}

function portMatches(ports: Ports, port: number): boolean {
  if (isAnyPorts(ports)) return true;
  if (port === OPAQUE) return isOpaquePorts(ports);
  return ports.startPort <= port && port <= ports.endPort;
}

/** Names of /etc/protocols, as strongSwan prints them. */
const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map([
  [1, 'icmp'],
  [2, 'igmp'],
  [4, 'ipencap'],
  [6, 'tcp'],
  [17, 'udp'],
  [33, 'dccp'],
  [41, 'ipv6'],
  [47, 'gre'],
  [50, 'esp'],
  [51, 'ah'],
  [58, 'ipv6-icmp'],
  [88, 'eigrp'],
  [89, 'ospf'],
  [103, 'pim'],
  [112, 'vrrp'],
  [115, 'l2tp'],
  [132, 'sctp'],
  [135, 'mobility-header'],
  [136, 'udplite'],
]);
