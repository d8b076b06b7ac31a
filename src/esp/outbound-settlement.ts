/**
 * Outbound processing after its rows were sealed and sent: what could not be is not sent, and the
 * counters of what was (RFC 4301 §4.4.2.1, §8.2).
 *
 *   finish  8 what could not be sealed is not sent
 *           (the caller sends the rows that have a PATH)
 *   settle  9 what was not sent, and the counters
 *
 * Nothing here allocates or throws per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import {
  countSaDrop,
  SaCounter,
  type SharedCounters,
  WorkerCounter,
} from '../events/shared-counters.ts';
import type { Instant } from '../wire/instant.ts';
import { type Batch, PATH_OF_ORIGIN, STATUS_OK, WORDS, Word } from './batch.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { isTooBigStatus, sendDropReason } from './send-status.ts';

/** Is told that a packet of `octets` from SPI to ICV did not fit the path of the SA. */
export type PathRefusal = (sa: EspSa, octets: number, now: Instant) => void;

export class OutboundSettlement {
  readonly #sas: EspSaTable;
  readonly #counters: SharedCounters;
  readonly #rows: Batch;
  readonly #refused: PathRefusal;

  constructor(sas: EspSaTable, counters: SharedCounters, rows: Batch, refused: PathRefusal) {
    this.#sas = sas;
    this.#counters = counters;
    this.#rows = rows;
    this.#refused = refused;
  }

  /** Step 8 for the rows that were sealed. */
  finish(count: number): void {
    const { words } = this.#rows;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      if (words[at + Word.DROP] !== 0 || words[at + Word.STATUS] === STATUS_OK) continue;
      words[at + Word.PATH] = -1;
      words[at + Word.DROP] = DropReason['seal-failed'];
      this.#discarded(words[at + Word.SA]!, DropReason['seal-failed']);
    }
  }

  /** In place of sending: it is not known any more that these packets are this node's to send. */
  withhold(count: number): void {
    const { words } = this.#rows;
    const reason = DropReason['lease-over'];
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const path = words[at + Word.PATH]!;
      if (path < 0 && path !== PATH_OF_ORIGIN) continue;
      words[at + Word.PATH] = -1;
      words[at + Word.DROP] = reason;
      this.#discarded(words[at + Word.SA]!, reason);
    }
  }

  /** Step 9 for the rows that were offered to their paths. */
  settle(count: number, now: Instant): void {
    const { words } = this.#rows;
    const { sas, work } = this.#counters;
    let sent = 0;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const status = words[at + Word.STATUS]!;
      if (words[at + Word.PATH] === PATH_OF_ORIGIN && status !== STATUS_OK) {
        this.#discarded(-1, sendDropReason(status));
      }
      if (words[at + Word.DROP] !== 0) continue;
      const index = words[at + Word.SA]!;
      const sa = this.#sas.at(index);
      if (status === STATUS_OK) {
        sent++;
        sas[sa.countersOut + SaCounter.PACKETS]!++;
        sas[sa.countersOut + SaCounter.OCTETS]! += words[at + Word.INNER]!;
        sas[sa.countersOut + SaCounter.LAST_USE] = now;
        continue;
      }
      this.#unsent(at, status, now);
    }
    work[WorkerCounter.PACKETS_OUT]! += sent;
  }

  /** Step 9 for dummy packets: they are nobody's traffic, so only what was not sent counts. */
  settleDummies(count: number, now: Instant): void {
    const { words } = this.#rows;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const status = words[at + Word.STATUS]!;
      if (words[at + Word.DROP] === 0 && status !== STATUS_OK) this.#unsent(at, status, now);
    }
  }

  #unsent(at: number, status: number, now: Instant): void {
    const { words } = this.#rows;
    const index = words[at + Word.SA]!;
    const reason = sendDropReason(status);
    words[at + Word.DROP] = reason;
    this.#discarded(index, reason);
    if (isTooBigStatus(status)) {
      this.#refused(this.#sas.at(index), words[at + Word.LENGTH]!, now);
    }
  }

  /** `index` of the SA, or -1. */
  #discarded(index: number, reason: number): void {
    this.#counters.drops[reason]!++;
    if (index >= 0) countSaDrop(this.#counters, this.#sas.at(index).countersOut, reason);
  }
}
