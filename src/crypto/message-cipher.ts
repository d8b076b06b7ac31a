/**
 * Encryption of one message: the SK payload of IKE (RFC 7296 §3.14, RFC 5282, RFC 5930, RFC 7634 §3).
 *
 * One cipher context per call: clear, and too slow for ESP packets, which the native layer seals in
 * batches. Knows nothing of padding, and never checks a separate ICV: the caller does, before `open`.
 */
import { strict as assert } from 'node:assert';
import {
  type Cipher,
  type CipherCCM,
  type CipherChaCha20Poly1305,
  type CipherGCM,
  createCipheriv,
  createDecipheriv,
  type Decipher,
  type DecipherCCM,
  type DecipherChaCha20Poly1305,
  type DecipherGCM,
} from 'node:crypto';
import { concatOctets } from '../wire/octets.ts';
import type { CipherName, EncryptionAlgorithm } from './algorithms.ts';

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

/** What the cipher itself takes: the key without its salt, and the nonce the salt is part of. */
export interface CipherParameters {
  readonly name: CipherName;
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
  const parameters = cipherParameters(input);
  if (algorithm.mode === 'null') return Uint8Array.from(plaintext);
  if (!algorithm.aead) return run(plainCipher(parameters), plaintext);
  const cipher = aeadCipher(parameters, algorithm.icvLength);
  if (algorithm.mode === 'gmac') {
    cipher.setAAD(gmacAad(input, plaintext), { plaintextLength: 0 });
    cipher.final();
    return concatOctets(plaintext, cipher.getAuthTag());
  }
  cipher.setAAD(input.aad, { plaintextLength: plaintext.length });
  return concatOctets(run(cipher, plaintext), cipher.getAuthTag());
}

/** The plaintext with its padding, or undefined where the tag or the length is wrong. */
export function open(input: OpenInput): Uint8Array | undefined {
  const { algorithm, ciphertext } = input;
  const parameters = cipherParameters(input);
  const length = ciphertext.length - algorithm.icvLength;
  if (length < 0 || length % algorithm.blockLength !== 0) return undefined;
  const body = ciphertext.subarray(0, length);
  if (algorithm.mode === 'null') return Uint8Array.from(body);
  if (!algorithm.aead) return run(plainDecipher(parameters), body);
  const decipher = aeadDecipher(parameters, algorithm.icvLength);
  decipher.setAuthTag(ciphertext.subarray(length));
  const gmac = algorithm.mode === 'gmac';
  if (gmac) decipher.setAAD(gmacAad(input, body), { plaintextLength: 0 });
  else decipher.setAAD(input.aad, { plaintextLength: length });
  try {
    // The tag is looked at here, and its being wrong is the only thing that throws.
    const opened = run(decipher, gmac ? new Uint8Array(0) : body);
    return gmac ? Uint8Array.from(body) : opened;
  } catch {
    return undefined;
  }
}

/** Splits the derived key and makes the nonce; a key or an IV of another length is our own fault. */
export function cipherParameters(input: CipherInput): CipherParameters {
  const { algorithm, key, iv } = input;
  assert(iv.length === algorithm.ivLength, `${algorithm.name}: an IV of ${iv.length} octets`);
  const keyOctets = key.length - algorithm.saltLength;
  const salt = key.subarray(keyOctets);
  return {
    name: algorithm.cipher(8 * keyOctets),
    key: key.subarray(0, keyOctets),
    // RFC 5282 §4, RFC 7634 §2: the nonce is the salt followed by the IV of the message.
    // RFC 3686 §4: and in counter mode a block counter behind them, which starts at 1.
    nonce: concatOctets(salt, iv, algorithm.mode === 'ctr' ? FIRST_COUNTER : NOTHING),
  };
}

/** RFC 4543 §3.3: GMAC authenticates what stands in front of the IV, the IV, and all behind it. */
export function gmacAad(input: CipherInput, body: Uint8Array): Uint8Array {
  return concatOctets(input.aad, input.iv, body);
}

const FIRST_COUNTER = Uint8Array.of(0, 0, 0, 1);
const NOTHING = new Uint8Array(0);

type AeadCipher = CipherGCM | CipherCCM | CipherChaCha20Poly1305;
type AeadDecipher = DecipherGCM | DecipherCCM | DecipherChaCha20Poly1305;

function run(cipher: Cipher | Decipher, octets: Uint8Array): Uint8Array {
  const body = cipher.update(octets);
  return concatOctets(body, cipher.final());
}

function plainCipher({ name, key, nonce }: CipherParameters): Cipher {
  return createCipheriv(name, key, nonce).setAutoPadding(false);
}

function plainDecipher({ name, key, nonce }: CipherParameters): Decipher {
  return createDecipheriv(name, key, nonce).setAutoPadding(false);
}

function aeadCipher({ name, key, nonce }: CipherParameters, authTagLength: number): AeadCipher {
  switch (name) {
    case 'chacha20-poly1305':
      return createCipheriv(name, key, nonce, { authTagLength });
    case 'aes-128-gcm':
    case 'aes-192-gcm':
    case 'aes-256-gcm':
      return createCipheriv(name, key, nonce, { authTagLength });
    case 'aes-128-ccm':
    case 'aes-192-ccm':
    case 'aes-256-ccm':
      return createCipheriv(name, key, nonce, { authTagLength });
    default:
      throw new RangeError(`${name} makes no tag`);
  }
}

function aeadDecipher({ name, key, nonce }: CipherParameters, authTagLength: number): AeadDecipher {
  switch (name) {
    case 'chacha20-poly1305':
      return createDecipheriv(name, key, nonce, { authTagLength });
    case 'aes-128-gcm':
    case 'aes-192-gcm':
    case 'aes-256-gcm':
      return createDecipheriv(name, key, nonce, { authTagLength });
    case 'aes-128-ccm':
    case 'aes-192-ccm':
    case 'aes-256-ccm':
      return createDecipheriv(name, key, nonce, { authTagLength });
    default:
      throw new RangeError(`${name} makes no tag`);
  }
}
