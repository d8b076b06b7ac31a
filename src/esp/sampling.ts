/**
 * Inbound packets of SAs that another node of the cluster has (RFC 4303 §3.4.3): some of them are opened,
 * for the sake of the window only. What is inside is nobody's here.
 *
 * A window moves for a right ICV and for nothing else. Allocates and throws nothing per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import { countSaDrop, SaCounter, type SharedCounters } from '../events/shared-counters.ts';
import { ReplayVerdict } from '../ipsec/replay-window.ts';
import { readU32 } from '../wire/field.ts';
import type { Instant } from '../wire/instant.ts';
import { type Batch, DROP_ELSEWHERE, DROP_SAMPLED, STATUS_OK, WORDS, Word } from './batch.ts';
import type { ClusterShare } from './cluster-share.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { ESP_HEADER, ESP_TRAILER } from './esp-suite.ts';
import { foreignArrival, type HandOn } from './foreign-packets.ts';

export class SampledPackets {
  readonly #sas: EspSaTable;
  readonly #counters: SharedCounters;
  readonly #arrivals: Batch;
  readonly #handOn: HandOn | undefined;
  #waiting = 0;

  /** `handOn`: where packets go that are not sampled, of SAs that say so. */
  constructor(
    sas: EspSaTable,
    counters: SharedCounters,
    arrivals: Batch,
    handOn: HandOn | undefined,
  ) {
    this.#sas = sas;
    this.#counters = counters;
    this.#arrivals = arrivals;
    this.#handOn = handOn;
  }

  /** Rows that `accept` wants opened since the last `conclude`. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Judges a packet of a passive SA: DROP_SAMPLED = it is to be opened. */
  accept(batch: Batch, at: number, sa: EspSa, now: Instant): number {
    const { arena, words } = batch;
    const { share } = sa;
    if (share === undefined) return DropReason['unknown-spi'];
    const offset = words[at + Word.OFFSET]!;
    const low = readU32(arena, offset + 4);
    if (!share.samples(low) || now < share.handsAllOnUntil)
      return this.#foreign(batch, at, sa, share);
    // As for any packet (`inbound.ts`, steps 4 and 5).
    const { ivLength, icvLength, alignment } = sa.suite;
    const body = words[at + Word.LENGTH]! - ESP_HEADER - ivLength - icvLength;
    if (body < ESP_TRAILER || body % alignment !== 0) return DropReason['short-esp-packet'];
    const verdict = sa.window.check(low);
    if (verdict === ReplayVerdict.REPLAYED) return DropReason['replayed-sequence-number'];
    if (verdict !== ReplayVerdict.FRESH) return DropReason['sequence-left-of-window'];
    words[at + Word.SEQUENCE_HIGH] = sa.window.high | 0;
    words[at + Word.CONTEXT] = sa.handles.contextIn;
    words[at + Word.FLAGS] = 0;
    this.#waiting++;
    return DROP_SAMPLED;
  }

  #foreign(batch: Batch, at: number, sa: EspSa, { handsOn }: ClusterShare): number {
    const handOn = handsOn ? this.#handOn : undefined;
    const taken = handOn?.(sa.parameters.id, foreignArrival(batch, at, this.#arrivals));
    return taken === true ? DROP_ELSEWHERE : DropReason['inbound-passive'];
  }

  /** The rows were opened: windows move for those that are right. */
  conclude({ arena, words }: Batch, count: number, now: Instant): void {
    this.#waiting = 0;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      if (words[at + Word.DROP] !== DROP_SAMPLED) continue;
      const sa = this.#sas.at(words[at + Word.SA]!);
      if (words[at + Word.STATUS] !== STATUS_OK) {
        const reason = DropReason['bad-sample'];
        words[at + Word.DROP] = reason;
        this.#counters.drops[reason]!++;
        countSaDrop(this.#counters, sa.countersIn, reason);
        continue;
      }
      const high = words[at + Word.SEQUENCE_HIGH]! >>> 0;
      const { window } = sa;
      window.update(high, readU32(arena, words[at + Word.OFFSET]! + 4));
      const { sas } = this.#counters;
      sas[sa.countersIn + SaCounter.SEQUENCE] = window.topHigh * HALF + window.topLow;
      sas[sa.countersIn + SaCounter.SHARED]!++;
      sa.share?.rate.note(window.topHigh, window.topLow, now);
    }
  }
}

const HALF = 0x1_0000_0000;
