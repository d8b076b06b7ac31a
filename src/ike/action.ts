/**
 * What goes into the IKE engine and what comes out (style: `handle(input, now) → Action[]`).
 *
 * An action says what must happen, never how; only `gateway.ts` performs it.
 */
import type { Event } from '../events/event.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { Endpoint } from '../wire/address.ts';

/** Names SAs for termination the way swanctl does; unset = any. */
export interface SaSelector {
  readonly ike?: string;
  readonly ikeSaId?: number;
  readonly child?: string;
  readonly childSaId?: number;
}

export type Input =
  | {
      readonly kind: 'datagram';
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly octets: Uint8Array;
    }
  /** Answered by a `complete` action with the same request number. `local`/`remote` are resolved. */
  | {
      readonly kind: 'initiate';
      readonly request: number;
      readonly connection: string;
      readonly child?: string;
      readonly local: Endpoint;
      readonly remote: Endpoint;
    }
  | {
      readonly kind: 'terminate';
      readonly request: number;
      readonly selector: SaSelector;
      readonly force: boolean;
    }
  /** Delete every SA and tell the peers; completes when they answered or were tried. */
  | { readonly kind: 'shutdown'; readonly request: number }
  /** The clock passed `nextDeadline()`. */
  | { readonly kind: 'deadline' };

/** How a request ended; `kind` maps to the CLI's exit codes. */
export type Outcome =
  | { readonly kind: 'done'; readonly matches: number; readonly terminated: number }
  | { readonly kind: 'refused'; readonly what: string }
  | { readonly kind: 'authentication-failed'; readonly what: string }
  | { readonly kind: 'timeout'; readonly what: string }
  | { readonly kind: 'failed'; readonly what: string };

export type Action =
  | {
      readonly kind: 'send';
      readonly local: Endpoint;
      readonly remote: Endpoint;
      readonly octets: Uint8Array;
    }
  /** One octet 0xFF from the NAT traversal port (RFC 3948 §2.3). */
  | { readonly kind: 'send-nat-keepalive'; readonly local: Endpoint; readonly remote: Endpoint }
  | { readonly kind: 'install-child-sa'; readonly childSa: ChildSa }
  | { readonly kind: 'remove-child-sa'; readonly childSa: ChildSa; readonly reason: string }
  /** A connection wants to come up again (close_action, dpd_action): the gateway resolves and initiates. */
  | { readonly kind: 'reinitiate'; readonly connection: string; readonly child: string }
  | { readonly kind: 'complete'; readonly request: number; readonly outcome: Outcome }
  | { readonly kind: 'key-log'; readonly line: IkeKeyLog }
  | { readonly kind: 'emit'; readonly event: Event };

/** Keys of an IKE SA for Wireshark's table; only made when the key log is on. */
export interface IkeKeyLog {
  readonly spiI: string;
  readonly spiR: string;
  readonly encr: number;
  readonly encrKeyLength: number | undefined;
  readonly integ: number | undefined;
  readonly skEi: Uint8Array;
  readonly skEr: Uint8Array;
  readonly skAi: Uint8Array;
  readonly skAr: Uint8Array;
}
