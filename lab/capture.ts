/**
 * What passed between the gateways: a capture by tcpdump, read by tshark.
 *
 * With the key log of a gateway tshark opens the SK payloads and the ESP packets and checks
 * their ICVs; it runs with a configuration directory of its own, where the two key tables lie.
 */
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { join } from 'node:path';
import { end, launch, run, sleep, until } from './command.ts';
import { readLog } from './gateway.ts';
import type { Network } from './namespaces.ts';

/** Everything on one node's wan, or another of its devices, from `start` to `stop`. */
export class Capture {
  readonly file: string;
  readonly #process: ChildProcess;

  readonly #logFile: string;

  private constructor(file: string, logFile: string, process: ChildProcess) {
    this.file = file;
    this.#logFile = logFile;
    this.#process = process;
  }

  static async start(network: Network, node: string, device = 'wan'): Promise<Capture> {
    const directory = mkdtempSync(join(network.directory, 'capture-'));
    const file = join(directory, `${device}.pcap`);
    const logFile = join(directory, 'tcpdump.log');
    // Immediate mode: else packets sit in a ring for a while and the last ones are lost.
    const tcpdump = ['tcpdump', '-i', device, '-n', '--immediate-mode', '-U', '-Z', 'root'];
    const process = launch([...network.at(node), ...tcpdump, '-w', file], { logFile });
    await until('tcpdump to listen', () => readLog(logFile).includes('listening on') || undefined);
    return new Capture(file, logFile, process);
  }

  /** Ends the capture; what has passed until now is in the file. */
  async stop(): Promise<string> {
    await sleep(100);
    await until('tcpdump to have written what it was given', () => {
      this.#process.kill('SIGUSR1');
      return this.#complete() || undefined;
    });
    await end(this.#process, 'SIGINT');
    return this.file;
  }

  #complete(): boolean {
    const counts = [...readLog(this.#logFile).matchAll(COUNTS)].at(-1)?.slice(1).map(Number);
    if (counts === undefined) return false;
    const [captured = 0, received = 0, dropped = 0] = counts;
    return captured >= received - dropped;
  }
}

/** tcpdump's answer to SIGUSR1. */
const COUNTS =
  /(\d+) packets? captured, (\d+) packets? received by filter, (\d+) packets? dropped/g;

/** One packet: field name to all its values, in the order they stand in the packet. */
export type Dissected = ReadonlyMap<string, readonly string[]>;

export interface DissectOptions {
  readonly fields: readonly string[];
  /** A display filter. */
  readonly filter?: string;
  /** Directory with `ikev2_decryption_table` and `esp_sa`. */
  readonly keyLog?: string;
}

/** Reads a capture with tshark. */
export async function dissect(file: string, options: DissectOptions): Promise<Dissected[]> {
  const { stdout } = await run(
    [
      ...['tshark', '-n', '-r', file, '-T', 'fields', '-E', 'separator=/t', '-E', 'aggregator=,'],
      ...['-o', 'esp.enable_encryption_decode:TRUE', '-o', 'esp.enable_authentication_check:TRUE'],
      ...(options.filter === undefined ? [] : ['-Y', options.filter]),
      ...options.fields.flatMap((field) => ['-e', field]),
    ],
    { env: { WIRESHARK_CONFIG_DIR: profile(file, options.keyLog), HOME: join(file, '..') } },
  );
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const columns = line.split('\t');
      return new Map(
        options.fields.map((field, index) => [
          field,
          (columns[index] ?? '').split(',').filter((value) => value !== ''),
        ]),
      );
    });
}

function profile(file: string, keyLog: string | undefined): string {
  const directory = join(file, '..', 'wireshark');
  mkdirSync(directory, { recursive: true });
  for (const table of keyLog === undefined ? [] : ['ikev2_decryption_table', 'esp_sa']) {
    const source = join(keyLog ?? '', table);
    if (existsSync(source)) {
      copyFileSync(source, join(directory, table));
    }
  }
  return directory;
}
