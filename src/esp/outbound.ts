/**
 * Outbound processing of a batch (RFC 4301 §5.1, RFC 4303 §3.3), in the steps of the RFCs.
 *
 *   begin   1 inner header → 2 policy: an SA, a trap, a bypass or nothing → 3 size → 4 MSS → 5 lifetime and sequence number
 *           → 6 ESP header, padding and trailer → 7 outer traffic class and DF
 *           (the caller seals the rows that have a CONTEXT)
 *   finish  8 what could not be sealed is not sent
 *           (the caller sends the rows that have a PATH)
 *   settle  9 what was not sent, and the counters
 *
 * Hop limits are not decremented: the host that routed the packet into the TUN device did that.
 * The outer headers are the socket's work. Nothing here allocates or throws per packet.
 */
import { DropReason } from '../events/drop-reason.ts';
import { SaCounter, type SharedCounters } from '../events/shared-counters.ts';
import { Policy } from '../ipsec/spd.ts';
import { writeU32 } from '../wire/field.ts';
import { createFlow, type Flow, FlowFault, readFlow } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
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
import { encapsulatedClass } from './ecn.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { ESP_HEADER, ESP_TRAILER } from './esp-suite.ts';
import { clampFlow } from './mss-clamp.ts';
import type { SaWatch } from './sa-watch.ts';
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

export interface OutboundOptions {
  readonly watch: SaWatch;
  readonly traps: Traps;
  readonly paths: PathObserver;
  readonly mssClamp: boolean;
}

export class Outbound {
  readonly #sas: EspSaTable;
  readonly #counters: SharedCounters;
  readonly #answers: TooBigAnswers;
  readonly #watch: SaWatch;
  readonly #traps: Traps;
  readonly #paths: PathObserver;
  readonly #mssClamp: boolean;
  readonly #flow: Flow = createFlow();
  #bypassed = 0;

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
    this.#traps = options.traps;
    this.#paths = options.paths;
    this.#mssClamp = options.mssClamp;
  }

  /** Steps 1-7 for the rows read from the TUN device; answers how many leave unprotected. */
  begin(batch: Batch, count: number, now: Instant): number {
    const { words } = batch;
    this.#bypassed = 0;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      words[at + Word.CONTEXT] = -1;
      words[at + Word.PATH] = -1;
      words[at + Word.SA] = -1;
      const verdict = this.#prepare(batch, at, now);
      words[at + Word.DROP] = verdict;
      if (verdict > 0) this.#discarded(words, at, verdict);
    }
    return this.#bypassed;
  }

  /** Step 8 for the rows that were sealed. */
  finish(batch: Batch, count: number): void {
    const { words } = batch;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      if (words[at + Word.DROP] !== 0 || words[at + Word.STATUS] === STATUS_OK) continue;
      words[at + Word.PATH] = -1;
      words[at + Word.DROP] = DropReason['seal-failed'];
      this.#discarded(words, at, DropReason['seal-failed']);
    }
  }

  /** Step 9 for the rows that were offered to their paths. */
  settle(batch: Batch, count: number, now: Instant): void {
    const { words } = batch;
    const { sas } = this.#counters;
    for (let at = 0; at < count * WORDS; at += WORDS) {
      const status = words[at + Word.STATUS]!;
      if (words[at + Word.PATH] === PATH_OF_ORIGIN && status !== STATUS_OK) {
        this.#discarded(words, at, sendDropReason(status));
      }
      if (words[at + Word.DROP] !== 0) continue;
      const sa = this.#sas.at(words[at + Word.SA]!);
      if (status === STATUS_OK) {
        sas[sa.countersOut + SaCounter.PACKETS]!++;
        sas[sa.countersOut + SaCounter.OCTETS]! += words[at + Word.INNER]!;
        sas[sa.countersOut + SaCounter.LAST_USE] = now;
        continue;
      }
      const reason = sendDropReason(status);
      words[at + Word.DROP] = reason;
      this.#discarded(words, at, reason);
      if (isTooBigStatus(status)) this.#paths.refused(sa, words[at + Word.LENGTH]!, now);
    }
  }

  #prepare(batch: Batch, at: number, now: Instant): number {
    const { arena, words } = batch;
    const inner = words[at + Word.OFFSET]!;
    const flow = this.#flow;
    // 1. The inner header; octets behind its length are not the packet's.
    if (readFlow(arena, inner, words[at + Word.LENGTH]!, flow) !== FlowFault.NONE) {
      return DropReason['malformed-packet'];
    }
    const hops = flow.family === 4 ? ipv4Ttl(arena, inner) : ipv6HopLimit(arena, inner);
    // RFC 4301 §5.1.2.1: a packet whose hops are used up is not tunnelled.
    if (hops === 0) return DropReason['hop-limit-expired'];

    // 2. RFC 4301 §5.1: the SPD decides.
    const found = this.#sas.findOutbound(flow);
    if (found < 0) return this.#withoutSa(batch, at, found, now);
    const sa = this.#sas.at(found);
    words[at + Word.SA] = found;
    if (sa.handles.path < 0) return DropReason['send-unreachable'];
    if (sa.pathMtu.age(now)) this.#paths.aged(sa);

    // 3. RFC 4301 §8.2.1: too big for the path and not to be fragmented.
    const keepWhole = this.#mustStayWhole(arena, inner, sa);
    const fits = flow.totalLength <= sa.innerMtu;
    if (!fits && keepWhole) {
      this.#answers.add(batch, inner, flow, sa.innerMtu, now);
      return DropReason['packet-too-big'];
    }

    // 4. A SYN announces what the peer's answers must fit into.
    if (this.#mssClamp) clampFlow(arena, inner, flow, sa.innerMtu);

    // 5. RFC 4303 §3.3.3: a sequence number is never used twice; the last one ends the SA.
    const exhausted = this.#use(sa, flow.totalLength);
    if (exhausted !== DropReason.NONE) return exhausted;
    this.#counters.sas[sa.countersOut + SaCounter.SEQUENCE] =
      sa.sequence.high * 0x1_0000_0000 + sa.sequence.low;

    // 6. and 7.
    writeEsp(batch, at, sa, flow);
    const inside =
      flow.family === 4 ? ipv4TypeOfService(arena, inner) : ipv6TrafficClass(arena, inner);
    words[at + Word.TOS] = encapsulatedClass(sa.trafficClass, inside);
    // RFC 4301 §8.1: DF is copied; what we know to be too big may be fragmented outside.
    words[at + Word.FLAGS] = fits && this.#wantsDf(arena, inner, sa) ? FLAG_DF : 0;
    words[at + Word.CONTEXT] = sa.handles.contextOut;
    words[at + Word.PATH] = sa.handles.path;
    return DropReason.NONE;
  }

  /** What a policy that is not an SA's says about the packet (RFC 4301 §4.4.1). */
  #withoutSa(batch: Batch, at: number, policy: number, now: Instant): number {
    if (policy === Policy.NONE) return DropReason['no-policy'];
    if (policy === Policy.DISCARD) return DropReason['discard-policy'];
    const row = (at / WORDS) | 0;
    if (policy !== Policy.BYPASS) {
      return this.#traps.hold(Policy.TRAP - policy, batch, row, this.#flow, now);
    }
    leaveAsItIs(batch, row, this.#flow);
    this.#bypassed++;
    return DROP_TAKEN;
  }

  /** Takes the next sequence number of the SA for a packet, and counts that against its limits. */
  #use(sa: EspSa, octets: number): number {
    // RFC 4301 §4.4.2.1: an SA at its hard limit carries nothing more.
    if (sa.meterOut.ended) return DropReason['outbound-hard-limit'];
    if (!sa.sequence.advance()) {
      this.#watch.limited(sa, Limit.HARD);
      return DropReason['sequence-exhausted'];
    }
    if (sa.sequence.nearlyUsed) this.#watch.limited(sa, Limit.SOFT);
    const limit = sa.meterOut.count(octets);
    if (limit !== Limit.NONE) this.#watch.limited(sa, limit);
    return DropReason.NONE;
  }

  /** Too big is an error to the sender rather than a reason to fragment outside. */
  #mustStayWhole(arena: Uint8Array, inner: number, sa: EspSa): boolean {
    if (!this.#wantsDf(arena, inner, sa)) return false;
    // RFC 8200 §5: below 1280 octets a tunnel must fragment itself, the sender need not.
    return this.#flow.family === 4 || this.#flow.totalLength > IPV6_MINIMUM_MTU;
  }

  #wantsDf(arena: Uint8Array, inner: number, sa: EspSa): boolean {
    return sa.copyDf && (this.#flow.family === 6 || ipv4DontFragment(arena, inner));
  }

  #discarded(words: Int32Array, at: number, reason: number): void {
    this.#counters.drops[reason]!++;
    const index = words[at + Word.SA]!;
    if (index >= 0) this.#counters.sas[this.#sas.at(index).countersOut + SaCounter.DROPS]!++;
  }
}

/**
 * The ESP packet around the inner packet, which stays where it is (RFC 4303 §2). The row then
 * covers it from SPI to ICV.
 */
function writeEsp(batch: Batch, at: number, sa: EspSa, flow: Flow): void {
  const { arena, words } = batch;
  const { suite } = sa;
  const inner = words[at + Word.OFFSET]!;
  const length = flow.totalLength;
  const offset = inner - ESP_HEADER - suite.ivLength;
  writeU32(arena, offset, sa.spiOut);
  writeU32(arena, offset + 4, sa.sequence.low);
  if (suite.sequenceIv) {
    // RFC 4106 §3.1, RFC 7634 §2: an IV never repeats under a key. The sequence number does not.
    writeU32(arena, offset + ESP_HEADER, sa.sequence.high);
    writeU32(arena, offset + ESP_HEADER + 4, sa.sequence.low);
  }
  // RFC 4303 §2.4: padding octets count up from 1.
  const over = (length + ESP_TRAILER) % suite.alignment;
  const padLength = over === 0 ? 0 : suite.alignment - over;
  const padding = inner + length;
  for (let index = 0; index < padLength; index++) arena[padding + index] = index + 1;
  arena[padding + padLength] = padLength;
  arena[padding + padLength + 1] = flow.family === 4 ? IpProtocol.IPV4 : IpProtocol.IPV6;

  words[at + Word.INNER] = length;
  words[at + Word.SEQUENCE_HIGH] = sa.sequence.high | 0;
  words[at + Word.OFFSET] = offset;
  words[at + Word.LENGTH] = padding + padLength + ESP_TRAILER + suite.icvLength - offset;
}

/** Names the destination for whoever sends the row; until then it counts as not reached. */
function leaveAsItIs({ words, origins }: Batch, row: number, flow: Flow): void {
  const at = row * WORDS;
  const origin = row * ORIGIN_OCTETS;
  words[at + Word.LENGTH] = flow.totalLength;
  words[at + Word.PATH] = PATH_OF_ORIGIN;
  words[at + Word.STATUS] = UNREACHABLE;
  origins[origin + Origin.FAMILY] = flow.family;
  for (let word = 0; word < 4; word++) {
    writeU32(origins, origin + Origin.DESTINATION + word * 4, flow.destination[word]!);
  }
}

const IPV6_MINIMUM_MTU = 1280;
