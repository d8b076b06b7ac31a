/**
 * Public values that no honest peer sends, of every key exchange method (RFC 6989 §2, RFC 7748 §6).
 */
import { keyExchangeAlgorithm } from '../../src/crypto/algorithms.ts';
import { padLeft } from '../../src/crypto/key-exchange.ts';
import { modpPrime } from '../../src/crypto/noble/modp-prime.ts';
import { KeyExchangeId } from '../../src/crypto/transform.ts';
import { fromHex } from '../../src/wire/octets.ts';

export interface UnusableValue {
  readonly method: number;
  readonly what: string;
  readonly data: Uint8Array;
}

/** Every value of every method. */
export function unusablePublicValues(): readonly UnusableValue[] {
  return Object.values(KeyExchangeId).flatMap((method) => {
    const length = keyExchangeAlgorithm(method)?.publicLength;
    if (length === undefined) return [];
    const values = [...valuesOf(method, length), ...wrongLengths(length)];
    return values.map(([what, data]) => ({ method, what, data }));
  });
}

type Value = readonly [what: string, data: Uint8Array];

function valuesOf(method: number, length: number): readonly Value[] {
  if (method === KeyExchangeId.CURVE_25519) return littleEndian(X25519_SMALL_ORDER);
  if (method === KeyExchangeId.CURVE_448) return littleEndian(X448_SMALL_ORDER);
  return method < KeyExchangeId.ECP_256 ? modp(length) : offCurve(length);
}

/** RFC 6989 §2.1: outside 1 < r < p-1. */
function modp(length: number): readonly Value[] {
  const prime = modpPrime(length * 8);
  const numbers = { '0': 0n, '1': 1n, 'p-1': prime - 1n, p: prime, 'p+1': prime + 1n };
  return Object.entries(numbers).map(([what, value]) => {
    const hex = value.toString(16);
    return [what, padLeft(fromHex(hex.padStart(hex.length + (hex.length % 2), '0')), length)];
  });
}

/** RFC 6989 §2.3: x and y that fit no curve equation, or are no field elements. */
function offCurve(length: number): readonly Value[] {
  const ones = new Uint8Array(length);
  ones[length / 2 - 1] = 1;
  ones[length - 1] = 1;
  return [
    ['(0, 0)', new Uint8Array(length)],
    ['(1, 1)', ones],
    ['beyond the field', new Uint8Array(length).fill(0xff)],
  ];
}

function wrongLengths(length: number): readonly Value[] {
  return [
    ['empty', new Uint8Array()],
    ['an octet short', new Uint8Array(length - 1).fill(9)],
    ['an octet long', new Uint8Array(length + 1).fill(9)],
  ];
}

function littleEndian(values: readonly string[]): readonly Value[] {
  return values.map((hex) => [`${hex.slice(0, 8)}..${hex.slice(-2)}`, fromHex(hex)]);
}

const P_25519 = `${'ff'.repeat(30)}7f`;
/** Points of order 1, 2, 4 and 8 of Curve25519 and its twist, and what is the same modulo p. */
const X25519_SMALL_ORDER: readonly string[] = [
  '00'.repeat(32),
  `01${'00'.repeat(31)}`,
  'e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800',
  '5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157',
  `ec${P_25519}`,
  `ed${P_25519}`,
  `ee${P_25519}`,
  // The highest bit does not count (RFC 7748 §5).
  `${'00'.repeat(31)}80`,
  `ed${'ff'.repeat(31)}`,
];

const P_448_HIGH = `fe${'ff'.repeat(27)}`;
/** Points of order 1, 2 and 4 of Curve448, and what is the same modulo p. */
const X448_SMALL_ORDER: readonly string[] = [
  '00'.repeat(56),
  `01${'00'.repeat(55)}`,
  `fe${'ff'.repeat(27)}${P_448_HIGH}`,
  `ff${'ff'.repeat(27)}${P_448_HIGH}`,
  `00${'00'.repeat(27)}${'ff'.repeat(28)}`,
];
