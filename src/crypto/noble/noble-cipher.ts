/**
 * Reference ciphers on @noble/ciphers; the signatures are those of `../message-cipher.ts`. There is no
 * Camellia and no Triple DES in it: `nobleHasCipher` says so.
 */
import { cbc, ctr, gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import { concatOctets, equalOctets } from '../../wire/octets.ts';
import type { EncryptionAlgorithm } from '../algorithms.ts';
import {
  type CipherInput,
  cipherParameters,
  gmacAad,
  type OpenInput,
  type SealInput,
} from '../message-cipher.ts';
import { ccmOpen, ccmSeal } from './noble-ccm.ts';

export function nobleHasCipher(algorithm: EncryptionAlgorithm): boolean {
  return algorithm.keyLengths.every((bits) => !/^(camellia|des)/.test(algorithm.cipher(bits)));
}

export function nobleSeal(input: SealInput): Uint8Array {
  const { algorithm, aad, plaintext } = input;
  const { key, nonce } = parametersOf(input);
  switch (algorithm.mode) {
    case 'gcm':
      return gcmSeal(key, nonce, aad, plaintext, algorithm.icvLength);
    case 'gmac':
      return concatOctets(plaintext, gcm(key, nonce, gmacAad(input, plaintext)).encrypt(NOTHING));
    case 'ccm':
      return ccmSeal({ key, nonce, aad, tagLength: algorithm.icvLength }, plaintext);
    case 'chacha20-poly1305':
      return chacha20poly1305(key, nonce, aad).encrypt(plaintext);
    case 'ctr':
      return ctr(key, nonce).encrypt(plaintext);
    case 'cbc':
      return cbc(key, nonce, { disablePadding: true }).encrypt(plaintext);
    case 'null':
      return Uint8Array.from(plaintext);
  }
}

export function nobleOpen(input: OpenInput): Uint8Array | undefined {
  const { algorithm, ciphertext } = input;
  const length = ciphertext.length - algorithm.icvLength;
  if (length < 0 || length % algorithm.blockLength !== 0) return undefined;
  try {
    return opened(input, length);
  } catch {
    return undefined;
  }
}

function opened(input: OpenInput, length: number): Uint8Array | undefined {
  const { algorithm, aad, ciphertext } = input;
  const { key, nonce } = parametersOf(input);
  const body = ciphertext.slice(0, length);
  switch (algorithm.mode) {
    case 'gcm': {
      // Counter mode from the second block; the tag, whatever its length, by sealing again.
      const plaintext = ctr(key, concatOctets(nonce, SECOND_BLOCK)).decrypt(body);
      const again = gcmSeal(key, nonce, aad, plaintext, algorithm.icvLength);
      return equalOctets(again, ciphertext) ? plaintext : undefined;
    }
    case 'gmac':
      gcm(key, nonce, gmacAad(input, body)).decrypt(ciphertext.subarray(length));
      return body;
    case 'ccm':
      return ccmOpen({ key, nonce, aad, tagLength: algorithm.icvLength }, ciphertext);
    case 'chacha20-poly1305':
      return chacha20poly1305(key, nonce, aad).decrypt(ciphertext);
    case 'ctr':
      return ctr(key, nonce).decrypt(body);
    case 'cbc':
      return cbc(key, nonce, { disablePadding: true }).decrypt(body);
    case 'null':
      return body;
  }
}

const NOTHING = new Uint8Array(0);
const SECOND_BLOCK = Uint8Array.of(0, 0, 0, 2);

function gcmSeal(
  key: Uint8Array,
  nonce: Uint8Array,
  aad: Uint8Array,
  plaintext: Uint8Array,
  tagLength: number,
): Uint8Array {
  return gcm(key, nonce, aad)
    .encrypt(plaintext)
    .slice(0, plaintext.length + tagLength);
}

function parametersOf(input: CipherInput): {
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
} {
  const { algorithm } = input;
  if (!nobleHasCipher(algorithm)) throw new RangeError(`@noble has no ${algorithm.name}`);
  return cipherParameters(input);
}
