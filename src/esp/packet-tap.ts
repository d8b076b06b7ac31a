/**
 * What a capture sees of the packet path: copies of packets outside and inside, with their SA and
 * what became of them.
 *
 * Switched off it is one flag that is looked at once for each batch. Switched on it copies as many
 * octets as it has credit for; what is beyond that is counted and goes its way unseen.
 */
import { Policy } from '../ipsec/spd.ts';
import { readU32 } from '../wire/field.ts';
import type { Instant } from '../wire/instant.ts';
import {
  type Batch,
  DROP_ELSEWHERE,
  DROP_HELD,
  DROP_JOINED,
  DROP_TAKEN,
  FLAG_DF,
  PATH_OF_ORIGIN,
  STATUS_OK,
  WORDS,
  Word,
} from './batch.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { ESP_HEADER } from './esp-suite.ts';
import { outerPacket } from './outer-packet.ts';
import { originDestination, originSource } from './peer-origin.ts';
import { sendDropReason } from './send-status.ts';

/** Where a packet was seen. */
export const TapPoint = {
  /** Outside, from the peer. */
  RECEIVED: 0,
  /** Inside, as it was written to the TUN device: packets that were joined are one. */
  DELIVERED: 1,
  /** Inside, as it was read from the TUN device: a super-packet is one. */
  READ: 2,
  /** Outside, to the peer. */
  SENT: 3,
  /** Inside: an ICMP error of the gateway itself. */
  ANSWERED: 4,
} as const;

/** In place of a drop reason: the packet waits for its SA, and is seen again when it is there. */
export const TAP_HELD = -1;
/** In place of a drop reason: the packet leaves without protection. */
export const TAP_BYPASS = -2;

/** Columns of a captured packet in `CapturedLot.rows`. */
export const TapWord = {
  /** One of `TapPoint`. */
  POINT: 0,
  /** Octets of it that are in `octets`. */
  LENGTH: 1,
  /** Octets it had. */
  ORIGINAL: 2,
  /** Number of the Child SA; -1 = none. */
  CHILD_SA: 3,
  /** Outside: that of the packet; else 0. */
  SPI: 4,
  /** A DropReason, 0, TAP_HELD or TAP_BYPASS. */
  REASON: 5,
} as const;

export const TAP_WORDS = 6;

/** Packets of one batch, one behind the other. */
export interface CapturedLot {
  readonly at: Instant;
  readonly octets: Uint8Array<ArrayBuffer>;
  readonly rows: Int32Array;
  /** Packets that were not copied since the last lot. */
  readonly missed: number;
}

/** What of the packets is wanted. */
export interface TapSettings {
  /** Octets of a packet that are kept. */
  readonly snapLength: number;
  readonly dropsOnly: boolean;
  /** Packets of an SA with this SPI in either direction, or that carry it. */
  readonly spi?: number;
  /** Packets of these Child SAs; unset = of all and of none. */
  readonly childSas?: readonly number[];
}

/** Where the copies go. */
export interface TapOutlet {
  readonly post: (lot: CapturedLot) => void;
  /** The UDP port that ESP arrives at. */
  readonly nattPort: number;
}

/** Octets, and an allowance for each packet, that may be on their way to whoever takes them. */
export const TAP_CREDIT = 4 << 20;
/** What a packet costs besides its octets. */
export const TAP_PACKET_COST = 64;

interface Seen {
  readonly point: number;
  readonly octets: Uint8Array;
  readonly original: number;
  readonly childSa: number;
  readonly spi: number;
  readonly reason: number;
}

/** A packet of a batch that is not judged yet; `octets` are missing where there was no credit. */
type Arrived = Omit<Seen, 'point' | 'reason' | 'octets'> & {
  readonly octets: Uint8Array | undefined;
};

export class PacketTap {
  readonly #sas: EspSaTable;
  readonly #arrivals: Batch;
  readonly #outlet: TapOutlet | undefined;
  readonly #arrived: (Arrived | undefined)[] = [];
  /** In the order they are told: what comes into the gateway before what it makes of it. */
  readonly #first: Seen[] = [];
  readonly #then: Seen[] = [];
  #settings: TapSettings | undefined;
  #childSas: Set<number> | undefined;
  #credit = TAP_CREDIT;
  #missed = 0;
  #on = false;

  constructor(sas: EspSaTable, arrivals: Batch, outlet: TapOutlet | undefined) {
    this.#sas = sas;
    this.#arrivals = arrivals;
    this.#outlet = outlet;
  }

  /** Whether anybody looks. */
  get on(): boolean {
    return this.#on;
  }

  begin(settings: TapSettings): void {
    this.#settings = settings;
    this.#childSas = settings.childSas && new Set(settings.childSas);
    this.#credit = TAP_CREDIT;
    this.#missed = 0;
    this.#on = this.#outlet !== undefined;
  }

  /** One more Child SA whose packets are wanted. */
  follow(childSa: number): void {
    this.#childSas?.add(childSa);
  }

  /** Answers the packets that were not copied since the last lot. */
  end(): number {
    this.#on = false;
    this.#settings = undefined;
    this.#childSas = undefined;
    return this.#missed;
  }

  /** Somebody took so much of what was posted. */
  taken(credit: number): void {
    this.#credit = Math.min(TAP_CREDIT, this.#credit + credit);
  }

  /** Rows of single packets as they came, before they are opened where they stand. */
  arrived(batch: Batch, count: number): void {
    const { words, arena } = batch;
    for (let row = 0; row < count; row++) {
      const at = row * WORDS;
      this.#arrived[row] = undefined;
      // IKE is not ours; and the worker whose SA it is sees the packet, too.
      if (words[at + Word.DROP] === DROP_TAKEN || words[at + Word.DROP] === DROP_ELSEWHERE)
        continue;
      const offset = words[at + Word.OFFSET]!;
      const length = words[at + Word.LENGTH]!;
      const spi = length < ESP_HEADER ? 0 : readU32(arena, offset);
      const sa = this.#saOf(words[at + Word.SA]!);
      if (!this.#wants(sa, spi)) continue;
      const childSa = sa?.parameters.id ?? -1;
      const room = this.#credit >= length + TAP_PACKET_COST;
      const octets = room ? this.#outerIn(batch, at) : undefined;
      this.#arrived[row] = { octets, original: octets?.length ?? length, childSa, spi };
    }
  }

  /** The same rows once each was judged and, where it is sound, delivered. */
  concluded(batch: Batch, count: number, now: Instant): void {
    const { words } = batch;
    for (let row = 0; row < count; row++) {
      const at = row * WORDS;
      const arrived = this.#arrived[row];
      if (arrived === undefined) continue;
      const drop = words[at + Word.DROP]!;
      const reason = drop > 0 ? drop : drop === DROP_HELD ? TAP_HELD : 0;
      if (!this.#wantsReason(reason)) continue;
      if (arrived.octets === undefined) this.#missed++;
      else {
        this.#see(this.#first, {
          ...arrived,
          octets: arrived.octets,
          point: TapPoint.RECEIVED,
          reason,
        });
      }
      if (reason !== 0 || drop === DROP_JOINED) continue;
      const octets = deliveredOctets(batch, at);
      this.#see(this.#then, {
        point: TapPoint.DELIVERED,
        octets,
        original: octets.length,
        childSa: arrived.childSa,
        spi: 0,
        reason,
      });
    }
    this.#flush(now);
  }

  /** Rows of packets that left, or could not. */
  sent(batch: Batch, count: number): void {
    const { words, arena } = batch;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const sa = this.#saOf(words[at + Word.SA]!);
      const spi = sa?.spiOut ?? 0;
      if (!this.#wants(sa, spi)) continue;
      const status = words[at + Word.STATUS]!;
      const bypass = sa === undefined && words[at + Word.PATH] === PATH_OF_ORIGIN;
      const failed = bypass && status !== STATUS_OK;
      const reason = failed ? sendDropReason(status) : bypass ? TAP_BYPASS : words[at + Word.DROP]!;
      if (!this.#wantsReason(reason)) continue;
      const offset = words[at + Word.OFFSET]!;
      const payload = arena.subarray(offset, offset + words[at + Word.LENGTH]!);
      const octets = sa === undefined ? payload : outerOut(batch, at, sa, payload);
      this.#see(this.#then, {
        point: TapPoint.SENT,
        octets,
        original: octets.length,
        childSa: sa?.parameters.id ?? -1,
        spi,
        reason,
      });
    }
  }

  /** Rows as they were read from the TUN device, each with its SA and verdict; ends their turn. */
  read(batch: Batch, count: number, now: Instant): void {
    const { words } = batch;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const index = words[at + Word.SA]!;
      const drop = words[at + Word.DROP]!;
      // Another worker has the SA and sees the packet, too.
      if (index <= Policy.ELSEWHERE && drop === DROP_TAKEN) continue;
      const sa = this.#saOf(index);
      const reason = drop > 0 ? drop : drop < 0 ? TAP_HELD : sa === undefined ? TAP_BYPASS : 0;
      if (!this.#wants(sa, 0) || !this.#wantsReason(reason)) continue;
      this.#seeRow(this.#first, TapPoint.READ, batch, at, sa, reason);
    }
    this.#flush(now);
  }

  /** Rows of ICMP errors that went back into the TUN device. */
  answered(batch: Batch, count: number): void {
    for (let at = 0; at < count * WORDS; at += WORDS) {
      if (!this.#wants(undefined, 0) || !this.#wantsReason(0)) continue;
      this.#seeRow(this.#then, TapPoint.ANSWERED, batch, at, undefined, 0);
    }
  }

  #seeRow(
    list: Seen[],
    point: number,
    { words, arena }: Batch,
    at: number,
    sa: EspSa | undefined,
    reason: number,
  ): void {
    const offset = words[at + Word.OFFSET]!;
    const octets = arena.subarray(offset, offset + words[at + Word.LENGTH]!);
    const childSa = sa?.parameters.id ?? -1;
    this.#see(list, { point, octets, original: octets.length, childSa, spi: 0, reason });
  }

  #saOf(index: number): EspSa | undefined {
    return index < 0 ? undefined : this.#sas.at(index);
  }

  #wants(sa: EspSa | undefined, spi: number): boolean {
    const wanted = this.#settings?.spi;
    const ofSpi =
      wanted === undefined ||
      wanted === spi ||
      (sa !== undefined && (sa.parameters.spiIn === wanted || sa.spiOut === wanted));
    if (!ofSpi || this.#childSas === undefined) return ofSpi;
    return sa !== undefined && this.#childSas.has(sa.parameters.id);
  }

  #wantsReason(reason: number): boolean {
    return reason > 0 || this.#settings?.dropsOnly !== true;
  }

  /** Keeps a copy as long as there is credit. */
  #see(list: Seen[], seen: Seen): void {
    const snap = this.#settings?.snapLength ?? 0;
    const length = Math.min(seen.octets.length, snap);
    const cost = length + TAP_PACKET_COST;
    if (cost > this.#credit) {
      this.#missed++;
      return;
    }
    this.#credit -= cost;
    list.push({ ...seen, octets: seen.octets.slice(0, length) });
  }

  #outerIn(batch: Batch, at: number): Uint8Array {
    const { words, arena } = batch;
    const origin = words[at + Word.ORIGIN]!;
    const { address, port } = originSource(this.#arrivals, origin);
    const offset = words[at + Word.OFFSET]!;
    return outerPacket({
      family: address.family,
      source: address.octets,
      destination: originDestination(this.#arrivals, origin).octets,
      // A raw socket tells no port.
      ports: port === 0 ? undefined : { source: port, destination: this.#outlet?.nattPort ?? 0 },
      trafficClass: words[at + Word.TOS]!,
      dontFragment: false,
      payload: arena.subarray(offset, offset + words[at + Word.LENGTH]!),
    });
  }

  #flush(at: Instant): void {
    const seen = [...this.#first.splice(0), ...this.#then.splice(0)];
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
      rows[row + TapWord.ORIGINAL] = one.original;
      rows[row + TapWord.CHILD_SA] = one.childSa;
      rows[row + TapWord.SPI] = one.spi;
      rows[row + TapWord.REASON] = one.reason;
    }
    this.#outlet?.post({ at, octets, rows, missed: this.#missed });
    this.#missed = 0;
  }
}

/** What the device was given: the octets of the row, and of those that were joined to it. */
function deliveredOctets({ words, arena }: Batch, at: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let row = at, further = WORDS; further > 0; row += further) {
    const offset = words[row + Word.OFFSET]!;
    parts.push(arena.subarray(offset, offset + words[row + Word.LENGTH]!));
    further = words[row + Word.NEXT]! * WORDS;
  }
  const octets = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let end = 0;
  for (const part of parts) {
    octets.set(part, end);
    end += part.length;
  }
  return octets;
}

function outerOut(batch: Batch, at: number, sa: EspSa, payload: Uint8Array): Uint8Array {
  const { local, remote, udpEncapsulation } = sa.ends;
  return outerPacket({
    family: remote.address.family,
    source: local.address.octets,
    destination: remote.address.octets,
    ports: udpEncapsulation ? { source: local.port, destination: remote.port } : undefined,
    trafficClass: batch.words[at + Word.TOS]!,
    dontFragment: (batch.words[at + Word.FLAGS]! & FLAG_DF) !== 0,
    payload,
  });
}
