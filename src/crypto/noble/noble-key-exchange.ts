/**
 * Reference key exchange: ECP, Curve25519 and Curve448 on @noble/curves, MODP by plain `bigint`
 * arithmetic.
 *
 * Takes from `random` what `../key-exchange.ts` takes, so equal seeds give equal pairs. Its timing
 * depends on the secrets: it is there to be compared with, not to be negotiated with.
 */
import {
  ecdh,
  type WeierstrassPointCons,
  weierstrass,
} from '@noble/curves/abstract/weierstrass.js';
import { x448 } from '@noble/curves/ed448.js';
import { x25519 } from '@noble/curves/ed25519.js';
import { brainpoolP256r1, brainpoolP384r1, brainpoolP512r1 } from '@noble/curves/misc.js';
import { p256, p384, p521 } from '@noble/curves/nist.js';
import { concatOctets, fromHex, toHex } from '../../wire/octets.ts';
import { type KeyExchangeAlgorithm, keyExchangeAlgorithm } from '../algorithms.ts';
import { drawBelow, type KeyExchangeArithmetic, type KeyExchangeHalf } from '../key-exchange.ts';
import type { RandomBytes } from '../random.ts';
import { SecretBytes } from '../secret-bytes.ts';
import { KeyExchangeId } from '../transform.ts';
import { modpPrime } from './modp-prime.ts';

export function nobleKeyExchangeMethod(id: number): KeyExchangeArithmetic | undefined {
  const algorithm = keyExchangeAlgorithm(id);
  const generate = algorithm === undefined ? undefined : generator(algorithm);
  return algorithm === undefined || generate === undefined ? undefined : { ...algorithm, generate };
}

function generator(
  algorithm: KeyExchangeAlgorithm,
): ((random: RandomBytes) => KeyExchangeHalf) | undefined {
  const { id } = algorithm;
  const exponent = MODP_EXPONENTS.get(id);
  if (exponent !== undefined) return (random) => modpPair(algorithm, random(exponent));
  const point = ECP_POINTS.get(id);
  if (point !== undefined) return (random) => ecpPair(algorithm, point, random);
  const curve = MONTGOMERY_CURVES.get(id);
  if (curve === undefined) return undefined;
  return (random) => montgomeryPair(curve, random(algorithm.publicLength));
}

function modpPair(algorithm: KeyExchangeAlgorithm, secret: Uint8Array): KeyExchangeHalf {
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
  point: WeierstrassPointCons<bigint>,
  random: RandomBytes,
): KeyExchangeHalf {
  const { getPublicKey, getSharedSecret } = ecdh(point);
  const order = toOctets(point.Fn.ORDER, algorithm.sharedLength);
  const secret = drawBelow(order, random);
  return {
    publicData: getPublicKey(secret, false).slice(1),
    shared: (peer) =>
      refused(() => {
        const shared = getSharedSecret(secret, concatOctets(Uint8Array.of(4), peer), false);
        return shared.slice(1, 1 + algorithm.sharedLength);
      }),
  };
}

function montgomeryPair(curve: typeof x25519, secret: Uint8Array): KeyExchangeHalf {
  return {
    publicData: curve.getPublicKey(secret),
    shared: (peer) => refused(() => curve.getSharedSecret(secret, peer)),
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

/** RFC 5639 §3.3: the curve @noble/curves leaves out. */
const BRAINPOOL_P224R1 = weierstrass({
  p: BigInt('0xd7c134aa264366862a18302575d1d787b09f075797da89f57ec8c0ff'),
  n: BigInt('0xd7c134aa264366862a18302575d0fb98d116bc4b6ddebca3a5a7939f'),
  h: 1n,
  a: BigInt('0x68a5e62ca9ce6c1c299803a6c1530b514e182ad8b0042a59cad29f43'),
  b: BigInt('0x2580f63ccfe44138870713b1a92369e33e2135d266dbb372386c400b'),
  Gx: BigInt('0x0d9029ad2c7e5cf4340823b2a87dc68c9e4ce3174c1e6efdee12c07d'),
  Gy: BigInt('0x58aa56f772c0726f24c6b89e4ecdac24354b9e99caa3f6d3761402cd'),
});

const ECP_POINTS: ReadonlyMap<number, WeierstrassPointCons<bigint>> = new Map([
  [KeyExchangeId.ECP_256, p256.Point],
  [KeyExchangeId.ECP_384, p384.Point],
  [KeyExchangeId.ECP_521, p521.Point],
  [KeyExchangeId.BRAINPOOL_P224R1, BRAINPOOL_P224R1],
  [KeyExchangeId.BRAINPOOL_P256R1, brainpoolP256r1.Point],
  [KeyExchangeId.BRAINPOOL_P384R1, brainpoolP384r1.Point],
  [KeyExchangeId.BRAINPOOL_P512R1, brainpoolP512r1.Point],
]);

const MONTGOMERY_CURVES: ReadonlyMap<number, typeof x25519> = new Map([
  [KeyExchangeId.CURVE_25519, x25519],
  [KeyExchangeId.CURVE_448, x448],
]);

/** Octets of exponent, as `../key-exchange.ts` draws them. */
const MODP_EXPONENTS: ReadonlyMap<number, number> = new Map([
  [KeyExchangeId.MODP_1024, 24],
  [KeyExchangeId.MODP_1536, 32],
  [KeyExchangeId.MODP_2048, 40],
  [KeyExchangeId.MODP_3072, 56],
  [KeyExchangeId.MODP_4096, 64],
  [KeyExchangeId.MODP_6144, 72],
  [KeyExchangeId.MODP_8192, 80],
]);
