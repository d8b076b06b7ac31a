/**
 * Rows of packets that leave, one behind the other in the arena: the ESP packet of each (RFC 4303 §2),
 * and what the host says about it outside (RFC 4301 §5.1.2).
 *
 * Holds where the next one goes. Only headers are written here: the payload is copied from where it was
 * read when the row is sealed. Nothing here allocates per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import { writeU32 } from '../wire/field.ts';
import type { Flow } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import {
  type Batch,
  DROP_TAKEN,
  FLAG_DF,
  ORIGIN_OCTETS,
  Origin,
  PATH_OF_ORIGIN,
  STATUS_OK,
  WORDS,
  Word,
} from './batch.ts';
import { writeDummy } from './dummy-traffic.ts';
import { type Encapsulation, repeatEsp, writeEsp } from './encapsulation.ts';
import type { EspSa } from './esp-sa.ts';
import { ESP_HEADER } from './esp-suite.ts';
import { REASSEMBLY_OCTETS } from './reassembly.ts';
import type { Segments } from './segmentation.ts';
import { UNREACHABLE } from './send-status.ts';

/** What is read, and what of it leaves: rows over one arena, which has room behind the slots. */
export interface OutboundBatches {
  readonly reads: Batch;
  readonly rows: Batch;
}

export class OutboundRows {
  readonly #rows: Batch;
  readonly #view: DataView;
  /** The packet that is being written, and what of it goes into ESP. */
  readonly #segments: Segments;
  readonly #encapsulation: Encapsulation;
  /** Where the arena begins and ends for packets that leave. */
  readonly #first: number;
  readonly #limit: number;
  /** Rows filled, which SA the last one is of, and the first octet behind them. */
  #filled = 0;
  #last = -1;
  #end = 0;
  #bypassed = 0;

  constructor({ reads, rows }: OutboundBatches, segments: Segments, encapsulation: Encapsulation) {
    this.#rows = rows;
    const { arena } = rows;
    this.#view = new DataView(arena.buffer, arena.byteOffset, arena.length);
    this.#segments = segments;
    this.#encapsulation = encapsulation;
    this.#first = reads.size * reads.slotOctets;
    this.#limit = reads.arena.length - REASSEMBLY_OCTETS;
  }

  /** No row is filled. */
  begin(): void {
    this.#filled = 0;
    this.#last = -1;
    this.#end = this.#first;
    this.#bypassed = 0;
  }

  get filled(): number {
    return this.#filled;
  }

  /** Rows that leave unprotected. */
  get bypassed(): number {
    return this.#bypassed;
  }

  /** Where a packet begins that has so many octets without ESP; -1 when there is no room for it. */
  startOf(sa: EspSa | undefined, octets: number): number {
    // Packets of one SA follow one another without a gap: of one size they leave as one message.
    const start = sa?.index === this.#last ? this.#end : (this.#end + GRAIN - 1) & -GRAIN;
    const isFull = this.#filled === this.#rows.size || start + octets + SPARE > this.#limit;
    return isFull ? -1 : start;
  }

  /** The next segment as it is. */
  bypass(start: number, flow: Flow): void {
    const { words } = this.#rows;
    const at = this.#filled * WORDS;
    const length = this.#segments.innerLength;
    words[at + Word.OFFSET] = start;
    words[at + Word.LENGTH] = length;
    words[at + Word.CONTEXT] = -1;
    words[at + Word.SA] = -1;
    words[at + Word.DROP] = DROP_TAKEN;
    nameDestination(this.#rows, this.#filled, flow);
    this.#place(at, start);
    this.#last = -1;
    this.#end = start + length;
    this.#bypassed++;
    this.#filled++;
  }

  /** The next segment under the number that the SA stands at (steps 6 and 7). */
  protect(start: number, sa: EspSa, trafficClass: number, flags: number): void {
    const at = this.#filled * WORDS;
    const { shed, nextHeader } = this.#encapsulation;
    const isNext = this.#segments.repeats && sa.index === this.#last;
    if (isNext && shed === 0 && sa.tfcOctets === 0) {
      this.#repeat(at, sa);
    } else {
      const length = this.#segments.innerLength;
      const payload = start + ESP_HEADER + sa.suite.ivLength;
      if (shed === 0) this.#place(at, payload);
      else this.#encapsulation.place(this.#rows, at, payload, this.#segments);
      this.#end = writeEsp(this.#rows, at, start, sa, length - shed, nextHeader);
      this.#rows.words[at + Word.INNER] = length;
      this.#last = sa.index;
    }
    this.#address(at, sa, trafficClass, flags);
    this.#filled++;
  }

  /** A dummy packet under the number that the SA stands at (RFC 4303 §2.6). */
  addDummy(start: number, sa: EspSa, octets: number): void {
    const { words, arena } = this.#rows;
    const at = this.#filled++ * WORDS;
    writeDummy(arena, start + ESP_HEADER + sa.suite.ivLength, octets);
    this.#end = writeEsp(this.#rows, at, start, sa, octets, IpProtocol.IPV6_NONXT);
    this.#address(at, sa, 0, sa.copyDf ? FLAG_DF : 0);
    words[at + Word.SOURCE_LENGTH] = 0;
    words[at + Word.SUM_FROM] = -1;
  }

  /** The ESP packet of a segment that is like the one in the row before. */
  #repeat(at: number, sa: EspSa): void {
    const { words } = this.#rows;
    const before = at - WORDS;
    const from = words[before + Word.OFFSET]!;
    const length = words[before + Word.LENGTH]!;
    const inside = ESP_HEADER + sa.suite.ivLength;
    words[at + Word.SOURCE] = this.#segments.payloadAt;
    words[at + Word.SOURCE_LENGTH] = words[before + Word.SOURCE_LENGTH]!;
    words[at + Word.COPY_TO] = words[before + Word.COPY_TO]! + length;
    words[at + Word.SUM_FROM] = words[before + Word.SUM_FROM]! + length;
    words[at + Word.SUM_AT] = words[before + Word.SUM_AT]! + length;
    words[at + Word.INNER] = words[before + Word.INNER]!;
    this.#segments.repeatHeaders(this.#view, from + inside, from + length + inside);
    repeatEsp(this.#rows, this.#view, at, sa);
    this.#end = from + length + length;
  }

  /** What a row says besides its octets. */
  #address(at: number, sa: EspSa, trafficClass: number, flags: number): void {
    const { words } = this.#rows;
    words[at + Word.TOS] = trafficClass;
    words[at + Word.FLAGS] = flags;
    words[at + Word.CONTEXT] = sa.handles.contextOut;
    words[at + Word.PATH] = sa.handles.path;
    words[at + Word.SA] = sa.index;
    words[at + Word.DROP] = DropReason.NONE;
    words[at + Word.STATUS] = STATUS_OK;
  }

  /** The headers of the segment to `inner`; the rest is copied when the row is sealed. */
  #place(at: number, inner: number): void {
    const { words, arena } = this.#rows;
    const segments = this.#segments;
    words[at + Word.SOURCE] = segments.payloadAt;
    words[at + Word.SOURCE_LENGTH] = segments.payloadLength;
    words[at + Word.COPY_TO] = inner + segments.headerLength;
    words[at + Word.SUM_FROM] = segments.unsummed ? inner + segments.sumStart : -1;
    words[at + Word.SUM_AT] = inner + segments.sumAt;
    segments.writeHeaders(arena, inner);
  }
}

/** Names the destination for whoever sends the row; until then it counts as not reached. */
function nameDestination({ words, origins }: Batch, row: number, flow: Flow): void {
  const at = row * WORDS;
  const origin = row * ORIGIN_OCTETS;
  words[at + Word.PATH] = PATH_OF_ORIGIN;
  words[at + Word.STATUS] = UNREACHABLE;
  origins[origin + Origin.FAMILY] = flow.family;
  for (let word = 0; word < 4; word++) {
    writeU32(origins, origin + Origin.DESTINATION + word * 4, flow.destination[word]!);
  }
}

/** Where an SA's packets may begin. */
const GRAIN = 64;
/** Room for all that ESP adds to a packet. */
const SPARE = 320;
