/**
 * The native layer in the place of the reference sealer.
 */
import type { Batch } from '../../src/esp/batch.ts';
import { native } from '../../src/io/native.ts';
import type { TestSealer } from './esp-gateway.ts';
import type { ReferenceKeys } from './reference-sealer.ts';

export class NativeSealer implements TestSealer {
  readonly #native = native();
  readonly #batches = new Map<Batch, number>();

  context({ suite, encryption, integrity, esn }: ReferenceKeys, seal: boolean): number {
    const saltAt = encryption.length - suite.saltLength;
    return this.#native.context({
      cipher: suite.cipher,
      key: encryption.subarray(0, saltAt),
      salt: encryption.subarray(saltAt),
      icvLength: suite.icvLength,
      esn,
      seal,
      ...(suite.digest === undefined ? {} : { digest: suite.digest, integrityKey: integrity }),
    });
  }

  seal(batch: Batch, count: number): void {
    this.#native.seal(this.#number(batch), 0, count);
  }

  open(batch: Batch, count: number): void {
    this.#native.open(this.#number(batch), 0, count);
  }

  #number(batch: Batch): number {
    const known = this.#batches.get(batch);
    if (known !== undefined) return known;
    const number = this.#native.batch(batch.arena, batch.words, batch.origins);
    this.#batches.set(batch, number);
    return number;
  }
}
