/**
 * Sealing and opening whole messages: the Encrypted payload (RFC 7296 §3.14; RFC 5282 and
 * RFC 7634 for AEAD).
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
import type { Transform } from '../ipsec/proposal.ts';
import { concatOctets, MalformedError, OctetWriter } from '../wire/octets.ts';
import { decodeMessage, decodePayloads, encodeMessage, encodePayloads } from './message/codec.ts';
import type { IkeHeader, Payload } from './message/message.ts';

/** SK_e and SK_a of one direction with their algorithms, and the IVs already used. */
export class MessageKey {
  readonly encr: EncryptionAlgorithm;
  /** Absent with an AEAD algorithm. */
  readonly integ: IntegrityAlgorithm | undefined;
  /** Ends with the salt where the algorithm has one. */
  readonly encryption: SecretBytes;
  readonly integrity: SecretBytes;
  #messages = 0;

  constructor(
    encr: Transform,
    integ: Transform | undefined,
    encryption: SecretBytes,
    integrity: SecretBytes,
  ) {
    this.encr = known(encryptionAlgorithm(encr.id), `encryption algorithm ${encr.id}`);
    this.integ = this.encr.aead
      ? undefined
      : known(integ && integrityAlgorithm(integ.id), `integrity algorithm ${integ?.id}`);
    this.encryption = encryption;
    this.integrity = integrity;
  }

  /** Octets of ICV at the end of every message. */
  get icvLength(): number {
    return this.integ?.icvLength ?? this.encr.icvLength;
  }

  nextIv(random: RandomBytes): Uint8Array {
    // RFC 7296 §3.14: with CBC the IV must be unpredictable.
    if (!this.encr.aead) return random(this.encr.ivLength);
    // RFC 5282 §3.1: with an AEAD no two messages under one key may share an IV; a counter sees to it.
    this.#messages++;
    return new OctetWriter()
      .octets(new Uint8Array(this.encr.ivLength - 8))
      .u32(Math.floor(this.#messages / 2 ** 32))
      .u32(this.#messages % 2 ** 32)
      .finish();
  }
}

/** A message whose only payload in the clear is SK, with `payloads` inside. */
export function sealMessage(
  header: IkeHeader,
  payloads: readonly Payload[],
  key: MessageKey,
  random: RandomBytes,
): Uint8Array {
  const { first, octets } = encodePayloads(payloads);
  const { encr, integ, icvLength } = key;
  const iv = key.nextIv(random);
  const plaintext = pad(octets, encr.blockLength);
  // With room for ciphertext and ICV, so that every length in front of them is final.
  const sealed = concatOctets(iv, plaintext, new Uint8Array(icvLength));
  const message = encodeMessage({
    header,
    payloads: [{ kind: 'SK', firstPayload: first, sealed }],
  });
  const ciphertextAt = message.length - icvLength - plaintext.length;
  // RFC 5282 §5.1: from the IKE header to the generic header of SK, the IV excluded.
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

/**
 * The payloads inside the SK payload of a message that `decodeMessage` accepts; undefined where
 * there is none or the ICV is wrong. `MalformedError` comes only from a sender who has the key.
 */
export function openMessage(octets: Uint8Array, key: MessageKey): readonly Payload[] | undefined {
  const last = decodeMessage(octets).payloads.at(-1);
  if (last?.kind !== 'SK') return undefined;
  const ivAt = octets.length - last.sealed.length;
  const plaintext = unseal(octets, ivAt, key);
  if (!plaintext) return undefined;
  return decodePayloads(last.firstPayload, unpad(plaintext, ivAt), ivAt + key.encr.ivLength);
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
