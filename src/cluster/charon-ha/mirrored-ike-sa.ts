/**
 * An IKE SA with its Child SAs as the other node of a strongSwan HA cluster told of it: plain data, all
 * that is needed to go on with it, but for what charon does not replicate.
 *
 * That is: sequence numbers and replay windows, responses to repeat, requests under way, lifetimes.
 */
import type { SecretBytes } from '../../crypto/secret-bytes.ts';
import type { EncapsulationMode, EspKeys } from '../../ipsec/child-sa.ts';
import type { Identity } from '../../ipsec/identity.ts';
import type { ChosenProposal } from '../../ipsec/proposal.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type { TrafficSelector } from '../../ipsec/traffic-selector.ts';
import type { Endpoint, IpAddress } from '../../wire/address.ts';
import type { Instant } from '../../wire/instant.ts';
import type { HaIkeSaId } from './attribute.ts';
import type { HaChildMaterial } from './child-add.ts';
import type { HaIkeMaterial } from './ike-add.ts';
import type { HaIkeDetails } from './ike-update.ts';

/** The keys of RFC 7296 §2.14. */
export interface HaIkeKeys {
  readonly skD: SecretBytes;
  readonly skAi: SecretBytes;
  readonly skAr: SecretBytes;
  readonly skEi: SecretBytes;
  readonly skEr: SecretBytes;
  readonly skPi: SecretBytes;
  readonly skPr: SecretBytes;
}

/** `connecting`: its keys are known, who it belongs to is not. */
export type HaIkeSaState = 'connecting' | 'passive' | 'active';

export interface MirroredIkeSa {
  readonly id: HaIkeSaId;
  readonly state: HaIkeSaState;
  readonly proposal: ChosenProposal;
  readonly keys: HaIkeKeys;
  readonly remote: Endpoint;
  readonly local?: Endpoint;
  readonly localId?: Identity;
  readonly remoteId?: Identity;
  readonly remoteEapId?: Identity;
  readonly conditions: number;
  readonly extensions: number;
  readonly connection?: string;
  readonly peerAddresses: readonly Endpoint[];
  readonly localVips: readonly IpAddress[];
  readonly remoteVips: readonly IpAddress[];
  /** Message ids of our next request and of the next one expected. */
  readonly nextRequest: number;
  readonly expectedRequest: number;
  /** When we heard of its keys. */
  readonly since: Instant;
  readonly children: readonly MirroredChildSa[];
}

export interface MirroredChildSa {
  /** Name of the child in the configuration. */
  readonly name: string;
  readonly spiIn: Spi;
  readonly spiOut: Spi;
  readonly mode: EncapsulationMode;
  readonly proposal: ChosenProposal;
  readonly keysIn: EspKeys;
  readonly keysOut: EspKeys;
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  /** When we heard of it. */
  readonly since: Instant;
}

/** Derives keys; undefined where an algorithm is not known. It stands where `ike` may be imported. */
export interface HaKeySchedule {
  ikeKeys(material: HaIkeMaterial): HaIkeKeys | undefined;
  childKeys(
    ikeSa: Pick<MirroredIkeSa, 'proposal' | 'keys'>,
    material: HaChildMaterial,
  ): { readonly keysIn: EspKeys; readonly keysOut: EspKeys } | undefined;
}

/** Both SPIs: what an IKE SA is found by. */
export function haIkeSaKey(id: Pick<HaIkeSaId, 'initiatorSpi' | 'responderSpi'>): string {
  return id.initiatorSpi + id.responderSpi;
}

/** An IKE SA of which only the keys are known; it inherits from the one it replaces. */
export function mirroredIkeSa(
  { id, proposal, remote, rekeyed }: HaIkeMaterial,
  keys: HaIkeKeys,
  since: Instant,
  replaced: MirroredIkeSa | undefined,
): MirroredIkeSa {
  // RFC 7296 §2.2: IKE_SA_INIT was the first request of an IKE SA; one that replaces begins anew.
  const made = rekeyed === undefined ? 1 : 0;
  return {
    conditions: 0,
    extensions: 0,
    peerAddresses: [],
    localVips: [],
    remoteVips: [],
    children: [],
    ...replaced,
    id,
    state: 'connecting',
    proposal,
    keys,
    remote,
    nextRequest: id.initiator ? made : 0,
    expectedRequest: id.initiator ? 0 : made,
    since,
  };
}

/** What an IKE_UPDATE says, on top of what was known. */
export function updatedIkeSa(ikeSa: MirroredIkeSa, details: HaIkeDetails): MirroredIkeSa {
  return { ...ikeSa, ...details, id: ikeSa.id };
}

/** With a Child SA more, or another one of the same SPI. */
export function withChild(ikeSa: MirroredIkeSa, child: MirroredChildSa): MirroredIkeSa {
  return { ...ikeSa, children: [...withoutChild(ikeSa, child.spiIn).children, child] };
}

export function withoutChild(ikeSa: MirroredIkeSa, spiIn: number): MirroredIkeSa {
  return { ...ikeSa, children: ikeSa.children.filter((child) => child.spiIn !== spiIn) };
}

/**
 * The number a Child SA may send from when nobody told how far the other node had counted: one that no
 * sender of `MOST_PER_SECOND` can have reached. Replace the SA soon afterwards: half of its numbers may
 * be gone.
 */
export function haOutboundFloor(child: Pick<MirroredChildSa, 'since'>, now: Instant): number {
  // RFC 4303 §3.4.3: a receiver takes any number to the right of its window.
  const seconds = Math.max(0, now - child.since) / 1000;
  return Math.min(Math.ceil(seconds * MOST_PER_SECOND) + SLACK, HIGHEST_FLOOR);
}

const MOST_PER_SECOND = 1_000_000;
/** For what was sent before the message about it came. */
const SLACK = 0x1_0000;
/** Numbers of 32 bits must last until the SA is replaced. */
const HIGHEST_FLOOR = 0x8000_0000;
