/**
 * One capture over all workers of the packet path: each copies what it sees, one that takes the place of
 * another as well, and it has ended when the last of them said so.
 */
import type { TapSettings } from '../esp/captured-lot.ts';
import { captureCredit } from './captured-packets.ts';
import type { PacketLoopCommand, PacketLoopReport } from './packet-loop-protocol.ts';

export interface PacketLoopsCaptureParts {
  readonly tell: (worker: number, command: PacketLoopCommand) => void;
  readonly report: (report: PacketLoopReport) => void;
}

type CaptureReport = Extract<
  PacketLoopReport,
  { readonly kind: 'captured' } | { readonly kind: 'capture-ended' }
>;

export class PacketLoopsCapture {
  readonly #workers: number;
  readonly #parts: PacketLoopsCaptureParts;
  /** Workers that have not said yet that they ended. */
  readonly #ending = new Set<number>();
  #settings: TapSettings | undefined;
  /** As they are now, where not all are wanted. */
  #childSas: Set<number> | undefined;
  #missed = 0;

  constructor(workers: number, parts: PacketLoopsCaptureParts) {
    this.#workers = workers;
    this.#parts = parts;
  }

  begin(settings: TapSettings): void {
    this.#settings = settings;
    this.#childSas = settings.childSas && new Set(settings.childSas);
    this.#missed = 0;
    this.#tellAll({ kind: 'capture', settings });
  }

  /** One more Child SA whose packets are wanted, where not all are. */
  follow(id: number): void {
    if (this.#childSas === undefined) return;
    this.#childSas.add(id);
    this.#tellAll({ kind: 'capture-follow', id });
  }

  /** Reported once all have ended. */
  end(): void {
    if (this.#settings === undefined) return;
    this.#settings = undefined;
    this.#childSas = undefined;
    for (let worker = 0; worker < this.#workers; worker++) this.#ending.add(worker);
    this.#tellAll({ kind: 'capture-end' });
  }

  hear(worker: number, report: CaptureReport): void {
    if (report.kind === 'captured') {
      this.#parts.report(report);
      this.#parts.tell(worker, { kind: 'capture-taken', credit: captureCredit(report) });
      return;
    }
    this.#missed += report.missed;
    this.#ended(worker);
  }

  /** Another worker of this number knows nothing of it yet. */
  replaced(worker: number): void {
    if (this.#settings) {
      const childSas = this.#childSas && { childSas: [...this.#childSas] };
      this.#parts.tell(worker, { kind: 'capture', settings: { ...this.#settings, ...childSas } });
    } else if (this.#ending.has(worker)) this.#ended(worker);
  }

  #ended(worker: number): void {
    if (!this.#ending.delete(worker) || this.#ending.size > 0) return;
    this.#parts.report({ kind: 'capture-ended', missed: this.#missed });
  }

  #tellAll(command: PacketLoopCommand): void {
    for (let worker = 0; worker < this.#workers; worker++) this.#parts.tell(worker, command);
  }
}
