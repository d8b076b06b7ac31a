/**
 * A stream of numbered datagrams between the hosts, both ways at once, for what happens in the
 * tunnel meanwhile: which were lost, and how far any came out of order. The program at each end is
 * `lab/datagrams/stream-end.c`.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { end, launch, sleep, until } from './command.ts';
import { readLog } from './gateway.ts';
import type { Network } from './namespaces.ts';
import { compiledProgram } from './programs.ts';
import { type Family, hostAddress, type Topology } from './topology.ts';

/** What one end sent, and what it saw of the other's. */
export interface StreamCounts {
  readonly sent: number;
  /** Each number once. */
  readonly received: number;
  readonly duplicated: number;
  /** Came after one with a higher number. */
  readonly reordered: number;
  /** How many numbers the latest of them was behind. */
  readonly deepest: number;
  /** How many were behind by more than the smallest replay window. */
  readonly late: number;
  readonly longestSilenceMilliseconds: number;
  /** The first runs of numbers that are missing before the last that came, as `first-last`. */
  readonly gaps: readonly string[];
}

/** One direction of a stream. */
export interface StreamDirection extends StreamCounts {
  readonly lost: number;
}

export interface StreamReport {
  /** From the first end to the second. */
  readonly there: StreamDirection;
  readonly back: StreamDirection;
}

export interface StreamEnd {
  /** Name of its namespace. */
  readonly node: string;
  readonly address: string;
}

export interface StreamOptions {
  readonly family?: Family;
  /** Packets a second and direction; 1000 unless told. */
  readonly perSecond?: number;
  /** UDP port of both ends; a free one unless told. */
  readonly port?: number;
  /** h1 and h2 unless told. */
  readonly ends?: readonly [StreamEnd, StreamEnd];
}

interface RunningEnd {
  readonly process: ChildProcess;
  readonly logFile: string;
}

/** What is on its way when the senders stop arrives within this time, or is lost. */
const DRAIN_MS = 2_000;

let streams = 0;

export class PacketStream {
  readonly #ends: readonly [RunningEnd, RunningEnd];

  private constructor(ends: readonly [RunningEnd, RunningEnd]) {
    this.#ends = ends;
  }

  static async start(
    { network }: Pick<Topology, 'network'>,
    options: StreamOptions = {},
  ): Promise<PacketStream> {
    const { family = 'ipv4', perSecond = 1000 } = options;
    const [one, other] = options.ends ?? [
      { node: 'h1', address: hostAddress('h1', family) },
      { node: 'h2', address: hostAddress('h2', family) },
    ];
    streams += 1;
    const port = String(options.port ?? 20_000 + (streams % 1000));
    const directory = mkdtempSync(join(network.directory, 'stream-'));
    const program = await compiledProgram('stream-end');
    const begin = (from: StreamEnd, to: StreamEnd) => {
      const argv = [program, to.address, port, String(perSecond)];
      return launchEnd(network, from, join(directory, from.node), argv);
    };
    const stream = new PacketStream([begin(one, other), begin(other, one)]);
    for (const { logFile } of stream.#ends) {
      await until('the ends of the stream', () => readLog(logFile).includes('ready') || undefined);
    }
    stream.#signal();
    return stream;
  }

  /** Ends the sending, waits for what is under way, answers what was seen. */
  async stop(): Promise<StreamReport> {
    this.#signal();
    await this.#drained();
    const [one, other] = await Promise.all(
      this.#ends.map(async ({ process, logFile }) => {
        await end(process, 'SIGTERM');
        return readCounts(logFile);
      }),
    );
    if (one === undefined || other === undefined) throw new Error('a stream has two ends');
    return { there: direction(one.sent, other), back: direction(other.sent, one) };
  }

  /** Waits until all that was sent has arrived; an end that no longer sends tells what it counts. */
  async #drained(): Promise<void> {
    for (const end = performance.now() + DRAIN_MS; performance.now() < end; await sleep(20)) {
      const [one, other] = this.#ends.map(({ logFile }) => lastCounts(logFile));
      if (one && other && one.received >= other.sent && other.received >= one.sent) return;
    }
  }

  #signal(): void {
    for (const { process } of this.#ends) process.kill('SIGUSR2');
  }
}

function launchEnd(
  network: Network,
  { node }: StreamEnd,
  logFile: string,
  argv: readonly string[],
): RunningEnd {
  return { process: launch([...network.at(node), ...argv], { logFile }), logFile };
}

function direction(sent: number, { received, ...seen }: StreamCounts): StreamDirection {
  return { ...seen, sent, received, lost: sent - received };
}

function readCounts(logFile: string): StreamCounts {
  const counts = lastCounts(logFile);
  if (counts === undefined)
    throw new Error(`the end of a stream told nothing: ${readLog(logFile)}`);
  return counts;
}

/** What an end told last. */
function lastCounts(logFile: string): StreamCounts | undefined {
  const last = readLog(logFile).split('\n').at(-2) ?? '';
  if (!last.startsWith('{')) return undefined;
  const counts: Record<string, unknown> = JSON.parse(last);
  const number = (key: string): number => {
    const value = counts[key];
    if (typeof value !== 'number')
      throw new Error(`the end of a stream counted no ${key}: ${last}`);
    return value;
  };
  return {
    sent: number('sent'),
    received: number('received'),
    duplicated: number('duplicated'),
    reordered: number('reordered'),
    deepest: number('deepest'),
    late: number('late'),
    longestSilenceMilliseconds: number('longestSilenceMilliseconds'),
    gaps: Array.isArray(counts.gaps) ? counts.gaps.map(String) : [],
  };
}
