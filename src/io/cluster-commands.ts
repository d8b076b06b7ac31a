/**
 * A worker does what it is told about the SAs of a cluster, and answers.
 */
import type { ForeignPacket } from '../esp/foreign-packets.ts';
import type { PacketEngine } from '../esp/packet-engine.ts';
import { EDGE_WORDS, type Edges } from '../events/edge-digest.ts';
import type { Instant } from '../wire/instant.ts';
import type { ClusterCommand, ClusterReport, ClusterSaCommand } from './cluster-protocol.ts';

/** Packets of other nodes' SAs on their way to the control thread. */
const FOREIGN_IN_FLIGHT = 256;

export class ClusterCommands {
  readonly #report: (report: ClusterReport) => void;
  #credit = FOREIGN_IN_FLIGHT;

  constructor(report: (report: ClusterReport) => void) {
    this.#report = report;
  }

  /** For the engine: false when the control thread has enough to do. */
  handOn(id: number, packet: ForeignPacket): boolean {
    if (this.#credit === 0) return false;
    this.#credit--;
    this.#report({ kind: 'foreign-packet', id, packet });
    return true;
  }

  perform(engine: PacketEngine, command: ClusterCommand, now: Instant): void {
    switch (command.kind) {
      case 'foreign-taken':
        this.#credit = Math.min(FOREIGN_IN_FLIGHT, this.#credit + command.count);
        return;
      case 'foreign-packet':
        engine.takeForeign(command.packet, now);
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
