/**
 * The handshake Noise_NNpsk0_25519_AESGCM_SHA256 (The Noise Protocol Framework, revision 34).
 *
 *   -> psk, e        payload sealed under the pre-shared key and e: no forward secrecy, can be replayed
 *   <- e, ee         payload sealed under ee as well: fresh on the initiator's side
 *
 * It rests on the secrecy of the pre-shared key for authentication (both ends prove that they hold it,
 * neither proves which holder it is) and on X25519 for forward secrecy: who learns the key later cannot
 * read sessions recorded earlier. What a first message proves is only that it was made once by a holder;
 * `handshake.ts` adds the challenge that makes it fresh. Nothing here is sent or timed.
 */
import {
  type EncryptionAlgorithm,
  encryptionAlgorithm,
  prfAlgorithm,
} from '../../crypto/algorithms.ts';
import { digest } from '../../crypto/digest.ts';
import { type KeyExchangePair, keyExchangeMethod } from '../../crypto/key-exchange.ts';
import { open, seal } from '../../crypto/message-cipher.ts';
import { prf } from '../../crypto/prf.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import { SecretBytes } from '../../crypto/secret-bytes.ts';
import { EncryptionId, KeyExchangeId, PrfId } from '../../crypto/transform.ts';
import { concatOctets } from '../../wire/octets.ts';

export const NOISE_PROTOCOL = 'Noise_NNpsk0_25519_AESGCM_SHA256';

/** Octets of an X25519 public value. */
export const EPHEMERAL_OCTETS = 32;
/** Octets of an AES-GCM tag. */
export const TAG_OCTETS = 16;

export interface NoiseSettings {
  /** 32 octets. */
  readonly psk: SecretBytes;
  /** Public context both ends must agree on. */
  readonly prologue: Uint8Array;
  readonly random: RandomBytes;
}

/** What a finished handshake leaves: a key for each direction. */
export interface NoiseKeys {
  readonly send: SecretBytes;
  readonly receive: SecretBytes;
}

export class NoiseInitiator {
  readonly #state: SymmetricState;
  readonly #pair: KeyExchangePair;

  constructor({ psk, prologue, random }: NoiseSettings) {
    this.#state = new SymmetricState(prologue, psk);
    this.#pair = x25519(random);
  }

  /** The first message: our ephemeral value and the sealed payload. */
  write(payload: Uint8Array): Uint8Array {
    this.#state.mixEphemeral(this.#pair.publicData);
    return concatOctets(this.#pair.publicData, this.#state.sealAndHash(payload));
  }

  /** Payload of the second message and the keys; undefined where it is not of a key holder. */
  read(
    message: Uint8Array,
  ): { readonly payload: Uint8Array; readonly keys: NoiseKeys } | undefined {
    // On a copy: a forged answer must not spoil the wait for the genuine one.
    const state = this.#state.copy();
    const ephemeral = message.subarray(0, EPHEMERAL_OCTETS);
    const shared = this.#pair.shared(ephemeral);
    if (shared === undefined) return undefined;
    state.mixEphemeral(ephemeral);
    state.mixKey(shared.reveal());
    const payload = state.openAndHash(message.subarray(EPHEMERAL_OCTETS));
    if (payload === undefined) return undefined;
    const [send, receive] = state.split();
    return { payload, keys: { send, receive } };
  }
}

export class NoiseResponder {
  readonly #state: SymmetricState;
  readonly #random: RandomBytes;
  #ephemeral = new Uint8Array(0);

  constructor({ psk, prologue, random }: NoiseSettings) {
    this.#state = new SymmetricState(prologue, psk);
    this.#random = random;
  }

  /** Payload of the first message, or undefined. Costs no key exchange. */
  read(message: Uint8Array): Uint8Array | undefined {
    this.#ephemeral = message.slice(0, EPHEMERAL_OCTETS);
    this.#state.mixEphemeral(this.#ephemeral);
    return this.#state.openAndHash(message.subarray(EPHEMERAL_OCTETS));
  }

  /** The second message and the keys; undefined where the initiator's public value is unusable. */
  write(
    payload: Uint8Array,
  ): { readonly message: Uint8Array; readonly keys: NoiseKeys } | undefined {
    const pair = x25519(this.#random);
    const shared = pair.shared(this.#ephemeral);
    if (shared === undefined) return undefined;
    this.#state.mixEphemeral(pair.publicData);
    this.#state.mixKey(shared.reveal());
    const message = concatOctets(pair.publicData, this.#state.sealAndHash(payload));
    const [receive, send] = this.#state.split();
    return { message, keys: { send, receive } };
  }
}

/** Noise's nonce is 32 zero bits and the counter: a salt of zeros and an IV, as RFC 4106 has them. */
export function noiseCipherKey(key: SecretBytes): Uint8Array {
  return concatOctets(key.reveal(), new Uint8Array(AES_GCM.saltLength));
}

export const AES_GCM = required(encryptionAlgorithm(EncryptionId.AES_GCM_16));
export const HMAC_SHA256 = required(prfAlgorithm(PrfId.PRF_HMAC_SHA2_256));

/** Chaining key, hash and cipher key of a handshake in progress (Noise §5.2, §9). */
class SymmetricState {
  #chain: Uint8Array;
  #hash: Uint8Array;
  #key: Uint8Array;
  #nonce = 0;

  constructor(prologue: Uint8Array, psk: SecretBytes, of?: SymmetricState) {
    if (of) {
      this.#chain = of.#chain;
      this.#hash = of.#hash;
      this.#key = of.#key;
      this.#nonce = of.#nonce;
      return;
    }
    if (psk.length !== 32) throw new RangeError(`a pre-shared key of ${psk.length} octets, not 32`);
    // A protocol name of 32 octets is the first hash itself.
    this.#chain = PROTOCOL_OCTETS;
    this.#hash = digest('sha256', PROTOCOL_OCTETS, prologue);
    const [chain, hashed, key] = this.#hkdf(psk.reveal());
    this.#chain = chain;
    this.#hash = digest('sha256', this.#hash, hashed);
    this.#key = key;
  }

  copy(): SymmetricState {
    return new SymmetricState(NOTHING, NO_PSK, this);
  }

  /** Token e; with a pre-shared key the ephemeral value enters the key as well (Noise §9.2). */
  mixEphemeral(publicData: Uint8Array): void {
    this.#hash = digest('sha256', this.#hash, publicData);
    this.mixKey(publicData);
  }

  mixKey(material: Uint8Array): void {
    const [chain, key] = this.#hkdf(material);
    this.#chain = chain;
    this.#key = key;
    this.#nonce = 0;
  }

  sealAndHash(plaintext: Uint8Array): Uint8Array {
    const ciphertext = seal({ ...this.#cipherInput(), plaintext });
    this.#hash = digest('sha256', this.#hash, ciphertext);
    return ciphertext;
  }

  openAndHash(ciphertext: Uint8Array): Uint8Array | undefined {
    const plaintext = open({ ...this.#cipherInput(), ciphertext });
    this.#hash = digest('sha256', this.#hash, ciphertext);
    return plaintext;
  }

  /** Keys of the initiator's and of the responder's direction. */
  split(): readonly [SecretBytes, SecretBytes] {
    const [initiator, responder] = this.#hkdf(NOTHING);
    return [new SecretBytes(initiator), new SecretBytes(responder)];
  }

  #cipherInput(): {
    readonly algorithm: EncryptionAlgorithm;
    readonly key: Uint8Array;
    readonly iv: Uint8Array;
    readonly aad: Uint8Array;
  } {
    const iv = new Uint8Array(AES_GCM.ivLength);
    iv[7] = this.#nonce++;
    const key = concatOctets(this.#key, new Uint8Array(AES_GCM.saltLength));
    return { algorithm: AES_GCM, key, iv, aad: this.#hash };
  }

  /** Three outputs of HKDF over the chaining key (Noise §4.3, RFC 5869 with an empty info). */
  #hkdf(material: Uint8Array): readonly [Uint8Array, Uint8Array, Uint8Array] {
    const extracted = prf(HMAC_SHA256, this.#chain, material);
    const first = prf(HMAC_SHA256, extracted, Uint8Array.of(1));
    const second = prf(HMAC_SHA256, extracted, first, Uint8Array.of(2));
    return [first, second, prf(HMAC_SHA256, extracted, second, Uint8Array.of(3))];
  }
}

const NOTHING = new Uint8Array(0);
const NO_PSK = new SecretBytes(NOTHING);
const PROTOCOL_OCTETS = Uint8Array.from(NOISE_PROTOCOL, (character) => character.charCodeAt(0));

function x25519(random: RandomBytes): KeyExchangePair {
  return required(keyExchangeMethod(KeyExchangeId.CURVE_25519)).generate(random);
}

function required<Thing>(thing: Thing | undefined): Thing {
  if (thing === undefined) throw new Error(`${NOISE_PROTOCOL}: an algorithm is missing`);
  return thing;
}
