/**
 * The packet loop as it runs in its worker thread, each batch to completion.
 *
 * Opens no descriptor and closes none; it gets them in `PacketLoopSetup`. A wake-up drains its
 * descriptor, but no more than a few batches of it, so that messages and the other descriptors
 * have their turn. Every rule is in `esp/`; here is only what moves octets.
 */
import { VNET_HEADER_OCTETS, WORDS, Word } from '../esp/batch.ts';
import { NON_ESP_MARKER } from '../esp/classify.ts';
import type { EspSa, EspSaEnds } from '../esp/esp-sa.ts';
import { FlowLessons } from '../esp/flow-lessons.ts';
import { HandOver, HandOverRing } from '../esp/hand-over.ts';
import type { Arrival } from '../esp/inbound.ts';
import { PacketEngine } from '../esp/packet-engine.ts';
import { originDestination, originSource } from '../esp/peer-origin.ts';
import { SendLease } from '../events/send-lease.ts';
import { WorkerCounter } from '../events/shared-counters.ts';
import type { OutboundUse } from '../ipsec/child-sa.ts';
import { now } from './clock.ts';
import { ClusterCommands } from './cluster-commands.ts';
import { espContexts } from './esp-contexts.ts';
import { keptParameters } from './kept-parameters.ts';
import { type Native, native } from './native.ts';
import type {
  InstalledChildSa,
  PacketLoopCommand,
  PacketLoopReport,
  PacketLoopSetup,
  PacketLoopShare,
} from './packet-loop-protocol.ts';
import { randomBytes } from './random.ts';

/** Batches of one descriptor before the loop turns to the others. */
const BATCHES_A_TURN = 4;
/** Octets read from the device at once: more would leave the caches before they are sealed. */
const OCTETS_A_READ = 128 << 10;
/** Datagrams taken at once while they come merged, for the same reason. */
const MERGED_A_TURN = 4;
/** Datagrams that are no flood: whoever sent them waits for their answers. */
const FEW = 4;
/** How often a loop shows that it is alive. */
const BEAT_MS = 500;
/** IKE messages on their way to the control thread. */
const IKE_IN_FLIGHT = 256;

/** What of the native layer moves packets. */
export type PacketNative = Pick<
  Native,
  | 'batch'
  | 'context'
  | 'freeContext'
  | 'path'
  | 'freePath'
  | 'open'
  | 'seal'
  | 'send'
  | 'sendTo'
  | 'receive'
  | 'readTun'
  | 'writeTun'
  | 'watch'
  | 'unwatch'
  | 'signal'
  | 'takeSignals'
>;

/** Exactly those: what a loop calls looks the same to the compiler, whatever is behind it. */
export function packetNative(from: PacketNative): PacketNative {
  return {
    batch: from.batch,
    context: from.context,
    freeContext: from.freeContext,
    path: from.path,
    freePath: from.freePath,
    open: from.open,
    seal: from.seal,
    send: from.send,
    sendTo: from.sendTo,
    receive: from.receive,
    readTun: from.readTun,
    writeTun: from.writeTun,
    watch: from.watch,
    unwatch: from.unwatch,
    signal: from.signal,
    takeSignals: from.takeSignals,
  };
}

export class PacketWorker {
  readonly #setup: PacketLoopSetup;
  readonly #tun: number;
  readonly #report: (report: PacketLoopReport) => void;
  readonly #native: PacketNative;
  readonly #engine: PacketEngine;
  readonly #cluster: ClusterCommands;
  /** Octets in front of each packet of the device. */
  readonly #header: number;
  readonly #arrivals: number;
  readonly #reads: number;
  readonly #inbound: number;
  readonly #outbound: number;
  readonly #answers: number;
  readonly #watches: number[] = [];
  #ikeCredit = IKE_IN_FLIGHT;
  #expiry: NodeJS.Timeout | undefined;
  #beat: NodeJS.Timeout | undefined;

  constructor(
    setup: PacketLoopSetup,
    report: (report: PacketLoopReport) => void,
    layer: PacketNative = packetNative(native()),
  ) {
    this.#setup = setup;
    this.#tun = setup.tun;
    this.#native = layer;
    this.#report = report;
    this.#header = setup.offload === undefined ? 0 : VNET_HEADER_OCTETS;
    this.#cluster = new ClusterCommands((said) => report({ kind: 'cluster', report: said }), now);
    const { tun, offload } = setup;
    const header = this.#header;
    this.#engine = new PacketEngine({
      counters: setup.counters,
      mtu: { outer: setup.outerMtu, tun: setup.tunMtu },
      mssClamp: setup.mssClamp,
      random: randomBytes,
      ...(offload && { offload }),
      ...(setup.lease && { lease: leaseOf(setup.lease) }),
      ...(setup.share && { handOver: this.#handOver(setup.share) }),
      tap: {
        post: (lot) => report({ kind: 'captured', ...lot }),
        nattPort: setup.nattPort,
      },
      doors: {
        open: (count) => this.#native.open(this.#inbound, 0, count),
        deliver: (count) => this.#native.writeTun(tun, this.#inbound, 0, count, header),
        seal: (count) => this.#native.seal(this.#outbound, 0, count),
        send: (count) => this.#native.send(this.#outbound, 0, count),
        bypass: (count) => this.#sendPlain(count),
        answer: (count) => this.#native.writeTun(tun, this.#answers, 0, count, header),
        ike: (row) => this.#handOverIke(row),
        handOn: (id, packet) => this.#cluster.handOn(id, packet),
        unknown: this.#cluster.unknown,
      },
      reports: {
        pathMtuChanged: (sa) => this.#pathMtuChanged(sa),
        outboundActivated: ({ parameters: { id } }) => report({ kind: 'outbound-activated', id }),
        limitReached: ({ parameters: { id } }, limit) =>
          report({ kind: 'traffic-limit', id, limit }),
        peerMoved: ({ parameters: { id } }, local, remote) =>
          report({ kind: 'peer-moved', id, local, remote }),
        policyMismatch: ({ parameters: { id } }, packet, suppressed) =>
          report({ kind: 'policy-mismatch', id, packet, suppressed }),
        sequenceWanted: ({ parameters: { id } }, upTo) =>
          report({ kind: 'cluster', report: { kind: 'sequence-wanted', id, upTo } }),
        acquire: (policy, flow) => {
          report({ kind: 'acquire', policy, flow });
          this.#expireInTime();
        },
      },
    });
    this.#arrivals = this.#register(this.#engine.arrivals);
    this.#reads = this.#register(this.#engine.reads);
    this.#inbound = this.#register(this.#engine.inbound);
    this.#outbound = this.#register(this.#engine.outbound);
    this.#answers = this.#register(this.#engine.answers);
  }

  start(): void {
    const { natt4, natt6, esp4, esp6, tun, counters, share } = this.#setup;
    this.#beat = setInterval(() => counters.work[WorkerCounter.BEAT]!++, BEAT_MS);
    if (share !== undefined) this.#takeOverFrom(share);
    this.#receiveFrom(natt4, { udp: true, family: 4 });
    this.#receiveFrom(natt6, { udp: true, family: 6 });
    this.#receiveFrom(esp4, { udp: false, family: 4 });
    this.#receiveFrom(esp6, { udp: false, family: 6 });
    this.#watches.push(this.#native.watch(tun, () => this.#drainTun(), true));
    this.#report({ kind: 'ready' });
  }

  /** Answers false when the loop is at its end. */
  perform(command: PacketLoopCommand): boolean {
    switch (command.kind) {
      case 'install':
        this.#install(command.sa, command.resumed === true);
        return true;
      case 'remove':
        this.#remove(command.id);
        return true;
      case 'expect':
        this.#engine.expect(command.spiIn);
        this.#report({ kind: 'expected', spiIn: command.spiIn });
        return true;
      case 'set-outbound':
        this.#setOutbound(command.id, command.outbound);
        this.#report({ kind: 'outbound-set', id: command.id });
        return true;
      case 'move':
        this.#move(command.id, command);
        return true;
      case 'install-policy':
        this.#engine.installPolicy(command.policy, now());
        return true;
      case 'remove-policy':
        this.#engine.removePolicy(command.id, now());
        return true;
      case 'hand-over':
        this.#engine.installPolicy(command.policy, now());
        this.#report({ kind: 'handed-over', id: command.policy.id });
        return true;
      case 'path-mtu':
        this.#engine.learnPathMtu(command.spiOut, command.remote, command.mtu, now());
        return true;
      case 'skip-numbers':
        this.#skipNumbers(command);
        return true;
      case 'measured-mtu':
        this.#engine.measuredPathMtu(command.id, command);
        return true;
      case 'ike-taken':
        this.#ikeCredit = Math.min(IKE_IN_FLIGHT, this.#ikeCredit + command.count);
        return true;
      case 'cluster':
        this.#cluster.perform(this.#engine, command.command, now());
        return true;
      case 'capture':
        this.#engine.tap.begin(command.settings);
        return true;
      case 'capture-follow':
        this.#engine.tap.follow(command.id);
        return true;
      case 'capture-taken':
        this.#engine.tap.taken(command.credit);
        return true;
      case 'capture-end':
        this.#report({ kind: 'capture-ended', missed: this.#engine.tap.end() });
        return true;
      case 'stop':
        for (const watch of this.#watches) this.#native.unwatch(watch);
        clearTimeout(this.#expiry);
        clearInterval(this.#beat);
        this.#report({ kind: 'stopped' });
        return false;
      default:
        return unheardOf(command);
    }
  }

  #receiveFrom(fd: number | undefined, arrival: Arrival): void {
    if (fd === undefined) return;
    this.#watches.push(this.#native.watch(fd, () => this.#drainSocket(fd, arrival), true));
  }

  #drainSocket(fd: number, arrival: Arrival): void {
    const { arrivals } = this.#engine;
    let most = arrivals.size;
    for (let turn = 0; turn < BATCHES_A_TURN; turn++) {
      const count = this.#native.receive(fd, this.#arrivals, 0, most);
      if (count === 0) return;
      const merged = arrivals.words[Word.SEGMENT]! > 0;
      this.#engine.received(count, arrival, now());
      // What the host answers at once to a few packets is in the device by now.
      if (count <= FEW && !merged) this.#drainTun();
      if (count < most) return;
      if (merged) most = MERGED_A_TURN;
    }
  }

  #drainTun(): void {
    const { size } = this.#engine.reads;
    for (let turn = 0; turn < BATCHES_A_TURN; turn++) {
      const count = this.#native.readTun(
        this.#tun,
        this.#reads,
        0,
        size,
        this.#header,
        OCTETS_A_READ,
      );
      if (count === 0) return;
      const isEmpty = count < size && this.#octetsRead(count) <= OCTETS_A_READ;
      this.#engine.readFromTun(count, now());
      if (isEmpty) return;
    }
  }

  #octetsRead(count: number): number {
    const { words } = this.#engine.reads;
    let octets = 0;
    for (let at = 0; at < count * WORDS; at += WORDS) octets += words[at + Word.LENGTH]!;
    return octets;
  }

  #handOver({ worker, rings, wakes }: PacketLoopShare): HandOver {
    return new HandOver({
      worker,
      rings: rings.map(
        (pair) => pair && { to: new HandOverRing(pair.to), from: new HandOverRing(pair.from) },
      ),
      counters: this.#setup.counters,
      front: this.#header,
      wake: (other) => this.#native.signal(wakes[other]!),
    });
  }

  /** What the others gave, also before this loop was there to be woken. */
  #takeOverFrom({ worker, wakes }: PacketLoopShare): void {
    const wake = wakes[worker]!;
    const lessons = new FlowLessons();
    const number = this.#register(lessons.batch);
    const belong = (count: number): void => {
      lessons.learn(this.#engine.reads, count, now());
      this.#native.writeTun(this.#tun, number, 0, lessons.count, this.#header);
      lessons.clear();
    };
    this.#watches.push(
      this.#native.watch(wake, () => {
        this.#native.takeSignals(wake);
        for (let turn = 0; turn < BATCHES_A_TURN; turn++) {
          if (!this.#engine.takeOver(belong, now())) return;
        }
        this.#native.signal(wake);
      }),
    );
    this.#native.signal(wake);
  }

  #install(sa: InstalledChildSa, resumed: boolean): void {
    const { contextIn, contextOut } = espContexts(this.#native, sa);
    const kept = keptParameters(sa);
    const handles = { contextIn, contextOut, path: this.#pathOf(kept) };
    const { innerMtu } = this.#engine.install(kept, handles, now(), resumed);
    if (sa.dummyPackets > 0) this.#expireInTime();
    this.#report({ kind: 'installed', id: sa.id, innerMtu });
  }

  #remove(id: number): void {
    const sa = this.#engine.remove(id);
    if (sa !== undefined) {
      this.#native.freeContext(sa.handles.contextIn);
      this.#native.freeContext(sa.handles.contextOut);
      if (sa.handles.path >= 0) this.#native.freePath(sa.handles.path);
    }
    this.#report({ kind: 'removed', id });
  }

  #setOutbound(id: number, outbound: OutboundUse): void {
    const sa = this.#engine.find(id);
    if (sa !== undefined) this.#engine.setOutbound(sa, outbound, now());
  }

  #skipNumbers({
    id,
    direction,
    count,
  }: Extract<PacketLoopCommand, { readonly kind: 'skip-numbers' }>): void {
    const sa = this.#engine.find(id);
    if (sa !== undefined) this.#engine.skipNumbers(sa, direction, count);
  }

  #move(id: number, ends: EspSaEnds): void {
    const sa = this.#engine.find(id);
    if (sa === undefined) return;
    const left = sa.handles.path;
    this.#engine.move(sa, ends, this.#pathOf(ends));
    if (left >= 0) this.#native.freePath(left);
    this.#report({ kind: 'moved', id, innerMtu: sa.innerMtu });
  }

  /** The way to the peer; -1 when there is no socket for it, which costs its packets only. */
  #pathOf({ local, remote, udpEncapsulation }: EspSaEnds): number {
    const { natt4, natt6, esp4, esp6 } = this.#setup;
    const { family, octets } = remote.address;
    const [four, six] = udpEncapsulation ? [natt4, natt6] : [esp4, esp6];
    const fd = family === 4 ? four : six;
    if (fd === undefined) return -1;
    const port = udpEncapsulation ? remote.port : 0;
    return this.#native.path({ fd, family, local: local.address.octets, remote: octets, port });
  }

  #sendPlain(count: number): void {
    const { plain4, plain6 } = this.#setup;
    if (plain4 !== undefined) this.#native.sendTo(plain4, 4, this.#outbound, 0, count);
    if (plain6 !== undefined) this.#native.sendTo(plain6, 6, this.#outbound, 0, count);
  }

  /** Packets that traps hold are dropped when their time is over; dummy packets leave at theirs. */
  #expireInTime(): void {
    clearTimeout(this.#expiry);
    const deadline = this.#engine.nextDeadline();
    if (deadline === undefined) return;
    this.#expiry = setTimeout(
      () => {
        this.#engine.expire(now());
        this.#expireInTime();
      },
      Math.max(0, deadline - now()) + 1,
    );
  }

  #handOverIke(row: number): boolean {
    if (this.#ikeCredit === 0) return false;
    this.#ikeCredit--;
    const { inbound, arrivals } = this.#engine;
    const start = inbound.words[row * WORDS + Word.OFFSET]!;
    const end = start + inbound.words[row * WORDS + Word.LENGTH]!;
    const origin = inbound.words[row * WORDS + Word.ORIGIN]!;
    this.#report({
      kind: 'ike',
      local: { address: originDestination(arrivals, origin), port: this.#setup.nattPort },
      remote: originSource(arrivals, origin),
      // A copy in memory of its own: what is posted does not share the arena.
      octets: Uint8Array.from(inbound.arena.subarray(start + NON_ESP_MARKER, end)),
    });
    return true;
  }

  #pathMtuChanged(sa: EspSa): void {
    this.#report({
      kind: 'path-mtu-changed',
      id: sa.parameters.id,
      outerMtu: sa.pathMtu.octets,
      innerMtu: sa.innerMtu,
    });
  }

  #register(batch: PacketEngine['inbound']): number {
    return this.#native.batch(batch.arena, batch.words, batch.origins);
  }
}

function leaseOf(memory: Float64Array): () => boolean {
  const lease = new SendLease(memory);
  return () => lease.holds(now());
}

function unheardOf(command: never): never {
  throw new Error(`the packet loop was told ${JSON.stringify(command)}`);
}
