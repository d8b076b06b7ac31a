/**
 * Transport mode and BEET instead of a tunnel (RFC 7296 §1.3.1, §2.23.1).
 *
 * Who wants another mode says so by a notify, who grants it answers the same; without both the Child
 * SA is a tunnel. Behind a NAT each end puts the addresses it sees where the other wrote those that it
 * sees, and keeps what was written: the other's checksums are made of it.
 */
import type { AddressPair, EncapsulationMode } from '../ipsec/child-sa.ts';
import type { ChildMode, Connection } from '../ipsec/connection.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import { equalAddresses, type IpAddress } from '../wire/address.ts';
import { fromHex } from '../wire/octets.ts';
import type { SelectorEnds } from './child-limits.ts';
import type { NotifyPayload, Payload, VendorPayload } from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';
import type { NatDetection } from './nat-detection.ts';
import { notifiesOf, statusNotify } from './payload-access.ts';

/** Modes in which both ends are single addresses. */
export type HostMode = Exclude<EncapsulationMode, 'tunnel'>;

/** The outer addresses as we see them, and who of them is behind a NAT. */
export interface SeenEnds extends AddressPair {
  readonly localBehindNat: boolean;
  readonly remoteBehindNat: boolean;
}

/** A mode that the peer asks for or grants, and the addresses that it would be between. */
export interface ModeOffer {
  readonly mode: HostMode;
  readonly ends: SeenEnds;
}

/** An IKE SA, as far as its addresses go. */
export interface ModeEnds {
  readonly local: { readonly address: IpAddress };
  readonly remote: { readonly address: IpAddress };
}

/**
 * strongSwan's private number. Of any other peer it may mean anything; it counts only where BEET is
 * configured for the peer.
 */
const USE_BEET_MODE = 40961;

const NOTIFIES: Readonly<Record<HostMode, number>> = {
  transport: NotifyType.USE_TRANSPORT_MODE,
  beet: USE_BEET_MODE,
};

/**
 * strongSwan heeds the notify only of who knows its private numbers, which its vendor ID says
 * (RFC 7296 §3.12). Ours is sent where BEET is configured, and to nobody else.
 */
const KNOWS_BEET: VendorPayload = {
  kind: 'VENDOR',
  vendorId: fromHex('882fe56d6fd20dbc2251613b2ebe5beb'),
};

/** In IKE_SA_INIT, of either role, for the connections that it may turn out to be. */
export function modeVendorIds(connections: readonly Connection[]): readonly VendorPayload[] {
  const beet = connections.some(({ children }) => children.some(({ mode }) => mode === 'beet'));
  return beet ? [KNOWS_BEET] : [];
}

/** The mode unless it is a tunnel or none at all. */
export function hostMode(mode: ChildMode): HostMode | undefined {
  return mode === 'transport' || mode === 'beet' ? mode : undefined;
}

/** Asks for the mode, or grants it; nothing for a tunnel. */
export function modeNotifies(mode: HostMode | undefined): readonly NotifyPayload[] {
  return mode === undefined ? [] : [statusNotify(NOTIFIES[mode])];
}

/** The mode that a message names besides the tunnel. */
export function modeOffer(
  { local, remote }: ModeEnds,
  { localBehindNat, remoteBehindNat }: NatDetection,
  payloads: readonly Payload[],
): ModeOffer | undefined {
  const modes = ['transport', 'beet'] as const;
  const mode = modes.find((one) => notifiesOf(payloads, NOTIFIES[one]).length > 0);
  const pair = { local: local.address, remote: remote.address };
  return mode && { mode, ends: { ...pair, localBehindNat, remoteBehindNat } };
}

/** Transport mode is between the outer addresses, BEET between any one and any other of a family. */
export function fitsMode(mode: HostMode, ends: AddressPair, selectors: SelectorEnds): boolean {
  const local = onlyAddress(selectors.localTs);
  const remote = onlyAddress(selectors.remoteTs);
  if (!local || !remote) return false;
  if (mode === 'beet') return local.family === remote.family;
  return equalAddresses(local, ends.local) && equalAddresses(remote, ends.remote);
}

/** Selectors as an offer or a grant has them, and what the peer's checksums are made of. */
export interface SeenSelectors extends SelectorEnds {
  readonly peerAddresses?: AddressPair;
}

/**
 * The peer's selectors with the addresses that we see; undefined where they are not of two single
 * addresses although there is a NAT.
 */
export function selectorsAsSeen(ends: SeenEnds, theirs: SelectorEnds): SeenSelectors | undefined {
  const { localBehindNat, remoteBehindNat } = ends;
  if (!localBehindNat && !remoteBehindNat) return theirs;
  const written = pairOf(onlyAddress(theirs.localTs), onlyAddress(theirs.remoteTs));
  if (!written) return undefined;
  // RFC 7296 §2.23.1: before the selectors are used for anything but remembering them.
  const local = localBehindNat ? ends.local : written.local;
  const remote = remoteBehindNat ? ends.remote : written.remote;
  const same = equalAddresses(local, written.local) && equalAddresses(remote, written.remote);
  return {
    localTs: theirs.localTs.map((selector) => ofAddress(selector, local)),
    remoteTs: theirs.remoteTs.map((selector) => ofAddress(selector, remote)),
    ...(!same && { peerAddresses: written }),
  };
}

/** The one address that all of the selectors are of. */
function onlyAddress(selectors: readonly TrafficSelector[]): IpAddress | undefined {
  const address = selectors[0]?.range.first;
  const only =
    address &&
    selectors.every(
      ({ range }) => equalAddresses(range.first, address) && equalAddresses(range.last, address),
    );
  return only ? address : undefined;
}

function pairOf(
  local: IpAddress | undefined,
  remote: IpAddress | undefined,
): AddressPair | undefined {
  return local && remote && { local, remote };
}

function ofAddress(selector: TrafficSelector, address: IpAddress): TrafficSelector {
  return { ...selector, range: { first: address, last: address } };
}
