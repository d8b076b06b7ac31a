/**
 * The packet path over its doors: one batch from a socket to the TUN device, one from the TUN
 * device to the sockets (RFC 4301 §5).
 *
 * Holds the SAs, the batches and the order of the steps. What moves, seals and opens octets is
 * behind `PacketDoors`: the native layer in the packet loop, a reference in tests.
 */

import type { RandomBytes } from '../crypto/random.ts';
import { DropReason } from '../events/drop-reason.ts';
import type { SharedCounters } from '../events/shared-counters.ts';
import type { OutboundUse } from '../ipsec/child-sa.ts';
import type { MeasuredMtu } from '../ipsec/path-mtu.ts';
import type { Sampling } from '../ipsec/replay-sampling.ts';
import type { SequenceHalves } from '../ipsec/sequence-number.ts';
import type { Endpoint } from '../wire/address.ts';
import { earliest, type Instant } from '../wire/instant.ts';
import { Arrivals } from './arrivals.ts';
import {
  BATCH_SIZE,
  type Batch,
  createBatch,
  createRows,
  DROP_TAKEN,
  emptyRows,
  LARGEST_SLOT,
  SPARE_OCTETS,
  WORDS,
  Word,
} from './batch.ts';
import type { TapOutlet } from './captured-lot.ts';
import { Coalescing } from './coalescing.ts';
import { DummyTraffic } from './dummy-traffic.ts';
import {
  type EspHandles,
  type EspSa,
  type EspSaEnds,
  type EspSaParameters,
  type LinkMtu,
  moveEspSa,
  outerLength,
  resumeEspSa,
  updateInnerMtu,
} from './esp-sa.ts';
import { type EspPolicy, EspSaTable, type ForeignPolicy } from './esp-sa-table.ts';
import { ExpectedSpis } from './expected-spis.ts';
import {
  type ForeignPacket,
  type HandOn,
  putForeign,
  type UnknownArrivals,
} from './foreign-packets.ts';
import type { HandOver, HandOverTaker } from './hand-over.ts';
import { type Arrival, Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import { OutboundSettlement } from './outbound-settlement.ts';
import type { PacketReports } from './packet-reports.ts';
import { PacketTap } from './packet-tap.ts';
import { REASSEMBLY_OCTETS } from './reassembly.ts';
import {
  beginShare,
  followEdge,
  type GivenSa,
  giveSa,
  renewShare,
  type ShareKeepers,
  skipInbound,
  skipOutbound,
  type TakenSa,
  type TakeOver,
  takeSa,
} from './sa-ownership.ts';
import { SaWatch } from './sa-watch.ts';
import { TooBigAnswers } from './too-big-answers.ts';
import { Traps } from './traps.ts';

/** What the engine lets others do with rows 0 .. `count`-1 of its batches. */
export interface PacketDoors {
  /** Opens the rows of `inbound` that have a CONTEXT. */
  readonly open: (count: number) => void;
  /** Writes the rows of `inbound` with DROP 0 to the TUN device, each with those it names NEXT. */
  readonly deliver: (count: number) => void;
  /** Seals the rows of `outbound` that have a CONTEXT. */
  readonly seal: (count: number) => void;
  /** Sends the rows of `outbound` that have a PATH. */
  readonly send: (count: number) => void;
  /** Sends the rows of `outbound` that leave without protection (PATH_OF_ORIGIN). */
  readonly bypass: (count: number) => void;
  /** Writes the rows of `answers` to the TUN device. */
  readonly answer: (count: number) => void;
  /** An IKE message stands in this row of `inbound`, marker included; false when nobody takes it. */
  readonly ike: (row: number) => boolean;
  /** In a cluster: takes packets of SAs that another node has. */
  readonly handOn?: HandOn;
  readonly unknown?: UnknownArrivals;
}

export interface PacketEngineOptions {
  readonly counters: SharedCounters;
  readonly doors: PacketDoors;
  readonly reports: PacketReports;
  readonly mtu: LinkMtu;
  readonly mssClamp: boolean;
  /** Draws when dummy packets leave, and how long they are. */
  readonly random: RandomBytes;
  /** What the TUN device does with super-packets; without it packets have no header in front. */
  readonly offload?: { readonly udp: boolean };
  /** The way to other workers' SAs, where there are other workers. */
  readonly handOver?: HandOver;
  /** In a cluster: whether this node still knows that it is the one to send. Asked for each batch. */
  readonly lease?: () => boolean;
  /** Where copies of packets go while a capture runs. */
  readonly tap?: TapOutlet;
}

/** Octets of sealed packets that wait to be sent. */
const SEALED_OCTETS = 1 << 20;

/** Packets that waited, or that another worker had, start at their SPI, whatever they came in. */
const HELD_ARRIVAL: Arrival = { udp: true, family: 4 };

export class PacketEngine {
  /** Datagrams as received, and the packets in them. */
  readonly arrivals: Batch = createBatch(BATCH_SIZE, LARGEST_SLOT, SPARE_OCTETS);
  readonly inbound: Batch = createRows(this.arrivals.arena);
  /** Packets as read from the TUN device, and what of them is sent. */
  readonly reads: Batch = createBatch(BATCH_SIZE, LARGEST_SLOT, SEALED_OCTETS + REASSEMBLY_OCTETS);
  readonly outbound: Batch = createRows(this.reads.arena);
  /** Lets others look on. */
  readonly tap: PacketTap;
  readonly #counters: SharedCounters;
  readonly #doors: PacketDoors;
  readonly #reports: PacketReports;
  readonly #keepers: ShareKeepers;
  readonly #sas: EspSaTable;
  readonly #traps: Traps;
  readonly #expected: ExpectedSpis;
  readonly #dummies: DummyTraffic;
  readonly #answers = new TooBigAnswers();
  readonly #handOver: HandOver | undefined;
  readonly #lease: (() => boolean) | undefined;
  /** What is being handled was handed on by another node. */
  #isRelayed = false;
  readonly #packets = new Arrivals(this.arrivals, this.inbound);
  readonly #inboundRules: Inbound;
  readonly #outboundRules: Outbound;
  readonly #settlement: OutboundSettlement;

  constructor(options: PacketEngineOptions) {
    const { counters, doors, reports, mtu, mssClamp, offload, handOver } = options;
    this.#counters = counters;
    this.#doors = doors;
    this.#reports = reports;
    this.#keepers = { counters, reports };
    this.#handOver = handOver;
    this.#lease = options.lease;
    this.#sas = new EspSaTable(mtu);
    this.tap = new PacketTap(this.#sas, this.arrivals, options.tap);
    const watch = new SaWatch(this.#sas, this.arrivals, reports);
    this.#expected = new ExpectedSpis(this.arrivals, (packets) => {
      counters.drops[DropReason['unknown-spi']]! += packets;
    });
    const coalescing = offload && new Coalescing(this.inbound, offload);
    const { arrivals } = this;
    const { handOn: taker } = doors;
    // What was handed on here stays here: two nodes that each take the other for its owner would go on and on.
    const handOn: HandOn | undefined =
      taker && ((childSa, packet) => !this.#isRelayed && taker(childSa, packet));
    const unknown = doors.unknown && {
      wanted: () => !this.#isRelayed && doors.unknown?.wanted() === true,
      take: doors.unknown.take,
    };
    this.#inboundRules = new Inbound(this.#sas, counters, watch, {
      ...{ expected: this.#expected, mssClamp, coalescing, arrivals, handOver, handOn, unknown },
    });
    const pathAged = (sa: EspSa): void => this.#pathMtuChanged(sa);
    const pathRefused = (sa: EspSa, octets: number, now: Instant): void => {
      if (sa.pathMtu.guess(outerLength(sa, octets), now)) this.#pathMtuChanged(sa);
    };
    this.#dummies = new DummyTraffic(options.random);
    this.#traps = new Traps(reports.acquire);
    const batches = { reads: this.reads, rows: this.outbound };
    const found = { watch, reports, traps: this.#traps, pathAged };
    const outbound = { batches, ...found, mssClamp, handOver, handOn };
    this.#outboundRules = new Outbound(this.#sas, counters, this.#answers, outbound);
    this.#settlement = new OutboundSettlement(this.#sas, counters, this.outbound, pathRefused);
  }

  /** ICMP errors on their way back into the TUN device. */
  get answers(): Batch {
    return this.#answers.batch;
  }

  /**
   * From now on the SA's packets are accepted; with outbound `now` it protects traffic, too. One that
   * another keeper had goes on behind what the counters say of it.
   */
  install(parameters: EspSaParameters, handles: EspHandles, now: Instant, resumed = false): EspSa {
    const sa = this.#sas.install(parameters, handles);
    if (resumed) resumeEspSa(sa, this.#counters.sas);
    if (parameters.cluster) beginShare(sa, parameters.cluster, this.#keepers, now);
    this.#dummies.add(sa, now);
    if (sa.outbound === 'now') this.#releaseHeld(now);
    this.#receiveEarly(parameters.spiIn, now);
    return sa;
  }

  /** A peer was offered this SPI and may use it before its answer is read. */
  expect(spiIn: number): void {
    this.#expected.expect(spiIn);
  }

  /** Answers the SA that is gone, for its handles; undefined when there was none. */
  remove(id: number): EspSa | undefined {
    const sa = this.#sas.remove(id);
    if (sa === undefined) return undefined;
    this.#dummies.remove(sa);
    const waiting = sa.share?.held.drop() ?? 0;
    this.#counters.drops[DropReason['sequence-unreserved']]! += waiting;
    return sa;
  }

  /** The SA of a Child SA's number, as long as it is installed. */
  find(id: number): EspSa | undefined {
    return this.#sas.byId(id);
  }

  /** Whether the SA sends from now on. */
  setOutbound(sa: EspSa, outbound: OutboundUse, now: Instant): void {
    this.#sas.setOutbound(sa, outbound);
    if (outbound === 'now') this.#releaseHeld(now);
  }

  /** So many numbers behind the last one are not used, or not accepted, any more. */
  skipNumbers(sa: EspSa, direction: 'outbound' | 'inbound', count: number): void {
    if (direction === 'inbound') skipInbound(sa, count, this.#keepers);
    else skipOutbound(sa, count, this.#keepers);
  }

  /** Adds a policy or replaces that of the same number. */
  installPolicy(policy: EspPolicy | ForeignPolicy, now: Instant): void {
    this.#traps.remove(policy.id);
    const trap = policy.action === 'trap' ? this.#traps.add(policy.id) : undefined;
    this.#sas.installPolicy(policy, trap);
    this.#releaseHeld(now);
  }

  /** What a trap of that number holds goes where the other policies send it. */
  removePolicy(id: number, now: Instant): void {
    this.#sas.removePolicy(id);
    this.#traps.remove(id);
    this.#releaseHeld(now);
  }

  /** Another node acknowledged the SA's numbers up to this one. */
  grantSequence(sa: EspSa, upTo: SequenceHalves, now: Instant): void {
    sa.share?.reservation.grant(upTo, sa.sequence);
    this.#renewShare(sa, now);
    this.#releaseWaiting(sa, now);
  }

  /** No other node is there to acknowledge the SA's numbers: it goes on until one does again. */
  goAlone(sa: EspSa, now: Instant): void {
    sa.share?.reservation.goAlone();
    this.#renewShare(sa, now);
    this.#releaseWaiting(sa, now);
  }

  /** This node carries the SA of a cluster from now on. */
  take(sa: EspSa, how: TakeOver, now: Instant): TakenSa | undefined {
    const { share } = sa;
    if (share === undefined) return undefined;
    return this.#sas.changeRole(sa, () => takeSa(sa, share, how, this.#keepers, now));
  }

  /** Another node does: nothing leaves by the SA, and its window follows samples and digests. */
  give(sa: EspSa, now: Instant): GivenSa | undefined {
    const { share } = sa;
    const given = share && this.#sas.changeRole(sa, () => giveSa(sa, share, now));
    this.#releaseWaiting(sa, now);
    return given;
  }

  /** The node that has the SA of this inbound SPI says where its window is. */
  followEdge(spiIn: number, edge: SequenceHalves, now: Instant): void {
    const index = this.#sas.findPassive(spiIn);
    if (index < 0) return;
    const sa = this.#sas.at(index);
    if (sa.share) followEdge(sa, sa.share, edge, this.#counters, now);
  }

  /** Other packets of the SA come by while another node has it. */
  sample(sa: EspSa, sampling: Sampling): void {
    sa.share?.sample(sampling);
  }

  /** When packets that a trap holds will have waited too long, or a dummy packet leaves. */
  nextDeadline(): Instant | undefined {
    return earliest(this.#traps.nextDeadline(), this.#dummies.nextDeadline());
  }

  /** The clock passed `nextDeadline`. */
  expire(now: Instant): void {
    this.#counters.drops[DropReason['trap-timeout']]! += this.#traps.expire(now);
    const rows = this.#outboundRules.fillDummies(this.#dummies.due(now, this.outbound.size), now);
    if (rows === 0) return;
    this.#doors.seal(rows);
    this.#settlement.finish(rows);
    if (this.#lease?.() === false) this.#settlement.withhold(rows);
    this.#doors.send(rows);
    this.#settlement.settleDummies(rows, now);
    if (this.tap.on) this.tap.dummies(this.outbound, rows, now);
  }

  /** The SA goes on over another path, named by the native layer as in `EspHandles`. */
  move(sa: EspSa, ends: EspSaEnds, path: number): void {
    moveEspSa(sa, ends, path, this.#sas.mtu);
  }

  /** A router said what the path to the peer of an SA carries (RFC 4301 §8.2). */
  learnPathMtu(spiOut: number, remote: Endpoint, mtu: number, now: Instant): void {
    const sa = this.#sas.findSent(spiOut, remote);
    if (sa === undefined) this.#counters.drops[DropReason['icmp-unknown-spi']]!++;
    else if (sa.pathMtu.learn(mtu, now)) this.#pathMtuChanged(sa);
  }

  /** Somebody measured what the path of an SA carries. */
  measuredPathMtu(id: number, measured: MeasuredMtu): void {
    const sa = this.#sas.byId(id);
    if (sa?.pathMtu.measure(measured)) this.#pathMtuChanged(sa);
  }

  /** `count` rows of `arrivals` were received. Afterwards they are empty again. */
  received(count: number, arrival: Arrival, now: Instant): void {
    this.#packets.begin(count);
    let activated = false;
    for (let rows = this.#packets.fill(); rows > 0; rows = this.#packets.fill()) {
      if (this.#admit(rows, arrival, now)) activated = true;
    }
    emptyRows(this.arrivals, count);
    this.#handOver?.tell();
    if (activated) this.#releaseHeld(now);
  }

  /** `count` rows of `reads` were read from the TUN device. Afterwards they are empty again. */
  readFromTun(count: number, now: Instant): void {
    this.#outboundRules.begin(count);
    while (this.#outboundRules.waiting) {
      const rows = this.#outboundRules.fill(now);
      if (rows > 0) this.#protect(rows, now);
    }
    const answers = this.#answers.count;
    if (answers > 0) this.#doors.answer(answers);
    if (this.tap.on) {
      this.tap.answered(this.answers, answers);
      this.tap.read(this.reads, count, now);
    }
    emptyRows(this.reads, count);
    this.#handOver?.tell();
    if (answers > 0) this.#answers.clear();
  }

  /**
   * Handles what other workers gave, a batch of each; answers whether there may be more. `belong` comes
   * before, for the first rows of `reads`: their flows are this worker's.
   */
  takeOver(belong: (count: number) => void, now: Instant): boolean {
    const taker: HandOverTaker = {
      received: (count) => this.received(count, HELD_ARRIVAL, now),
      read: (count) => {
        belong(count);
        this.readFromTun(count, now);
      },
    };
    return this.#handOver?.take(this, taker) ?? false;
  }

  /** Another node had these packets, which go on as if they had come here; answers how many are none. */
  takeForeign(packets: readonly ForeignPacket[], now: Instant): number {
    let faulty = 0;
    let row = 0;
    this.#isRelayed = true;
    for (const [index, packet] of packets.entries()) {
      const { kind } = packet;
      const batch = kind === 'read' ? this.reads : this.arrivals;
      if (putForeign(batch, row, packet)) row++;
      else faulty++;
      if (row < batch.size && packets[index + 1]?.kind === kind) continue;
      if (row > 0 && kind === 'read') this.readFromTun(row, now);
      else if (row > 0) this.received(row, HELD_ARRIVAL, now);
      row = 0;
    }
    this.#isRelayed = false;
    return faulty;
  }

  /** Rows of `inbound` on their way to the TUN device; answers whether an SA sends from now on. */
  #admit(rows: number, arrival: Arrival, now: Instant): boolean {
    const taken = this.#inboundRules.begin(this.inbound, rows, arrival, now);
    if (taken > 0) this.#handOverIke(rows);
    const tapped = this.tap.on;
    if (tapped) this.tap.arrived(this.inbound, rows);
    this.#doors.open(rows);
    const activated = this.#inboundRules.finish(this.inbound, rows, now);
    if (this.#lease?.() === false) this.#inboundRules.withhold(this.inbound, rows);
    this.#doors.deliver(rows);
    this.#inboundRules.settle(this.inbound, rows);
    if (tapped) this.tap.concluded(this.inbound, rows, now);
    return activated;
  }

  /** Rows of `outbound` on their way to the sockets. */
  #protect(rows: number, now: Instant): void {
    this.#doors.seal(rows);
    this.#settlement.finish(rows);
    if (this.#lease?.() === false) this.#settlement.withhold(rows);
    this.#doors.send(rows);
    if (this.#outboundRules.bypassed > 0) this.#doors.bypass(rows);
    this.#settlement.settle(rows, now);
    if (this.tap.on) this.tap.sent(this.outbound, rows);
  }

  /** SAs or policies changed: packets that wait go through them again. */
  #releaseHeld(now: Instant): void {
    this.#traps.release(this.reads, (count) => this.readFromTun(count, now));
  }

  /** What was here before its SA. */
  #receiveEarly(spiIn: number, now: Instant): void {
    for (;;) {
      const count = this.#expected.release(spiIn, now);
      if (count === 0) return;
      this.received(count, HELD_ARRIVAL, now);
    }
  }

  #handOverIke(count: number): void {
    const { words } = this.inbound;
    for (let row = 0; row < count; row++) {
      if (words[row * WORDS + Word.DROP] !== DROP_TAKEN || this.#doors.ike(row)) continue;
      this.#counters.drops[DropReason['ike-queue-full']]!++;
    }
  }

  #renewShare(sa: EspSa, now: Instant): void {
    if (sa.share !== undefined) renewShare(sa, sa.share, this.#keepers, now);
  }

  /** What waited for numbers goes through the policies again. */
  #releaseWaiting({ share }: EspSa, now: Instant): void {
    const count = share?.held.moveInto(this.reads) ?? 0;
    if (count > 0) this.readFromTun(count, now);
  }

  #pathMtuChanged(sa: EspSa): void {
    updateInnerMtu(sa, this.#sas.mtu);
    this.#reports.pathMtuChanged(sa);
  }
}
