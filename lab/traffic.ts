/**
 * Traffic between the hosts: echo requests and one TCP stream.
 */
import type { ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { end, launch, until } from './command.ts';
import { type Family, hostAddress, type Node, type Topology } from './topology.ts';

export interface Ping {
  readonly sent: number;
  readonly received: number;
  readonly lossPercent: number;
  readonly averageMilliseconds: number | undefined;
}

export interface PingOptions {
  readonly from?: Node;
  readonly to?: string;
  readonly family?: Family;
  readonly count?: number;
  readonly intervalSeconds?: number;
  /** Octets of data in each request. */
  readonly size?: number;
  /** Never fragment; what is too big comes back as an error. */
  readonly dontFragment?: boolean;
}

/** Pings h2 from h1, or what the options say. */
export async function ping(topology: Topology, options: PingOptions = {}): Promise<Ping> {
  const { from = 'h1', family = 'ipv4', count = 5, intervalSeconds = 0.02 } = options;
  const to = options.to ?? hostAddress('h2', family);
  const { stdout, stderr } = await topology.network.exec(
    from,
    [
      ...['ping', '-n', '-q', '-c', String(count), '-i', String(intervalSeconds), '-W', '1'],
      ...(options.size === undefined ? [] : ['-s', String(options.size)]),
      ...(options.dontFragment === true ? ['-M', 'do'] : []),
      to,
    ],
    { mayFail: true, timeout: 120_000 },
  );
  const counts = /(\d+) packets transmitted, (\d+) received/.exec(stdout);
  if (counts === null) {
    throw new Error(`ping ${to}: ${stdout}${stderr}`);
  }
  const sent = Number(counts[1]);
  const received = Number(counts[2]);
  const average = /= [\d.]+\/([\d.]+)\//.exec(stdout)?.[1];
  return {
    sent,
    received,
    lossPercent: ((sent - received) / sent) * 100,
    averageMilliseconds: average === undefined ? undefined : Number(average),
  };
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
}

/** An iperf3 server at h2, for as many transfers as wanted. */
export class TransferServer {
  readonly #topology: Topology;
  readonly #server: ChildProcess;

  private constructor(topology: Topology, server: ChildProcess) {
    this.#topology = topology;
    this.#server = server;
  }

  static async start(topology: Topology): Promise<TransferServer> {
    const { network } = topology;
    const server = launch([...network.at('h2'), 'iperf3', '--server'], {
      logFile: join(network.directory, 'iperf3.log'),
    });
    await until('iperf3 to listen', async () => {
      const { stdout } = await network.exec('h2', ['ss', '-Hltn', 'sport = :5201']);
      return stdout.trim() === '' ? undefined : true;
    });
    return new TransferServer(topology, server);
  }

  /** One TCP stream; answers what the receiver counted. */
  async transfer(options: TransferOptions): Promise<Transfer> {
    const { family = 'ipv4', octets, seconds = 1, omitSeconds = 0, reverse = false } = options;
    // The client stops when the last octet is in its buffer; a small one keeps the count honest.
    const amount =
      octets === undefined ? ['-t', String(seconds)] : ['-n', String(octets), '--window', '256K'];
    const { stdout } = await this.#topology.network.exec(
      'h1',
      [
        ...['iperf3', '--client', hostAddress('h2', family), '--json', ...amount],
        ...(omitSeconds > 0 ? ['--omit', String(omitSeconds)] : []),
        ...(reverse ? ['--reverse'] : []),
      ],
      { mayFail: true, timeout: 120_000 },
    );
    return readTransfer(stdout);
  }

  async stop(): Promise<void> {
    await end(this.#server, 'SIGTERM');
  }
}

function readTransfer(text: string): Transfer {
  const report: unknown = JSON.parse(text);
  const error = member(report, 'error');
  if (typeof error === 'string') {
    throw new Error(`iperf3: ${error}`);
  }
  const received = member(member(report, 'end'), 'sum_received');
  const octets = member(received, 'bytes');
  const bitsPerSecond = member(received, 'bits_per_second');
  if (typeof octets !== 'number' || typeof bitsPerSecond !== 'number') {
    throw new Error(`iperf3: no summary in ${text.slice(0, 200)}`);
  }
  return { octets, bitsPerSecond };
}

function member(value: unknown, key: string): unknown {
  if (typeof value !== 'object' || value === null) {
    return undefined;
  }
  return Object.entries(value).find(([name]) => name === key)?.[1];
}
