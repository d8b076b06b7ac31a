/**
 * CREATE_CHILD_SA (RFC 7296 §1.3): what both roles and all three uses of it share.
 */
import { keyExchangeName } from '../../crypto/algorithms.ts';
import { type KeyExchangePair, keyExchangeMethod } from '../../crypto/key-exchange.ts';
import type { SecretBytes } from '../../crypto/secret-bytes.ts';
import { TransformType } from '../../crypto/transform.ts';
import type { Proposal } from '../../ipsec/proposal.ts';
import type { KePayload, NotifyPayload, Payload } from '../message/message.ts';
import { payloadOf } from '../payload-access.ts';
import { type PeerFault, peerFault } from '../peer-fault.ts';
import type { Turn } from '../turn.ts';
import { NONCE_OCTETS, unusableKeyExchange, unusableNonce } from './ike-sa-init.ts';

/** Least and most milliseconds before a refused rekey is tried again (RFC 7296 §2.25). */
const RETRY_MS = { least: 10_000, more: 10_000 };

export function newNonce(turn: Turn): Uint8Array {
  return turn.environment.random(NONCE_OCTETS);
}

/** A wait of its own for each try, so that two ends do not keep colliding. */
export function retryDelay(turn: Turn): number {
  const [octet = 0] = turn.environment.random(1);
  return RETRY_MS.least + (RETRY_MS.more * octet) / 256;
}

/** The key exchange methods of proposals, best first. */
export function methodsOf(proposals: readonly Proposal[]): readonly number[] {
  return [
    ...new Set(
      proposals.flatMap(({ transforms }) =>
        transforms
          .filter(({ type, id }) => type === TransformType.KE && id !== 0)
          .map(({ id }) => id),
      ),
    ),
  ];
}

export function keyPair(turn: Turn, method: number): KeyExchangePair {
  const pair = keyExchangeMethod(method)?.generate(turn.environment.random);
  if (!pair) throw new Error(`key exchange method ${method} is not implemented`);
  return pair;
}

// RFC 7296 §2.8.1: nonces are compared octet by octet; of two that agree the shorter is lower.
export function compareNonces(one: Uint8Array, other: Uint8Array): number {
  const shared = Math.min(one.length, other.length);
  for (let index = 0; index < shared; index++) {
    const difference = (one[index] ?? 0) - (other[index] ?? 0);
    if (difference !== 0) return difference;
  }
  return one.length - other.length;
}

export function lowestNonce(one: Uint8Array, other: Uint8Array): Uint8Array {
  return compareNonces(one, other) < 0 ? one : other;
}

/** The nonce of a message, or why it is no good. */
export function nonceOf(payloads: readonly Payload[]): Uint8Array | PeerFault {
  const nonce = payloadOf(payloads, 'NONCE')?.nonce;
  if (!nonce) return peerFault('invalid-syntax', 'CREATE_CHILD_SA without a nonce');
  const unusable = unusableNonce(nonce);
  return unusable === undefined ? nonce : peerFault('invalid-syntax', unusable);
}

export function isFault(value: Uint8Array | PeerFault): value is PeerFault {
  return 'kind' in value;
}

/** As responder: our half, and g^ir; a fault where the peer's value is of another method or no good. */
export function answerKeyExchange(
  turn: Turn,
  method: number,
  ke: KePayload | undefined,
  nonce: Uint8Array,
):
  | { readonly kind: 'keys'; readonly payload: KePayload; readonly shared: SecretBytes }
  | PeerFault {
  if (ke?.method !== method) {
    // RFC 7296 §1.3, §3.10.1: INVALID_KE_PAYLOAD carries the accepted method in two octets.
    const sent = ke ? keyExchangeName(ke.method) : 'absent';
    const what = `KE is ${sent}, chosen was ${keyExchangeName(method)}`;
    return peerFault('invalid-ke-payload', what, Uint8Array.of(method >> 8, method & 0xff));
  }
  const unusable = unusableKeyExchange(ke, nonce);
  if (unusable !== undefined) return peerFault('invalid-syntax', unusable);
  const pair = keyPair(turn, method);
  const shared = pair.shared(ke.data);
  if (shared)
    return { kind: 'keys', payload: { kind: 'KE', method, data: pair.publicData }, shared };
  // RFC 6989 §2.5: INVALID_SYNTAX, and the IKE SA goes.
  const what = `KE: the peer's ${keyExchangeName(method)} value is refused`;
  return peerFault('invalid-syntax', what);
}

/** As initiator: g^ir, or a fault where the answer does not fit our half. */
export function finishKeyExchange(
  ours: { readonly method: number; readonly keyExchange: KeyExchangePair },
  ke: KePayload | undefined,
  nonce: Uint8Array,
): { readonly kind: 'shared'; readonly shared: SecretBytes } | PeerFault {
  const unusable = ke && unusableKeyExchange(ke, nonce);
  const fits = ke?.method === ours.method && unusable === undefined;
  const shared = fits ? ours.keyExchange.shared(ke.data) : undefined;
  if (shared) return { kind: 'shared', shared };
  const what = unusable ?? `KE: the answer to ${keyExchangeName(ours.method)} is refused`;
  return peerFault('invalid-syntax', what);
}

/** The method that an INVALID_KE_PAYLOAD names, if it is among ours and another than we tried. */
export function otherMethod(
  { data }: NotifyPayload,
  offered: readonly number[],
  tried: number | undefined,
): number | undefined {
  const [high = 0, low = 0] = data;
  const method = data.length === 2 ? high * 256 + low : 0;
  return method !== tried && offered.includes(method) ? method : undefined;
}
