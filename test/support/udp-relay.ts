/** A UDP socket in a namespace of the lab, used from a test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import type { Network } from '../../lab/namespaces.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';

export interface Datagram {
  /** Of the other end. */
  readonly address: string;
  readonly port: number;
  readonly octets: Uint8Array;
}

export class UdpRelay {
  readonly #process: ChildProcess;

  private constructor(process: ChildProcess) {
    this.#process = process;
  }

  static async start(
    network: Network,
    node: string,
    { address, port }: { readonly address: string; readonly port: number },
    receive: (datagram: Datagram) => void,
  ): Promise<UdpRelay> {
    const [file = '', ...argv] = network.at(node);
    const program = [process.execPath, resolve('build/lab/udp-relay.js'), address, String(port)];
    const child = spawn(file, [...argv, ...program], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout });
    await new Promise<void>((ready) => lines.once('line', () => ready()));
    lines.on('line', (line) => {
      const [from = '', fromPort = '', hex = ''] = line.split(' ');
      receive({ address: from, port: Number(fromPort), octets: fromHex(hex) });
    });
    return new UdpRelay(child);
  }

  send({ address, port, octets }: Datagram): void {
    this.#process.stdin?.write(`${address} ${port} ${toHex(octets)}\n`);
  }

  stop(): void {
    this.#process.kill('SIGKILL');
  }
}
