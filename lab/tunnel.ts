/**
 * What carries packets between g1 and g2 in place of plain routes, whoever made it: a pair of IPsec
 * gateways, or of other programs they are compared with.
 */
import type { Family } from './topology.ts';

export interface Tunnel {
  /** Ends the processes at both gateways; their devices and routes go with them. */
  stop(): Promise<void>;
}

export interface TunnelTerms {
  /** Of the packets inside and of those outside. */
  readonly family: Family;
  /** As swanctl.conf writes it: `aes128gcm16`. */
  readonly cipher: string;
}

/** This machine, or this build of a peer, has no such tunnel; the message says what is missing. */
export class NotAvailable extends Error {
  override readonly name = 'NotAvailable';
}
