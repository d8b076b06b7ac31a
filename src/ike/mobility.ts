/**
 * What an IKE SA knows for moving between addresses (RFC 4555).
 */
import type { IpAddress } from '../wire/address.ts';

export class Mobility {
  /** Both ends move by RFC 4555. */
  agreed = false;
  /** Where else the peer said it can be reached. */
  peerAddresses: readonly IpAddress[] = NOTHING;
  /** Our further addresses as the peer knows them. */
  addressesTold = '';
  /** The peer's last hash of where our messages come from: another one means another NAT mapping. */
  mappingSeen: Uint8Array | undefined;
  /** Repetitions of the request in flight at which other paths were tried; 0 = none. */
  probed = 0;
}

/** One for all: thousands of IKE SAs have nothing here. */
const NOTHING: readonly never[] = [];
