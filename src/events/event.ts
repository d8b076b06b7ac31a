/**
 * Everything observable, declared once. The log line and the counter of an event are derived.
 *
 * Levels: error (an operator must act), notice (an SA came or went), debug (each exchange),
 * trace (each message decoded). No event carries a secret.
 */
import type { ClusterEvent } from './cluster-event.ts';

export type Level = 'error' | 'notice' | 'debug' | 'trace';

/** Who an IKE event is about. Keys are the same everywhere. */
export interface IkeSubject {
  /** Number of the IKE SA, unique in the process. */
  readonly ikeSa: number;
  readonly connection: string;
  /** `192.0.2.1[4500]`, where we talk to the peer from; unset = not known yet. */
  readonly local?: string;
  /** `192.0.2.2[4500]`. */
  readonly peer: string;
}

/** One transform type of a refused negotiation: what was offered and what would be accepted. */
export interface RefusedTransform {
  readonly type: string;
  readonly offered: readonly string[];
  readonly accepted: readonly string[];
}

/** What was wrong with the peer's proof, or with ours. */
export type AuthenticationFault =
  /** No connection takes the two identities. */
  | 'unknown-identity'
  /** No shared secret belongs to them. */
  | 'no-secret'
  /** The proof does not fit the secret. */
  | 'wrong-secret'
  /** Another method than the connection asks for. */
  | 'other-method'
  /** `unique` or a limit does not let another IKE SA of this identity in. */
  | 'not-admitted'
  /** The peer says that it did not accept ours. */
  | 'refused-by-peer';

export type Event =
  | ({
      readonly kind: 'message';
      readonly direction: 'sent' | 'received';
      readonly exchange: string;
      readonly response: boolean;
      readonly messageId: number;
      readonly payloads: readonly string[];
      /** Of all its datagrams. */
      readonly octets: number;
      /** Datagrams, where it took several (RFC 7383). */
      readonly fragments?: number;
      readonly retransmission: number;
    } & IkeSubject)
  | ({
      readonly kind: 'ike-sa-up';
      readonly initiator: boolean;
      readonly spiI: string;
      readonly spiR: string;
      readonly localId: string;
      readonly remoteId: string;
      readonly suite: string;
    } & IkeSubject)
  | ({ readonly kind: 'ike-sa-down'; readonly reason: string } & IkeSubject)
  | ({
      readonly kind: 'child-sa-up';
      readonly child: string;
      readonly childSa: number;
      readonly spiIn: string;
      readonly spiOut: string;
      readonly suite: string;
      /** Unset = a tunnel. */
      readonly mode?: 'transport' | 'beet';
      readonly encapsulation: 'udp' | 'none';
      readonly localTs: string;
      readonly remoteTs: string;
    } & IkeSubject)
  | ({
      readonly kind: 'child-sa-down';
      readonly child: string;
      readonly childSa: number;
      readonly spiIn: string;
      readonly spiOut: string;
      readonly reason: string;
    } & IkeSubject)
  /** A Child SA took the place of another; `child-sa-down` does not follow for that one. */
  | ({
      readonly kind: 'child-sa-rekeyed';
      readonly child: string;
      readonly childSa: number;
      /** Number of the Child SA that goes. */
      readonly replaces: number;
      readonly spiIn: string;
      readonly spiOut: string;
      readonly suite: string;
      /** Unset = a tunnel. */
      readonly mode?: 'transport' | 'beet';
    } & IkeSubject)
  /** An IKE SA, the subject, took the place and the Child SAs of another. */
  | ({
      readonly kind: 'ike-sa-rekeyed';
      /** Number of the IKE SA that goes. */
      readonly replaces: number;
      readonly initiator: boolean;
      readonly spiI: string;
      readonly spiR: string;
      readonly suite: string;
    } & IkeSubject)
  /** The subject's addresses are those it has now. */
  | ({
      readonly kind: 'ike-sa-moved';
      readonly fromLocal: string;
      readonly fromPeer: string;
      readonly why: string;
    } & IkeSubject)
  | ({
      readonly kind: 'redirected';
      readonly by: 'us' | 'peer';
      readonly gateway: string;
    } & IkeSubject)
  | ({
      readonly kind: 'virtual-addresses';
      readonly to: 'us' | 'peer';
      readonly addresses: string;
    } & IkeSubject)
  /** Something that will hurt although it works now; named as vici's alerts are. */
  | ({ readonly kind: 'alert'; readonly alert: string; readonly what: string } & IkeSubject)
  | ({
      readonly kind: 'refused';
      readonly by: 'us' | 'peer';
      readonly notify: string;
      readonly what: string;
      /** Where the nearest two proposals differ; the peer never says what it would have accepted. */
      readonly transforms: readonly RefusedTransform[];
      /** The child that was wanted; unset = the IKE SA. */
      readonly child?: string;
      /** Proposals as `formatProposal` writes them, or selectors as `local === remote`, ours first. */
      readonly offered?: readonly string[];
      readonly accepted?: readonly string[];
      /** Whom the peer claims or proved to be, where that is known. */
      readonly remoteId?: string;
    } & IkeSubject)
  | ({
      readonly kind: 'authentication-failed';
      readonly by: 'us' | 'peer';
      readonly what: string;
      readonly cause?: AuthenticationFault;
      readonly localId?: string;
      readonly remoteId?: string;
    } & IkeSubject)
  | ({ readonly kind: 'peer-fault'; readonly what: string } & IkeSubject)
  | ({
      readonly kind: 'retransmit';
      readonly messageId: number;
      readonly attempt: number;
    } & IkeSubject)
  | ({
      readonly kind: 'peer-unreachable';
      readonly attempts: number;
      /** What it did not answer. */
      readonly exchange?: string;
    } & IkeSubject)
  | ({
      readonly kind: 'nat-detected';
      readonly localBehindNat: boolean;
      readonly remoteBehindNat: boolean;
    } & IkeSubject)
  | ({
      readonly kind: 'weak-algorithm';
      readonly algorithm: string;
      readonly where: string;
    } & Partial<IkeSubject>)
  /** A packet came out of an SA that the SA is not for (RFC 4301 §5.2): it was dropped. */
  | {
      readonly kind: 'policy-mismatch';
      readonly connection: string;
      readonly peer: string;
      readonly child: string;
      readonly childSa: number;
      readonly spiIn: string;
      /** `10.3.0.1[tcp/443]`: its address, protocol, and port where it shows one. */
      readonly source: string;
      readonly destination: string;
      /** Packets like it, of any SA, that were not told of since the last event. */
      readonly suppressed: number;
    }
  | { readonly kind: 'ike-drop'; readonly reason: string; readonly peer: string }
  | { readonly kind: 'path-mtu'; readonly peer: string; readonly mtu: number }
  | ClusterEvent
  | { readonly kind: 'daemon'; readonly level: Level; readonly what: string };
