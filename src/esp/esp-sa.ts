/**
 * What the packet path keeps of a Child SA: both directions' state and the numbers a packet needs
 * (RFC 4301 §4.4.2.1). Made when the SA is installed, never per packet.
 */
import { SA_COUNTERS } from '../events/shared-counters.ts';
import { innerMtu, type OuterPath } from '../ipsec/path-mtu.ts';
import { ReplayWindow } from '../ipsec/replay-window.ts';
import { SelectorPairs } from '../ipsec/selector-pairs.ts';
import { SequenceNumber } from '../ipsec/sequence-number.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { Endpoint } from '../wire/address.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';
import { UDP_HEADER } from '../wire/udp.ts';
import { type TrafficClassRule, trafficClassRule } from './ecn.ts';
import { type EspSuite, type EspTransforms, espSuite } from './esp-suite.ts';
import { PathMtu } from './path-mtu.ts';

/** A Child SA without its keys. */
export interface EspSaParameters extends EspTransforms {
  readonly id: number;
  readonly spiIn: number;
  readonly spiOut: number;
  readonly esn: boolean;
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly udpEncapsulation: boolean;
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  readonly replayWindow: number;
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: 'no' | 'in' | 'out' | 'yes';
  readonly priority: number;
  /** Rows of `SharedCounters.sas`. */
  readonly rowIn: number;
  readonly rowOut: number;
}

/** Names the native layer has for the SA's keys and outer addresses. */
export interface EspHandles {
  readonly contextIn: number;
  readonly contextOut: number;
  /** -1: there is no socket to send by. */
  readonly path: number;
}

/** State of one Child SA. `index` is its place in the packet path's table. */
export interface EspSa {
  readonly index: number;
  readonly parameters: EspSaParameters;
  readonly handles: EspHandles;
  readonly suite: EspSuite;
  readonly spiOut: number;
  readonly udpEncapsulation: boolean;
  readonly copyDf: boolean;
  readonly trafficClass: TrafficClassRule;
  readonly selectors: SelectorPairs;
  readonly window: ReplayWindow;
  readonly sequence: SequenceNumber;
  readonly pathMtu: PathMtu;
  /** Octets of the largest inner packet the path carries; follows `pathMtu`. */
  innerMtu: number;
  /** Where the counters of each direction start in `SharedCounters.sas`. */
  readonly countersIn: number;
  readonly countersOut: number;
}

/** What the machine's own links allow. */
export interface LinkMtu {
  /** Outer MTU assumed until a path says otherwise. */
  readonly outer: number;
  readonly tun: number;
}

export function createEspSa(
  index: number,
  parameters: EspSaParameters,
  handles: EspHandles,
  mtu: LinkMtu,
): EspSa {
  const pathMtu = new PathMtu(mtu.outer, parameters.remote.address.family);
  const sa: EspSa = {
    index,
    parameters,
    handles,
    suite: espSuite(parameters),
    spiOut: parameters.spiOut,
    udpEncapsulation: parameters.udpEncapsulation,
    copyDf: parameters.copyDf,
    trafficClass: trafficClassRule(parameters.copyDscp, parameters.copyEcn),
    selectors: SelectorPairs.of(parameters.localTs, parameters.remoteTs),
    window: new ReplayWindow(parameters.replayWindow, parameters.esn),
    sequence: new SequenceNumber(parameters.esn),
    pathMtu,
    innerMtu: 0,
    countersIn: parameters.rowIn * SA_COUNTERS,
    countersOut: parameters.rowOut * SA_COUNTERS,
  };
  updateInnerMtu(sa, mtu);
  return sa;
}

/** Brings `innerMtu` in line with `pathMtu`. */
export function updateInnerMtu(sa: EspSa, mtu: LinkMtu): void {
  sa.innerMtu = Math.min(mtu.tun, innerMtu(sa.pathMtu.octets, sa.suite, outerPath(sa)));
}

/** Octets of the outer packet around the ESP packet of `length` octets from SPI to ICV. */
export function outerLength(sa: EspSa, length: number): number {
  const ip = outerPath(sa).family === 4 ? IPV4_HEADER : IPV6_HEADER;
  return ip + (sa.udpEncapsulation ? UDP_HEADER : 0) + length;
}

function outerPath(sa: EspSa): OuterPath {
  return { family: sa.parameters.remote.address.family, udpEncapsulation: sa.udpEncapsulation };
}
