/**
 * Copies of the packets of one batch, until the batch is through and they are posted.
 *
 * As many octets as there is credit for; what is beyond that is counted.
 */
import type { Instant } from '../wire/instant.ts';
import {
  type CapturedLot,
  TAP_CREDIT,
  TAP_PACKET_COST,
  TAP_WORDS,
  TapWord,
} from './captured-lot.ts';
import type { KeptOctets } from './outer-packet.ts';

/** A packet that was seen; its octets are still those of a batch. */
export interface SeenPacket extends KeptOctets {
  readonly point: number;
  readonly childSa: number;
  readonly spi: number;
  readonly reason: number;
}

export class LotInMaking {
  readonly #post: (lot: CapturedLot) => void;
  /** What comes into the gateway is told before what it makes of it, whenever that is seen. */
  readonly #cause: SeenPacket[] = [];
  readonly #effect: SeenPacket[] = [];
  #credit = TAP_CREDIT;
  #missed = 0;

  constructor(post: (lot: CapturedLot) => void) {
    this.#post = post;
  }

  /** Packets that were not copied since the last lot. */
  get missed(): number {
    return this.#missed;
  }

  /** From the start, as for somebody who takes nothing yet. */
  restart(): void {
    this.#credit = TAP_CREDIT;
    this.#missed = 0;
  }

  /** Somebody took so much of what was posted. */
  taken(credit: number): void {
    this.#credit = Math.min(TAP_CREDIT, this.#credit + credit);
  }

  hasRoomFor(octets: number): boolean {
    return octets + TAP_PACKET_COST <= this.#credit;
  }

  miss(): void {
    this.#missed++;
  }

  /** Copies no more than `most` octets of a packet. */
  add(kind: 'cause' | 'effect', seen: SeenPacket, most: number): void {
    const octets = seen.octets.slice(0, most);
    if (!this.hasRoomFor(octets.length)) {
      this.#missed++;
      return;
    }
    this.#credit -= octets.length + TAP_PACKET_COST;
    (kind === 'cause' ? this.#cause : this.#effect).push({ ...seen, octets });
  }

  /** The batch is through. */
  post(at: Instant): void {
    const seen = [...this.#cause.splice(0), ...this.#effect.splice(0)];
    if (seen.length === 0) return;
    const octets = new Uint8Array(seen.reduce((sum, one) => sum + one.octets.length, 0));
    const rows = new Int32Array(seen.length * TAP_WORDS);
    let end = 0;
    for (const [index, one] of seen.entries()) {
      octets.set(one.octets, end);
      end += one.octets.length;
      const row = index * TAP_WORDS;
      rows[row + TapWord.POINT] = one.point;
      rows[row + TapWord.LENGTH] = one.octets.length;
      rows[row + TapWord.ORIGINAL] = one.length;
      rows[row + TapWord.CHILD_SA] = one.childSa;
      rows[row + TapWord.SPI] = one.spi;
      rows[row + TapWord.REASON] = one.reason;
    }
    this.#post({ at, octets, rows, missed: this.#missed });
    this.#missed = 0;
  }
}
