/**
 * What the native layer's `seal` and `open` do, over node:crypto and one packet at a time:
 * slow, obvious, and written from RFC 4303, RFC 4106, RFC 7634 and RFC 3602 instead of from C.
 */
import {
  type CipherGCMTypes,
  createCipheriv,
  createDecipheriv,
  createHmac,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto';
import { type Batch, STATUS_BAD_ICV, STATUS_OK, WORDS, Word } from '../../src/esp/batch.ts';
import { ESP_HEADER, type EspSuite } from '../../src/esp/esp-suite.ts';
import { concatOctets } from '../../src/wire/octets.ts';

export interface ReferenceKeys {
  readonly suite: EspSuite;
  /** With the salt at the end where the suite has one. */
  readonly encryption: Uint8Array;
  readonly integrity: Uint8Array;
  readonly esn: boolean;
}

/** Fills the IV of a CBC packet. */
export type IvSource = (length: number) => Uint8Array;

export class ReferenceSealer {
  readonly #contexts: ReferenceKeys[] = [];
  readonly #iv: IvSource;

  constructor(iv: IvSource = (length) => randomBytes(length)) {
    this.#iv = iv;
  }

  context(keys: ReferenceKeys): number {
    return this.#contexts.push(keys) - 1;
  }

  seal(batch: Batch, count: number): void {
    this.#each(batch, count, (packet, keys, high) => {
      sealPacket(packet, keys, high, this.#iv);
      return STATUS_OK;
    });
  }

  open(batch: Batch, count: number): void {
    this.#each(batch, count, (packet, keys, high) =>
      openPacket(packet, keys, high) ? STATUS_OK : STATUS_BAD_ICV,
    );
  }

  #each(
    batch: Batch,
    count: number,
    act: (packet: Uint8Array, keys: ReferenceKeys, high: Uint8Array) => number,
  ): void {
    for (let row = 0; row < count; row++) {
      const at = row * WORDS;
      const context = batch.words[at + Word.CONTEXT] ?? -1;
      if (context < 0) continue;
      const keys = this.#contexts[context];
      if (keys === undefined) throw new RangeError(`row ${row} names context ${context}`);
      const offset = batch.words[at + Word.OFFSET] ?? 0;
      const packet = batch.arena.subarray(offset, offset + (batch.words[at + Word.LENGTH] ?? 0));
      const high = new Uint8Array(4);
      new DataView(high.buffer).setUint32(0, (batch.words[at + Word.SEQUENCE_HIGH] ?? 0) >>> 0);
      batch.words[at + Word.STATUS] = act(packet, keys, high);
    }
  }
}

/** The body of `packet` is sealed where it lies; SPI, sequence number and (AEAD) IV stand already. */
export function sealPacket(
  packet: Uint8Array,
  keys: ReferenceKeys,
  high: Uint8Array,
  randomIv: IvSource,
): void {
  const { suite } = keys;
  const { iv, body, icv } = parts(packet, suite);
  if (suite.aead) {
    const [key, nonce] = aeadKey(keys, iv);
    const cipher =
      suite.cipher === 'chacha20-poly1305'
        ? createCipheriv(suite.cipher, key, nonce, { authTagLength: suite.icvLength })
        : createCipheriv(gcm(suite), key, nonce, { authTagLength: suite.icvLength });
    cipher.setAAD(aad(packet, keys, high), { plaintextLength: body.length });
    body.set(concatOctets(cipher.update(body), cipher.final()));
    icv.set(cipher.getAuthTag());
    return;
  }
  iv.set(randomIv(iv.length));
  const cipher = createCipheriv(suite.cipher, keys.encryption, iv).setAutoPadding(false);
  body.set(concatOctets(cipher.update(body), cipher.final()));
  icv.set(mac(packet, keys, high));
}

/** Opens `packet` where it lies; false and unchanged when the ICV is wrong. */
export function openPacket(packet: Uint8Array, keys: ReferenceKeys, high: Uint8Array): boolean {
  const { suite } = keys;
  const { iv, body, icv } = parts(packet, suite);
  if (suite.aead) {
    const [key, nonce] = aeadKey(keys, iv);
    const decipher =
      suite.cipher === 'chacha20-poly1305'
        ? createDecipheriv(suite.cipher, key, nonce, { authTagLength: suite.icvLength })
        : createDecipheriv(gcm(suite), key, nonce, { authTagLength: suite.icvLength });
    decipher.setAAD(aad(packet, keys, high), { plaintextLength: body.length });
    decipher.setAuthTag(icv);
    const plain = decipher.update(body);
    try {
      decipher.final();
    } catch {
      return false;
    }
    body.set(plain);
    return true;
  }
  if (!timingSafeEqual(mac(packet, keys, high), icv)) return false;
  const decipher = createDecipheriv(suite.cipher, keys.encryption, iv).setAutoPadding(false);
  body.set(concatOctets(decipher.update(body), decipher.final()));
  return true;
}

function parts(packet: Uint8Array, suite: EspSuite) {
  const bodyAt = ESP_HEADER + suite.ivLength;
  const icvAt = packet.length - suite.icvLength;
  return {
    iv: packet.subarray(ESP_HEADER, bodyAt),
    body: packet.subarray(bodyAt, icvAt),
    icv: packet.subarray(icvAt),
  };
}

function gcm(suite: EspSuite): CipherGCMTypes {
  switch (suite.cipher) {
    case 'aes-128-gcm':
    case 'aes-192-gcm':
    case 'aes-256-gcm':
      return suite.cipher;
    default:
      throw new RangeError(`${suite.cipher} is no AEAD cipher`);
  }
}

function aeadKey(keys: ReferenceKeys, iv: Uint8Array): [Uint8Array, Uint8Array] {
  const at = keys.encryption.length - keys.suite.saltLength;
  return [keys.encryption.subarray(0, at), concatOctets(keys.encryption.subarray(at), iv)];
}

// RFC 4106 §5: the associated data is SPI and sequence number, 64 bits of it with ESN.
function aad(packet: Uint8Array, keys: ReferenceKeys, high: Uint8Array): Uint8Array {
  return keys.esn
    ? concatOctets(packet.subarray(0, 4), high, packet.subarray(4, 8))
    : packet.slice(0, 8);
}

// RFC 4303 §2.2.1: with ESN and a separate integrity algorithm the high half is hashed last.
function mac(packet: Uint8Array, keys: ReferenceKeys, high: Uint8Array): Uint8Array {
  const { suite } = keys;
  if (suite.digest === undefined) throw new RangeError('an HMAC without a digest');
  const hmac = createHmac(suite.digest, keys.integrity);
  hmac.update(packet.subarray(0, packet.length - suite.icvLength));
  if (keys.esn) hmac.update(high);
  return hmac.digest().subarray(0, suite.icvLength);
}
