/**
 * Outbound processing (RFC 4301 §5.1, RFC 4303 §3.3), in the steps of the RFCs: packets as they were
 * read become rows of ESP packets, a super-packet many of them.
 *
 *   fill    1 inner header → 2 policy: an SA, a trap, a bypass or nothing → 3 size → 4 MSS
 *           and for each segment
 *           5 lifetime and sequence number → 6 ESP header, padding and trailer
 *           → 7 outer traffic class and DF
 *           (the caller seals the rows that have a CONTEXT)
 *   finish  8 what could not be sealed is not sent
 *           (the caller sends the rows that have a PATH)
 *   settle  9 what was not sent, and the counters
 *
 * Hop limits are not decremented: the host that routed the packet into the TUN device did that.
 * The outer headers are the socket's work. Nothing here allocates or throws per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import {
  countSaDrop,
  SaCounter,
  type SharedCounters,
  WorkerCounter,
} from '../events/shared-counters.ts';
import { paddedLength, sizeVerdict } from '../ipsec/path-mtu.ts';
import { writeU32 } from '../wire/field.ts';
import { createFlow, type Flow, FlowFault, readFlow } from '../wire/flow.ts';
import { type Instant, instant } from '../wire/instant.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { ipv4DontFragment, ipv4Ttl, ipv4TypeOfService } from '../wire/ipv4.ts';
import { ipv6HopLimit, ipv6TrafficClass } from '../wire/ipv6.ts';
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
import type { ClusterShare } from './cluster-share.ts';
import { type DummyPacket, writeDummy } from './dummy-traffic.ts';
import { encapsulatedClass } from './ecn.ts';
import { Encapsulation, repeatEsp, writeEsp } from './encapsulation.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { ESP_HEADER } from './esp-suite.ts';
import { foreignRead, type HandOn } from './foreign-packets.ts';
import type { HandOver } from './hand-over.ts';
import { clampFlow } from './mss-clamp.ts';
import { OutboundPolicy } from './outbound-policy.ts';
import { REASSEMBLY_OCTETS, Reassembled, Reassembly } from './reassembly.ts';
import { renewShare, type ShareKeepers } from './sa-ownership.ts';
import type { SaWatch } from './sa-watch.ts';
import { Segments } from './segmentation.ts';
import { isTooBigStatus, sendDropReason, UNREACHABLE } from './send-status.ts';
import type { TooBigAnswers } from './too-big-answers.ts';
import { Limit } from './traffic-meter.ts';
import type { Traps } from './traps.ts';

/** What outbound processing is told of paths that turn out narrower. */
export interface PathObserver {
  /** A packet of `octets` from SPI to ICV did not fit the path of the SA. */
  readonly refused: (sa: EspSa, octets: number, now: Instant) => void;
  /** What was learned of the path of the SA is too old to count. */
  readonly aged: (sa: EspSa) => void;
}

/** What is read, and what of it leaves: rows over one arena, which has room behind the slots. */
export interface OutboundBatches {
  readonly reads: Batch;
  readonly rows: Batch;
}

export interface OutboundOptions {
  readonly batches: OutboundBatches;
  readonly watch: SaWatch;
  readonly reports: ShareKeepers['reports'];
  readonly traps: Traps;
  readonly paths: PathObserver;
  readonly mssClamp: boolean;
  readonly handOver: HandOver | undefined;
  /** Where packets go of SAs that another node of the cluster has. */
  readonly handOn: HandOn | undefined;
}

export class Outbound {
  readonly #sas: EspSaTable;
  readonly #counters: SharedCounters;
  readonly #answers: TooBigAnswers;
  readonly #watch: SaWatch;
  readonly #keepers: ShareKeepers;
  readonly #handOn: HandOn | undefined;
  readonly #policy: OutboundPolicy;
  readonly #paths: PathObserver;
  readonly #mssClamp: boolean;
  readonly #reads: Batch;
  readonly #rows: Batch;
  readonly #view: DataView;
  readonly #flow: Flow = createFlow();
  /** The packet that is being written, as long as segments of it are left. */
  readonly #segments = new Segments();
  /** What of it goes into ESP. */
  readonly #encapsulation = new Encapsulation();
  readonly #reassembly: Reassembly;
  /** Where the arena ends for packets that leave. */
  readonly #limit: number;
  /** The packet was cut by the host and is whole again. */
  #wasCut = false;
  /** The SA that carries it; undefined = it leaves unprotected. */
  #sa: EspSa | undefined;
  #trafficClass = 0;
  #flags = 0;
  /** Packets read, and how many of them were looked at. */
  #count = 0;
  #next = 0;
  /** Rows filled, which SA the last one is of, and the first octet behind them. */
  #filled = 0;
  #last = -1;
  #end = 0;
  #bypassed = 0;
  /** Of the rows that are filled. */
  #now: Instant = instant(0);

  constructor(
    sas: EspSaTable,
    counters: SharedCounters,
    answers: TooBigAnswers,
    options: OutboundOptions,
  ) {
    this.#sas = sas;
    this.#counters = counters;
    this.#answers = answers;
    this.#watch = options.watch;
    this.#keepers = { counters, reports: options.reports };
    this.#handOn = options.handOn;
    this.#paths = options.paths;
    this.#mssClamp = options.mssClamp;
    this.#reads = options.batches.reads;
    const { traps, handOver } = options;
    this.#policy = new OutboundPolicy({ sas, traps, handOver, reads: this.#reads });
    this.#rows = options.batches.rows;
    const { arena } = this.#rows;
    this.#view = new DataView(arena.buffer, arena.byteOffset, arena.length);
    this.#reassembly = new Reassembly(this.#reads.arena);
    this.#limit = this.#reads.arena.length - REASSEMBLY_OCTETS;
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
    return this.#bypassed;
  }

  /** Steps 1-7 until nothing waits or there is no more room; answers the rows filled. */
  fill(now: Instant): number {
    this.#bypassed = 0;
    this.#filled = 0;
    this.#last = -1;
    this.#now = now;
    this.#end = this.#reads.size * this.#reads.slotOctets;
    for (;;) {
      while (this.#segments.left > 0) if (!this.#writeSegment()) return this.#filled;
      if (this.#next === this.#count) return this.#filled;
      const at = this.#next++ * WORDS;
      const verdict = this.#prepare(at, now);
      // For who looks on: what became of the packet that was read.
      this.#reads.words[at + Word.DROP] = verdict;
      if (verdict > 0) this.#discarded(-1, verdict);
      if (verdict !== DropReason.NONE) this.#segments.clear();
    }
  }

  /** Rows of dummy packets in place of `fill`; answers how many. Step 8 follows, then `settleDummies`. */
  fillDummies(dummies: readonly DummyPacket[], now: Instant): number {
    const { words, arena, size } = this.#rows;
    this.#bypassed = 0;
    this.#now = now;
    let filled = 0;
    let start = this.#reads.size * this.#reads.slotOctets;
    for (const { sa, octets } of dummies) {
      if (filled === size || start + octets + SPARE > this.#limit) return filled;
      if (sa.withheld !== DropReason.NONE) continue;
      const exhausted = this.#take(sa, octets);
      if (exhausted !== DropReason.NONE) {
        this.#discarded(sa.index, exhausted);
        continue;
      }
      const at = filled++ * WORDS;
      const inside = start + ESP_HEADER + sa.suite.ivLength;
      writeDummy(arena, inside, octets);
      const end = writeEsp(this.#rows, at, start, sa, octets, IpProtocol.IPV6_NONXT);
      this.#address(at, sa, 0, sa.copyDf ? FLAG_DF : 0);
      words[at + Word.SOURCE_LENGTH] = 0;
      words[at + Word.SUM_FROM] = -1;
      start = (end + GRAIN - 1) & -GRAIN;
    }
    return filled;
  }

  /** Step 9 for dummy packets: they are nobody's traffic, so only what was not sent counts. */
  settleDummies(count: number, now: Instant): void {
    const { words } = this.#rows;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const status = words[at + Word.STATUS]!;
      if (words[at + Word.DROP] === 0 && status !== STATUS_OK) this.#unsent(at, status, now);
    }
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

  #unsent(at: number, status: number, now: Instant): void {
    const { words } = this.#rows;
    const index = words[at + Word.SA]!;
    const reason = sendDropReason(status);
    words[at + Word.DROP] = reason;
    this.#discarded(index, reason);
    if (isTooBigStatus(status)) {
      this.#paths.refused(this.#sas.at(index), words[at + Word.LENGTH]!, now);
    }
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
    if (sa.pathMtu.age(now)) this.#paths.aged(sa);

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
    this.#discarded(sa.index, reason);
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
    for (; reassembly.lost > 0; reassembly.lost--) this.#discarded(-1, reason);
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

  /** Puts the next segment into a row; false when there is no room for it. */
  #writeSegment(): boolean {
    const sa = this.#sa;
    const { words, size } = this.#rows;
    const length = this.#segments.innerLength;
    // Packets of one SA follow one another without a gap: of one size they leave as one message.
    const start = sa?.index === this.#last ? this.#end : (this.#end + GRAIN - 1) & -GRAIN;
    const room = sa === undefined ? length : paddedLength(length, sa.tfcOctets);
    if (this.#filled === size || start + room + SPARE > this.#limit) return false;
    const at = this.#filled * WORDS;
    if (sa === undefined) {
      this.#bypassed++;
      this.#last = -1;
      words[at + Word.OFFSET] = start;
      words[at + Word.LENGTH] = length;
      words[at + Word.CONTEXT] = -1;
      words[at + Word.SA] = -1;
      words[at + Word.DROP] = DROP_TAKEN;
      nameDestination(this.#rows, this.#filled, this.#flow);
      this.#place(at, start);
      this.#end = start + length;
      this.#filled++;
      return true;
    }

    // 5. RFC 4303 §3.3.3: a sequence number is never used twice; the last one ends the SA.
    const exhausted = this.#take(sa, length);
    if (exhausted !== DropReason.NONE) {
      this.#lose(sa, exhausted);
      return true;
    }

    // 6. and 7.
    const { shed, nextHeader } = this.#encapsulation;
    if (this.#segments.repeats && sa.index === this.#last && shed === 0 && sa.tfcOctets === 0) {
      this.#repeat(at, sa);
      return true;
    }
    const payload = start + ESP_HEADER + sa.suite.ivLength;
    if (shed === 0) this.#place(at, payload);
    else this.#encapsulation.place(this.#rows, at, payload, this.#segments);
    this.#end = writeEsp(this.#rows, at, start, sa, length - shed, nextHeader);
    words[at + Word.INNER] = length;
    this.#address(at, sa, this.#trafficClass, this.#flags);
    this.#last = sa.index;
    this.#filled++;
    return true;
  }

  /** Steps 6 and 7 for a segment that is like the one in the row before. */
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
    this.#address(at, sa, this.#trafficClass, this.#flags);
    this.#end = from + length + length;
    this.#filled++;
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

  /** As `#use`, with what is counted. */
  #take(sa: EspSa, octets: number): number {
    const exhausted = this.#use(sa, octets);
    if (exhausted !== DropReason.NONE) return exhausted;
    this.#counters.sas[sa.countersOut + SaCounter.SEQUENCE] =
      sa.sequence.high * 0x1_0000_0000 + sa.sequence.low;
    return DropReason.NONE;
  }

  /** Takes the next sequence number of the SA for a packet, and counts that against its limits. */
  #use(sa: EspSa, octets: number): number {
    // RFC 4301 §4.4.2.1: an SA at its hard limit carries nothing more.
    if (sa.meterOut.ended) return DropReason['outbound-hard-limit'];
    if (!sa.sequence.advance()) {
      const { share } = sa;
      if (share === undefined || !this.#renew(sa, share)) return this.#numberless(sa);
    }
    if (sa.sequence.nearlyUsed) this.#watch.limited(sa, Limit.SOFT);
    const limit = sa.meterOut.count(octets);
    if (limit !== Limit.NONE) this.#watch.limited(sa, limit);
    return DropReason.NONE;
  }

  /** In a cluster: goes on with numbers that others acknowledged meanwhile. */
  #renew(sa: EspSa, share: ClusterShare): boolean {
    const renewed = renewShare(sa, share, this.#keepers, this.#now);
    if (share.reservation.nearlyUsed(sa.sequence)) this.#watch.limited(sa, Limit.SOFT);
    return renewed && sa.sequence.advance();
  }

  /** Why there is no sequence number for a packet. */
  #numberless(sa: EspSa): number {
    if (sa.share?.ended === false) return DropReason['sequence-unreserved'];
    this.#watch.limited(sa, Limit.HARD);
    return DropReason['sequence-exhausted'];
  }

  /** `index` of the SA, or -1. */
  #discarded(index: number, reason: number): void {
    this.#counters.drops[reason]!++;
    if (index >= 0) countSaDrop(this.#counters, this.#sas.at(index).countersOut, reason);
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
