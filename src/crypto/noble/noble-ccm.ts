/**
 * Reference AES-CCM (RFC 3610 §2) with nonces of 11 octets and lengths of 4, as RFC 4309 §4 has them,
 * over the AES of @noble/ciphers, which has no CCM. Plain, and in the letters of RFC 3610.
 */
import { ecb } from '@noble/ciphers/aes.js';
import { concatOctets, equalOctets } from '../../wire/octets.ts';

export interface CcmInput {
  readonly key: Uint8Array;
  /** 11 octets. */
  readonly nonce: Uint8Array;
  /** At most 65279 octets. */
  readonly aad: Uint8Array;
  readonly tagLength: number;
}

export function ccmSeal(input: CcmInput, message: Uint8Array): Uint8Array {
  return concatOctets(counterMode(input, message), encryptedTag(input, message));
}

/** The message, or undefined where the tag is wrong. */
export function ccmOpen(input: CcmInput, sealed: Uint8Array): Uint8Array | undefined {
  const at = sealed.length - input.tagLength;
  const message = counterMode(input, sealed.subarray(0, at));
  return equalOctets(encryptedTag(input, message), sealed.subarray(at)) ? message : undefined;
}

/** L: octets that count the message. */
const L = 4;

/** RFC 3610 §2.3: S_1, S_2, ... over the message. */
function counterMode(input: CcmInput, message: Uint8Array): Uint8Array {
  const blocks = Array.from({ length: Math.ceil(message.length / 16) }, (_, block) =>
    xor(message.subarray(16 * block, 16 * (block + 1)), keyStream(input, block + 1)),
  );
  return concatOctets(...blocks);
}

/** RFC 3610 §2.2 and §2.3: T cut to M octets, under S_0. */
function encryptedTag(input: CcmInput, message: Uint8Array): Uint8Array {
  const { key, nonce, aad, tagLength } = input;
  const flags = (aad.length > 0 ? 64 : 0) + 8 * ((tagLength - 2) / 2) + (L - 1);
  const b0 = concatOctets(Uint8Array.of(flags), nonce, bigEndian(message.length, L));
  const header = aad.length > 0 ? wholeBlocks(concatOctets(bigEndian(aad.length, 2), aad)) : aad;
  const blocks = concatOctets(b0, header, wholeBlocks(message));
  let x: Uint8Array = new Uint8Array(16);
  for (let at = 0; at < blocks.length; at += 16) x = aes(key, xor(x, blocks.subarray(at)));
  return xor(x, keyStream(input, 0)).slice(0, tagLength);
}

function keyStream({ key, nonce }: CcmInput, counter: number): Uint8Array {
  return aes(key, concatOctets(Uint8Array.of(L - 1), nonce, bigEndian(counter, L)));
}

function wholeBlocks(octets: Uint8Array): Uint8Array {
  return concatOctets(octets, new Uint8Array((16 - (octets.length % 16)) % 16));
}

function bigEndian(number: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => (number / 256 ** (length - 1 - at)) & 0xff);
}

function aes(key: Uint8Array, block: Uint8Array): Uint8Array {
  return ecb(key, { disablePadding: true }).encrypt(block);
}

function xor(a: Uint8Array, b: Uint8Array): Uint8Array {
  return a.map((octet, at) => octet ^ (b[at] ?? 0));
}
