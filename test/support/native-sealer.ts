/**
 * The native layer in the place of the reference sealer.
 */
import type { Batch } from '../../src/esp/batch.ts';
import { hasSuite } from '../../src/io/back-ends.ts';
import { contextOptions } from '../../src/io/esp-contexts.ts';
import { type BackEndName, native } from '../../src/io/native.ts';
import type { TestSealer } from './esp-gateway.ts';
import type { ReferenceKeys } from './reference-sealer.ts';

export class NativeSealer implements TestSealer {
  readonly #native = native();
  readonly #batches = new Map<Batch, number>();
  readonly #contexts: number[] = [];
  readonly #preferred: BackEndName;

  /** Suites that the preferred library does not have are OpenSSL's. */
  constructor(preferred: BackEndName = 'evp') {
    this.#preferred = preferred;
  }

  context({ suite, esn, ...keys }: ReferenceKeys, seal: boolean): number {
    const backEnd = hasSuite(this.#preferred, suite) ? this.#preferred : 'evp';
    const context = this.#native.context(contextOptions(suite, keys, { esn, seal, backEnd }));
    this.#contexts.push(context);
    return context;
  }

  /** Lets go of what it has from the native layer, the memory of batches above all. */
  close(): void {
    for (const context of this.#contexts.splice(0)) this.#native.freeContext(context);
    for (const batch of this.#batches.values()) this.#native.freeBatch(batch);
    this.#batches.clear();
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
