/**
 * Inbound processing of a batch (RFC 4303 §3.4, RFC 4301 §5.2), in the steps of the RFC.
 *
 *   begin   1 datagram → 2 SPI and SA → 3 lifetime → 4 lengths → 5 replay check
 *           (the caller opens the rows that have a CONTEXT)
 *   finish  6 ICV → 7 replay window → 8 what the packet says about its SA
 *           → 9 padding and next header → 10 inner header → 11 ECN and DSCP → 12 policy → 13 MSS
 *           → 14 packets of one flow join
 *           (the caller writes the rows with DROP 0, and those they name NEXT, to the TUN device)
 *   settle  15 what the device refused
 *
 * Writes descriptor words and counters only; allocates nothing and throws nothing per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import {
  countSaDrop,
  SaCounter,
  type SharedCounters,
  WorkerCounter,
} from '../events/shared-counters.ts';
import { isReservedSpi } from '../ipsec/spi.ts';
import { readU32 } from '../wire/field.ts';
import { Fragment } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
import { IPV4_HEADER, ipv4HeaderLength, ipv4TypeOfService } from '../wire/ipv4.ts';
import {
  type Batch,
  DROP_ELSEWHERE,
  DROP_HELD,
  DROP_JOINED,
  DROP_TAKEN,
  FLAG_SUM,
  STATUS_OK,
  WORDS,
  Word,
} from './batch.ts';
import { classify, Datagram } from './classify.ts';
import type { Coalescing } from './coalescing.ts';
import { Decapsulation } from './decapsulation.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { ESP_HEADER, ESP_TRAILER } from './esp-suite.ts';
import type { ExpectedSpis } from './expected-spis.ts';
import { foreignArrival, type HandOn, type UnknownArrivals } from './foreign-packets.ts';
import { FragmentPolicy } from './fragment-policy.ts';
import type { HandOver } from './hand-over.ts';
import { clampFlow } from './mss-clamp.ts';
import { QuotedPacket } from './quoted-packet.ts';
import type { SaWatch } from './sa-watch.ts';
import { SampledPackets } from './sampling.ts';
import { Limit } from './traffic-meter.ts';

/** The socket a batch was received from. */
export interface Arrival {
  /** From the NAT traversal port; otherwise from a raw protocol-50 socket. */
  readonly udp: boolean;
  readonly family: 4 | 6;
}

export interface InboundOptions {
  readonly expected: ExpectedSpis;
  readonly mssClamp: boolean;
  /** Where the device takes super-packets. */
  readonly coalescing: Coalescing | undefined;
  /** What rows are packets of, and where those of other workers' SAs go. */
  readonly arrivals: Batch;
  readonly handOver: HandOver | undefined;
  /** Where packets go of SAs that another node of the cluster has. */
  readonly handOn: HandOn | undefined;
  /** And those of SAs that are not here. */
  readonly unknown: UnknownArrivals | undefined;
}

/** By ReplayVerdict. */
const REPLAY_DROP = [
  DropReason.NONE,
  DropReason['replayed-sequence-number'],
  DropReason['sequence-left-of-window'],
] as const;

/** Negative errno of a write the device had no room for. */
const EAGAIN = -11;

export class Inbound {
  readonly #sas: EspSaTable;
  readonly #counters: SharedCounters;
  readonly #watch: SaWatch;
  readonly #expected: ExpectedSpis;
  readonly #mssClamp: boolean;
  readonly #coalescing: Coalescing | undefined;
  readonly #arrivals: Batch;
  readonly #handOver: HandOver | undefined;
  readonly #unknown: UnknownArrivals | undefined;
  readonly #quoted = new QuotedPacket();
  readonly #fragments: FragmentPolicy;
  readonly #decapsulation: Decapsulation;
  readonly #view: DataView;
  /** The packet of the row before is newer than all that arrived until now. */
  #ahead = false;
  readonly #sampled: SampledPackets;

  constructor(sas: EspSaTable, counters: SharedCounters, watch: SaWatch, options: InboundOptions) {
    this.#sas = sas;
    this.#fragments = new FragmentPolicy(sas);
    this.#counters = counters;
    this.#watch = watch;
    this.#expected = options.expected;
    this.#mssClamp = options.mssClamp;
    this.#coalescing = options.coalescing;
    this.#arrivals = options.arrivals;
    this.#handOver = options.handOver;
    this.#unknown = options.unknown;
    const { arrivals, handOn } = options;
    this.#sampled = new SampledPackets(sas, counters, arrivals, handOn);
    const { arena, size, slotOctets } = arrivals;
    this.#view = new DataView(arena.buffer, arena.byteOffset, arena.length);
    this.#decapsulation = new Decapsulation({
      coalescing: options.coalescing,
      spareAt: size * slotOctets,
    });
  }

  /** Steps 1-5 for the rows received; answers how many hold an IKE message (DROP_TAKEN). */
  begin(batch: Batch, count: number, arrival: Arrival, now: Instant): number {
    const { words } = batch;
    let taken = 0;
    this.#ahead = false;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      if (at > 0 && this.#follows(words, at)) continue;
      words[at + Word.CONTEXT] = -1;
      words[at + Word.SA] = -1;
      const verdict = this.#accept(batch, at, arrival, now);
      words[at + Word.DROP] = verdict;
      if (verdict > 0) this.#discarded(words, at, verdict);
      else if (verdict === DROP_TAKEN) taken++;
    }
    return taken;
  }

  /** Steps 6-14 for the rows that were opened; answers whether an SA sends from now on. */
  finish(batch: Batch, count: number, now: Instant): boolean {
    const { words } = batch;
    const { flow } = this.#decapsulation;
    const before = this.#watch.activations;
    this.#decapsulation.begin();
    for (let at = 0; at < count * WORDS; at += WORDS) {
      if (words[at + Word.DROP] !== 0) continue;
      const sa = this.#sas.at(words[at + Word.SA]!);
      const verdict = this.#conclude(batch, at, sa, now);
      if (verdict > 0) {
        words[at + Word.DROP] = verdict;
        this.#discarded(words, at, verdict);
        continue;
      }
      const { sas } = this.#counters;
      const octets = words[at + Word.INNER]!;
      sas[sa.countersIn + SaCounter.PACKETS]!++;
      sas[sa.countersIn + SaCounter.OCTETS]! += octets;
      sas[sa.countersIn + SaCounter.LAST_USE] = now;
      const limit = sa.meterIn.count(octets);
      if (limit !== Limit.NONE) this.#watch.limited(sa, limit);
      // 14. From here on the row may be a part of another's.
      if (verdict === DropReason.NONE) {
        this.#coalescing?.add(at, flow, this.#decapsulation.sound);
      }
    }
    this.#coalescing?.finish();
    if (this.#sampled.waiting > 0) this.#sampled.conclude(batch, count, now);
    return this.#watch.activations !== before;
  }

  /** In place of delivering: it is not known any more that these packets are this node's to deliver. */
  withhold({ words }: Batch, count: number): void {
    const reason = DropReason['lease-over'];
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const drop = words[at + Word.DROP]!;
      if (drop !== 0 && drop !== DROP_JOINED) continue;
      words[at + Word.DROP] = reason;
      this.#discarded(words, at, reason);
    }
  }

  /** Step 15 after the rows with DROP 0 were offered to the device. */
  settle(batch: Batch, count: number): void {
    const { words } = batch;
    let delivered = 0;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const status = words[at + Word.STATUS]!;
      const drop = words[at + Word.DROP]!;
      if (drop === DROP_JOINED || (drop === 0 && status === STATUS_OK)) delivered++;
      if (drop !== 0 || status === STATUS_OK) continue;
      const full = status === EAGAIN;
      const reason = full ? DropReason['device-full'] : DropReason['device-failed'];
      if (!full && words[at + Word.NEXT]! > 0) this.#coalescing?.refuse();
      // All packets that were written as one.
      for (let row = at, further = WORDS; further > 0; row += further) {
        words[row + Word.DROP] = reason;
        this.#discarded(words, row, reason);
        further = words[row + Word.NEXT]! * WORDS;
      }
    }
    this.#counters.work[WorkerCounter.PACKETS_IN]! += delivered;
  }

  /**
   * The datagram came merged with the one of the row before, and is of the same SA, as long, with the
   * next number: what steps 1-5 found of that one holds for this.
   */
  #follows(words: Int32Array, at: number): boolean {
    const before = at - WORDS;
    if (!this.#ahead || words[before + Word.DROP] !== DropReason.NONE) return false;
    if (words[at + Word.ORIGIN] !== words[before + Word.ORIGIN]) return false;
    if (words[at + Word.LENGTH] !== words[before + Word.LENGTH]) return false;
    const [here, there] = [words[at + Word.OFFSET]!, words[before + Word.OFFSET]!];
    const view = this.#view;
    if (view.getInt32(here) !== view.getInt32(there)) return false;
    if (view.getUint32(here + 4) !== view.getUint32(there + 4) + 1) return false;
    words[at + Word.SA] = words[before + Word.SA]!;
    words[at + Word.CONTEXT] = words[before + Word.CONTEXT]!;
    words[at + Word.SEQUENCE_HIGH] = words[before + Word.SEQUENCE_HIGH]!;
    words[at + Word.FLAGS] = words[before + Word.FLAGS]!;
    words[at + Word.DROP] = DropReason.NONE;
    return true;
  }

  #accept(batch: Batch, at: number, arrival: Arrival, now: Instant): number {
    const { arena, words } = batch;
    // 1. The datagram: whole, and ESP (RFC 3948 §2.2; RFC 4303 §3.4.1 for protocol 50).
    if (words[at + Word.STATUS] !== STATUS_OK) return DropReason['truncated-datagram'];
    const outer = arrival.udp
      ? classify(arena, words[at + Word.OFFSET]!, words[at + Word.LENGTH]!)
      : stripIpv4Header(batch, at, arrival);
    if (outer === Datagram.IKE) return DROP_TAKEN;
    if (outer !== Datagram.ESP) return outer;
    const offset = words[at + Word.OFFSET]!;
    const length = words[at + Word.LENGTH]!;
    if (length < ESP_HEADER) return DropReason['short-esp-packet'];

    // 2. RFC 4303 §3.4.2: no SA for the SPI, no packet.
    const spi = readU32(arena, offset);
    if (isReservedSpi(spi)) return DropReason['reserved-spi'];
    const found = this.#sas.findInbound(spi);
    if (found < 0) {
      if (this.#handOver?.concerns(spi)) {
        const given = this.#handOver.giveArrival(spi, batch, at, this.#arrivals);
        return given ? DROP_ELSEWHERE : DropReason['hand-over-full'];
      }
      const passive = this.#sas.findPassive(spi);
      if (passive >= 0) return this.#sample(batch, at, passive, now);
      const held = this.#expected.size > 0 && this.#expected.hold(spi, batch, at, now);
      return held ? DROP_HELD : this.#nobodys(batch, at);
    }
    words[at + Word.SA] = found;
    const sa = this.#sas.at(found);

    // RFC 7296 §2.23: ESP is taken with and without UDP encapsulation at any time.

    // 3. RFC 4301 §4.4.2.1: an SA at its hard limit carries nothing more.
    if (sa.meterIn.ended) return DropReason['inbound-hard-limit'];

    // 4. Room for IV, trailer and ICV; whole blocks between them (RFC 4303 §2.4).
    const body = length - ESP_HEADER - sa.suite.ivLength - sa.suite.icvLength;
    if (body < ESP_TRAILER || body % sa.suite.alignment !== 0) {
      return DropReason['short-esp-packet'];
    }

    // 5. RFC 4303 §3.4.3: the replay check comes before the ICV; it only looks.
    const number = readU32(arena, offset + 4);
    const { window } = sa;
    const replay = REPLAY_DROP[window.check(number)]!;
    if (replay !== DropReason.NONE) return replay;
    this.#ahead = number > window.topLow && window.high === window.topHigh;
    words[at + Word.SEQUENCE_HIGH] = window.high | 0;
    words[at + Word.CONTEXT] = sa.handles.contextIn;
    words[at + Word.FLAGS] = this.#coalescing === undefined ? 0 : FLAG_SUM;
    return DropReason.NONE;
  }

  #conclude(batch: Batch, at: number, sa: EspSa, now: Instant): number {
    const { arena, words } = batch;
    // 6. RFC 4303 §3.4.4: what does not verify is discarded.
    if (words[at + Word.STATUS] !== STATUS_OK) return DropReason['bad-icv'];
    const offset = words[at + Word.OFFSET]!;
    if (sa.meterIn.ended) return DropReason['inbound-hard-limit'];

    // 7. RFC 4303 §3.4.3: the window moves only now, and a packet of the same batch may have
    //    moved it since the check.
    const high = words[at + Word.SEQUENCE_HIGH]! >>> 0;
    const replay = REPLAY_DROP[sa.window.update(high, readU32(arena, offset + 4))]!;
    if (replay !== DropReason.NONE) return replay;
    this.#counters.sas[sa.countersIn + SaCounter.SEQUENCE] =
      sa.window.topHigh * 0x1_0000_0000 + sa.window.topLow;

    // 8. The peer has the SA, and is where the packet came from.
    this.#watch.authenticated(sa, words[at + Word.ORIGIN]!, now);

    // 9. to 11. The packet as it was before ESP.
    const unfit = this.#decapsulation.open(batch, at, sa);
    if (unfit !== DropReason.NONE) return unfit;
    const { flow } = this.#decapsulation;

    // 12. RFC 4301 §5.2 step 4: what the SA delivers must be what it was negotiated for.
    if (sa.tracksFragments && flow.fragment !== Fragment.WHOLE) {
      const unmatched = this.#fragments.judgeInbound(sa, flow, now);
      if (unmatched === DropReason['inbound-policy-mismatch'])
        this.#watch.mismatched(sa, flow, now);
      if (unmatched !== DropReason.NONE) return unmatched;
    } else if (
      !sa.selectors.matchesInbound(flow) &&
      !this.#isAboutOurs(sa, arena, words[at + Word.OFFSET]!)
    ) {
      this.#watch.mismatched(sa, flow, now);
      return DropReason['inbound-policy-mismatch'];
    }

    // 13. A SYN from the peer announces what our side's answers must fit into.
    if (this.#mssClamp) clampFlow(arena, words[at + Word.OFFSET]!, flow, sa.innerMtu);
    return DropReason.NONE;
  }

  /** A packet of no SA that is here. */
  #nobodys(batch: Batch, at: number): number {
    if (this.#unknown?.wanted() !== true) return DropReason['unknown-spi'];
    this.#unknown.take(foreignArrival(batch, at, this.#arrivals));
    return DROP_ELSEWHERE;
  }

  /** A packet of an SA that another node of the cluster has. */
  #sample(batch: Batch, at: number, index: number, now: Instant): number {
    batch.words[at + Word.SA] = index;
    return this.#sampled.accept(batch, at, this.#sas.at(index), now);
  }

  /** RFC 4301 §6.2: an ICMP error fits the SA when the packet it is about went through it. */
  #isAboutOurs(sa: EspSa, arena: Uint8Array, inner: number): boolean {
    return (
      sa.parameters.icmpErrors &&
      this.#quoted.read(arena, inner, this.#decapsulation.flow) &&
      sa.selectors.matchesInbound(this.#quoted.answer)
    );
  }

  #discarded(words: Int32Array, at: number, reason: number): void {
    this.#counters.drops[reason]!++;
    const index = words[at + Word.SA]!;
    if (index < 0) return;
    const { sas } = this.#counters;
    const row = this.#sas.at(index).countersIn;
    countSaDrop(this.#counters, row, reason);
    if (reason === DropReason['bad-icv']) sas[row + SaCounter.BAD_ICVS]!++;
    else if (
      reason === DropReason['replayed-sequence-number'] ||
      reason === DropReason['sequence-left-of-window']
    ) {
      sas[row + SaCounter.REPLAYS]!++;
    }
  }
}

/** A raw IPv4 socket delivers the IP header: the row moves past it and keeps its TOS. */
function stripIpv4Header(batch: Batch, at: number, arrival: Arrival): number {
  if (arrival.family === 6) return Datagram.ESP;
  const { arena, words } = batch;
  const offset = words[at + Word.OFFSET]!;
  const length = words[at + Word.LENGTH]!;
  if (length < IPV4_HEADER) return DropReason['short-esp-packet'];
  const header = ipv4HeaderLength(arena, offset);
  if (header < IPV4_HEADER || header > length) return DropReason['short-esp-packet'];
  words[at + Word.TOS] = ipv4TypeOfService(arena, offset);
  words[at + Word.OFFSET] = offset + header;
  words[at + Word.LENGTH] = length - header;
  return Datagram.ESP;
}
