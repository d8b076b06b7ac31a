/**
 * What the packet path keeps of a Child SA: both directions' state and the numbers a packet needs
 * (RFC 4301 §4.4.2.1). Made when the SA is installed, never per packet.
 */

import { DropReason } from '../events/drop-reason.ts';
import { SA_COUNTERS, SaCounter } from '../events/shared-counters.ts';
import type {
  AddressPair,
  EncapsulationMode,
  OutboundUse,
  TrafficLimits,
} from '../ipsec/child-sa.ts';
import { innerMtu, type MeasuredMtu, type OuterPath } from '../ipsec/path-mtu.ts';
import { ReplayWindow } from '../ipsec/replay-window.ts';
import { SelectorPairs } from '../ipsec/selector-pairs.ts';
import { SequenceNumber } from '../ipsec/sequence-number.ts';
import { namesPorts, type TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { Endpoint } from '../wire/address.ts';
import type { Instant } from '../wire/instant.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';
import { UDP_HEADER } from '../wire/udp.ts';
import type { ClusterParameters, ClusterShare } from './cluster-share.ts';
import { type TrafficClassRule, trafficClassRule } from './ecn.ts';
import { type EspSuite, type EspTransforms, espSuite } from './esp-suite.ts';
import { type HostEnds, hostEnds, Mode } from './host-ends.ts';
import { PathMtu } from './path-mtu.ts';
import { PeerOrigin } from './peer-origin.ts';
import { TrafficMeter } from './traffic-meter.ts';

/** Where an SA's packets go and come from; the ports count only with `udpEncapsulation`. */
export interface EspSaEnds {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly udpEncapsulation: boolean;
}

/** A Child SA without its keys. */
export interface EspSaParameters extends EspTransforms, EspSaEnds {
  readonly id: number;
  readonly spiIn: number;
  readonly spiOut: number;
  readonly mode: EncapsulationMode;
  /** As in `ChildSa`. */
  readonly peerAddresses?: AddressPair;
  readonly esn: boolean;
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  readonly replayWindow: number;
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: 'no' | 'in' | 'out' | 'yes';
  /** ICMP errors about its packets fit it, too, whatever their own addresses (RFC 4301 §6.2). */
  readonly icmpErrors: boolean;
  readonly priority: number;
  /** Later fragments go where their first one goes, whatever ports the selectors name (RFC 4301 §7.3). */
  readonly nonFirstFragments: boolean;
  /** Octets that inner packets are padded to, as far as the path carries them; 0 = not. */
  readonly tfcPadding: number;
  /** Dummy packets that it sends, a second. */
  readonly dummyPackets: number;
  readonly limits: TrafficLimits;
  /** What its path was found to carry, before it was there. */
  readonly measured?: MeasuredMtu;
  /** Whether it sends, to begin with. */
  readonly outbound: OutboundUse;
  /** Where several nodes may carry it. */
  readonly cluster?: ClusterParameters;
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
  readonly suite: EspSuite;
  readonly spiOut: number;
  /** One of `Mode`. */
  readonly mode: number;
  /** Undefined in a tunnel. */
  readonly hosts: HostEnds | undefined;
  readonly copyDf: boolean;
  readonly trafficClass: TrafficClassRule;
  readonly selectors: SelectorPairs;
  /** The selectors ask for ports, which later fragments do not show. */
  readonly namesPorts: boolean;
  /** Ports that a first fragment showed count for the later ones. */
  readonly tracksFragments: boolean;
  readonly window: ReplayWindow;
  readonly sequence: SequenceNumber;
  readonly meterIn: TrafficMeter;
  readonly meterOut: TrafficMeter;
  /** Where the counters of each direction start in `SharedCounters.sas`. */
  readonly countersIn: number;
  readonly countersOut: number;
  /** Whether it sends now. */
  outbound: OutboundUse;
  /** Why a packet that it protects cannot leave, whatever the packet; NONE = it can. */
  withheld: number;
  /** Set where several nodes may carry it. */
  share: ClusterShare | undefined;
  /** The ends and what follows from them, until a move; `handles` names the path to the peer. */
  ends: EspSaEnds;
  handles: EspHandles;
  origin: PeerOrigin;
  pathMtu: PathMtu;
  /** Octets of the largest inner packet the path carries; follows `pathMtu`. */
  innerMtu: number;
  /** Octets that inner packets are padded to: what is configured, as far as `innerMtu` allows. */
  tfcOctets: number;
  /** When a move of the peer was last reported. */
  moveReported: Instant | undefined;
  /** The strictest limit that was reported; `Limit` has the numbers. */
  limitReported: number;
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
  const { esn, limits, localTs, peerAddresses, remote, remoteTs } = parameters;
  const hosts = hostEnds(parameters.mode, localTs, remoteTs, peerAddresses);
  const ports = localTs.some(namesPorts) || remoteTs.some(namesPorts);
  const sa: EspSa = {
    index,
    parameters,
    suite: espSuite(parameters, parameters.cluster !== undefined),
    spiOut: parameters.spiOut,
    mode: hosts ? Mode[parameters.mode] : Mode.tunnel,
    hosts,
    copyDf: parameters.copyDf,
    trafficClass: hosts ? WHOLE_CLASS : trafficClassRule(parameters.copyDscp, parameters.copyEcn),
    selectors: SelectorPairs.of(localTs, remoteTs),
    namesPorts: ports,
    // RFC 4301 §7: outside of tunnels there are no fragments.
    tracksFragments: !hosts && ports && parameters.nonFirstFragments,
    window: new ReplayWindow(parameters.replayWindow, esn),
    sequence: new SequenceNumber(esn),
    meterIn: TrafficMeter.of(limits),
    meterOut: TrafficMeter.of(limits),
    countersIn: parameters.rowIn * SA_COUNTERS,
    countersOut: parameters.rowOut * SA_COUNTERS,
    outbound: parameters.outbound,
    withheld: DropReason.NONE,
    share: undefined,
    ends: parameters,
    handles,
    origin: new PeerOrigin(parameters.local.address, remote),
    pathMtu: new PathMtu(mtu.outer, remote.address.family),
    innerMtu: 0,
    tfcOctets: 0,
    moveReported: undefined,
    limitReported: 0,
  };
  if (parameters.measured) sa.pathMtu.measure(parameters.measured);
  updateInnerMtu(sa, mtu);
  updateWithheld(sa);
  return sa;
}

/**
 * The SA goes on where another keeper of it ended, by its counters: behind the last sequence number
 * that was taken, and behind the newest packet that was accepted. A number that may have been used is
 * not used again, one that may have arrived is not accepted again (RFC 4303 §3.3.3, §3.4.3).
 */
export function resumeEspSa(sa: EspSa, counters: Float64Array): void {
  const { countersIn, countersOut } = sa;
  const used = counters[countersOut + SaCounter.SEQUENCE]!;
  const top = counters[countersIn + SaCounter.SEQUENCE]!;
  sa.sequence.resumeAfter(Math.floor(used / HALF), used % HALF);
  sa.window.resumeAfter(Math.floor(top / HALF), top % HALF);
  for (const [meter, at] of [
    [sa.meterIn, countersIn],
    [sa.meterOut, countersOut],
  ] as const) {
    meter.resume(counters[at + SaCounter.PACKETS]!, counters[at + SaCounter.OCTETS]!);
  }
}

const HALF = 0x1_0000_0000;

/** The SA goes on from and to other addresses; what its path carries is to be learned anew. */
export function moveEspSa(sa: EspSa, ends: EspSaEnds, path: number, mtu: LinkMtu): void {
  sa.ends = ends;
  sa.handles = { ...sa.handles, path };
  sa.origin = new PeerOrigin(ends.local.address, ends.remote);
  sa.pathMtu = new PathMtu(mtu.outer, ends.remote.address.family);
  updateInnerMtu(sa, mtu);
  updateWithheld(sa);
}

/** Brings in line what follows from path and share. */
export function updateWithheld(sa: EspSa): void {
  const unreachable = sa.handles.path < 0 ? DropReason['send-unreachable'] : DropReason.NONE;
  sa.withheld = sa.share?.withheld || unreachable;
}

/** Brings in line with `pathMtu` what follows from it. */
export function updateInnerMtu(sa: EspSa, mtu: LinkMtu): void {
  sa.innerMtu = Math.min(mtu.tun, innerMtu(sa.pathMtu.octets, sa.suite, outerPath(sa)));
  // RFC 4303 §2.7: only a whole packet says itself where it ends.
  sa.tfcOctets = sa.hosts ? 0 : Math.min(sa.parameters.tfcPadding, sa.innerMtu);
}

/** Octets of the outer packet around the ESP packet of `length` octets from SPI to ICV. */
export function outerLength(sa: EspSa, length: number): number {
  const { family, udpEncapsulation } = outerPath(sa);
  return (family === 4 ? IPV4_HEADER : IPV6_HEADER) + (udpEncapsulation ? UDP_HEADER : 0) + length;
}

function outerPath({ ends, hosts }: EspSa): OuterPath {
  const { remote, udpEncapsulation } = ends;
  return { family: remote.address.family, udpEncapsulation, shed: hosts?.headerLength ?? 0 };
}

/** Outside of tunnels there is one header: the class in it is the packet's. */
const WHOLE_CLASS = trafficClassRule('out', true);
