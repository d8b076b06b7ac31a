/**
 * What the coordinator needs of the `cluster` section, checked: members, timings, policies.
 *
 * The timings carry the safety argument of leases, so that they are refused where it would not hold.
 */
import type { Segment } from './ballot.ts';
import type { AdvertOf } from './demotion.ts';
import { isNodeId, type NodeId } from './node-id.ts';

export interface Member {
  readonly node: NodeId;
  readonly name: string;
  /** Its share of segments; 0 for a witness, which votes and never has any. */
  readonly weight: number;
}

/** In milliseconds. */
export interface LeaseTimings {
  /** Between heartbeats. */
  readonly heartbeat: number;
  /** How long contact with a majority lets a node transmit. */
  readonly lease: number;
  /** How long a node is silent before another takes over, and how long a node that starts only listens. */
  readonly takeOver: number;
  /** How wrong a clock may go, as a share of the time it measures. */
  readonly drift: number;
}

/**
 * Two clocks that each go wrong by a tenth, one slow and one fast: 245 ms of the slow one end before
 * 300 ms of the fast one do (245 * 1.1 / 0.9 < 300).
 */
export const DEFAULT_TIMINGS: LeaseTimings = {
  heartbeat: 100,
  lease: 245,
  takeOver: 300,
  drift: 0.1,
};

/**
 * What one of two nodes without a witness does when it hears nothing of the other: `take` its segments
 * (both may transmit while only the path between them is cut: no key is at risk, but service is), or
 * `hold` its own and nothing else (half of the clients wait until the other is back).
 */
export type AlonePolicy = 'take' | 'hold';

/** The node of each segment when these nodes can have some: the same answer on every node. */
export type PlaceSegments = (candidates: readonly AdvertOf[]) => readonly NodeId[];

/** One field of the configuration, to compare with other nodes. */
export interface ConfigurationField {
  readonly name: string;
  /** Hex; never the value, which may be a secret. */
  readonly digest: string;
  /** `protocol`: nodes that differ refuse each other. `policy`: the one that joins gets no segments. */
  readonly weight: 'protocol' | 'policy' | 'advice';
}

export interface ClusterSettings {
  readonly self: NodeId;
  readonly members: readonly Member[];
  readonly segments: number;
  readonly timings: LeaseTimings;
  readonly alone: AlonePolicy;
  /** Whether a node that is better placed than the present owner is given its segments. */
  readonly preempt: boolean;
  readonly advbase: number;
  readonly advskew: number;
  readonly place: PlaceSegments;
  readonly configuration: readonly ConfigurationField[];
  readonly capabilities: readonly string[];
}

/** Throws `RangeError` for what cannot be a cluster. */
export function checkClusterSettings(settings: ClusterSettings): ClusterSettings {
  const { self, members, segments, timings, advbase, advskew } = settings;
  const nodes = members.map(({ node }) => node);
  const wrong = nodes.find((node) => !isNodeId(node));
  if (wrong !== undefined) throw new RangeError(`node ${wrong}: numbers are 1 to 64`);
  if (new Set(nodes).size !== nodes.length) throw new RangeError(`nodes ${nodes}: one comes twice`);
  if (!nodes.includes(self)) throw new RangeError(`node ${self} is not among nodes ${nodes}`);
  if (members.every(({ weight }) => weight === 0)) {
    throw new RangeError(`${members.length} witnesses and no node to have segments`);
  }
  if (!Number.isInteger(segments) || segments < 1 || segments > MAX_SEGMENTS) {
    throw new RangeError(`${segments} segments: 1 to ${MAX_SEGMENTS}`);
  }
  if (advbase < 1 || advbase > 255) throw new RangeError(`advbase ${advbase}: 1 to 255`);
  if (advskew < 0 || advskew > 254) throw new RangeError(`advskew ${advskew}: 0 to 254`);
  checkTimings(timings);
  return settings;
}

/** A lease on the slowest clock must end before the wait of a take-over on the fastest one. */
function checkTimings({ heartbeat, lease, takeOver, drift }: LeaseTimings): void {
  const least = (lease * (1 + drift)) / (1 - drift);
  if (takeOver <= least) {
    throw new RangeError(
      `take-over after ${takeOver} ms: a lease of ${lease} ms may last ${Math.ceil(least)} ms`,
    );
  }
  if (heartbeat * 2 > lease) {
    throw new RangeError(
      `heartbeats every ${heartbeat} ms: two must fit into a lease of ${lease} ms`,
    );
  }
}

/** Of the nodes, this one included, that must agree. */
export function majorityOf(members: readonly Member[]): number {
  return Math.floor(members.length / 2) + 1;
}

export const MAX_SEGMENTS: Segment = 4096;
