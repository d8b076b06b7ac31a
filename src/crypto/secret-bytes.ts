/**
 * Octets that must not be seen: keys, shared secrets, passwords.
 *
 * Prints as its length wherever values are printed; `reveal` is the one way to the octets.
 */
export class SecretBytes {
  readonly #octets: Uint8Array;
  readonly #start: number;
  readonly length: number;

  /**
   * All of `octets`, or a part of them: keys that are cut from one piece of material stay in it,
   * for an array of its own costs more memory than a key.
   */
  constructor(octets: Uint8Array, start = 0, length: number = octets.length - start) {
    this.#octets = octets;
    this.#start = start;
    this.length = length;
  }

  /**
   * Moves key material into memory that many secrets share and answers how to cut it, from its start:
   * memory of its own for each of thousands of SAs would cost more than the keys. `material` is wiped.
   */
  static cutter(material: Uint8Array): (length: number) => SecretBytes {
    const { octets, start } = room(material.length);
    octets.set(material, start);
    material.fill(0);
    let at = start;
    return (length) => {
      at += length;
      if (at > start + material.length) throw new RangeError('no key material is left');
      return new SecretBytes(octets, at - length, length);
    };
  }

  /** The octets themselves. The caller keeps them out of messages, events and errors. */
  reveal(): Uint8Array {
    return this.#octets.subarray(this.#start, this.#start + this.length);
  }

  /**
   * Copies the octets to a place of the caller's. Unlike `reveal`, it leaves a short secret where
   * the engine keeps small arrays: those that are revealed get memory of their own.
   */
  copyInto(octets: Uint8Array, at: number): void {
    for (let index = 0; index < this.length; index++) {
      octets[at + index] = this.#octets[this.#start + index]!;
    }
  }

  /** Overwrites the octets with zeros. Copies the engine made are out of reach (SECURITY.md). */
  wipe(): void {
    this.#octets.fill(0, this.#start, this.#start + this.length);
  }

  toString(): string {
    return `<secret, ${this.length} octets>`;
  }

  toJSON(): string {
    return this.toString();
  }

  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return this.toString();
  }
}

const ROOM_OCTETS = 8192;
/** Larger material has memory of its own. */
const LARGEST = ROOM_OCTETS / 8;

let shared = new Uint8Array(0);
let used = 0;

/** So many octets that are nobody else's. A room's memory goes when the last secret in it is gone. */
function room(length: number): { readonly octets: Uint8Array; readonly start: number } {
  if (length > LARGEST) return { octets: new Uint8Array(length), start: 0 };
  if (used + length > shared.length) {
    shared = new Uint8Array(ROOM_OCTETS);
    used = 0;
  }
  used += length;
  return { octets: shared, start: used - length };
}
