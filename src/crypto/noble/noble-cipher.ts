/** Reference ciphers on @noble/ciphers; the signatures are those of `../message-cipher.ts`. */
import { cbc, gcm } from '@noble/ciphers/aes.js';
import { chacha20poly1305 } from '@noble/ciphers/chacha.js';
import {
  type CipherInput,
  cipherParameters,
  type OpenInput,
  type SealInput,
} from '../message-cipher.ts';

export function nobleSeal(input: SealInput): Uint8Array {
  return nobleCipher(input).encrypt(input.plaintext);
}

export function nobleOpen(input: OpenInput): Uint8Array | undefined {
  const { algorithm, ciphertext } = input;
  const length = ciphertext.length - algorithm.icvLength;
  if (length < 0 || length % algorithm.blockLength !== 0) return undefined;
  try {
    return nobleCipher(input).decrypt(ciphertext);
  } catch {
    return undefined;
  }
}

interface NobleCipher {
  readonly encrypt: (plaintext: Uint8Array) => Uint8Array;
  readonly decrypt: (ciphertext: Uint8Array) => Uint8Array;
}

function nobleCipher(input: CipherInput): NobleCipher {
  const { name, key, nonce } = cipherParameters(input);
  switch (name) {
    case 'chacha20-poly1305':
      return chacha20poly1305(key, nonce, input.aad);
    case 'aes-128-gcm':
    case 'aes-192-gcm':
    case 'aes-256-gcm':
      return gcm(key, nonce, input.aad);
    default:
      return cbc(key, nonce, { disablePadding: true });
  }
}
