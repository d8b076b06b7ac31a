/**
 * Outbound processing (RFC 4301 §5.1, RFC 4303 §3.3), in the steps of the RFCs: packets as they were
 * read become rows of ESP packets, a super-packet many of them.
 *
 *   1 inner header → 2 policy: an SA, a trap, a bypass or nothing → 3 size → 4 MSS
 *   and for each segment
 *   5 lifetime and sequence number (`SequenceGeneration`)
 *   → 6 ESP header, padding and trailer → 7 outer traffic class and DF (`OutboundRows`)
 *   (the caller seals the rows that have a CONTEXT; `OutboundSettlement` has the steps after that)
 *
 * Hop limits are not decremented: the host that routed the packet into the TUN device did that.
 * The outer headers are the socket's work. Nothing here allocates or throws per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import { countSaDrop, type SharedCounters } from '../events/shared-counters.ts';
import { paddedLength, sizeVerdict } from '../ipsec/path-mtu.ts';
import { createFlow, type Flow, FlowFault, readFlow } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
import { ipv4DontFragment, ipv4Ttl, ipv4TypeOfService } from '../wire/ipv4.ts';
import { ipv6HopLimit, ipv6TrafficClass } from '../wire/ipv6.ts';
import { type Batch, DROP_TAKEN, FLAG_DF, WORDS, Word } from './batch.ts';
import type { ClusterShare } from './cluster-share.ts';
import type { DummyPacket } from './dummy-traffic.ts';
import { encapsulatedClass } from './ecn.ts';
import { Encapsulation } from './encapsulation.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { foreignRead, type HandOn } from './foreign-packets.ts';
import type { HandOver } from './hand-over.ts';
import { clampFlow } from './mss-clamp.ts';
import { OutboundPolicy } from './outbound-policy.ts';
import { type OutboundBatches, OutboundRows } from './outbound-rows.ts';
import { Reassembled, Reassembly } from './reassembly.ts';
import type { ShareKeepers } from './sa-ownership.ts';
import type { SaWatch } from './sa-watch.ts';
import { Segments } from './segmentation.ts';
import { SequenceGeneration } from './sequence-generation.ts';
import type { TooBigAnswers } from './too-big-answers.ts';
import type { Traps } from './traps.ts';

export interface OutboundOptions {
  readonly batches: OutboundBatches;
  readonly watch: SaWatch;
  readonly reports: ShareKeepers['reports'];
  readonly traps: Traps;
  /** What was learned of the path of an SA is too old to count. */
  readonly pathAged: (sa: EspSa) => void;
  readonly mssClamp: boolean;
  readonly handOver: HandOver | undefined;
  /** Where packets go of SAs that another node of the cluster has. */
  readonly handOn: HandOn | undefined;
}

export class Outbound {
  readonly #sas: EspSaTable;
  readonly #counters: SharedCounters;
  readonly #answers: TooBigAnswers;
  readonly #numbers: SequenceGeneration;
  readonly #handOn: HandOn | undefined;
  readonly #policy: OutboundPolicy;
  readonly #pathAged: (sa: EspSa) => void;
  readonly #mssClamp: boolean;
  readonly #reads: Batch;
  readonly #rows: OutboundRows;
  readonly #flow: Flow = createFlow();
  /** The packet that is being written, as long as segments of it are left. */
  readonly #segments = new Segments();
  /** What of it goes into ESP. */
  readonly #encapsulation = new Encapsulation();
  readonly #reassembly: Reassembly;
  /** The packet was cut by the host and is whole again. */
  #wasCut = false;
  /** The SA that carries it; undefined = it leaves unprotected. */
  #sa: EspSa | undefined;
  #trafficClass = 0;
  #flags = 0;
  /** Packets read, and how many of them were looked at. */
  #count = 0;
  #next = 0;

  constructor(
    sas: EspSaTable,
    counters: SharedCounters,
    answers: TooBigAnswers,
    options: OutboundOptions,
  ) {
    const { batches, reports, traps, handOver } = options;
    this.#sas = sas;
    this.#counters = counters;
    this.#answers = answers;
    this.#numbers = new SequenceGeneration({ counters, reports }, options.watch);
    this.#handOn = options.handOn;
    this.#pathAged = options.pathAged;
    this.#mssClamp = options.mssClamp;
    this.#reads = batches.reads;
    this.#rows = new OutboundRows(batches, this.#segments, this.#encapsulation);
    this.#policy = new OutboundPolicy({ sas, traps, handOver, reads: this.#reads });
    this.#reassembly = new Reassembly(this.#reads.arena);
  }

  /** The first `count` rows that were read wait. */
  begin(count: number): void {
    this.#count = count;
    this.#next = 0;
    this.#reassembly.begin();
  }

  /** Something that was read is not in a row yet. */
  get waiting(): boolean {
    return this.#next < this.#count || this.#segments.left > 0;
  }

  /** Rows of the last `fill` that leave unprotected. */
  get bypassed(): number {
    return this.#rows.bypassed;
  }

  /** Steps 1-7 until nothing waits or there is no more room; answers the rows filled. */
  fill(now: Instant): number {
    const rows = this.#rows;
    rows.begin();
    this.#numbers.begin(now);
    for (;;) {
      while (this.#segments.left > 0) if (!this.#writeSegment()) return rows.filled;
      if (this.#next === this.#count) return rows.filled;
      const at = this.#next++ * WORDS;
      const verdict = this.#prepare(at, now);
      // For who looks on: what became of the packet that was read.
      this.#reads.words[at + Word.DROP] = verdict;
      if (verdict > 0) this.#counters.drops[verdict]!++;
      if (verdict !== DropReason.NONE) this.#segments.clear();
    }
  }

  /** Rows of dummy packets in place of `fill`; answers how many. */
  fillDummies(dummies: readonly DummyPacket[], now: Instant): number {
    const rows = this.#rows;
    rows.begin();
    this.#numbers.begin(now);
    for (const { sa, octets } of dummies) {
      const start = rows.startOf(sa, octets);
      if (start < 0) break;
      if (sa.withheld !== DropReason.NONE) continue;
      const exhausted = this.#numbers.advance(sa, octets);
      if (exhausted === DropReason.NONE) rows.addDummy(start, sa, octets);
      else this.#discard(sa, exhausted);
    }
    return rows.filled;
  }

  /** Steps 1-4 for a packet that was read; its segments are written afterwards. */
  #prepare(at: number, now: Instant): number {
    const { arena, words } = this.#reads;
    const inner = words[at + Word.OFFSET]!;
    const flow = this.#flow;
    this.#sa = undefined;
    words[at + Word.SA] = -1;
    // 1. The inner header; octets behind its length are not the packet's.
    if (readFlow(arena, inner, words[at + Word.LENGTH]!, flow) !== FlowFault.NONE) {
      return DropReason['malformed-packet'];
    }
    const hops = flow.family === 4 ? ipv4Ttl(arena, inner) : ipv6HopLimit(arena, inner);
    // RFC 4301 §5.1.2.1: a packet whose hops are used up is not tunnelled.
    if (hops === 0) return DropReason['hop-limit-expired'];
    if (!this.#segments.begin(arena, inner, flow)) return DropReason['malformed-packet'];

    // 2. RFC 4301 §5.1: the SPD decides.
    const found = this.#policy.find(inner, flow, now);
    words[at + Word.SA] = found;
    if (found < 0) return this.#policy.without(at, found, flow, now);
    const sa = this.#sas.at(found);
    if (sa.withheld !== DropReason.NONE) return this.#withheld(at, sa);
    if (sa.pathMtu.age(now)) this.#pathAged(sa);

    const unfit = this.#encapsulation.begin(arena, inner, flow, sa);
    if (unfit === DropReason['outbound-transport-fragment']) return this.#reassemble(at, sa, now);
    if (unfit !== DropReason.NONE) return this.#refuse(sa, unfit);

    // 3. RFC 4301 §8.2.1: too big for the path and not to be fragmented.
    const whole = !this.#wasCut && (flow.family === 6 || ipv4DontFragment(arena, inner));
    const size = sizeVerdict(flow.family, this.#segments.largest, whole, sa);
    if (size === 'too-big') {
      this.#answers.add(this.#reads, inner, flow, sa.innerMtu, now);
      return this.#refuse(sa, DropReason['packet-too-big']);
    }

    // 4. A SYN announces what the peer's answers must fit into.
    if (this.#mssClamp) clampFlow(arena, inner, flow, sa.innerMtu, this.#segments.unsummed);

    const inside =
      flow.family === 4 ? ipv4TypeOfService(arena, inner) : ipv6TrafficClass(arena, inner);
    this.#trafficClass = encapsulatedClass(sa.trafficClass, inside);
    // RFC 4301 §8.1: DF is copied; what we know to be too big may be fragmented outside.
    this.#flags = size === 'fits' && sa.copyDf && whole ? FLAG_DF : 0;
    this.#sa = sa;
    return DropReason.NONE;
  }

  /** What becomes of a packet of an SA that sends nothing. */
  #withheld(at: number, sa: EspSa): number {
    const { withheld, share } = sa;
    if (withheld === DropReason['sequence-unreserved'] && this.#wait(at, share)) return DROP_TAKEN;
    const isForeign = share?.handsOn === true && withheld === DropReason['outbound-passive'];
    const handOn = isForeign ? this.#handOn : undefined;
    const taken = handOn?.(sa.parameters.id, foreignRead(this.#reads, at));
    return taken === true ? DROP_TAKEN : this.#refuse(sa, withheld);
  }

  /** There is no number for the next segment: it waits with the whole packet, or is discarded. */
  #lose(sa: EspSa, reason: number): void {
    const at = (this.#next - 1) * WORDS;
    const waits = reason === DropReason['sequence-unreserved'];
    // The next packets need not try.
    if (waits) sa.withheld = reason;
    if (waits && !this.#segments.begun && this.#wait(at, sa.share)) {
      this.#reads.words[at + Word.DROP] = DROP_TAKEN;
      this.#segments.clear();
      return;
    }
    this.#reads.words[at + Word.DROP] = reason;
    this.#discard(sa, reason);
    this.#segments.skip();
  }

  /** In a cluster: until another node acknowledged further numbers; false when too many wait. */
  #wait(at: number, share: ClusterShare | undefined): boolean {
    const { arena, words } = this.#reads;
    const inner = words[at + Word.OFFSET]!;
    return share?.held.add(arena, inner, this.#flow.totalLength) === true;
  }

  /** RFC 4303 §3.3.4: what the host cut goes through the policies again once it is whole. */
  #reassemble(at: number, sa: EspSa, now: Instant): number {
    const { words } = this.#reads;
    const reassembly = this.#reassembly;
    const reason = DropReason['outbound-transport-fragment'];
    const start = reassembly.add(words[at + Word.OFFSET]!, this.#flow, now);
    this.#counters.drops[reason]! += reassembly.lost;
    reassembly.lost = 0;
    if (start === Reassembled.REFUSED) return this.#refuse(sa, reason);
    if (start === Reassembled.WAITS) return DROP_TAKEN;
    words[at + Word.OFFSET] = start;
    words[at + Word.LENGTH] = reassembly.length;
    this.#wasCut = true;
    const verdict = this.#prepare(at, now);
    this.#wasCut = false;
    return verdict;
  }

  /** Counts against the SA what it does not carry. */
  #refuse(sa: EspSa, reason: number): number {
    countSaDrop(this.#counters, sa.countersOut, reason);
    return reason;
  }

  #discard(sa: EspSa, reason: number): void {
    this.#counters.drops[reason]!++;
    this.#refuse(sa, reason);
  }

  /** Puts the next segment into a row; false when there is no room for it. */
  #writeSegment(): boolean {
    const sa = this.#sa;
    const length = this.#segments.innerLength;
    const room = sa === undefined ? length : paddedLength(length, sa.tfcOctets);
    const start = this.#rows.startOf(sa, room);
    if (start < 0) return false;
    if (sa === undefined) {
      this.#rows.bypass(start, this.#flow);
      return true;
    }
    const exhausted = this.#numbers.advance(sa, length);
    if (exhausted === DropReason.NONE) {
      this.#rows.protect(start, sa, this.#trafficClass, this.#flags);
    } else this.#lose(sa, exhausted);
    return true;
  }
}
