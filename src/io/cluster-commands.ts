/**
 * A worker does what it is told about the SAs of a cluster, and answers.
 */
import type { ForeignPacket, UnknownArrivals } from '../esp/foreign-packets.ts';
import type { PacketEngine } from '../esp/packet-engine.ts';
import { EDGE_WORDS, type Edges } from '../events/edge-digest.ts';
import type { Instant } from '../wire/instant.ts';
import type {
  ClusterCommand,
  ClusterReport,
  ClusterSaCommand,
  HandedOn,
} from './cluster-protocol.ts';

/** Packets of other nodes' SAs on their way to the control thread. */
const FOREIGN_IN_FLIGHT = 256;

export class ClusterCommands {
  readonly #report: (report: ClusterReport) => void;
  readonly #now: () => Instant;
  #credit = FOREIGN_IN_FLIGHT;
  readonly #unknown = new Allowance();
  #collected: HandedOn[] = [];

  constructor(report: (report: ClusterReport) => void, now: () => Instant) {
    this.#report = report;
    this.#now = now;
  }

  /** For the engine: strangers who make SPIs up get no more of the control thread than it gave away. */
  readonly unknown: UnknownArrivals = {
    wanted: () => this.#unknown.spend(this.#now()),
    take: (packet) => this.#collect({ id: undefined, packet }),
  };

  /** For the engine: false when the control thread has enough to do. */
  handOn(id: number, packet: ForeignPacket): boolean {
    if (this.#credit === 0) return false;
    this.#credit--;
    this.#collect({ id, packet });
    return true;
  }

  /** A message costs more than a packet: those of a turn go together. */
  #collect(one: HandedOn): void {
    this.#collected.push(one);
    if (this.#collected.length === 1) queueMicrotask(() => this.#tell());
  }

  #tell(): void {
    const packets = this.#collected;
    this.#collected = [];
    this.#report({ kind: 'foreign-packets', packets });
  }

  perform(engine: PacketEngine, command: ClusterCommand, now: Instant): void {
    switch (command.kind) {
      case 'foreign-taken':
        this.#credit = Math.min(FOREIGN_IN_FLIGHT, this.#credit + command.count);
        return;
      case 'foreign-packets':
        engine.takeForeign(command.packets, now);
        return;
      case 'hand-on-unknown':
        this.#unknown.perSecond = command.perSecond;
        return;
      case 'follow-edges':
        followEdges(engine, command.edges, now);
        return;
      default: {
        const answer = performForSa(engine, command, now);
        if (answer !== undefined) this.#report(answer);
      }
    }
  }
}

/** So many in a second, and in any moment not more than a tenth of that. */
class Allowance {
  perSecond = 0;
  #left = 0;
  #at: Instant | undefined;

  spend(now: Instant): boolean {
    if (this.perSecond === 0) return false;
    const most = Math.max(1, this.perSecond / 10);
    const since = this.#at === undefined ? Number.POSITIVE_INFINITY : now - this.#at;
    this.#left = Math.min(most, this.#left + (since * this.perSecond) / 1000);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}

function performForSa(
  engine: PacketEngine,
  command: ClusterSaCommand,
  now: Instant,
): ClusterReport | undefined {
  const { id } = command;
  const sa = engine.find(id);
  if (sa === undefined) return undefined;
  switch (command.kind) {
    case 'grant':
      engine.grantSequence(sa, command.upTo, now);
      return undefined;
    case 'go-alone':
      engine.goAlone(sa, now);
      return undefined;
    case 'sample':
      engine.sample(sa, command.sampling);
      return undefined;
    case 'take': {
      const taken = engine.take(sa, command.how, now);
      return taken && { kind: 'taken', id, ...taken };
    }
    case 'give': {
      const given = engine.give(sa, now);
      return given && { kind: 'given', id, ...given };
    }
    default:
      return command satisfies never;
  }
}

function followEdges(engine: PacketEngine, edges: Edges, now: Instant): void {
  for (let at = 0; at + EDGE_WORDS <= edges.length; at += EDGE_WORDS) {
    const [spiIn = 0, high = 0, low = 0] = edges.subarray(at, at + EDGE_WORDS);
    engine.followEdge(spiIn, { high, low }, now);
  }
}
