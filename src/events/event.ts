/**
 * Everything observable, declared once. The log line and the counter of an event are derived.
 *
 * Levels: error (an operator must act), notice (an SA came or went), debug (each exchange),
 * trace (each message decoded). No event carries a secret.
 */
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

export type Event =
  | ({
      readonly kind: 'message';
      readonly direction: 'sent' | 'received';
      readonly exchange: string;
      readonly response: boolean;
      readonly messageId: number;
      readonly payloads: readonly string[];
      readonly octets: number;
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
  | ({
      readonly kind: 'refused';
      readonly by: 'us' | 'peer';
      readonly notify: string;
      readonly what: string;
      readonly transforms: readonly RefusedTransform[];
    } & IkeSubject)
  | ({
      readonly kind: 'authentication-failed';
      readonly by: 'us' | 'peer';
      readonly what: string;
    } & IkeSubject)
  | ({ readonly kind: 'peer-fault'; readonly what: string } & IkeSubject)
  | ({
      readonly kind: 'retransmit';
      readonly messageId: number;
      readonly attempt: number;
    } & IkeSubject)
  | ({ readonly kind: 'peer-unreachable'; readonly attempts: number } & IkeSubject)
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
  | { readonly kind: 'ike-drop'; readonly reason: string; readonly peer: string }
  | { readonly kind: 'path-mtu'; readonly peer: string; readonly mtu: number }
  | { readonly kind: 'daemon'; readonly level: Level; readonly what: string };
