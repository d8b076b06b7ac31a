/**
 * The workers of the packet path as the control thread sees them: one SA belongs to one worker, chosen
 * by its inbound SPI; the others know where its packets go. Policies without an SA are everyone's.
 *
 * A worker that dies, or no longer answers, is replaced: the sockets and the device's queue are still
 * open, so its packets wait for the next one. That is told everything anew.
 */
import type { EspPolicy } from '../esp/esp-sa-table.ts';
import { WorkerCounter } from '../events/shared-counters.ts';
import { workerOfSpi } from '../ipsec/spi.ts';
import { ForeignSas, type KeptSelectors } from './foreign-sas.ts';
import { PacketLoop } from './packet-loop.ts';
import type {
  InstalledChildSa,
  PacketLoopCommand,
  PacketLoopReport,
  PacketLoopSetup,
} from './packet-loop-protocol.ts';
import { PacketLoopsCapture } from './packet-loops-capture.ts';
import { PacketLoopsCluster } from './packet-loops-cluster.ts';

export interface PacketLoopsListener {
  readonly report: (report: PacketLoopReport) => void;
  /**
   * A worker died and another took its place, without SAs: those that `concerns` are to be installed
   * again, `resumed`.
   */
  readonly replaced: (why: Error, concerns: (spiIn: number) => boolean) => void;
  /** Workers die faster than they are worth replacing: no packet moves any more. */
  readonly failed: (error: Error) => void;
}

/** IKE messages taken before a packet loop is told: a small part of those it may hand over. */
const IKE_LOT = 32;
/** Deaths within a while after which it would only go on like this. */
const MOST_DEATHS = 5;
const WHILE_MS = 60_000;
/** How often the beats are looked at, and how often they may be missed. */
const LOOK_MS = 2000;
const MOST_MISSED = 5;

export class PacketLoops {
  readonly #setups: readonly PacketLoopSetup[];
  readonly #listener: PacketLoopsListener;
  readonly #workers: Member[];
  /** By number. */
  readonly #policies = new Map<number, EspPolicy>();
  readonly #foreign: ForeignSas;
  readonly #deaths: number[] = [];
  readonly capture: PacketLoopsCapture;
  readonly cluster: PacketLoopsCluster;
  #look: NodeJS.Timeout | undefined;
  #stopping = false;

  /** Resolves when all of them are ready; rejects when one of them is not to be. */
  static async start(
    setups: readonly PacketLoopSetup[],
    listener: PacketLoopsListener,
    lookMilliseconds = LOOK_MS,
  ): Promise<PacketLoops> {
    const loops = new PacketLoops(setups, listener);
    try {
      await Promise.all(loops.#workers.map(({ ready }) => ready));
    } catch (error) {
      await loops.stop();
      throw error;
    }
    loops.#look = setInterval(() => loops.#lookAfter(), lookMilliseconds);
    return loops;
  }

  private constructor(setups: readonly PacketLoopSetup[], listener: PacketLoopsListener) {
    this.#setups = setups;
    this.#foreign = new ForeignSas(setups.length, (worker, told) => this.#tell(worker, told));
    this.#listener = listener;
    this.capture = new PacketLoopsCapture(setups.length, {
      tell: (worker, command) => this.#tell(worker, command),
      report: listener.report,
    });
    this.cluster = new PacketLoopsCluster({
      tell: (worker, command) => this.#tell(worker, { kind: 'cluster', command }),
      workers: setups.length,
      workerOf: (spiIn) => this.workerOf(spiIn),
    });
    this.#workers = setups.map((_, worker) => this.#open(worker));
  }

  /** The worker that has the SAs of this inbound SPI. */
  workerOf(spiIn: number): number {
    return workerOfSpi(spiIn, this.#workers.length);
  }

  install(sa: InstalledChildSa, kept: KeptSelectors, resumed = false): void {
    const worker = this.workerOf(sa.spiIn);
    this.#foreign.add(worker, sa, kept);
    const installed = this.cluster.installed(sa);
    this.#tell(worker, { kind: 'install', sa: installed, ...(resumed && { resumed }) });
    if (resumed) this.cluster.askAgain(sa.id);
  }

  remove(id: number): void {
    this.#foreign.afterBeginnings(() => {
      const worker = this.#foreign.ownerOf(id);
      this.#expectAnswer(worker, { kind: 'removed', id });
      this.#tell(worker, { kind: 'remove', id });
    });
  }

  setOutbound(id: number, outbound: InstalledChildSa['outbound']): void {
    const perform = (): void => {
      const worker = this.#foreign.ownerOf(id);
      this.#foreign.change(id, outbound === 'now');
      this.#expectAnswer(worker, { kind: 'outbound-set', id });
      this.#tell(worker, { kind: 'set-outbound', id, outbound });
    };
    if (outbound === 'now') perform();
    else this.#foreign.afterBeginnings(perform);
  }

  expect(spiIn: number): void {
    const worker = this.workerOf(spiIn);
    this.#workers[worker]?.expected.add(spiIn);
    this.#tell(worker, { kind: 'expect', spiIn });
  }

  /** Commands about an SA that is installed. */
  tell(
    id: number,
    command: Extract<
      PacketLoopCommand,
      { readonly kind: 'move' | 'skip-numbers' | 'path-mtu' | 'measured-mtu' }
    >,
  ): void {
    this.#tell(this.#foreign.ownerOf(id), command);
  }

  installPolicy(policy: EspPolicy): void {
    this.#policies.set(policy.id, policy);
    this.#tellAll({ kind: 'install-policy', policy });
  }

  removePolicy(id: number): void {
    this.#policies.delete(id);
    this.#tellAll({ kind: 'remove-policy', id });
  }

  /** Ends one as if it had died; others and its SAs go on. */
  async terminate(worker: number): Promise<void> {
    await this.#workers[worker]?.loop.terminate();
  }

  /** Resolves when all let go of their descriptors. */
  async stop(): Promise<void> {
    this.#stopping = true;
    clearInterval(this.#look);
    await Promise.all(this.#workers.map(({ loop }) => loop.stop()));
  }

  #open(worker: number): Member {
    const setup = this.#setups[worker];
    if (setup === undefined) throw new RangeError(`no worker ${worker}`);
    const { promise: ready, resolve, reject } = promiseOf<void>();
    const loop = new PacketLoop(setup, {
      report: (report) => {
        if (report.kind === 'ready') {
          member.isReady = true;
          resolve();
        }
        this.#hear(worker, report);
      },
      crashed: (error) => (member.isReady ? this.#replace(worker, error) : reject(error)),
    });
    const beat = setup.counters.work[WorkerCounter.BEAT] ?? 0;
    const member: Member = {
      ...{ loop, ready, isReady: false, untold: 0, beat, missed: 0 },
      ...{ answers: new Map(), expected: new Set() },
    };
    return member;
  }

  #hear(worker: number, report: PacketLoopReport): void {
    if (report.kind === 'captured' || report.kind === 'capture-ended') {
      this.capture.hear(worker, report);
      return;
    }
    const member = this.#workers[worker];
    switch (report.kind) {
      case 'handed-over':
        this.#foreign.known(worker, report.id);
        return;
      case 'installed':
        this.#foreign.announce(report.id, () => this.#listener.report(report));
        return;
      case 'outbound-set':
        member?.answers.delete(answerKey(report));
        this.#foreign.announce(report.id, () => this.#listener.report(report));
        return;
      case 'outbound-activated':
        this.#foreign.change(report.id, true);
        this.#foreign.announce(report.id, () => this.#listener.report(report));
        return;
      case 'removed':
        member?.answers.delete(answerKey(report));
        this.#foreign.forget(report.id);
        this.cluster.forget(report.id);
        break;
      case 'cluster':
        this.cluster.hear(worker, report.report);
        break;
      case 'expected':
        member?.expected.delete(report.spiIn);
        break;
      case 'ike':
        if (member !== undefined) this.#ikeTaken(member);
        break;
      default:
    }
    this.#listener.report(report);
  }

  /** Told in lots: the packet loop has credit for many more. */
  #ikeTaken(member: Member): void {
    member.untold++;
    if (member.untold < IKE_LOT) return;
    member.loop.tell({ kind: 'ike-taken', count: member.untold });
    member.untold = 0;
  }

  #replace(worker: number, why: Error): void {
    if (this.#stopping) return;
    const died = performance.now();
    const recent = this.#deaths.filter((at) => died - at < WHILE_MS);
    this.#deaths.splice(0, Infinity, ...recent, died);
    const before = this.#workers[worker];
    if (before === undefined || this.#deaths.length >= MOST_DEATHS) {
      this.#listener.failed(why);
      return;
    }
    const member = this.#open(worker);
    member.ready.catch((error) => this.#listener.failed(error));
    this.#workers[worker] = member;
    for (const policy of this.#policies.values())
      this.#tell(worker, { kind: 'install-policy', policy });
    this.#foreign.replay(worker);
    for (const spiIn of before.expected) this.expect(spiIn);
    this.capture.replaced(worker);
    this.cluster.replaced(worker);
    this.#listener.replaced(why, (spiIn) => this.workerOf(spiIn) === worker);
    // What was asked of the one that died is so now, without its answer.
    for (const report of before.answers.values()) this.#hear(worker, report);
  }

  /** A worker that stands still ends, and is replaced like any that died. */
  #lookAfter(): void {
    for (const [worker, member] of this.#workers.entries()) {
      const beat = this.#setups[worker]?.counters.work[WorkerCounter.BEAT] ?? 0;
      // One that still practises does not beat yet.
      const still = member.isReady && beat === member.beat;
      member.missed = still ? member.missed + 1 : 0;
      member.beat = beat;
      if (member.missed === MOST_MISSED) void member.loop.terminate();
    }
  }

  #expectAnswer(worker: number, report: Answer): void {
    this.#workers[worker]?.answers.set(answerKey(report), report);
  }

  #tell(worker: number, command: PacketLoopCommand): void {
    this.#workers[worker]?.loop.tell(command);
  }

  #tellAll(command: PacketLoopCommand): void {
    for (const { loop } of this.#workers) loop.tell(command);
  }
}

/** Reports that somebody waits for. */
type Answer = Extract<PacketLoopReport, { readonly kind: 'removed' | 'outbound-set' }>;

interface Member {
  readonly loop: PacketLoop;
  readonly ready: Promise<void>;
  isReady: boolean;
  /** IKE messages taken from it that it was not told of. */
  untold: number;
  /** What it did not answer yet. */
  readonly answers: Map<string, Answer>;
  readonly expected: Set<number>;
  /** Its beat at the last look, and how many looks ago it moved. */
  beat: number;
  missed: number;
}

function answerKey({ kind, id }: Answer): string {
  return `${kind} ${id}`;
}

/** `Promise.withResolvers`, which Node 20 does not have. */
function promiseOf<Value>() {
  let resolve: (value: Value) => void = () => undefined;
  let reject: (error: Error) => void = () => undefined;
  const promise = new Promise<Value>((fulfil, refuse) => {
    resolve = fulfil;
    reject = refuse;
  });
  return { promise, resolve, reject };
}
