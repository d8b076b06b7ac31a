/**
 * What a node of a cluster must remember over its lives: how often it started, and which epochs it may have
 * heard of. One small JSON file, replaced as a whole and on disk before anything depends on it.
 *
 * A number of starts that comes twice would let two lives of the node use the same IVs (RFC 6054 §3).
 */
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** The file cannot be used; the message says what to do. */
export class NodeStateError extends Error {
  override readonly name = 'NodeStateError';
}

interface Kept {
  readonly boot: number;
  readonly epochFloor: number;
}

export class NodeState {
  readonly #file: string;
  #kept: Kept;

  private constructor(file: string, kept: Kept) {
    this.#file = file;
    this.#kept = kept;
  }

  /** Counts one more start; a file that is not there is that of the first. Throws `NodeStateError`. */
  static begin(file: string): NodeState {
    const { boot, epochFloor } = read(file);
    const state = new NodeState(file, { boot: boot + 1, epochFloor });
    state.#write();
    return state;
  }

  /** Of this start, from 1. */
  get boot(): number {
    return this.#kept.boot;
  }

  get epochFloor(): number {
    return this.#kept.epochFloor;
  }

  /** The next start is given at least this one. Throws `NodeStateError`. */
  keepEpochFloor(epochFloor: number): void {
    this.#kept = { ...this.#kept, epochFloor };
    this.#write();
  }

  /** The next start has at least this number: other nodes know a higher one. Throws `NodeStateError`. */
  nextStart(boot: number): void {
    this.#kept = { ...this.#kept, boot: Math.max(this.#kept.boot, boot - 1) };
    this.#write();
  }

  #write(): void {
    const fresh = `${this.#file}.new`;
    try {
      mkdirSync(dirname(this.#file), { recursive: true, mode: 0o700 });
      const fd = openSync(fresh, 'w', 0o600);
      try {
        writeFileSync(fd, `${JSON.stringify(this.#kept)}\n`);
        fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(fresh, this.#file);
      syncDirectory(dirname(this.#file));
    } catch (error) {
      throw new NodeStateError(`${this.#file} cannot be written: ${reason(error)}`, {
        cause: error,
      });
    }
  }
}

function read(file: string): Kept {
  const text = readText(file);
  if (text === undefined) return { boot: 0, epochFloor: 0 };
  const kept = parsed(text);
  if (kept) return kept;
  const what = 'is no record of the starts of this node';
  const how = 'restore it, or delete it once no other node of the cluster runs';
  throw new NodeStateError(`${file} ${what}: ${how}`);
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw new NodeStateError(`${file} cannot be read: ${reason(error)}`, { cause: error });
  }
}

function parsed(text: string): Kept | undefined {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== 'object' || value === null) return undefined;
    if (!('boot' in value && 'epochFloor' in value)) return undefined;
    const { boot, epochFloor } = value;
    return isCount(boot) && isCount(epochFloor) ? { boot, epochFloor } : undefined;
  } catch (error) {
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** The name of a file is in its directory. */
function syncDirectory(directory: string): void {
  const fd = openSync(directory, 'r');
  try {
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
