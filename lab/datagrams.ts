/**
 * Datagrams between the hosts: as many as a machine can send, or at a rate, and how many arrive; and
 * requests with their answers. The program that sends and counts is `lab/datagrams/datagrams.c`.
 */
import type { ChildProcess } from 'node:child_process';
import { mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { end, launch, until } from './command.ts';
import { readLog } from './gateway.ts';
import { compiledProgram } from './programs.ts';
import { type Family, hostAddress, type Topology } from './topology.ts';

export interface Offer {
  /** Of the whole IP packet. */
  readonly octets: number;
  /** Absent: as many as the sender can. */
  readonly perSecond?: number;
  readonly seconds: number;
  readonly family?: Family;
}

export interface Offered {
  readonly sent: number;
  readonly received: number;
  /** Packets a second, from the first to the last. */
  readonly sentPerSecond: number;
  readonly receivedPerSecond: number;
}

export interface RoundTrips {
  readonly microseconds: readonly number[];
  /** Without an answer within a second. */
  readonly lost: number;
}

let program = '';
let ports = 0;

/** Compiles the program; once, before anything is measured. */
export async function compileDatagrams(): Promise<void> {
  program = await compiledProgram('datagrams');
}

/** Datagrams from h1 to h2, and those that came, also late. */
export async function offer(topology: Topology, what: Offer): Promise<Offered> {
  const { network } = topology;
  const port = nextPort();
  const counter = await Waiting.start(topology, ['count', port]);
  try {
    const { stdout } = await network.exec('h1', [program, ...floodArguments(what, port)]);
    const sent = numbersOf(stdout);
    const received = numbersOf(await counter.end());
    return {
      sent: sent('sent'),
      received: received('received'),
      sentPerSecond: sent('sent') / sent('seconds'),
      receivedPerSecond: received('received') / Math.max(received('seconds'), what.seconds),
    };
  } finally {
    await counter.end();
  }
}

/** A flood from h1 to an address of h2 where nobody counts, until it is stopped. */
export class CompetingFlood {
  readonly #process: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#process = child;
  }

  static start({ network }: Topology, what: Offer, to: string): CompetingFlood {
    const logFile = join(mkdtempSync(join(network.directory, 'flood-')), 'log');
    const argv = floodArguments(what, nextPort(), to);
    return new CompetingFlood(launch([...network.at('h1'), program, ...argv], { logFile }));
  }

  async stop(): Promise<void> {
    await end(this.#process, 'SIGTERM');
  }
}

/** `count` requests from h1 to h2, one after the other's answer, for at most so many seconds. */
export async function ask(
  topology: Topology,
  what: Omit<Offer, 'perSecond'> & { readonly count: number },
): Promise<RoundTrips> {
  const { octets, seconds, count, family = 'ipv4' } = what;
  const port = nextPort();
  const echo = await Waiting.start(topology, ['echo', port]);
  try {
    const sizes = [payloadOctets(octets, family), count, seconds].map(String);
    const { stdout } = await topology.network.exec(
      'h1',
      [program, 'ask', hostAddress('h2', family), port, ...sizes],
      { timeout: (seconds + 30) * 1000 },
    );
    const { microseconds, lost } = Object(JSON.parse(stdout));
    if (!Array.isArray(microseconds)) throw new Error(`datagrams ask: ${stdout.slice(0, 200)}`);
    return { microseconds: microseconds.map(Number), lost: Number(lost) };
  } finally {
    await echo.end();
  }
}

/** The payload of a UDP datagram that makes an IP packet of so many octets. */
export function payloadOctets(octets: number, family: Family): number {
  return octets - (family === 'ipv4' ? IPV4_AND_UDP : IPV6_AND_UDP);
}

function floodArguments(what: Offer, port: string, to?: string): readonly string[] {
  const { octets, perSecond = 0, seconds, family = 'ipv4' } = what;
  const sizes = [payloadOctets(octets, family), Math.round(perSecond), seconds].map(String);
  return ['flood', to ?? hostAddress('h2', family), port, ...sizes];
}

/** The program at h2, which says when it is ready. */
class Waiting {
  readonly #process: ChildProcess;
  readonly #logFile: string;

  private constructor(child: ChildProcess, logFile: string) {
    this.#process = child;
    this.#logFile = logFile;
  }

  static async start({ network }: Topology, argv: readonly string[]): Promise<Waiting> {
    const logFile = join(mkdtempSync(join(network.directory, 'datagrams-')), 'log');
    const child = launch([...network.at('h2'), program, ...argv], { logFile });
    const ready = () => readLog(logFile).startsWith('ready\n') || undefined;
    await until(`datagrams ${argv.join(' ')}`, ready, 10_000, 5);
    return new Waiting(child, logFile);
  }

  /** What it printed after it was ready. */
  async end(): Promise<string> {
    // A queue without bounds may take a while to run empty.
    await end(this.#process, 'SIGTERM', 20_000);
    return readLog(this.#logFile).slice('ready\n'.length);
  }
}

function numbersOf(text: string): (key: string) => number {
  const values: Record<string, unknown> = JSON.parse(text);
  return (key) => {
    const value = values[key];
    if (typeof value !== 'number') throw new Error(`datagrams: no ${key} in ${text}`);
    return value;
  };
}

/** Each measurement has a port of its own: what comes late counts for none. */
function nextPort(): string {
  ports += 1;
  return String(FIRST_PORT + (ports % PORTS));
}

const FIRST_PORT = 20_000;
const PORTS = 10_000;
const IPV4_AND_UDP = 20 + 8;
const IPV6_AND_UDP = 40 + 8;
