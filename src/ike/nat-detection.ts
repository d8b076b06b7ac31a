/**
 * NAT detection (RFC 7296 §2.23): each side hashes the addresses it sees; a hash that does not fit
 * tells that something between rewrote them.
 */
import { digest } from '../crypto/digest.ts';
import type { Endpoint } from '../wire/address.ts';
import { concatOctets, equalOctets, fromHex } from '../wire/octets.ts';
import type { IkeSpi, NotifyPayload, Payload } from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';
import { notifiesOf, statusNotify } from './payload-access.ts';

export interface NatDetection {
  /** The peer supports NAT traversal: it sent both notifies. */
  readonly supported: boolean;
  readonly localBehindNat: boolean;
  readonly remoteBehindNat: boolean;
}

export const NO_NAT_TRAVERSAL: NatDetection = {
  supported: false,
  localBehindNat: false,
  remoteBehindNat: false,
};

/**
 * Does ESP go into UDP, and the initiator to port 4500? With `fake` our source hash fitted no
 * address, so the peer saw a NAT and concludes the same.
 */
export function needsEncapsulation(nat: NatDetection, fake: boolean): boolean {
  return nat.supported && (nat.localBehindNat || nat.remoteBehindNat || fake);
}

/** SHA-1 over SPIi | SPIr | address | port. */
export function natDetectionHash(spiI: IkeSpi, spiR: IkeSpi, endpoint: Endpoint): Uint8Array {
  const port = Uint8Array.of(endpoint.port >> 8, endpoint.port & 0xff);
  return digest('sha1', concatOctets(fromHex(spiI), fromHex(spiR), endpoint.address.octets, port));
}

/**
 * The two notifies of a message from `local` to `remote`. With `fake` the source hash fits no
 * address, so that the peer sees us behind a NAT and encapsulates (swanctl's `encap = yes`).
 */
export function natDetectionNotifies(
  spiI: IkeSpi,
  spiR: IkeSpi,
  ends: { readonly local: Endpoint; readonly remote: Endpoint },
  fake: boolean,
): readonly NotifyPayload[] {
  const source = fake ? { address: ends.local.address, port: 0 } : ends.local;
  return [
    statusNotify(NotifyType.NAT_DETECTION_SOURCE_IP, natDetectionHash(spiI, spiR, source)),
    statusNotify(
      NotifyType.NAT_DETECTION_DESTINATION_IP,
      natDetectionHash(spiI, spiR, ends.remote),
    ),
  ];
}

/** What the peer's notifies say about a message that arrived at `local` from `remote`. */
export function detectNat(
  payloads: readonly Payload[],
  spiI: IkeSpi,
  spiR: IkeSpi,
  ends: { readonly local: Endpoint; readonly remote: Endpoint },
): NatDetection {
  const sources = notifiesOf(payloads, NotifyType.NAT_DETECTION_SOURCE_IP);
  const destinations = notifiesOf(payloads, NotifyType.NAT_DETECTION_DESTINATION_IP);
  if (sources.length === 0 || destinations.length === 0) return NO_NAT_TRAVERSAL;
  const fits = (notifies: readonly NotifyPayload[], endpoint: Endpoint) => {
    const hash = natDetectionHash(spiI, spiR, endpoint);
    return notifies.some((notify) => equalOctets(notify.data, hash));
  };
  return {
    supported: true,
    localBehindNat: !fits(destinations, ends.local),
    // RFC 7296 §2.23: a sender with several addresses sends several source hashes; one must fit.
    remoteBehindNat: !fits(sources, ends.remote),
  };
}
