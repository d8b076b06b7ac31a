/**
 * Key exchange methods: MODP, ECP, Curve25519 and Curve448 (RFC 7296 §3.4, RFC 3526, RFC 5903,
 * RFC 6954, RFC 8031).
 *
 * A pair is made from given randomness and answers the shared secret once the peer's value is known.
 * A peer's value that RFC 6989 refuses gives undefined; nothing here throws over what a peer sent.
 */
import { strict as assert } from 'node:assert';
import {
  createDiffieHellman,
  createECDH,
  createPrivateKey,
  createPublicKey,
  type DiffieHellman,
  diffieHellman,
  getDiffieHellman,
  type JsonWebKeyInput,
} from 'node:crypto';
import { concatOctets, fromHex, toHex } from '../wire/octets.ts';
import { type KeyExchangeAlgorithm, keyExchangeAlgorithm } from './algorithms.ts';
import type { RandomBytes } from './random.ts';
import { SecretBytes } from './secret-bytes.ts';
import { KeyExchangeId } from './transform.ts';

/** One side's half of a key exchange. Used once: a new exchange draws a new pair (RFC 7296 §2.12). */
export interface KeyExchangeHalf {
  /** Key Exchange Data as it stands in the KE payload. */
  readonly publicData: Uint8Array;
  /** g^ir as it enters the key derivation, or undefined where the peer's value is refused. */
  readonly shared: (peer: Uint8Array) => SecretBytes | undefined;
}

export interface KeyExchangePair extends KeyExchangeHalf {
  /** The random octets it was made of: `restore` makes the same pair of them elsewhere. */
  readonly drawn: SecretBytes;
}

/** What an implementation of a method must do. */
export interface KeyExchangeArithmetic extends KeyExchangeAlgorithm {
  readonly generate: (random: RandomBytes) => KeyExchangeHalf;
}

export interface KeyExchangeMethod extends KeyExchangeArithmetic {
  readonly generate: (random: RandomBytes) => KeyExchangePair;
  /** The pair made of these octets; undefined where they are too few or too many. */
  readonly restore: (drawn: SecretBytes) => KeyExchangePair | undefined;
}

/** The method by its transform id, where we implement it. */
export function keyExchangeMethod(id: number): KeyExchangeMethod | undefined {
  const algorithm = keyExchangeAlgorithm(id);
  if (algorithm === undefined) return undefined;
  const make = arithmeticOf(algorithm);
  return {
    ...algorithm,
    generate: (random) => recorded(make, random),
    restore: (drawn) => replayed(make, drawn),
  };
}

function arithmeticOf(algorithm: KeyExchangeAlgorithm): (random: RandomBytes) => KeyExchangeHalf {
  const modp = MODP_GROUPS.find((group) => group.id === algorithm.id);
  if (modp !== undefined) return (random) => modpPair(algorithm, modp, random);
  const ecp = ECP_CURVES.find((curve) => curve.id === algorithm.id);
  if (ecp !== undefined) return (random) => ecpPair(algorithm, ecp, random);
  const curve = MONTGOMERY_CURVES.get(algorithm.id);
  assert(curve !== undefined, `${algorithm.name} has no arithmetic`);
  return (random) => montgomeryPair(algorithm, curve, random);
}

function recorded(
  make: (random: RandomBytes) => KeyExchangeHalf,
  random: RandomBytes,
): KeyExchangePair {
  const draws: Uint8Array[] = [];
  const pair = make((length) => {
    const drawn = random(length);
    draws.push(Uint8Array.from(drawn));
    return drawn;
  });
  return { ...pair, drawn: new SecretBytes(concatOctets(...draws)) };
}

function replayed(
  make: (random: RandomBytes) => KeyExchangeHalf,
  drawn: SecretBytes,
): KeyExchangePair | undefined {
  let at = 0;
  let short = false;
  try {
    const pair = make((length) => {
      short ||= at + length > drawn.length;
      at += length;
      // What follows is of no use; any value ends it.
      return short ? new Uint8Array(length).fill(1) : drawn.reveal().slice(at - length, at);
    });
    return short || at !== drawn.length ? undefined : { ...pair, drawn };
  } catch {
    // Octets that nobody drew: OpenSSL has its own opinion of each.
    return undefined;
  }
}

/** Left-pads a big-endian number to `length` octets. */
export function padLeft(number: Uint8Array, length: number): Uint8Array {
  assert(number.length <= length, `${number.length} octets do not fit into ${length}`);
  return concatOctets(new Uint8Array(length - number.length), number);
}

/** Draws private values until one is from 1 to below `order`, both big-endian and of one length. */
export function drawBelow(order: Uint8Array, random: RandomBytes): Uint8Array {
  const topBits = 0xff >> (Math.clz32(order[0] ?? 0) % 8);
  for (let tries = 0; tries < 100; tries++) {
    const drawn = Uint8Array.from(random(order.length));
    drawn[0] = (drawn[0] ?? 0) & topBits;
    if (drawn.some((octet) => octet !== 0) && isBelow(drawn, order)) return drawn;
  }
  throw new Error('the random source gave no private value in 100 draws');
}

interface ModpGroup {
  readonly id: number;
  /** Name of the group in node:crypto. */
  readonly node: string;
  /** Octets of the private exponent. */
  readonly privateLength: number;
}

interface EcpCurve {
  readonly id: number;
  /** OpenSSL's name of the curve. */
  readonly node: string;
  readonly order: Uint8Array;
}

function modpPair(
  algorithm: KeyExchangeAlgorithm,
  group: ModpGroup,
  random: RandomBytes,
): KeyExchangeHalf {
  const exchange = modpExchange(group);
  const prime = exchange.getPrime();
  const secret = random(group.privateLength);
  exchange.setPrivateKey(secret);
  // RFC 7296 §3.4: the value is as long as the modulus, with zeros in front where it is smaller.
  const publicData = padLeft(exchange.generateKeys(), algorithm.publicLength);
  exchange.setPrivateKey(NO_SECRET);
  return {
    publicData,
    shared: (peer) => {
      if (peer.length !== algorithm.publicLength || !isModpPublic(peer, prime)) return undefined;
      exchange.setPrivateKey(secret);
      const shared = padLeft(exchange.computeSecret(peer), algorithm.sharedLength);
      exchange.setPrivateKey(NO_SECRET);
      return new SecretBytes(shared);
    },
  };
}

/** Takes the place of a private value when it has been used. */
const NO_SECRET = Uint8Array.of(1);

/**
 * OpenSSL's state of a group, made once: it looks whether a prime that it has no name for (group 2)
 * is one, for tens of milliseconds. A private value is in it only while a pair uses it.
 */
const modpExchanges = new Map<string, DiffieHellman>();

function modpExchange({ node }: ModpGroup): DiffieHellman {
  const known = modpExchanges.get(node);
  if (known !== undefined) return known;
  const made = createDiffieHellman(getDiffieHellman(node).getPrime(), 2);
  modpExchanges.set(node, made);
  return made;
}

/** RFC 6989 §2.1: a peer's value r is used only if 1 < r < p-1. */
function isModpPublic(value: Uint8Array, prime: Uint8Array): boolean {
  const one = padLeft(Uint8Array.of(1), prime.length);
  const primeLessOne = Uint8Array.from(prime);
  primeLessOne[prime.length - 1]! -= 1;
  return isBelow(one, value) && isBelow(value, primeLessOne);
}

/** Compares big-endian numbers of one length. */
function isBelow(a: Uint8Array, b: Uint8Array): boolean {
  return toHex(a) < toHex(b);
}

function ecpPair(
  algorithm: KeyExchangeAlgorithm,
  curve: EcpCurve,
  random: RandomBytes,
): KeyExchangeHalf {
  const exchange = createECDH(curve.node);
  exchange.setPrivateKey(drawBelow(curve.order, random));
  return {
    // RFC 5903 §7: x and y, without the octet 0x04 that X9.62 puts in front.
    publicData: new Uint8Array(exchange.getPublicKey().subarray(1)),
    shared: (peer) => {
      if (peer.length !== algorithm.publicLength) return undefined;
      try {
        // RFC 6989 §2.3: OpenSSL refuses a point that is not on the curve.
        const x = exchange.computeSecret(concatOctets(Uint8Array.of(4), peer));
        return new SecretBytes(padLeft(x, algorithm.sharedLength));
      } catch {
        return undefined;
      }
    },
  };
}

function montgomeryPair(
  algorithm: KeyExchangeAlgorithm,
  curve: string,
  random: RandomBytes,
): KeyExchangeHalf {
  const secret = base64Url(random(algorithm.publicLength));
  const privateKey = createPrivateKey(octetKey({ crv: curve, x: '', d: secret }));
  const { x = '' } = createPublicKey(privateKey).export({ format: 'jwk' });
  return {
    publicData: new Uint8Array(Buffer.from(x, 'base64url')),
    shared: (peer) => {
      if (peer.length !== algorithm.publicLength) return undefined;
      const publicKey = createPublicKey(octetKey({ crv: curve, x: base64Url(peer) }));
      try {
        // RFC 8031 §5 by way of RFC 7748 §6: OpenSSL refuses a result of all zeros.
        return new SecretBytes(new Uint8Array(diffieHellman({ privateKey, publicKey })));
      } catch {
        return undefined;
      }
    },
  };
}

/**
 * A key from its octets (RFC 8037 §2), a tenth of what reading DER costs. Beside a private key the
 * public one may be empty: OpenSSL computes it.
 */
function octetKey(octets: {
  readonly crv: string;
  readonly x: string;
  readonly d?: string;
}): JsonWebKeyInput {
  return { key: { kty: 'OKP', ...octets }, format: 'jwk' };
}

function base64Url(octets: Uint8Array): string {
  return Buffer.from(octets).toString('base64url');
}

// RFC 3526 §8 gives each group two estimates of strength, and exponents of twice that many bits. We
// take the larger estimate (120, 160, 210, 240, 270 and 310 bits), rounded up to octets that are
// a multiple of 8.
const MODP_GROUPS: readonly ModpGroup[] = [
  // RFC 3526 has no estimate for group 2, which is older: twice 80 bits, rounded up likewise.
  { id: KeyExchangeId.MODP_1024, node: 'modp2', privateLength: 24 },
  { id: KeyExchangeId.MODP_1536, node: 'modp5', privateLength: 32 },
  { id: KeyExchangeId.MODP_2048, node: 'modp14', privateLength: 40 },
  { id: KeyExchangeId.MODP_3072, node: 'modp15', privateLength: 56 },
  { id: KeyExchangeId.MODP_4096, node: 'modp16', privateLength: 64 },
  { id: KeyExchangeId.MODP_6144, node: 'modp17', privateLength: 72 },
  { id: KeyExchangeId.MODP_8192, node: 'modp18', privateLength: 80 },
];

// Orders of the groups' base points (RFC 5903 §3, RFC 5639 §3).
const ECP_CURVES: readonly EcpCurve[] = [
  {
    id: KeyExchangeId.ECP_256,
    node: 'prime256v1',
    order: fromHex('ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551'),
  },
  {
    id: KeyExchangeId.ECP_384,
    node: 'secp384r1',
    order: fromHex(`${'ff'.repeat(24)}c7634d81f4372ddf581a0db248b0a77aecec196accc52973`),
  },
  {
    id: KeyExchangeId.ECP_521,
    node: 'secp521r1',
    order: fromHex(
      `01${'ff'.repeat(32)}fa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409`,
    ),
  },
  {
    id: KeyExchangeId.BRAINPOOL_P224R1,
    node: 'brainpoolP224r1',
    order: fromHex('d7c134aa264366862a18302575d0fb98d116bc4b6ddebca3a5a7939f'),
  },
  {
    id: KeyExchangeId.BRAINPOOL_P256R1,
    node: 'brainpoolP256r1',
    order: fromHex('a9fb57dba1eea9bc3e660a909d838d718c397aa3b561a6f7901e0e82974856a7'),
  },
  {
    id: KeyExchangeId.BRAINPOOL_P384R1,
    node: 'brainpoolP384r1',
    order: fromHex(
      '8cb91e82a3386d280f5d6f7e50e641df152f7109ed5456b31f166e6cac0425a7cf3ab6af6b7fc3103b883202e9046565',
    ),
  },
  {
    id: KeyExchangeId.BRAINPOOL_P512R1,
    node: 'brainpoolP512r1',
    order: fromHex(
      'aadd9db8dbe9c48b3fd4e6ae33c9fc07cb308db3b3c9d20ed6639cca70330870' +
        '553e5c414ca92619418661197fac10471db1d381085ddaddb58796829ca90069',
    ),
  },
];

/** Names of RFC 8037 §2; RFC 7748 §5 makes a scalar as long as a public value. */
const MONTGOMERY_CURVES: ReadonlyMap<number, string> = new Map([
  [KeyExchangeId.CURVE_25519, 'X25519'],
  [KeyExchangeId.CURVE_448, 'X448'],
]);
