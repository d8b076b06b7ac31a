/**
 * Octets that must not be seen: keys, shared secrets, passwords.
 *
 * Prints as its length wherever values are printed; `reveal` is the one way to the octets.
 */
export class SecretBytes {
  readonly #octets: Uint8Array;

  constructor(octets: Uint8Array) {
    this.#octets = octets;
  }

  get length(): number {
    return this.#octets.length;
  }

  /** The octets themselves. The caller keeps them out of messages, events and errors. */
  reveal(): Uint8Array {
    return this.#octets;
  }

  /** Overwrites the octets with zeros. Copies the engine made are out of reach (SECURITY.md). */
  wipe(): void {
    this.#octets.fill(0);
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
