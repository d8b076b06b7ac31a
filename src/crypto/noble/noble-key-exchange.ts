/**
 * Reference key exchange: ECP and Curve25519 on @noble/curves, MODP by plain `bigint` arithmetic.
 *
 * Takes from `random` what `../key-exchange.ts` takes, so equal seeds give equal pairs. Its timing
 * depends on the secrets: it is there to be compared with, not to be negotiated with.
 */
import { x25519 } from '@noble/curves/ed25519.js';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { concatOctets, fromHex, toHex } from '../../wire/octets.ts';
import { type KeyExchangeAlgorithm, keyExchangeAlgorithm } from '../algorithms.ts';
import { drawBelow, type KeyExchangeMethod, type KeyExchangePair } from '../key-exchange.ts';
import type { RandomBytes } from '../random.ts';
import { SecretBytes } from '../secret-bytes.ts';
import { KeyExchangeId } from '../transform.ts';
import { modpPrime } from './modp-prime.ts';

export function nobleKeyExchangeMethod(id: number): KeyExchangeMethod | undefined {
  const algorithm = keyExchangeAlgorithm(id);
  const generate = algorithm === undefined ? undefined : generator(algorithm);
  return algorithm === undefined || generate === undefined ? undefined : { ...algorithm, generate };
}

function generator(
  algorithm: KeyExchangeAlgorithm,
): ((random: RandomBytes) => KeyExchangePair) | undefined {
  switch (algorithm.id) {
    case KeyExchangeId.MODP_2048:
      return (random) => modpPair(algorithm, random(40));
    case KeyExchangeId.MODP_3072:
      return (random) => modpPair(algorithm, random(56));
    case KeyExchangeId.MODP_4096:
      return (random) => modpPair(algorithm, random(64));
    case KeyExchangeId.ECP_256:
      return (random) => ecpPair(algorithm, p256, random);
    case KeyExchangeId.ECP_384:
      return (random) => ecpPair(algorithm, p384, random);
    case KeyExchangeId.ECP_521:
      return (random) => ecpPair(algorithm, p521, random);
    case KeyExchangeId.CURVE_25519:
      return (random) => x25519Pair(algorithm, random(32));
    default:
      return undefined;
  }
}

function modpPair(algorithm: KeyExchangeAlgorithm, secret: Uint8Array): KeyExchangePair {
  const prime = modpPrime(8 * algorithm.publicLength);
  const exponent = toNumber(secret);
  return {
    publicData: toOctets(power(2n, exponent, prime), algorithm.publicLength),
    shared: (peer) => {
      const value = toNumber(peer);
      if (peer.length !== algorithm.publicLength || value <= 1n || value >= prime - 1n) {
        return undefined;
      }
      return new SecretBytes(toOctets(power(value, exponent, prime), algorithm.sharedLength));
    },
  };
}

function ecpPair(
  algorithm: KeyExchangeAlgorithm,
  curve: typeof p256,
  random: RandomBytes,
): KeyExchangePair {
  const order = toOctets(curve.Point.Fn.ORDER, algorithm.sharedLength);
  const secret = drawBelow(order, random);
  return {
    publicData: curve.getPublicKey(secret, false).slice(1),
    shared: (peer) =>
      refused(() => {
        const point = curve.getSharedSecret(secret, concatOctets(Uint8Array.of(4), peer), false);
        return point.slice(1, 1 + algorithm.sharedLength);
      }),
  };
}

function x25519Pair(_algorithm: KeyExchangeAlgorithm, secret: Uint8Array): KeyExchangePair {
  return {
    publicData: x25519.getPublicKey(secret),
    shared: (peer) => refused(() => x25519.getSharedSecret(secret, peer)),
  };
}

/** The curves of noble throw over a peer's value they refuse. */
function refused(compute: () => Uint8Array): SecretBytes | undefined {
  try {
    return new SecretBytes(compute());
  } catch {
    return undefined;
  }
}

function power(base: bigint, exponent: bigint, modulus: bigint): bigint {
  let result = 1n;
  let square = base % modulus;
  for (let rest = exponent; rest > 0n; rest >>= 1n) {
    if ((rest & 1n) === 1n) result = (result * square) % modulus;
    square = (square * square) % modulus;
  }
  return result;
}

function toNumber(octets: Uint8Array): bigint {
  return octets.length === 0 ? 0n : BigInt(`0x${toHex(octets)}`);
}

function toOctets(number: bigint, length: number): Uint8Array {
  return fromHex(number.toString(16).padStart(2 * length, '0'));
}
