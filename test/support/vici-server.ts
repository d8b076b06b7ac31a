/**
 * A vici server over a `FakeControl` on a socket of its own, and what a test opened against it.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ViciClient } from '../../src/vici/client.ts';
import { ViciServer, type ViciServerOptions } from '../../src/vici/server.ts';
import { FakeControl } from './fake-control.ts';

export class TestServer {
  readonly control = new FakeControl();
  readonly faults: unknown[] = [];
  readonly server: ViciServer;
  readonly directory: string;
  readonly uri: string;
  readonly #opened: { close(): void }[] = [];

  private constructor(directory: string, options: Partial<ViciServerOptions>) {
    this.directory = directory;
    this.uri = `unix://${directory}/tsgw.vici`;
    this.server = new ViciServer({
      control: this.control,
      fault: (error) => this.faults.push(error),
      ...options,
    });
  }

  static async start(options: Partial<ViciServerOptions> = {}): Promise<TestServer> {
    const directory = await mkdtemp(join(tmpdir(), 'tsgw-vici-'));
    const one = new TestServer(directory, options);
    await one.server.listen(one.uri);
    return one;
  }

  get path(): string {
    return join(this.directory, 'tsgw.vici');
  }

  async client(): Promise<ViciClient> {
    const client = await ViciClient.connect(this.uri);
    this.#opened.push(client);
    return client;
  }

  /** A bare stream, for octets no client would send. */
  async socket(): Promise<Socket> {
    const socket = connect(this.path);
    socket.on('error', () => {});
    await new Promise<void>((resolve) => {
      socket.once('connect', resolve);
    });
    this.#opened.push({ close: () => socket.destroy() });
    return socket;
  }

  async stop(): Promise<void> {
    for (const one of this.#opened) one.close();
    await this.server.close();
    await rm(this.directory, { recursive: true, force: true });
  }
}

/** Waits until `holds`, without guessing how long that takes. */
export async function until(what: string, holds: () => boolean): Promise<void> {
  for (let turn = 0; turn < 5000; turn++) {
    if (holds()) return;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  throw new Error(`waited in vain for ${what}`);
}
