/**
 * The native layer in the place of the reference sealer.
 */
import type { Batch } from '../../src/esp/batch.ts';
import { contextOptions } from '../../src/io/esp-contexts.ts';
import { native } from '../../src/io/native.ts';
import type { TestSealer } from './esp-gateway.ts';
import type { ReferenceKeys } from './reference-sealer.ts';

export class NativeSealer implements TestSealer {
  readonly #native = native();
  readonly #batches = new Map<Batch, number>();

  context({ suite, esn, ...keys }: ReferenceKeys, seal: boolean): number {
    return this.#native.context(contextOptions(suite, keys, { esn, seal }));
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
