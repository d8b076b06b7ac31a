/**
 * The control thread's end of the packet loop: starts the worker, tells it about SAs, hears what
 * it reports. The words are in `packet-loop-protocol.ts`.
 */
import { Worker } from 'node:worker_threads';
import { ipAddress } from '../wire/address.ts';
import { OwnAddresses } from './own-addresses.ts';
import type {
  PacketLoopCommand,
  PacketLoopReport,
  PacketLoopSetup,
} from './packet-loop-protocol.ts';

type IkeReport = Extract<PacketLoopReport, { readonly kind: 'ike' }>;

export interface PacketLoopListener {
  readonly report: (report: PacketLoopReport) => void;
  /** The worker is gone although nobody stopped it: no packet moves any more. */
  readonly crashed: (error: Error) => void;
}

export class PacketLoop {
  readonly #worker: Worker;
  readonly #listener: PacketLoopListener;
  readonly #own = new OwnAddresses();
  readonly #ended: Promise<void>;
  #stopped = false;

  constructor(setup: PacketLoopSetup, listener: PacketLoopListener) {
    this.#listener = listener;
    this.#worker = new Worker(new URL('./packet-loop-worker.js', import.meta.url), {
      workerData: setup,
      name: 'packet-loop',
    });
    this.#ended = new Promise((resolve) => {
      let cause: Error | undefined;
      this.#worker.on('message', (report: PacketLoopReport) => {
        if (report.kind === 'stopped') this.#stopped = true;
        listener.report(report.kind === 'ike' ? this.#withSmallEnds(report) : report);
      });
      this.#worker.on('error', (error) => {
        cause = error;
      });
      this.#worker.on('exit', (code) => {
        if (!this.#stopped) this.#crashed(code, cause);
        resolve();
      });
    });
  }

  /** Tells the worker; after `stop` or a crash nobody hears it. */
  tell(command: PacketLoopCommand): void {
    this.#worker.postMessage(command);
  }

  /** Ends a worker that no longer answers, as if it had died. */
  async terminate(): Promise<void> {
    await this.#worker.terminate();
  }

  /** Resolves when the worker let go of the descriptors and ended. They may be closed then. */
  stop(): Promise<void> {
    this.tell({ kind: 'stop' });
    return this.#ended;
  }

  /** Addresses that came through a message have memory of their own each; an IKE SA keeps them. */
  #withSmallEnds(report: IkeReport): IkeReport {
    const { local, remote } = report;
    return {
      ...report,
      local: { address: this.#own.shared(local.address), port: local.port },
      remote: { address: ipAddress(remote.address.octets.slice()), port: remote.port },
    };
  }

  #crashed(code: number, cause: Error | undefined): void {
    const what = cause?.message ?? `it ended with ${code}`;
    this.#listener.crashed(new Error(`the packet loop died: ${what}`, { cause }));
  }
}
