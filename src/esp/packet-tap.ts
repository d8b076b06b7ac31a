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
import { concatOctets } from '../wire/octets.ts';
import {
  type Batch,
  DROP_ELSEWHERE,
  DROP_HELD,
  DROP_TAKEN,
  FLAG_DF,
  STATUS_OK,
  WORDS,
  Word,
} from './batch.ts';
import {
  TAP_BYPASS,
  TAP_DUMMY,
  TAP_HELD,
  type TapOutlet,
  TapPoint,
  type TapSettings,
} from './captured-lot.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { ESP_HEADER } from './esp-suite.ts';
import { LotInMaking, type SeenPacket } from './lot-in-making.ts';
import { type KeptOctets, outerPacket } from './outer-packet.ts';
import { originDestination, originSource } from './peer-origin.ts';
import { sendDropReason } from './send-status.ts';

/** A packet of a batch that is not judged yet; `kept` is missing where there was no credit. */
interface Arrived {
  readonly kept: KeptOctets | undefined;
  readonly childSa: number;
  readonly spi: number;
}

export class PacketTap {
  readonly #sas: EspSaTable;
  readonly #arrivals: Batch;
  readonly #outlet: TapOutlet | undefined;
  readonly #lot: LotInMaking;
  readonly #arrived: (Arrived | undefined)[] = [];
  #settings: TapSettings | undefined;
  #childSas: Set<number> | undefined;

  constructor(sas: EspSaTable, arrivals: Batch, outlet: TapOutlet | undefined) {
    this.#sas = sas;
    this.#arrivals = arrivals;
    this.#outlet = outlet;
    this.#lot = new LotInMaking((lot) => outlet?.post(lot));
  }

  /** Whether anybody looks. */
  get on(): boolean {
    return this.#settings !== undefined;
  }

  begin(settings: TapSettings): void {
    if (this.#outlet === undefined) return;
    this.#settings = settings;
    this.#childSas = settings.childSas && new Set(settings.childSas);
    this.#lot.restart();
  }

  /** One more Child SA whose packets are wanted. */
  follow(childSa: number): void {
    this.#childSas?.add(childSa);
  }

  /** Answers the packets that were not copied since the last lot. */
  end(): number {
    this.#settings = undefined;
    this.#childSas = undefined;
    return this.#lot.missed;
  }

  /** Somebody took so much of what was posted. */
  taken(credit: number): void {
    this.#lot.taken(credit);
  }

  /** Rows of single packets as they came, before they are opened where they stand. */
  arrived(batch: Batch, count: number): void {
    const { words, arena } = batch;
    for (let row = 0; row < count; row++) {
      const at = row * WORDS;
      const drop = words[at + Word.DROP]!;
      this.#arrived[row] = undefined;
      // IKE is not ours; and the worker whose SA it is sees the packet, too.
      if (drop === DROP_TAKEN || drop === DROP_ELSEWHERE) continue;
      const length = words[at + Word.LENGTH]!;
      const spi = length < ESP_HEADER ? 0 : readU32(arena, words[at + Word.OFFSET]!);
      const sa = this.#saOf(words[at + Word.SA]!);
      if (!this.#wants(sa, spi)) continue;
      const room = this.#lot.hasRoomFor(Math.min(length, this.#most));
      const kept = room ? this.#outerIn(batch, at) : undefined;
      this.#arrived[row] = { kept, childSa: sa?.parameters.id ?? -1, spi };
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
      const { kept, childSa, spi } = arrived;
      if (kept === undefined) this.#lot.miss();
      else this.#see('cause', { ...kept, point: TapPoint.RECEIVED, childSa, spi, reason });
      if (reason !== 0 || drop < 0) continue;
      const delivered = whole(deliveredOctets(batch, at));
      this.#see('effect', { ...delivered, point: TapPoint.DELIVERED, childSa, spi: 0, reason });
    }
    this.#lot.post(now);
  }

  /** Rows of packets that left, or could not. */
  sent(batch: Batch, count: number): void {
    const { words } = batch;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const sa = this.#saOf(words[at + Word.SA]!);
      this.#seeSent(batch, at, sa, fateOfSent(batch, at, sa));
    }
  }

  /** Rows of dummy packets that left, or could not. */
  dummies(batch: Batch, count: number, now: Instant): void {
    const { words } = batch;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const sa = this.#saOf(words[at + Word.SA]!);
      this.#seeSent(batch, at, sa, fateOfSent(batch, at, sa) || TAP_DUMMY);
    }
    this.#lot.post(now);
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
      const childSa = sa?.parameters.id ?? -1;
      const kept = whole(octetsOf(batch, at));
      this.#see('cause', { ...kept, point: TapPoint.READ, childSa, spi: 0, reason });
    }
    this.#lot.post(now);
  }

  /** Rows of ICMP errors that went back into the TUN device. */
  answered(batch: Batch, count: number): void {
    if (!this.#wants(undefined, 0) || !this.#wantsReason(0)) return;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const kept = whole(octetsOf(batch, at));
      this.#see('effect', { ...kept, point: TapPoint.ANSWERED, childSa: -1, spi: 0, reason: 0 });
    }
  }

  #seeSent(batch: Batch, at: number, sa: EspSa | undefined, reason: number): void {
    const spi = sa?.spiOut ?? 0;
    if (!this.#wants(sa, spi) || !this.#wantsReason(reason)) return;
    const kept = sa === undefined ? whole(octetsOf(batch, at)) : this.#outerOut(batch, at, sa);
    const childSa = sa?.parameters.id ?? -1;
    this.#see('effect', { ...kept, point: TapPoint.SENT, childSa, spi, reason });
  }

  get #most(): number {
    return this.#settings?.snapLength ?? 0;
  }

  #see(kind: 'cause' | 'effect', seen: SeenPacket): void {
    this.#lot.add(kind, seen, this.#most);
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

  #outerIn(batch: Batch, at: number): KeptOctets {
    const origin = batch.words[at + Word.ORIGIN]!;
    const { address, port } = originSource(this.#arrivals, origin);
    const outer = {
      family: address.family,
      source: address.octets,
      destination: originDestination(this.#arrivals, origin).octets,
      // A raw socket tells no port.
      ports: port === 0 ? undefined : { source: port, destination: this.#outlet?.nattPort ?? 0 },
      trafficClass: batch.words[at + Word.TOS]!,
      dontFragment: false,
      payload: octetsOf(batch, at),
    };
    return outerPacket(outer, this.#most);
  }

  #outerOut(batch: Batch, at: number, { ends }: EspSa): KeptOctets {
    const { local, remote, udpEncapsulation } = ends;
    const outer = {
      family: remote.address.family,
      source: local.address.octets,
      destination: remote.address.octets,
      ports: udpEncapsulation ? { source: local.port, destination: remote.port } : undefined,
      trafficClass: batch.words[at + Word.TOS]!,
      dontFragment: (batch.words[at + Word.FLAGS]! & FLAG_DF) !== 0,
      payload: octetsOf(batch, at),
    };
    return outerPacket(outer, this.#most);
  }
}

/** Where they are: valid until the batch is emptied. */
function octetsOf({ words, arena }: Batch, at: number): Uint8Array {
  const offset = words[at + Word.OFFSET]!;
  return arena.subarray(offset, offset + words[at + Word.LENGTH]!);
}

function whole(octets: Uint8Array): KeptOctets {
  return { octets, length: octets.length };
}

/** What the device was given: the octets of the row, and of those that were joined to it. */
function deliveredOctets(batch: Batch, at: number): Uint8Array {
  const parts: Uint8Array[] = [];
  for (let row = at, further = WORDS; further > 0; row += further) {
    parts.push(octetsOf(batch, row));
    further = batch.words[row + Word.NEXT]! * WORDS;
  }
  return concatOctets(...parts);
}

/** The drop reason of a row that was to leave, or TAP_BYPASS. */
function fateOfSent({ words }: Batch, at: number, sa: EspSa | undefined): number {
  if (sa !== undefined) return words[at + Word.DROP]!;
  const status = words[at + Word.STATUS]!;
  return status === STATUS_OK ? TAP_BYPASS : sendDropReason(status);
}
