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
