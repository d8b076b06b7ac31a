/**
 * Computes a vector's expected octets again from its given octets, with one implementation.
 *
 * Answers the names of the fields that come out differently: none for a case that holds.
 */
import { strict as assert } from 'node:assert';
import {
  ENCRYPTION_ALGORITHMS,
  INTEGRITY_ALGORITHMS,
  KEY_EXCHANGE_ALGORITHMS,
  PRF_ALGORITHMS,
} from '../../src/crypto/algorithms.ts';
import type { CryptoProvider } from '../../src/crypto/crypto-provider.ts';
import { padLeft } from '../../src/crypto/key-exchange.ts';
import { KeyExchangeId } from '../../src/crypto/transform.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import type { VectorCase } from './vector-file.ts';

/** Whether the implementation has what the case is about. */
export function canRecompute(provider: CryptoProvider, vector: VectorCase): boolean {
  const { encryption } = vector;
  return encryption === undefined || provider.hasCipher(named(ENCRYPTION_ALGORITHMS, encryption));
}

export function disagreements(provider: CryptoProvider, vector: VectorCase): readonly string[] {
  const found = computed(provider, vector);
  return Object.entries(found)
    .filter(([field, octets]) => {
      const expected = vector[field];
      if (expected === undefined) return false;
      return octets === undefined || toHex(octets) !== expected;
    })
    .map(([field]) => field);
}

type Computed = Readonly<Record<string, Uint8Array | undefined>>;

function computed(provider: CryptoProvider, vector: VectorCase): Computed {
  if (vector.encryption !== undefined) return cipher(provider, vector);
  if (vector.prf !== undefined) return mac(provider, vector);
  if (vector.kdf !== undefined) return keyDerivation(provider, vector);
  if (vector.keyExchange !== undefined) return keyExchange(provider, vector);
  if (vector.modp !== undefined) return modpPrime(provider, vector);
  if (vector.scalar !== undefined) return montgomeryLadder(provider, vector);
  assert.fail(`${vector.name}: a case of no known kind`);
}

function cipher(provider: CryptoProvider, vector: VectorCase): Computed {
  const input = {
    algorithm: named(ENCRYPTION_ALGORITHMS, vector.encryption),
    key: octets(vector, 'key'),
    iv: octets(vector, 'iv'),
    aad: octets(vector, 'aad'),
  };
  return {
    ciphertext: provider.seal({ ...input, plaintext: octets(vector, 'plaintext') }),
    plaintext: provider.open({ ...input, ciphertext: octets(vector, 'ciphertext') }),
  };
}

/** A source may give a MAC cut short. */
function mac(provider: CryptoProvider, vector: VectorCase): Computed {
  const key = octets(vector, 'key');
  const data = octets(vector, 'data');
  const whole = provider.prf(named(PRF_ALGORITHMS, vector.prf), key, data);
  const found = { mac: whole.slice(0, octets(vector, 'mac').length) };
  if (vector.integrity === undefined) return found;
  const integrity = named(INTEGRITY_ALGORITHMS, vector.integrity);
  return { ...found, icv: provider.computeIcv(integrity, key, data) };
}

/** RFC 7296 §2.14 (SKEYSEED and the keys), §2.17 (KEYMAT), §2.18 (rekeying the IKE SA). */
function keyDerivation(provider: CryptoProvider, vector: VectorCase): Computed {
  const prf = named(PRF_ALGORITHMS, vector.kdf);
  const nonces = concatOctets(octets(vector, 'ni'), octets(vector, 'nr'));
  const spis = concatOctets(octets(vector, 'spiI'), octets(vector, 'spiR'));
  const girNew = octets(vector, 'girNew');
  const lengthOf = (field: string) => octets(vector, field).length;
  const skeyseed = provider.prf(prf, nonces, octets(vector, 'gir'));
  const dkm = provider.prfPlus(prf, skeyseed, concatOctets(nonces, spis), lengthOf('dkm'));
  const skD = dkm.slice(0, prf.outputLength);
  const withGir = concatOctets(girNew, nonces);
  return {
    skeyseed,
    dkm,
    dkmChildSa: provider.prfPlus(prf, skD, nonces, lengthOf('dkmChildSa')),
    dkmChildSaDh: provider.prfPlus(prf, skD, withGir, lengthOf('dkmChildSaDh')),
    skeyseedRekey: provider.prf(prf, skD, withGir),
  };
}

function keyExchange(provider: CryptoProvider, vector: VectorCase): Computed {
  const { id } = named(KEY_EXCHANGE_ALGORITHMS, vector.keyExchange);
  const initiator = pair(provider, id, octets(vector, 'privateI'));
  const responder = pair(provider, id, octets(vector, 'privateR'));
  const shared = initiator.shared(octets(vector, 'publicR'))?.reveal();
  const sharedR = responder.shared(octets(vector, 'publicI'))?.reveal();
  const agree = shared !== undefined && sharedR !== undefined && toHex(shared) === toHex(sharedR);
  return {
    publicI: initiator.publicData,
    publicR: responder.publicData,
    shared: agree ? shared : undefined,
  };
}

/**
 * The prime from what the exchange computes with it: 2 to the power of n, modulo a prime of n bits, is
 * 2^n less the prime.
 */
function modpPrime(provider: CryptoProvider, vector: VectorCase): Computed {
  const { id, publicLength } = named(KEY_EXCHANGE_ALGORITHMS, vector.modp);
  const bits = 8 * publicLength;
  const remainder = pair(provider, id, Uint8Array.of(bits >> 8, bits & 0xff)).publicData;
  const prime = (1n << BigInt(bits)) - BigInt(`0x${toHex(remainder)}`);
  return { prime: fromHex(prime.toString(16).padStart(2 * publicLength, '0')) };
}

/** RFC 7748 §5.2: the next scalar is the output, and the next u the scalar before. */
function montgomeryLadder(provider: CryptoProvider, vector: VectorCase): Computed {
  let scalar = octets(vector, 'scalar');
  const curve = scalar.length === 32 ? KeyExchangeId.CURVE_25519 : KeyExchangeId.CURVE_448;
  let u = octets(vector, 'u');
  for (let left = Number(vector.iterations ?? 1); left > 0; left--) {
    const output = pair(provider, curve, scalar).shared(u)?.reveal();
    if (output === undefined) return { output };
    u = scalar;
    scalar = output;
  }
  return { output: scalar };
}

/** A pair with the given private value. */
function pair(provider: CryptoProvider, id: number, privateValue: Uint8Array) {
  const method = provider.keyExchangeMethod(id);
  assert(method !== undefined, `no key exchange method ${id}`);
  return method.generate((length) => padLeft(privateValue, length));
}

function octets(vector: VectorCase, field: string): Uint8Array {
  return fromHex(String(vector[field] ?? ''));
}

function named<T extends { readonly name: string }>(
  algorithms: readonly T[],
  name: string | number | undefined,
): T {
  const algorithm = algorithms.find((candidate) => candidate.name === name);
  assert(algorithm !== undefined, `no algorithm ${name}`);
  return algorithm;
}
