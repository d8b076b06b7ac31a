/**
 * Sealing and opening messages: the Encrypted payload (RFC 7296 §3.14; RFC 5282 and RFC 7634 for
 * AEAD, RFC 5930 for counter mode), and the Encrypted Fragment payloads that take its place
 * (RFC 7383 §2.5).
 *
 * Opening verifies before it decrypts, and says no more than "wrong" until it has verified. The
 * direction is the caller's: a `MessageKey` is one direction of one IKE SA.
 */
import {
  type EncryptionAlgorithm,
  encryptionAlgorithm,
  type IntegrityAlgorithm,
  integrityAlgorithm,
} from '../crypto/algorithms.ts';
import { equalSecrets } from '../crypto/constant-time.ts';
import { computeIcv } from '../crypto/integrity.ts';
import { open, seal } from '../crypto/message-cipher.ts';
import type { RandomBytes } from '../crypto/random.ts';
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { IvPartition } from '../ipsec/iv-partition.ts';
import type { Transform } from '../ipsec/proposal.ts';
import { concatOctets, MalformedError, OctetWriter } from '../wire/octets.ts';
import { decodeMessage, decodePayloads, encodeMessage, encodePayloads } from './message/codec.ts';
import { HEADER_OCTETS } from './message/header.ts';
import { Limit, within } from './message/limits.ts';
import {
  type EncryptedFragmentPayload,
  type EncryptedPayload,
  type IkeHeader,
  type IkeMessage,
  type Payload,
  PayloadType,
} from './message/message.ts';

/** Where the IVs of a key come from. */
export interface IvOrigin {
  /** Messages sealed before with this key, in this process or by whoever had it. */
  readonly messages?: number;
  /** The part that this node has of keys that several nodes may seal with. */
  readonly partition?: IvPartition | undefined;
}

/** SK_e and SK_a of one direction with their algorithms, and the IVs already used. */
export class MessageKey {
  readonly encr: EncryptionAlgorithm;
  /** Absent with an AEAD algorithm. */
  readonly integ: IntegrityAlgorithm | undefined;
  /** Ends with the salt where the algorithm has one. */
  readonly encryption: SecretBytes;
  readonly integrity: SecretBytes;
  readonly #partition: IvPartition | undefined;
  #messages: number;

  constructor(
    encr: Transform,
    integ: Transform | undefined,
    encryption: SecretBytes,
    integrity: SecretBytes,
    { messages = 0, partition }: IvOrigin = {},
  ) {
    this.encr = known(encryptionAlgorithm(encr.id), `encryption algorithm ${encr.id}`);
    this.integ = this.encr.aead
      ? undefined
      : known(integ && integrityAlgorithm(integ.id), `integrity algorithm ${integ?.id}`);
    this.encryption = encryption;
    this.integrity = integrity;
    this.#messages = messages;
    this.#partition = partition;
  }

  /** Messages sealed with it. */
  get messages(): number {
    return this.#messages;
  }

  /** Octets of ICV at the end of every message. */
  get icvLength(): number {
    return this.integ?.icvLength ?? this.encr.icvLength;
  }

  nextIv(random: RandomBytes): Uint8Array {
    // RFC 7296 §3.14: with CBC the IV must be unpredictable.
    if (this.encr.mode === 'cbc') return random(this.encr.ivLength);
    // RFC 5282 §3.1, RFC 5930 §2: with an AEAD and in counter mode no two messages under one key may
    // share an IV; a counter sees to it, and between nodes the part that each of them has.
    this.#messages++;
    const partition = this.#partition;
    partition?.advance();
    const high = partition?.high ?? Math.floor(this.#messages / 2 ** 32);
    const low = partition?.low ?? this.#messages % 2 ** 32;
    const leading = new Uint8Array(this.encr.ivLength - 8);
    return new OctetWriter().octets(leading).u32(high).u32(low).finish();
  }
}

/** A message whose only payload in the clear is SK, with `payloads` inside. */
export function sealMessage(
  header: IkeHeader,
  payloads: readonly Payload[],
  key: MessageKey,
  random: RandomBytes,
): Uint8Array {
  return sealWhole(header, encodePayloads(payloads), { key, random });
}

/**
 * The message in datagrams of at most `maxOctets`: whole as SK where that fits, else as fragments,
 * each sealed by itself.
 */
export function sealDatagrams(
  { header, payloads }: IkeMessage,
  key: MessageKey,
  random: RandomBytes,
  maxOctets: number,
): readonly Uint8Array[] {
  const content = encodePayloads(payloads);
  const sealing = { key, random };
  return wholeOctets(key, content.octets.length) <= maxOctets
    ? [sealWhole(header, content, sealing)]
    : sealInFragments(header, content, sealing, fragmentRoom(key, maxOctets));
}

/**
 * What we sent with this key once more, in fragments of at most `maxOctets`.
 *
 * RFC 7383 §2.6: only more fragments than before make a receiver start over, so there are more.
 */
export function fragmentAgain(
  datagrams: readonly Uint8Array[],
  key: MessageKey,
  random: RandomBytes,
  maxOctets: number,
): readonly Uint8Array[] {
  const chunks = datagrams.map((octets) => {
    const chunk = openChunk(octets, key);
    if (!chunk) throw new Error(`a message of ${octets.length} octets is not sealed with this key`);
    return chunk;
  });
  const [head] = chunks;
  if (!head) return [];
  const content = {
    first: head.payload.firstPayload,
    octets: concatOctets(...chunks.map(({ plaintext }) => plaintext)),
  };
  const before = head.payload.kind === 'SKF' ? datagrams.length : 0;
  const room = Math.min(
    fragmentRoom(key, maxOctets),
    Math.max(1, Math.floor(content.octets.length / (before + 1))),
  );
  return sealInFragments(head.header, content, { key, random }, room);
}

/**
 * The payloads inside the SK payload of a message that `decodeMessage` accepts; undefined where
 * there is none or the ICV is wrong. `MalformedError` comes only from a sender who has the key.
 */
export function openMessage(octets: Uint8Array, key: MessageKey): readonly Payload[] | undefined {
  const opened = openChunk(octets, key);
  if (opened?.payload.kind !== 'SK') return undefined;
  return decodePayloads(opened.payload.firstPayload, opened.plaintext, opened.at);
}

/** One fragment, authentic and decrypted. */
export interface OpenedFragment {
  readonly firstPayload: number;
  readonly fragmentNumber: number;
  readonly totalFragments: number;
  /** Its part of the chain of payloads. */
  readonly content: Uint8Array;
}

/** What is inside the SKF payload of a message; otherwise as `openMessage`. */
export function openFragment(octets: Uint8Array, key: MessageKey): OpenedFragment | undefined {
  const opened = openChunk(octets, key);
  if (opened?.payload.kind !== 'SKF') return undefined;
  const { firstPayload, fragmentNumber, totalFragments } = opened.payload;
  return { firstPayload, fragmentNumber, totalFragments, content: opened.plaintext };
}

/** The chain of payloads that is sealed, and the type of its first. */
interface Content {
  readonly first: number;
  readonly octets: Uint8Array;
}

interface Sealing {
  readonly key: MessageKey;
  readonly random: RandomBytes;
}

function sealWhole(header: IkeHeader, { first, octets }: Content, sealing: Sealing): Uint8Array {
  return sealChunk(header, octets, sealing, (sealed) => ({
    kind: 'SK',
    firstPayload: first,
    sealed,
  }));
}

/** In fragments of at most `room` octets of content. */
function sealInFragments(
  header: IkeHeader,
  { first, octets }: Content,
  sealing: Sealing,
  room: number,
): readonly Uint8Array[] {
  const pieces = Math.max(1, Math.ceil(octets.length / room));
  const totalFragments = within(Limit.FRAGMENTS, pieces, 'fragments');
  return Array.from({ length: totalFragments }, (_, index) =>
    sealChunk(header, octets.subarray(index * room, (index + 1) * room), sealing, (sealed) => ({
      kind: 'SKF',
      // RFC 7383 §2.5: only the first fragment names a payload type.
      firstPayload: index === 0 ? first : PayloadType.NONE,
      fragmentNumber: index + 1,
      totalFragments,
      sealed,
    })),
  );
}

/** Octets of a message with so much content under SK. */
export function wholeOctets({ encr, icvLength }: MessageKey, contentOctets: number): number {
  const padded = Math.ceil((contentOctets + 1) / encr.blockLength) * encr.blockLength;
  return HEADER_OCTETS + SK_HEADER_OCTETS + encr.ivLength + padded + icvLength;
}

/** Octets of content under SK in a message of at most `maxOctets`. */
export function wholeRoom(key: MessageKey, maxOctets: number): number {
  return roomBehind(HEADER_OCTETS + SK_HEADER_OCTETS, key, maxOctets);
}

/** Octets of content in a fragment of at most `maxOctets`, header and pad length counted. */
function fragmentRoom(key: MessageKey, maxOctets: number): number {
  return roomBehind(HEADER_OCTETS + SKF_HEADER_OCTETS, key, maxOctets);
}

function roomBehind(headers: number, { encr, icvLength }: MessageKey, maxOctets: number): number {
  const around = headers + encr.ivLength + icvLength;
  const blocks = Math.floor((maxOctets - around) / encr.blockLength);
  const room = blocks * encr.blockLength - 1;
  if (room < 1) throw new RangeError(`messages of ${maxOctets} octets hold nothing`);
  return room;
}

/** A message whose payload `wrap` makes of what is sealed. */
function sealChunk(
  header: IkeHeader,
  chunk: Uint8Array,
  { key, random }: Sealing,
  wrap: (sealed: Uint8Array) => EncryptedPayload | EncryptedFragmentPayload,
): Uint8Array {
  const { encr, integ, icvLength } = key;
  const iv = key.nextIv(random);
  const plaintext = pad(chunk, encr.blockLength);
  // With room for ciphertext and ICV, so that every length in front of them is final.
  const sealed = concatOctets(iv, plaintext, new Uint8Array(icvLength));
  const message = encodeMessage({ header, payloads: [wrap(sealed)] });
  const ciphertextAt = message.length - icvLength - plaintext.length;
  // RFC 5282 §5.1: from the IKE header to the generic header of SK, the IV excluded.
  // RFC 7383 §2.5: of SKF, the fragment numbers as well.
  const aad = message.subarray(0, ciphertextAt - iv.length);
  const encryption = key.encryption.reveal();
  message.set(seal({ algorithm: encr, key: encryption, iv, aad, plaintext }), ciphertextAt);
  if (integ) {
    const icvAt = message.length - icvLength;
    const icv = computeIcv(integ, key.integrity.reveal(), message.subarray(0, icvAt));
    message.set(icv, icvAt);
  }
  return message;
}

interface OpenedChunk {
  readonly header: IkeHeader;
  readonly payload: EncryptedPayload | EncryptedFragmentPayload;
  /** Without its padding. */
  readonly plaintext: Uint8Array;
  /** Where the plaintext starts in the message, for errors. */
  readonly at: number;
}

/** The last payload of a message if it is sealed and its ICV is right. */
function openChunk(octets: Uint8Array, key: MessageKey): OpenedChunk | undefined {
  const { header, payloads } = decodeMessage(octets);
  const payload = payloads.at(-1);
  if (payload?.kind !== 'SK' && payload?.kind !== 'SKF') return undefined;
  const ivAt = octets.length - payload.sealed.length;
  const plaintext = unseal(octets, ivAt, key);
  if (!plaintext) return undefined;
  return { header, payload, plaintext: unpad(plaintext, ivAt), at: ivAt + key.encr.ivLength };
}

function unseal(octets: Uint8Array, ivAt: number, key: MessageKey): Uint8Array | undefined {
  const { encr, integ, icvLength } = key;
  const ciphertextAt = ivAt + encr.ivLength;
  const icvAt = octets.length - icvLength;
  if (ciphertextAt > icvAt) return undefined;
  if (integ) {
    // RFC 7296 §3.14: the ICV covers everything before it and is verified before decryption.
    const icv = computeIcv(integ, key.integrity.reveal(), octets.subarray(0, icvAt));
    if (!equalSecrets(icv, octets.subarray(icvAt))) return undefined;
  }
  const plaintext = open({
    algorithm: encr,
    key: key.encryption.reveal(),
    iv: octets.subarray(ivAt, ciphertextAt),
    aad: octets.subarray(0, ivAt),
    ciphertext: octets.subarray(ciphertextAt, integ ? icvAt : octets.length),
  });
  if (!plaintext && integ) throw new MalformedError(ciphertextAt, 'SK: not whole blocks');
  return plaintext;
}

/** The least padding that fills the block, and its length. Receivers look at the length only. */
function pad(octets: Uint8Array, blockLength: number): Uint8Array {
  const padding = (blockLength - ((octets.length + 1) % blockLength)) % blockLength;
  return concatOctets(octets, new Uint8Array(padding), Uint8Array.of(padding));
}

function unpad(plaintext: Uint8Array, at: number): Uint8Array {
  const padding = plaintext.at(-1);
  // RFC 7296 §3.14: any padding the sender liked, its content unspecified.
  if (padding === undefined || padding >= plaintext.length) {
    throw new MalformedError(at, `SK: ${padding ?? 0} octets of padding in ${plaintext.length}`);
  }
  return plaintext.subarray(0, plaintext.length - 1 - padding);
}

function known<T>(algorithm: T | undefined, what: string): T {
  if (algorithm === undefined) throw new Error(`${what} is not implemented`);
  return algorithm;
}

const SK_HEADER_OCTETS = 4;
/** The generic header and the two fragment numbers. */
const SKF_HEADER_OCTETS = 8;
