/**
 * Traffic between the hosts: echo requests and TCP streams.
 */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { end, launch, until } from './command.ts';
import { compiledProgram } from './programs.ts';
import { type Family, hostAddress, type Node, type Topology } from './topology.ts';

export interface Ping {
  readonly sent: number;
  readonly received: number;
  readonly lossPercent: number;
  readonly averageMilliseconds?: number;
}

export interface PingOptions {
  readonly from?: Node;
  /** An address of `from`; the route's unless told. */
  readonly source?: string;
  readonly to?: string;
  readonly family?: Family;
  readonly count?: number;
  readonly intervalSeconds?: number;
  /** Octets of data in each request. */
  readonly size?: number;
  /** Never fragment; what is too big comes back as an error. */
  readonly dontFragment?: boolean;
  /** For the answers that are missing when the last request has left; fewer where none is expected. */
  readonly waitSeconds?: number;
}

/** Pings h2 from h1, or what the options say. */
export async function ping(topology: Topology, options: PingOptions = {}): Promise<Ping> {
  const { from = 'h1', count = 5, waitSeconds = 4 } = options;
  const { size = 56, dontFragment = false } = options;
  const argv = [
    ...[await compiledProgram('echo'), pinged(options)],
    ...[count, intervalOf(options), waitSeconds, size, dontFragment ? 1 : 0].map(String),
    ...(options.source === undefined ? [] : [options.source]),
  ];
  const { stdout } = await topology.network.exec(from, argv, { timeout: 120_000 });
  const counts: Omit<Ping, 'lossPercent'> = JSON.parse(stdout);
  const { sent, received } = counts;
  return { ...counts, lossPercent: ((sent - received) / sent) * 100 };
}

/** The same by the machine's `ping`; answers the milliseconds of each answer that came in time. */
export async function pingTimes(
  topology: Topology,
  options: Pick<PingOptions, 'from' | 'to' | 'family' | 'count' | 'intervalSeconds'> = {},
): Promise<readonly number[]> {
  const { from = 'h1', count = 5 } = options;
  const to = pinged(options);
  const { stdout, stderr } = await topology.network.exec(
    from,
    ['ping', '-n', '-c', String(count), '-i', String(intervalOf(options)), '-W', '1', to],
    { mayFail: true, timeout: 120_000 },
  );
  if (!stdout.includes(' packets transmitted, ')) {
    throw new Error(`ping ${to}: ${stdout}${stderr}`);
  }
  return [...stdout.matchAll(/ time=([\d.]+) ms/g)].map(([, time]) => Number(time));
}

function pinged({ to, family = 'ipv4' }: PingOptions): string {
  return to ?? hostAddress('h2', family);
}

function intervalOf({ intervalSeconds = 0.02 }: PingOptions): number {
  return intervalSeconds;
}

export interface Transfer {
  readonly octets: number;
  readonly bitsPerSecond: number;
}

export interface TransferOptions {
  readonly family?: Family;
  /** Send this much, or for `seconds`. */
  readonly octets?: number;
  readonly seconds?: number;
  /** Seconds at the start that are not counted. */
  readonly omitSeconds?: number;
  /** h2 sends. */
  readonly reverse?: boolean;
  /** TCP connections at once; one unless told. */
  readonly streams?: number;
}

/** An iperf3 server at h2, for as many transfers as wanted. */
export class TransferServer {
  readonly #topology: Topology;
  readonly #server: ChildProcess;
  readonly #port: number;

  private constructor(topology: Topology, server: ChildProcess, port: number) {
    this.#topology = topology;
    this.#server = server;
    this.#port = port;
  }

  static async start(topology: Topology, port = IPERF3_PORT): Promise<TransferServer> {
    const { network } = topology;
    const command = ['iperf3', '--server', '--port', String(port)];
    const server = launch([...network.at('h2'), ...command], {
      logFile: join(network.directory, `iperf3-${port}.log`),
    });
    await until('iperf3 to listen', async () => {
      const { stdout } = await network.exec('h2', ['ss', '-Hltn', `sport = :${port}`]);
      return stdout.trim() === '' ? undefined : true;
    });
    return new TransferServer(topology, server, port);
  }

  /** One way; answers what the receiver counted, of all streams. */
  async transfer(options: TransferOptions): Promise<Transfer> {
    const report = await this.#run(options, options.reverse === true ? ['--reverse'] : []);
    return transferred(report, 'sum_received');
  }

  /** Both ways at once. */
  async transferBothWays(
    options: Omit<TransferOptions, 'reverse'>,
  ): Promise<{ readonly there: Transfer; readonly back: Transfer }> {
    const report = await this.#run(options, ['--bidir']);
    return {
      there: transferred(report, 'sum_received'),
      back: transferred(report, 'sum_received_bidir_reverse'),
    };
  }

  async #run(options: TransferOptions, further: readonly string[]): Promise<unknown> {
    const { family = 'ipv4', octets, seconds = 1, omitSeconds = 0, streams = 1 } = options;
    // The client stops when the last octet is in its buffer; a small one keeps the count honest.
    const amount =
      octets === undefined ? ['-t', String(seconds)] : ['-n', String(octets), '--window', '256K'];
    const { stdout } = await this.#topology.network.exec(
      'h1',
      [
        ...['iperf3', '--client', hostAddress('h2', family), '--port', String(this.#port)],
        ...['--json', ...amount, ...further],
        ...(omitSeconds > 0 ? ['--omit', String(omitSeconds)] : []),
        ...(streams > 1 ? ['--parallel', String(streams)] : []),
      ],
      { mayFail: true, timeout: 120_000 + seconds * 1000 },
    );
    return JSON.parse(stdout);
  }

  async stop(): Promise<void> {
    await end(this.#server, 'SIGTERM');
  }
}

const IPERF3_PORT = 5201;

function transferred(report: unknown, sum: string): Transfer {
  const error = member(report, 'error');
  if (typeof error === 'string') {
    throw new Error(`iperf3: ${error}`);
  }
  const received = member(member(report, 'end'), sum);
  const octets = member(received, 'bytes');
  const bitsPerSecond = member(received, 'bits_per_second');
  if (typeof octets !== 'number' || typeof bitsPerSecond !== 'number') {
    throw new Error(`iperf3: no ${sum} in ${JSON.stringify(report).slice(0, 200)}`);
  }
  return { octets, bitsPerSecond };
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  return Object.entries(value).find(([name]) => name === key)?.[1];
}
