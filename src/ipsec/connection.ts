/**
 * A connection: one entry of the Peer Authorization Database (RFC 4301 §4.4.3) with the policies
 * of its Child SAs. Frozen; `config/` makes it, `ike/` reads it.
 */
import {
  type AddressRange,
  type IpAddress,
  isAnyAddress,
  type Prefix,
  prefixRange,
} from '../wire/address.ts';
import type { EncapsulationMode } from './child-sa.ts';
import type { Identity } from './identity.ts';
import type { ChildLifetime, IkeLifetime } from './lifetime.ts';
import type { Proposal } from './proposal.ts';
import {
  formatProtocolAndPorts,
  formatSelector,
  type TrafficSelector,
} from './traffic-selector.ts';

/** Where a peer or we ourselves may be: any address, one, a subnet, a range, or a name. */
export type AddressMatch =
  | { readonly kind: 'any'; readonly family?: 4 | 6 }
  | { readonly kind: 'address'; readonly address: IpAddress }
  | { readonly kind: 'prefix'; readonly prefix: Prefix }
  | { readonly kind: 'range'; readonly range: AddressRange }
  | { readonly kind: 'name'; readonly name: string };

/** What one side must show: `psk` is the only method so far. */
export interface Authentication {
  readonly method: 'psk';
  /** Undefined: local = our address, remote = any identity. */
  readonly id?: IdentityPattern;
}

/** An identity, possibly with wildcards (`*@example.org`, `%any`). */
export interface IdentityPattern {
  /** As configured, for listings and messages. */
  readonly text: string;
  /** The exact identity; undefined for a pattern. */
  readonly identity?: Identity;
}

/** A selector that stands for our own address, or the peer's, is `dynamic` until an SA exists. */
export type SelectorTemplate =
  | {
      readonly kind: 'dynamic';
      readonly protocol: number;
      readonly startPort: number;
      readonly endPort: number;
    }
  | { readonly kind: 'fixed'; readonly selector: TrafficSelector };

/** The selector, with `dynamic` replaced by an address; 0.0.0.0 and :: stand for all of their family. */
export function resolveSelector(template: SelectorTemplate, address: IpAddress): TrafficSelector {
  if (template.kind === 'fixed') return template.selector;
  const { protocol, startPort, endPort } = template;
  const length = isAnyAddress(address) ? 0 : address.octets.length * 8;
  return { range: prefixRange({ address, length }), protocol, startPort, endPort };
}

/** As strongSwan lists it: `dynamic[tcp/22]` or the selector itself. */
export function formatSelectorTemplate(template: SelectorTemplate): string {
  return template.kind === 'fixed'
    ? formatSelector(template.selector)
    : `dynamic${formatProtocolAndPorts(template)}`;
}

/** What is done for a child without being asked: a trap waits for its traffic. */
export type StartAction = 'none' | 'trap' | 'start' | 'trap|start';
export type DpdAction = 'clear' | 'trap' | 'restart';

export function wantsTrap(action: StartAction | DpdAction): boolean {
  return action === 'trap' || action === 'trap|start';
}

export function wantsStart(action: StartAction | DpdAction): boolean {
  return action === 'start' || action === 'trap|start' || action === 'restart';
}

/** `tfc_padding = mtu`: no packet is longer. */
export const FULL_PATH = 0xffff;

/** `pass` and `drop` are shunts: policies without an SA (RFC 4301 §4.4.1 BYPASS, DISCARD). */
export type ChildMode = EncapsulationMode | 'pass' | 'drop';

/** An SA carries what such a child's selectors describe; with a shunt there is none. */
export function isProtecting(mode: ChildMode): mode is EncapsulationMode {
  return mode !== 'pass' && mode !== 'drop';
}

/** Policy of one Child SA: `connections.NAME.children.CHILD`. */
export interface ChildPolicy {
  readonly name: string;
  readonly mode: ChildMode;
  readonly proposals: readonly Proposal[];
  readonly localTs: readonly SelectorTemplate[];
  readonly remoteTs: readonly SelectorTemplate[];
  readonly startAction: StartAction;
  readonly closeAction: StartAction;
  readonly dpdAction: DpdAction;
  /** Packets; a multiple of 32 up to 65536. */
  readonly replayWindow: number;
  readonly copyDf: boolean;
  readonly copyEcn: boolean;
  readonly copyDscp: 'no' | 'in' | 'out' | 'yes';
  /** ICMP errors about its packets fit it, too, whatever their own addresses (RFC 4301 §6.2). */
  readonly icmpErrors: boolean;
  /**
   * Fragments without ports follow their first one through selectors that name ports (RFC 4301 §7.3):
   * `yes` asks the peer for it, `accept` agrees when it asks.
   */
  readonly nonFirstFragments: 'yes' | 'accept' | 'no';
  /**
   * Octets that inner packets are padded to against who counts them (RFC 4303 §2.7), no further than
   * the path carries; 0 = not, `FULL_PATH` = all of that.
   */
  readonly tfcPadding: number;
  /** Dummy packets a second (RFC 4303 §2.6). */
  readonly dummyPackets: number;
  /** Lower is stronger, 0 = by selector width. */
  readonly priority: number;
  /** 0 = assigned. */
  readonly reqid: number;
  readonly lifetime: ChildLifetime;
  /** A Child SA that carries nothing for so long is deleted; 0 = never. */
  readonly inactivitySeconds: number;
}

/** `connections.NAME`. */
export interface Connection {
  readonly name: string;
  readonly localAddresses: readonly AddressMatch[];
  readonly remoteAddresses: readonly AddressMatch[];
  readonly localPort: number;
  readonly remotePort: number;
  readonly proposals: readonly Proposal[];
  readonly local: Authentication;
  readonly remote: Authentication;
  /** Force UDP encapsulation by faking NAT detection. */
  readonly encap: boolean;
  /** 0 = no liveness checks. */
  readonly dpdDelaySeconds: number;
  /** Attempts to establish; 0 = forever. */
  readonly keyingTries: number;
  readonly unique: 'no' | 'never' | 'keep' | 'replace';
  readonly lifetime: IkeLifetime;
  /** RFC 4555. */
  readonly mobike: boolean;
  /**
   * RFC 7383: `accept` takes fragments but sends none; `no` does not announce them, and takes them
   * all the same. `force` is `yes`: it meant IKEv1.
   */
  readonly fragmentation: 'yes' | 'accept' | 'force' | 'no';
  /** RFC 6023: `prefer` and `force` create the first Child SA by CREATE_CHILD_SA. */
  readonly childless: 'allow' | 'prefer' | 'force' | 'never';
  /** Virtual addresses to ask for; 0.0.0.0 and :: leave the choice to the peer. */
  readonly vips: readonly IpAddress[];
  /** Names of the pools that peers get virtual addresses and attributes from. */
  readonly pools: readonly string[];
  readonly children: readonly ChildPolicy[];
}
