/**
 * A message as it reaches an IKE SA (RFC 7296 §3.1).
 */
import type { IkeHeader, Payload } from './message/message.ts';
import type { Path } from './path.ts';

/** A message that arrived, decoded and, but for IKE_SA_INIT, authenticated. */
export interface Incoming extends Path {
  readonly header: IkeHeader;
  readonly payloads: readonly Payload[];
  /** The datagram; of a message in fragments, the last that came. */
  readonly octets: Uint8Array;
  /** Octets of each fragment's datagram. */
  readonly fragments?: readonly number[];
}
