/**
 * The answer of `tsgw trace`: what would become of a packet, with every figure it follows from.
 * The SAs stand beside it (`TraceResult`).
 */
export interface TraceView {
  readonly direction: 'out' | 'in';
  readonly packet: TracedPacketView;
  readonly device: DeviceView;
  /** What the packet is held against in the order of look-up, the one that decides last. */
  readonly policies: readonly TracedPolicyView[];
  /** How many it does not fit, those left out of `policies` too. */
  readonly passed: number;
  /** How many there are. */
  readonly all: number;
  readonly action: TraceAction;
  /** What follows from the Child SA that carries it out, or took it in. */
  readonly carrier?: CarrierView;
  /** Child SAs for the same traffic that do not send. */
  readonly others: readonly OtherChildView[];
  /** Remarks on what follows for packets like it. */
  readonly notes: readonly string[];
  readonly verdict: VerdictView;
}

/** The device that the inside sees. */
export interface DeviceView {
  readonly name: string;
  /** The most it takes, octets. */
  readonly mtu: number;
  /** Where the host routes the packet to; nothing is known of one from the tunnel. */
  readonly route?: TracedRoute;
}

export type TracedRoute = 'device' | 'elsewhere' | 'nowhere';

export type TraceAction = 'protect' | 'bypass' | 'discard' | 'trap' | 'none';

export interface TracedPacketView {
  readonly source: string;
  readonly destination: string;
  /** `tcp/443`, `icmp/8`, `any`. */
  readonly traffic: string;
  readonly sourcePort?: number;
  readonly sourcePortAssumed: boolean;
  /** Octets; 0 where nobody said and nothing follows from it. */
  readonly size: number;
  /** Nobody said: it is the largest that passes whole. */
  readonly sizeAssumed: boolean;
  readonly dontFragment: boolean;
}

/** A policy outbound; inbound the selectors of an SA. */
export interface TracedPolicyView {
  readonly ike: string;
  readonly child: string;
  readonly action: TraceAction;
  readonly local: string;
  readonly remote: string;
  /** Outbound only. */
  readonly priority?: number;
  readonly spi: string;
  /** The names of what the packet does not fit; empty where it fits. */
  readonly misses: readonly string[];
}

export interface OtherChildView {
  readonly ike: string;
  readonly child: string;
  readonly uniqueId: number;
  readonly state: string;
  /** Why it does not send. */
  readonly why: string;
}

export interface CarrierView {
  readonly encapsulation: EncapsulationView;
  readonly pathMtu: {
    readonly octets: number;
    /** Otherwise assumed. */
    readonly learned: boolean;
    readonly seconds: number;
  };
  /** Octets of the largest inner packet that passes whole. */
  readonly innerMtu: number;
  /** Of the packet, or of the largest of its fragments. */
  readonly budget: BudgetView;
  /** What the MSS of a TCP SYN is lowered to. */
  readonly mss?: number;
  readonly sequence: {
    /** The last that was used; inbound the top of the window. */
    readonly last: number;
    readonly bits: 32 | 64;
    /** Inbound only. */
    readonly replayWindow?: number;
  };
  readonly limits: LimitsView;
}

/** Where the outer packet goes; the ports are there with UDP. */
export interface EncapsulationView {
  readonly protocol: 'udp' | 'esp';
  readonly local: string;
  readonly localPort?: number;
  readonly remote: string;
  readonly remotePort?: number;
  /** Of the outer packet. */
  readonly dontFragment: boolean;
}

/** The octets of the outer packet, in their order. */
export interface BudgetView {
  readonly outerIp: number;
  readonly udp: number;
  readonly espHeader: number;
  readonly iv: number;
  readonly inner: number;
  readonly tfcPadding: number;
  readonly padding: number;
  readonly trailer: number;
  readonly icv: number;
  readonly total: number;
}

/** What the direction counted against its limits; a limit of 0 is none. */
export interface LimitsView {
  readonly reached: 'none' | 'soft' | 'hard';
  readonly packets: number;
  readonly octets: number;
  readonly softPackets: number;
  readonly hardPackets: number;
  readonly softOctets: number;
  readonly hardOctets: number;
}

export interface VerdictView {
  readonly outcome:
    | 'sent'
    | 'fragmented'
    | 'bypassed'
    | 'held'
    | 'dropped'
    | 'accepted'
    | 'elsewhere';
  /** The counter it would be dropped under. */
  readonly reason?: string;
  /** One line. */
  readonly what: string;
  /** What the operator can do next. */
  readonly next: readonly string[];
}
