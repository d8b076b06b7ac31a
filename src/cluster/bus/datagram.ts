/**
 * Datagrams of the cluster bus, from the outside.
 *
 * | octets | field |
 * |---|---|
 * | 0 | kind: 1 initiation, 2 response, 3 challenge, 4 sealed |
 * | 1 | version: of the handshake (kinds 1 to 3), or the wire version agreed on (kind 4) |
 * | 2 | node that sends |
 * | 3 | node that is to receive |
 * | 4-7 | key id (kinds 1 and 3) or index of the receiver's session (kinds 2 and 4) |
 *
 * An initiation, a response and a challenge have one length each. A sealed datagram goes on with its
 * 64-bit counter and the ciphertext with its tag; these 16 octets are authenticated with it.
 */
import { equalOctets } from '../../wire/octets.ts';
import { isNodeId, type NodeId } from '../node-id.ts';
import type { BusCounter } from './bus-counters.ts';
import { EPHEMERAL_OCTETS, TAG_OCTETS } from './noise.ts';

export const DatagramKind = { INITIATION: 1, RESPONSE: 2, CHALLENGE: 3, SEALED: 4 } as const;

/** No datagram of the bus is longer, so that none is fragmented on an Ethernet. */
export const MAX_DATAGRAM_OCTETS = 1400;
export const HANDSHAKE_VERSION = 1;
/** Octets in front of what a handshake message or a challenge carries. */
export const HEADER_OCTETS = 8;
/** Octets in front of a sealed datagram's ciphertext. */
export const SEALED_HEADER_OCTETS = 16;
/** What one datagram can carry. */
export const MAX_PLAINTEXT_OCTETS = MAX_DATAGRAM_OCTETS - SEALED_HEADER_OCTETS - TAG_OCTETS;

export const CHALLENGE_OCTETS = 16;
/** Both handshake messages carry 32 octets: an answer is not longer than what asked for it. */
export const HANDSHAKE_OCTETS = HEADER_OCTETS + EPHEMERAL_OCTETS + 32 + TAG_OCTETS;
export const CHALLENGE_DATAGRAM_OCTETS = HEADER_OCTETS + CHALLENGE_OCTETS + TAG_OCTETS;

export interface DatagramHeader {
  readonly kind: number;
  readonly version: number;
  readonly from: NodeId;
  readonly to: NodeId;
  /** Key id or index of a session, by kind. */
  readonly number: number;
}

/** The header of octets from the network, or the counter that says why there is none. */
export function decodeHeader(octets: Uint8Array): DatagramHeader | BusCounter {
  if (octets.length < HEADER_OCTETS) return 'too-short';
  if (octets.length > MAX_DATAGRAM_OCTETS) return 'oversized';
  const view = new DataView(octets.buffer, octets.byteOffset, octets.byteLength);
  const [kind, version] = [view.getUint8(0), view.getUint8(1)];
  const [from, to] = [view.getUint8(2), view.getUint8(3)];
  const shortest = SHORTEST.get(kind);
  if (shortest === undefined) return 'unknown-kind';
  if (kind !== DatagramKind.SEALED && version !== HANDSHAKE_VERSION) return 'wrong-version';
  if (!isNodeId(from) || !isNodeId(to) || from === to) return 'unknown-node';
  if (octets.length < shortest) return 'too-short';
  if (kind !== DatagramKind.SEALED && octets.length !== shortest) return 'malformed';
  return { kind, version, from, to, number: view.getUint32(4) };
}

export function encodeHeader(header: DatagramHeader): Uint8Array {
  const octets = new Uint8Array(HEADER_OCTETS);
  octets.set([header.kind, header.version, header.from, header.to]);
  new DataView(octets.buffer).setUint32(4, header.number);
  return octets;
}

/** Octets that are not secret, of one length; spares a hash where one datagram is remembered. */
export function sameDatagram(one: Uint8Array | undefined, other: Uint8Array): boolean {
  return one !== undefined && equalOctets(one, other);
}

const SHORTEST: ReadonlyMap<number, number> = new Map([
  [DatagramKind.INITIATION, HANDSHAKE_OCTETS],
  [DatagramKind.RESPONSE, HANDSHAKE_OCTETS],
  [DatagramKind.CHALLENGE, CHALLENGE_DATAGRAM_OCTETS],
  [DatagramKind.SEALED, SEALED_HEADER_OCTETS + TAG_OCTETS],
]);
