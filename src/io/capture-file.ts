/**
 * A capture on disk or on standard output: a pcapng file of two interfaces, and the keys beside it.
 *
 * Both are for their owner alone: what a tunnel hides stands in them. Writing waits for a reader that
 * is slow, so that the daemon notices and nothing piles up here.
 */
import {
  closeSync,
  fchmodSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { pcapngInterface, pcapngPacket, pcapngSection, pcapngStatistics } from '../wire/pcapng.ts';

/** A packet as it is kept. */
export interface KeptPacket {
  readonly side: 'inner' | 'outer';
  /** Microseconds since 1970. */
  readonly time: number;
  readonly direction: 'in' | 'out';
  readonly octets: Uint8Array;
  readonly length: number;
  readonly comment: string;
}

export class CaptureFile {
  readonly #path: string;
  readonly #fd: number;
  #last = 0;

  /** `-` is standard output. Throws the error of the system where the file cannot be written. */
  constructor(path: string, program: string, snapLength: number) {
    this.#path = path;
    this.#fd = path === '-' ? 1 : ownersFile(path);
    this.#write(pcapngSection(program));
    for (const [name, description] of INTERFACES) {
      this.#write(pcapngInterface({ name, description, snapLength }));
    }
  }

  add(packet: KeptPacket): void {
    this.#last = Math.max(this.#last, packet.time);
    const index = INTERFACES.findIndex(([name]) => name === packet.side);
    this.#write(pcapngPacket({ ...packet, interface: index }));
  }

  /** Ends the file, which says how many packets it lacks. */
  end(missed: number): void {
    this.#write(pcapngStatistics(0, this.#last, missed));
    this.#close();
  }

  /** Nothing was captured, and nothing shall be left of it. */
  discard(): void {
    const ours = this.#path !== '-' && fstatSync(this.#fd).isFile();
    this.#close();
    if (ours) rmSync(this.#path);
  }

  #close(): void {
    if (this.#fd !== 1) closeSync(this.#fd);
  }

  #write(octets: Uint8Array): void {
    for (let at = 0; at < octets.length; ) {
      try {
        at += writeSync(this.#fd, octets, at);
      } catch (error) {
        if (!isBusy(error)) throw error;
        Atomics.wait(PAUSE, 0, 0, PAUSE_MS);
      }
    }
  }
}

/** A directory of Wireshark's settings: the table of ESP SAs, and that it shall be used. */
export class CaptureKeys {
  readonly #fd: number;
  readonly directory: string;

  constructor(directory: string) {
    this.directory = directory;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const preferences = ownersFile(join(directory, 'preferences'));
    writeSync(preferences, PREFERENCES);
    closeSync(preferences);
    this.#fd = ownersFile(join(directory, 'esp_sa'));
  }

  add(line: string): void {
    writeSync(this.#fd, `${line}\n`);
  }

  end(): void {
    closeSync(this.#fd);
  }

  discard(): void {
    this.end();
    for (const name of ['preferences', 'esp_sa']) rmSync(join(this.directory, name));
  }
}

/** Whoever reads our output wants no more of it. */
export function isReaderGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}

/** Empty, and readable by its owner alone before anything is in it. */
function ownersFile(path: string): number {
  const fd = openSync(path, 'a', 0o600);
  // A pipe or a device is whose it is.
  if (!fstatSync(fd).isFile()) return fd;
  fchmodSync(fd, 0o600);
  ftruncateSync(fd);
  return fd;
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EAGAIN';
}

/** In the order of their numbers in the file. */
const INTERFACES = [
  ['inner', 'packets inside the tunnels'],
  ['outer', 'ESP outside; the outer headers are made anew'],
] as const;

const PREFERENCES = 'esp.enable_encryption_decode: TRUE\nesp.enable_authentication_check: TRUE\n';

const PAUSE = new Int32Array(new SharedArrayBuffer(4));
const PAUSE_MS = 5;
