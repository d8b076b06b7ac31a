/**
 * Which node has which segment: the same answer on every node that knows who is there, without a word
 * between them.
 *
 * Weighted rendezvous: each segment ranks all nodes by a hash, and its place is the first node of its
 * ranking that has room for it, where a node with more segments than room keeps those that rank it
 * highest. Two rounds: the first gives every node of the configuration its exact share, whether it is there or not; the
 * second gives only what belongs to absent nodes to those that are there, up to a cap. So a node that leaves moves its
 * own segments and no others, and one that comes back takes the same ones again.
 */
import { jhash } from './segment-hash.ts';

/** A node of the configuration. */
export interface PlacedNode {
  /** 1..64. */
  readonly node: number;
  /** Its share is its weight among all weights; 0 for one that never has segments (a witness). */
  readonly weight: number;
}

/** What may be asked of a placement. */
export interface PlacementInput {
  readonly segments: number;
  /** All nodes of the configuration, in any order. */
  readonly nodes: readonly PlacedNode[];
  /** Those of them that can have segments now. */
  readonly present: ReadonlySet<number>;
}

/** The node of each segment. */
export type Placement = readonly number[];

/** No node has more than this many times its share, while others stand in for absent ones. */
export const LOAD_CAP = 1.1;

/** Throws `RangeError` where no node can have segments. */
export function placeSegments({ segments, nodes, present }: PlacementInput): Placement {
  const able = nodes.filter(({ weight }) => weight > 0).toSorted((a, b) => a.node - b.node);
  const there = able.filter(({ node }) => present.has(node));
  if (there.length === 0) throw new RangeError(`${segments} segments and no node to have them`);
  const all = Array.from({ length: segments }, (_, segment) => segment);
  const home = assign(all, able, exactShares(segments, able));
  const orphans = all.filter((segment) => !present.has(home[segment] ?? 0));
  const room = spareRoom(segments, there, home);
  const guests = assign(orphans, there, room);
  return all.map((segment) => guests[segment] ?? home[segment] ?? 0);
}

/** The segments that have another node in `after` than in `before`. */
export function movedSegments(before: Placement, after: Placement): readonly number[] {
  return after.flatMap((node, segment) => (node === before[segment] ? [] : [segment]));
}

/** Whole shares that sum up to all segments: rounded down, the largest remainders first rounded up. */
function exactShares(segments: number, nodes: readonly PlacedNode[]): ReadonlyMap<number, number> {
  const total = totalWeight(nodes);
  const shares = nodes.map(({ node, weight }) => {
    const exact = (segments * weight) / total;
    return { node, whole: Math.floor(exact), remainder: exact - Math.floor(exact) };
  });
  const left = segments - shares.reduce((sum, { whole }) => sum + whole, 0);
  const byRemainder = shares.toSorted((a, b) => b.remainder - a.remainder || a.node - b.node);
  return new Map(byRemainder.map(({ node, whole }, rank) => [node, whole + (rank < left ? 1 : 0)]));
}

/** How many more segments each node may have beside its own. */
function spareRoom(
  segments: number,
  there: readonly PlacedNode[],
  home: readonly (number | undefined)[],
): ReadonlyMap<number, number> {
  const total = totalWeight(there);
  return new Map(
    there.map(({ node, weight }) => {
      const own = home.filter((one) => one === node).length;
      return [node, Math.ceil((LOAD_CAP * segments * weight) / total) - own];
    }),
  );
}

/**
 * Every segment asks the nodes in the order of its ranking; a node that is full keeps those that rank it
 * higher and sends the lowest one on. What comes out does not depend on who asks first.
 */
function assign(
  segments: readonly number[],
  nodes: readonly PlacedNode[],
  room: ReadonlyMap<number, number>,
): readonly (number | undefined)[] {
  const rankings = new Map(segments.map((segment) => [segment, ranking(segment, nodes)]));
  const kept = new Map<number, Candidate[]>(nodes.map(({ node }) => [node, []]));
  const asking = [...segments];
  for (let segment = asking.pop(); segment !== undefined; segment = asking.pop()) {
    const choice = rankings.get(segment)?.shift();
    // The rooms of all nodes hold all segments, so no ranking is ever used up.
    if (choice === undefined) throw new Error(`segment ${segment}: no node has room`);
    const at = kept.get(choice.node) ?? [];
    at.push(choice);
    at.sort((a, b) => a.distance - b.distance || a.segment - b.segment);
    const refused = at.length > (room.get(choice.node) ?? 0) ? at.pop() : undefined;
    if (refused !== undefined) asking.push(refused.segment);
  }
  const placement: (number | undefined)[] = [];
  for (const { segment, node } of [...kept.values()].flat()) placement[segment] = node;
  return placement;
}

interface Candidate {
  readonly segment: number;
  readonly node: number;
  /** Exponentially distributed with the weight as its rate: the nearest node is first by weight. */
  readonly distance: number;
}

function ranking(segment: number, nodes: readonly PlacedNode[]): Candidate[] {
  return nodes
    .map(({ node, weight }) => {
      const key = Uint8Array.of(node >>> 8, node, segment >>> 8, segment);
      const uniform = (jhash(key, RANKING_SEED) + 0.5) / 0x1_0000_0000;
      return { segment, node, distance: -Math.log(uniform) / weight };
    })
    .sort((a, b) => a.distance - b.distance || a.node - b.node);
}

function totalWeight(nodes: readonly PlacedNode[]): number {
  return nodes.reduce((sum, { weight }) => sum + weight, 0);
}

/** Any number: all nodes use this one. */
const RANKING_SEED = 0x706c6163;
