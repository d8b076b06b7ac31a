/**
 * What a node of a cluster remembers of address pools over its lives: one file, replaced as a whole.
 *
 * | octets | field |
 * |---|---|
 * | 8 | `tsgwpool` |
 * | 32 | SHA-256 of the rest |
 * | rest | records, as other nodes are told them |
 *
 * It is written part by part, so that nothing waits for it; between two writings is at least as long as keeps
 * them a small part of the time. What is lost with the last one is known to other nodes, or to nobody.
 */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rename } from 'node:fs/promises';
import { dirname } from 'node:path';
import { now } from './clock.ts';

export class PoolFileError extends Error {
  override readonly name = 'PoolFileError';
}

export class PoolFile {
  readonly #file: string;
  #written = 0;
  #writing: Promise<void> | undefined;
  #notBefore = 0;

  constructor(file: string) {
    this.#file = file;
  }

  /** Nothing where there is no file. Rejects with `PoolFileError`. */
  async read(): Promise<Uint8Array> {
    let octets: Buffer;
    try {
      octets = await readFile(this.#file);
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
        return new Uint8Array(0);
      }
      throw new PoolFileError(`${this.#file} cannot be read: ${reason(error)}`, { cause: error });
    }
    const records = octets.subarray(HEADER_OCTETS);
    const digest = octets.subarray(MAGIC.length, HEADER_OCTETS);
    const isOurs = octets.subarray(0, MAGIC.length).equals(MAGIC);
    if (!isOurs || !digest.equals(createHash('sha256').update(records).digest())) {
      throw new PoolFileError(
        `${this.#file} is no file of leases: no client has its former address`,
      );
    }
    return new Uint8Array(records);
  }

  /**
   * Writes what is there now, if that is not version `changes` of before and it is time. Rejects with
   * `PoolFileError`.
   */
  async keep(changes: number, parts: () => Iterable<Uint8Array>, isLast = false): Promise<void> {
    if (isLast) await this.#writing;
    else if (this.#writing || now() < this.#notBefore) return;
    if (changes === this.#written) return;
    this.#writing = this.#replace(changes, parts());
    await this.#writing;
  }

  async #replace(changes: number, parts: Iterable<Uint8Array>): Promise<void> {
    const begun = now();
    try {
      await this.#write(parts);
      this.#written = changes;
    } catch (error) {
      throw new PoolFileError(`${this.#file} cannot be written: ${reason(error)}`, {
        cause: error,
      });
    } finally {
      this.#writing = undefined;
      this.#notBefore = now() + Math.max(LEAST_PAUSE_MS, SHARE * (now() - begun));
    }
  }

  async #write(parts: Iterable<Uint8Array>): Promise<void> {
    const fresh = `${this.#file}.new`;
    await mkdir(dirname(this.#file), { recursive: true, mode: 0o700 });
    const file = await open(fresh, 'w', 0o600);
    try {
      const hash = createHash('sha256');
      let at = HEADER_OCTETS;
      for (const part of parts) {
        hash.update(part);
        await file.write(part, 0, part.length, at);
        at += part.length;
      }
      const header = Buffer.concat([MAGIC, hash.digest()]);
      await file.write(header, 0, header.length, 0);
      await file.datasync();
    } finally {
      await file.close();
    }
    await rename(fresh, this.#file);
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const MAGIC = Buffer.from('tsgwpool', 'latin1');
const HEADER_OCTETS = MAGIC.length + 32;
const LEAST_PAUSE_MS = 1000;
const SHARE = 20;
