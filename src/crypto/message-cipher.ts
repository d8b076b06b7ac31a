/**
 * Encryption of one message: the SK payload of IKE (RFC 7296 §3.14, RFC 5282, RFC 7634 §3).
 *
 * One cipher context per call: clear, and too slow for ESP packets, which the native layer seals in
 * batches. Knows nothing of padding, and never checks a separate ICV: the caller does, before `open`.
 */
import { strict as assert } from 'node:assert';
import {
  type CipherChaCha20Poly1305,
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  type DecipherChaCha20Poly1305,
  type DecipherGCM,
} from 'node:crypto';
import { concatOctets } from '../wire/octets.ts';
import type { EncryptionAlgorithm, OpensslCipher } from './algorithms.ts';

/** Key, IV and what is authenticated besides. */
export interface CipherInput {
  readonly algorithm: EncryptionAlgorithm;
  /** The key as derived: the cipher's key, then the salt where the algorithm has one. */
  readonly key: Uint8Array;
  /** The IV that stands in the message. */
  readonly iv: Uint8Array;
  /** Authenticated but not encrypted; without effect where the algorithm is not an AEAD. */
  readonly aad: Uint8Array;
}

export interface SealInput extends CipherInput {
  /** Padded by the caller to a multiple of the algorithm's block length. */
  readonly plaintext: Uint8Array;
}

export interface OpenInput extends CipherInput {
  /** Ends with the tag of an AEAD algorithm. */
  readonly ciphertext: Uint8Array;
}

/** What the cipher itself takes: the key without its salt, and the salt in front of the IV. */
export interface CipherParameters {
  readonly name: OpensslCipher;
  readonly key: Uint8Array;
  readonly nonce: Uint8Array;
}

/** The ciphertext, with an AEAD's tag behind it. */
export function seal(input: SealInput): Uint8Array {
  const { algorithm, plaintext } = input;
  assert(
    plaintext.length % algorithm.blockLength === 0,
    `${algorithm.name}: ${plaintext.length} octets of plaintext are not whole blocks`,
  );
  const { name, key, nonce } = cipherParameters(input);
  const authTagLength = algorithm.icvLength;
  switch (name) {
    case 'chacha20-poly1305':
      return sealAead(createCipheriv(name, key, nonce, { authTagLength }), input);
    case 'aes-128-gcm':
    case 'aes-192-gcm':
    case 'aes-256-gcm':
      return sealAead(createCipheriv(name, key, nonce, { authTagLength }), input);
    default: {
      const cipher = createCipheriv(name, key, nonce).setAutoPadding(false);
      return concatOctets(cipher.update(plaintext), cipher.final());
    }
  }
}

/** The plaintext with its padding, or undefined where the tag or the length is wrong. */
export function open(input: OpenInput): Uint8Array | undefined {
  const { algorithm, ciphertext } = input;
  const { name, key, nonce } = cipherParameters(input);
  const length = ciphertext.length - algorithm.icvLength;
  if (length < 0 || length % algorithm.blockLength !== 0) return undefined;
  const authTagLength = algorithm.icvLength;
  switch (name) {
    case 'chacha20-poly1305':
      return openAead(createDecipheriv(name, key, nonce, { authTagLength }), input, length);
    case 'aes-128-gcm':
    case 'aes-192-gcm':
    case 'aes-256-gcm':
      return openAead(createDecipheriv(name, key, nonce, { authTagLength }), input, length);
    default: {
      const decipher = createDecipheriv(name, key, nonce).setAutoPadding(false);
      return concatOctets(decipher.update(ciphertext), decipher.final());
    }
  }
}

/** Splits the derived key and makes the nonce; a key or an IV of another length is our own fault. */
export function cipherParameters(input: CipherInput): CipherParameters {
  const { algorithm, key, iv } = input;
  assert(iv.length === algorithm.ivLength, `${algorithm.name}: an IV of ${iv.length} octets`);
  const keyOctets = key.length - algorithm.saltLength;
  return {
    name: algorithm.nodeCipher(8 * keyOctets),
    key: key.subarray(0, keyOctets),
    // RFC 5282 §4, RFC 7634 §2: the nonce is the salt followed by the IV of the message.
    nonce: concatOctets(key.subarray(keyOctets), iv),
  };
}

function sealAead(cipher: CipherGCM | CipherChaCha20Poly1305, input: SealInput): Uint8Array {
  cipher.setAAD(input.aad, { plaintextLength: input.plaintext.length });
  const body = concatOctets(cipher.update(input.plaintext), cipher.final());
  return concatOctets(body, cipher.getAuthTag());
}

function openAead(
  decipher: DecipherGCM | DecipherChaCha20Poly1305,
  input: OpenInput,
  length: number,
): Uint8Array | undefined {
  decipher.setAAD(input.aad, { plaintextLength: length });
  decipher.setAuthTag(input.ciphertext.subarray(length));
  const body = decipher.update(input.ciphertext.subarray(0, length));
  try {
    // The tag is looked at here, and its being wrong is the only thing that throws.
    return concatOctets(body, decipher.final());
  } catch {
    return undefined;
  }
}
