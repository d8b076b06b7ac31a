/**
 * The question of `tsgw trace`: a packet as an operator describes it, `10.1.0.5 10.2.0.9 tcp/443`.
 *
 * What is not said of a packet is not known to a policy either: without a port only policies for
 * every port fit, with `any` only those for every protocol.
 */
import { icmpPort, portNumber, protocolNames, protocolNumber } from '../config/addresses.ts';
import { didYouMean } from '../config/nearest-name.ts';
import { type IpAddress, parseAddress } from '../wire/address.ts';
import { addressToWords, createFlow, type Flow, minimumHeader, OPAQUE } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';

export interface TraceQuestion {
  /** `totalLength` is 0 where no size was said. */
  readonly flow: Readonly<Flow>;
  /** Nobody said the source port: it is one that hosts use. */
  readonly sourcePortAssumed: boolean;
  /** Octets of the inner packet. */
  readonly size?: number;
  readonly dontFragment: boolean;
  /** It came through a tunnel, from the peer's side. */
  readonly inbound: boolean;
}

/** The words of the question, as the command line and vici have them. */
export interface TraceWords {
  readonly source: string;
  readonly destination: string;
  /** `tcp/443`, `icmp`, `icmp/8`, `47`, `any`. */
  readonly traffic: string;
  readonly sourcePort?: string | undefined;
  readonly size?: string | undefined;
  readonly dontFragment: boolean;
  readonly inbound: boolean;
}

/** The question, or what is wrong with its words. */
export function parseTraceQuestion(words: TraceWords): TraceQuestion | string {
  const source = parseAddress(words.source);
  const destination = parseAddress(words.destination);
  if (!source || !destination) {
    return `${source ? words.destination : words.source} is no address: write one such as 10.1.0.5 or 2001:db8::5`;
  }
  if (source.family !== destination.family) {
    return `${words.source} and ${words.destination} are of two families: a packet has addresses of one`;
  }
  const traffic = parseTraffic(words.traffic, source.family);
  if (typeof traffic === 'string') return traffic;
  const ports = withSourcePort(traffic, words);
  if (typeof ports === 'string') return ports;
  const flow = flowOf(source, destination, ports);
  const size = parseSize(words.size, flow);
  if (typeof size === 'string') return size;
  if (size !== undefined) flow.totalLength = size;
  const { dontFragment, inbound } = words;
  return {
    flow,
    sourcePortAssumed: ports.assumed,
    ...(size !== undefined && { size }),
    dontFragment,
    inbound,
  };
}

interface Traffic {
  readonly protocol: number;
  readonly sourcePort: number;
  readonly destinationPort: number;
}

function parseTraffic(text: string, family: 4 | 6): Traffic | string {
  const [name = '', port, ...more] = text.toLowerCase().split('/');
  // The family of the addresses says which ICMP is meant.
  const named = name === 'icmp' && family === 6 && port === undefined ? 'ipv6-icmp' : name;
  const protocol = named === '' ? undefined : protocolNumber(named);
  if (protocol === undefined || more.length > 0) {
    const hint = didYouMean(name, protocolNames());
    return `${text} is no protocol: write tcp/443, udp/53, icmp/8, 47 or any${hint}`;
  }
  if (protocol === 0) {
    if (port !== undefined) return `${text}: a port is one of a protocol, as in tcp/443`;
    return { protocol: OPAQUE, sourcePort: OPAQUE, destinationPort: OPAQUE };
  }
  if (protocol === IpProtocol.ICMP && family === 6) {
    return `${text} is ICMP of IPv4: between IPv6 addresses write ipv6-icmp/128`;
  }
  if (protocol === IpProtocol.IPV6_ICMP && family === 4) {
    return `${text} is ICMP of IPv6: between IPv4 addresses write icmp/8`;
  }
  return protocol === IpProtocol.ICMP || protocol === IpProtocol.IPV6_ICMP
    ? parseIcmp(text, protocol, port)
    : parsePort(text, protocol, port);
}

function parseIcmp(text: string, protocol: number, type: string | undefined): Traffic | string {
  const echo = protocol === IpProtocol.ICMP ? '8' : '128';
  const typeAndCode = icmpPort(type ?? echo);
  if (typeAndCode === undefined) {
    return `${text}: ${type} is no ICMP type: write a type such as ${echo}, or type(code) such as 3(4)`;
  }
  return { protocol, sourcePort: typeAndCode, destinationPort: typeAndCode };
}

function parsePort(text: string, protocol: number, port: string | undefined): Traffic | string {
  if (port === undefined) return { protocol, sourcePort: OPAQUE, destinationPort: OPAQUE };
  if (!HAVE_PORTS.has(protocol)) return `${text}: protocol ${protocol} has no ports`;
  const destinationPort = portNumber(port);
  if (destinationPort === undefined) return `${text}: ${port} is no port from 0 to 65535`;
  return { protocol, sourcePort: OPAQUE, destinationPort };
}

function withSourcePort(
  traffic: Traffic,
  { sourcePort, traffic: text }: TraceWords,
): (Traffic & { readonly assumed: boolean }) | string {
  const hasPorts = HAVE_PORTS.has(traffic.protocol);
  if (sourcePort !== undefined) {
    if (!hasPorts) return `a source port is one of tcp or udp, not of ${text}`;
    const port = portNumber(sourcePort);
    if (port === undefined) return `${sourcePort} is no port from 0 to 65535`;
    return { ...traffic, sourcePort: port, assumed: false };
  }
  const assumed = hasPorts && traffic.destinationPort !== OPAQUE;
  return { ...traffic, ...(assumed && { sourcePort: EPHEMERAL_PORT }), assumed };
}

function flowOf(source: IpAddress, destination: IpAddress, traffic: Traffic): Flow {
  const flow = createFlow();
  flow.family = source.family;
  flow.protocol = traffic.protocol;
  flow.sourcePort = traffic.sourcePort;
  flow.destinationPort = traffic.destinationPort;
  addressToWords(source, flow.source, 0);
  addressToWords(destination, flow.destination, 0);
  flow.headerLength = source.family === 4 ? IPV4_HEADER : IPV6_HEADER;
  return flow;
}

function parseSize(text: string | undefined, flow: Flow): number | string | undefined {
  if (text === undefined) return undefined;
  const least = flow.headerLength + minimumHeader(flow.protocol);
  const size = /^\d{1,5}$/.test(text) ? Number(text) : -1;
  if (size >= least && size <= 0xffff) return size;
  return `${text} octets: such a packet has from ${least} to 65535, its headers included`;
}

const HAVE_PORTS: ReadonlySet<number> = new Set<number>([
  IpProtocol.TCP,
  IpProtocol.UDP,
  IpProtocol.UDPLITE,
  IpProtocol.SCTP,
  IpProtocol.DCCP,
]);

/** RFC 6335 §6: the first of the ports that hosts take for connections of theirs. */
const EPHEMERAL_PORT = 49_152;
