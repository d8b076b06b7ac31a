/**
 * What the native layer's `seal` and `open` do, over the message cipher and one packet at a time:
 * slow, obvious, and written from RFC 4303 instead of from C.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  ENCRYPTION_ALGORITHMS,
  type EncryptionAlgorithm,
  INTEGRITY_ALGORITHMS,
} from '../../src/crypto/algorithms.ts';
import { hmacDigest, isCbcMac } from '../../src/crypto/mac.ts';
import { open, seal } from '../../src/crypto/message-cipher.ts';
import { nobleCrypto } from '../../src/crypto/noble/noble-crypto.ts';
import {
  type Batch,
  FLAG_SUM,
  STATUS_BAD_ICV,
  STATUS_OK,
  WORDS,
  Word,
} from '../../src/esp/batch.ts';
import { ESP_HEADER, type EspSuite } from '../../src/esp/esp-suite.ts';
import { checksum, sumOctets } from '../../src/wire/checksum.ts';
import { writeU16 } from '../../src/wire/field.ts';
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
    for (let row = 0; row < count; row++) {
      batch.arena.set(gathered(batch, row), batch.words[row * WORDS + Word.OFFSET] ?? 0);
    }
    this.#each(batch, count, (packet, keys, high) => {
      sealPacket(packet, keys, high, this.#iv);
      return STATUS_OK;
    });
  }

  open(batch: Batch, count: number): void {
    this.#each(batch, count, (packet, keys, high) =>
      openPacket(packet, keys, high) ? STATUS_OK : STATUS_BAD_ICV,
    );
    for (let at = 0; at < count * WORDS; at += WORDS) this.#sum(batch, at);
  }

  /** The sum over an opened body where it is asked for. */
  #sum({ arena, words }: Batch, at: number): void {
    const keys = this.#contexts[words[at + Word.CONTEXT] ?? -1];
    if (keys === undefined || ((words[at + Word.FLAGS] ?? 0) & FLAG_SUM) === 0) return;
    const front = ESP_HEADER + keys.suite.ivLength;
    const length = (words[at + Word.LENGTH] ?? 0) - front - keys.suite.icvLength;
    words[at + Word.SUM] = sumOctets(arena, (words[at + Word.OFFSET] ?? 0) + front, length);
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

/** The packet of a row as it is once what the row names is put together and its checksum made. */
export function gathered({ arena, words }: Batch, row: number): Uint8Array {
  const at = row * WORDS;
  const offset = words[at + Word.OFFSET] ?? 0;
  const packet = arena.slice(offset, offset + (words[at + Word.LENGTH] ?? 0));
  const length = words[at + Word.SOURCE_LENGTH] ?? 0;
  if (length === 0) return packet;
  const source = words[at + Word.SOURCE] ?? 0;
  const to = (words[at + Word.COPY_TO] ?? 0) - offset;
  packet.set(arena.subarray(source, source + length), to);
  if ((words[at + Word.SUM_FROM] ?? -1) < 0) return packet;
  const from = (words[at + Word.SUM_FROM] ?? 0) - offset;
  const sum = checksum(packet, from, to + length - from);
  writeU16(packet, (words[at + Word.SUM_AT] ?? 0) - offset, sum === 0 ? 0xffff : sum);
  return packet;
}

/** The body of `packet` is sealed where it lies; SPI, sequence number and most IVs stand already. */
export function sealPacket(
  packet: Uint8Array,
  keys: ReferenceKeys,
  high: Uint8Array,
  randomIv: IvSource,
): void {
  const { suite, encryption } = keys;
  const { iv, body, icv } = parts(packet, suite);
  if (suite.mode === 'cbc') iv.set(randomIv(iv.length));
  const algorithm = cipherOf(suite);
  const aad = associatedData(packet, keys, high);
  const sealed = seal({ algorithm, key: encryption, iv, aad, plaintext: body });
  body.set(sealed.subarray(0, body.length));
  icv.set(algorithm.aead ? sealed.subarray(body.length) : mac(packet, keys, high));
}

/** Opens `packet` where it lies; false and unchanged when the ICV is wrong. */
export function openPacket(packet: Uint8Array, keys: ReferenceKeys, high: Uint8Array): boolean {
  const { suite, encryption } = keys;
  const { iv, body, icv } = parts(packet, suite);
  const algorithm = cipherOf(suite);
  if (!algorithm.aead && !timingSafeEqual(mac(packet, keys, high), icv)) return false;
  const ciphertext = algorithm.aead ? concatOctets(body, icv) : body;
  const aad = associatedData(packet, keys, high);
  const opened = open({ algorithm, key: encryption, iv, aad, ciphertext });
  if (opened === undefined) return false;
  body.set(opened);
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

function cipherOf(suite: EspSuite): EncryptionAlgorithm {
  const found = ENCRYPTION_ALGORITHMS.find(
    ({ mode, aead, icvLength, keyLengths, cipher }) =>
      mode === suite.mode &&
      (!aead || icvLength === suite.icvLength) &&
      keyLengths.some((bits) => cipher(bits) === suite.cipher),
  );
  if (found === undefined) throw new RangeError(`no algorithm with ${suite.cipher}`);
  return found;
}

// RFC 4106 §5: the associated data is SPI and sequence number, 64 bits of it with ESN.
function associatedData(packet: Uint8Array, keys: ReferenceKeys, high: Uint8Array): Uint8Array {
  return keys.esn
    ? concatOctets(packet.subarray(0, 4), high, packet.subarray(4, 8))
    : packet.slice(0, 8);
}

// RFC 4303 §2.2.1: with ESN and a separate integrity algorithm the high half is hashed last.
function mac(packet: Uint8Array, keys: ReferenceKeys, high: Uint8Array): Uint8Array {
  const { suite, integrity, esn } = keys;
  if (suite.mac === undefined) throw new RangeError('a packet without a MAC');
  const covered = packet.subarray(0, packet.length - suite.icvLength);
  const data = esn ? [covered, high] : [covered];
  if (isCbcMac(suite.mac)) {
    const algorithm = INTEGRITY_ALGORITHMS.find((one) => one.mac === suite.mac);
    if (algorithm === undefined) throw new RangeError(`no algorithm with ${suite.mac}`);
    return nobleCrypto.computeIcv(algorithm, integrity, ...data);
  }
  const hmac = createHmac(hmacDigest(suite.mac), integrity);
  for (const part of data) hmac.update(part);
  return hmac.digest().subarray(0, suite.icvLength);
}
