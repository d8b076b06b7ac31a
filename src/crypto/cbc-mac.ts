/**
 * AES-XCBC (RFC 3566 §4) and AES-CMAC (RFC 4493 §2): a CBC-MAC whose last block is masked, with one
 * mask for a whole block and another for a padded one. They differ in how key and masks are made.
 *
 * The native layer does the same over packets, with the keys made here. Full 16 octets; the caller cuts.
 */
import { createCipheriv } from 'node:crypto';
import { concatOctets } from '../wire/octets.ts';
import type { CbcMacName } from './algorithms.ts';

const BLOCK = 16;

/** What is derived from a key once. */
export interface CbcMacKeys {
  /** Of the block cipher. */
  readonly key: Uint8Array;
  /** Mask of a last block that is full. */
  readonly whole: Uint8Array;
  /** Mask of a last block that was padded. */
  readonly padded: Uint8Array;
}

/** Key and masks from a key of 16 octets. */
export function cbcMacKeys(name: CbcMacName, key: Uint8Array): CbcMacKeys {
  const encrypt = (block: Uint8Array): Uint8Array => encryptBlocks(key, block);
  if (name === 'aes-xcbc') {
    // RFC 3566 §4: three keys from three constants.
    const constant = (octet: number): Uint8Array => new Uint8Array(BLOCK).fill(octet);
    return {
      key: encrypt(constant(1)),
      whole: encrypt(constant(2)),
      padded: encrypt(constant(3)),
    };
  }
  // RFC 4493 §2.3: the masks are the encrypted zero block, doubled once and twice in GF(2^128).
  const whole = doubled(encrypt(new Uint8Array(BLOCK)));
  return { key, whole, padded: doubled(whole) };
}

/** The MAC over the concatenation of `data`. */
export function cbcMac(keys: CbcMacKeys, ...data: readonly Uint8Array[]): Uint8Array {
  const message = concatOctets(...data);
  const isWhole = message.length > 0 && message.length % BLOCK === 0;
  const blocks = new Uint8Array(Math.max(1, Math.ceil(message.length / BLOCK)) * BLOCK);
  blocks.set(message);
  // RFC 3566 §4, RFC 4493 §2.4: padding is one bit and zeros.
  if (!isWhole) blocks[message.length] = 0x80;
  const mask = isWhole ? keys.whole : keys.padded;
  const last = blocks.length - BLOCK;
  for (let at = 0; at < BLOCK; at++) blocks[last + at]! ^= mask[at]!;
  return encryptBlocks(keys.key, blocks).slice(last);
}

/** CBC from a zero IV: one block comes out as in ECB. */
function encryptBlocks(key: Uint8Array, blocks: Uint8Array): Uint8Array {
  const cipher = createCipheriv('aes-128-cbc', key, new Uint8Array(BLOCK)).setAutoPadding(false);
  return concatOctets(cipher.update(blocks), cipher.final());
}

/** Shifted left by a bit; what falls out comes back as the field's polynomial. */
function doubled(block: Uint8Array): Uint8Array {
  const shifted = block.map((octet, at) => (octet << 1) | ((block[at + 1] ?? 0) >> 7));
  shifted[BLOCK - 1]! ^= (block[0]! >> 7) * 0x87;
  return shifted;
}
