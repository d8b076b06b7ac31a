/**
 * The packet path over its doors: one batch from a socket to the TUN device, one from the TUN
 * device to the sockets (RFC 4301 §5).
 *
 * Holds the SAs, the batches and the order of the steps. What moves, seals and opens octets is
 * behind `PacketDoors`: the native layer in the packet loop, a reference in tests.
 */
import { DropReason } from '../events/drop-reason.ts';
import type { SharedCounters } from '../events/shared-counters.ts';
import type { OutboundUse } from '../ipsec/child-sa.ts';
import type { Endpoint } from '../wire/address.ts';
import type { Instant } from '../wire/instant.ts';
import { type Batch, createBatch, DROP_TAKEN, emptyRows, HEADROOM, WORDS, Word } from './batch.ts';
import {
  type EspHandles,
  type EspSa,
  type EspSaEnds,
  type EspSaParameters,
  type LinkMtu,
  moveEspSa,
  outerLength,
  updateInnerMtu,
} from './esp-sa.ts';
import { type EspPolicy, EspSaTable } from './esp-sa-table.ts';
import { ExpectedSpis } from './expected-spis.ts';
import { type Arrival, Inbound } from './inbound.ts';
import { Outbound } from './outbound.ts';
import type { PacketReports } from './packet-reports.ts';
import { SaWatch } from './sa-watch.ts';
import { TooBigAnswers } from './too-big-answers.ts';
import { Traps } from './traps.ts';

/** What the engine lets others do with rows 0 .. `count`-1 of its batches. */
export interface PacketDoors {
  /** Opens the rows of `inbound` that have a CONTEXT. */
  readonly open: (count: number) => void;
  /** Writes the rows of `inbound` with DROP 0 to the TUN device. */
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
}

export interface PacketEngineOptions {
  readonly counters: SharedCounters;
  readonly doors: PacketDoors;
  readonly reports: PacketReports;
  readonly mtu: LinkMtu;
  readonly mssClamp: boolean;
}

/** Packets that waited start at their SPI, whatever they came in. */
const HELD_ARRIVAL: Arrival = { udp: true, family: 4 };

export class PacketEngine {
  readonly inbound: Batch = createBatch();
  readonly outbound: Batch = createBatch();
  readonly #counters: SharedCounters;
  readonly #doors: PacketDoors;
  readonly #reports: PacketReports;
  readonly #sas: EspSaTable;
  readonly #traps: Traps;
  readonly #expected: ExpectedSpis;
  readonly #answers = new TooBigAnswers();
  readonly #inboundRules: Inbound;
  readonly #outboundRules: Outbound;

  constructor(options: PacketEngineOptions) {
    const { counters, doors, reports, mtu, mssClamp } = options;
    this.#counters = counters;
    this.#doors = doors;
    this.#reports = reports;
    this.#sas = new EspSaTable(mtu);
    const watch = new SaWatch(this.#sas, this.inbound, reports);
    this.#expected = new ExpectedSpis((packets) => {
      counters.drops[DropReason['unknown-spi']]! += packets;
    });
    const inbound = { expected: this.#expected, mssClamp };
    this.#inboundRules = new Inbound(this.#sas, counters, watch, inbound);
    const paths = {
      refused: (sa: EspSa, octets: number, now: Instant): void => {
        if (sa.pathMtu.guess(outerLength(sa, octets), now)) this.#pathMtuChanged(sa);
      },
      aged: (sa: EspSa): void => this.#pathMtuChanged(sa),
    };
    this.#traps = new Traps(reports.acquire);
    const outbound = { watch, traps: this.#traps, paths, mssClamp };
    this.#outboundRules = new Outbound(this.#sas, counters, this.#answers, outbound);
    emptyRows(this.inbound, this.inbound.size, 0);
    emptyRows(this.outbound, this.outbound.size, HEADROOM);
  }

  /** ICMP errors on their way back into the TUN device. */
  get answers(): Batch {
    return this.#answers.batch;
  }

  /** From now on the SA's packets are accepted; with outbound `now` it protects traffic, too. */
  install(parameters: EspSaParameters, handles: EspHandles, now: Instant): EspSa {
    const sa = this.#sas.install(parameters, handles);
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
    return this.#sas.remove(id);
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

  /** Adds a policy or replaces that of the same number. */
  installPolicy(policy: EspPolicy, now: Instant): void {
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

  /** When packets that a trap holds will have waited too long. */
  nextDeadline(): Instant | undefined {
    return this.#traps.nextDeadline();
  }

  /** The clock passed `nextDeadline`. */
  expire(now: Instant): void {
    this.#counters.drops[DropReason['trap-timeout']]! += this.#traps.expire(now);
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

  /** `count` rows of `inbound` were received. Afterwards they are empty again. */
  received(count: number, arrival: Arrival, now: Instant): void {
    const batch = this.inbound;
    const taken = this.#inboundRules.begin(batch, count, arrival, now);
    if (taken > 0) this.#handOverIke(count);
    this.#doors.open(count);
    const activated = this.#inboundRules.finish(batch, count, now);
    this.#doors.deliver(count);
    this.#inboundRules.settle(batch, count);
    emptyRows(batch, count, 0);
    if (activated) this.#releaseHeld(now);
  }

  /** `count` rows of `outbound` were read from the TUN device. Afterwards they are empty again. */
  readFromTun(count: number, now: Instant): void {
    const batch = this.outbound;
    const bypassed = this.#outboundRules.begin(batch, count, now);
    this.#doors.seal(count);
    this.#outboundRules.finish(batch, count);
    this.#doors.send(count);
    if (bypassed > 0) this.#doors.bypass(count);
    this.#outboundRules.settle(batch, count, now);
    emptyRows(batch, count, HEADROOM);
    if (this.#answers.count === 0) return;
    this.#doors.answer(this.#answers.count);
    this.#answers.clear();
  }

  /** SAs or policies changed: packets that wait go through them again. */
  #releaseHeld(now: Instant): void {
    this.#traps.release(this.outbound, (count) => this.readFromTun(count, now));
  }

  /** What was here before its SA. */
  #receiveEarly(spiIn: number, now: Instant): void {
    for (;;) {
      const count = this.#expected.release(spiIn, this.inbound, now);
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

  #pathMtuChanged(sa: EspSa): void {
    updateInnerMtu(sa, this.#sas.mtu);
    this.#reports.pathMtuChanged(sa);
  }
}
