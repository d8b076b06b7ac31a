/**
 * The 256-bit key that all nodes of a cluster hold, and the ring of keys that are valid at once.
 *
 * From the key come four others, so that none serves two purposes: the pre-shared key of the
 * handshake, the key of challenges, that of values an engine keeps, and a number that names the key and
 * tells nothing of it. Rotation: every node learns the new key as its second, then has it first, then forgets the old.
 */
import { prf, prfPlus } from '../../crypto/prf.ts';
import { SecretBytes } from '../../crypto/secret-bytes.ts';
import { octetsOfLatin1 } from '../../wire/octets.ts';
import { HMAC_SHA256 } from './noise.ts';

export const CLUSTER_KEY_OCTETS = 32;

export class ClusterKey {
  /** Names the key in initiations. */
  readonly id: number;
  readonly psk: SecretBytes;
  readonly #challengeKey: SecretBytes;
  readonly #valueKey: SecretBytes;

  constructor(key: SecretBytes) {
    if (key.length !== CLUSTER_KEY_OCTETS) {
      throw new RangeError(`a cluster key of ${key.length} octets, not ${CLUSTER_KEY_OCTETS}`);
    }
    const derive = (purpose: string): Uint8Array =>
      prf(HMAC_SHA256, key.reveal(), octetsOfLatin1(`tsgw cluster bus ${purpose}`));
    const name = derive('key id');
    this.id = new DataView(name.buffer, name.byteOffset).getUint32(0);
    this.psk = new SecretBytes(derive('handshake'));
    this.#challengeKey = new SecretBytes(derive('challenge'));
    this.#valueKey = new SecretBytes(derive('value'));
  }

  /** The tag that proves a challenge to be of a holder of the key. */
  challengeTag(...parts: readonly Uint8Array[]): Uint8Array {
    return prf(HMAC_SHA256, this.#challengeKey.reveal(), ...parts).slice(0, CHALLENGE_TAG_OCTETS);
  }

  /** Key and salt of what one process of one node seals for an engine to keep. */
  valueKey(seed: Uint8Array, length: number): SecretBytes {
    return new SecretBytes(prfPlus(HMAC_SHA256, this.#valueKey.reveal(), seed, length));
  }
}

export const CHALLENGE_TAG_OCTETS = 16;

/** The keys that are accepted; the first is the one to initiate with. */
export class KeyRing {
  readonly keys: readonly ClusterKey[];

  constructor(first: ClusterKey, second?: ClusterKey) {
    this.keys = second === undefined ? [first] : [first, second];
  }

  get first(): ClusterKey {
    return this.#at(0);
  }

  byId(id: number): ClusterKey | undefined {
    return this.keys.find((key) => key.id === id);
  }

  /** The key for the `attempt`th row of initiations: a peer may know only the other. */
  forAttempt(attempt: number): ClusterKey {
    return this.#at(attempt % this.keys.length);
  }

  #at(index: number): ClusterKey {
    const key = this.keys[index];
    if (key === undefined) throw new RangeError(`key ${index} of ${this.keys.length}`);
    return key;
  }
}
