/**
 * Packets that came to a node of a cluster and are another's: each goes to the owner of its segment, as it is, and
 * is handled there as if it had come there. Also the safety net while segments move.
 *
 * No I/O. A packet is sent on once, or twice where its segment went on meanwhile, and no more, whatever nodes believe of
 * one another. What comes for a segment that is about to go waits where it goes to; while nobody is known to have one, its
 * packets wait here: bounded in packets, octets and time. Nothing is resent. Every packet counts under one of
 * `FORWARD_COUNTERS`.
 */
import type { Segment } from '../../cluster/ballot.ts';
import type { BusMessage } from '../../cluster/bus/message.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import { segmentOfSpi } from '../../cluster/segment-hash.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';
import { MalformedError } from '../../wire/octets.ts';
import type { ClusterNodeAction } from './cluster-node.ts';
import {
  decodeForward,
  encodeForward,
  type ForeignPacket,
  type ForwardedIke,
  type ForwardedPacket,
  type ForwardMessage,
  spiOf,
} from './forward-message.ts';
import { type ArrivedIke, type SegmentSeeds, segmentOfIke } from './ike-segment.ts';

export const FORWARD_COUNTERS = [
  // To another node.
  'forwarded-esp',
  'forwarded-read',
  'forwarded-ike',
  // Handled here: of another node, or of a segment that came back while the packet was held.
  'taken-esp',
  'taken-read',
  'taken-ike',
  // Discarded: nobody was found to have the segment in time, or the one who has it is not heard.
  'forward-no-owner',
  'forward-owner-silent',
  // Its Child SA went while it was on its way from the packet loop.
  'forward-gone',
  // Too many nodes had it; too many wait.
  'forward-too-many-hops',
  'forward-held-full',
  'forward-malformed',
] as const;
export type ForwardCounter = (typeof FORWARD_COUNTERS)[number];

/** What forwarding asks of who knows the cluster. */
export interface ForwardingView {
  readonly owns: (segment: Segment) => boolean;
  /** As far as this node knows; undefined while nobody has it. */
  readonly ownerOf: (segment: Segment) => NodeId | undefined;
  /** The Child SA of this inbound SPI is here, but only to follow another node: it is not carried on yet. */
  readonly isFollowed: (spiIn: Spi) => boolean;
  /** The node is heard, and something can be said to it. */
  readonly isHeard: (node: NodeId) => boolean;
}

export interface ForwardingParts extends SegmentSeeds {
  readonly self: NodeId;
  readonly view: ForwardingView;
}

export type ForwardAction =
  /** Expendable. */
  | { readonly kind: 'tell'; readonly to: NodeId; readonly message: BusMessage }
  /** For the worker that has the Child SA of this inbound SPI. */
  | { readonly kind: 'packet'; readonly spiIn: Spi; readonly packet: ForeignPacket }
  /** As if it had arrived here. */
  | ForwardedIke;

/** A packet on its way through this node. */
interface Passing {
  readonly packet: ForwardedPacket;
  readonly segment: Segment;
  /** Nodes that sent it on, before this one. */
  readonly hops: number;
}

interface Held {
  readonly passing: Passing;
  readonly until: Instant;
}

export class Forwarding {
  readonly #parts: ForwardingParts;
  readonly #counts = new Map<ForwardCounter, number>();
  /** Of segments that are about to go, or went and nobody was heard of who has them: to whom. */
  readonly #successors = new Map<Segment, NodeId>();
  /** By segment, in the order they came. */
  readonly #waiting = new Map<Segment, Held[]>();
  #held = 0;
  #heldOctets = 0;

  constructor(parts: ForwardingParts) {
    this.#parts = parts;
  }

  of(name: ForwardCounter): number {
    return this.#counts.get(name) ?? 0;
  }

  /** All of them, and how many went to other nodes. */
  figures(): Readonly<Record<string, number>> {
    const forwarded = Object.values(FORWARDED).reduce((sum, name) => sum + this.of(name), 0);
    const all = FORWARD_COUNTERS.map((name) => [name, this.of(name)] as const);
    return { forwarded, ...Object.fromEntries(all) };
  }

  /** Packets that wait until it is known who has their segment. */
  get held(): number {
    return this.#held;
  }

  /** Whether an IKE message is to be handled here, as far as anybody knows. */
  isOwnIke(arrived: ArrivedIke): boolean {
    const segment = segmentOfIke(arrived, this.#parts);
    return segment === undefined || this.#isHere(segment);
  }

  /** What came to this node and is another's, as far as the caller knows. */
  handOn(packet: ForwardedPacket, now: Instant): readonly ForwardAction[] {
    return this.#route(packet, 0, now);
  }

  /** What was read for a Child SA that is not there any more. */
  gone(): void {
    this.#count('forward-gone');
  }

  /** A message of another node, of type FORWARD. */
  receive(message: BusMessage, now: Instant): readonly ForwardAction[] {
    const decoded = decode(message);
    if (decoded === undefined) return this.#discard('forward-malformed');
    return this.#route(decoded.packet, decoded.hops, now);
  }

  /** What becomes of segments; `settle` is to be called when all actions of a turn are performed. */
  observe(action: ClusterNodeAction): void {
    switch (action.kind) {
      case 'freeze':
        for (const { segment } of action.segments) this.#successors.set(segment, action.to);
        break;
      case 'thaw':
        for (const { segment } of action.segments) this.#successors.delete(segment);
        break;
      case 'take':
        this.#successors.delete(action.segment);
        break;
      case 'release':
        if (action.reason !== 'handed-over') this.#successors.delete(action.segment);
        break;
      default:
        break;
    }
  }

  /** What was held goes on, where that is possible now, or is discarded. */
  settle(now: Instant): readonly ForwardAction[] {
    const actions: ForwardAction[] = [];
    for (const [segment, some] of [...this.#waiting]) {
      const isOver = some.some(({ until }) => now >= until);
      const canGo = some.some(({ passing }) => passing.hops < MOST_HOPS);
      const goes = canGo && this.#otherOwner(segment) !== undefined;
      if (!isOver && !goes && !this.#isHere(segment)) continue;
      this.#waiting.delete(segment);
      for (const { passing, until } of some) {
        this.#held--;
        this.#heldOctets -= passing.packet.octets.length;
        actions.push(...this.#pass(passing, until, now));
      }
    }
    return actions;
  }

  nextDeadline(): Instant | undefined {
    return earliest(...[...this.#waiting.values()].map(([first]) => first?.until));
  }

  #route(packet: ForwardedPacket, hops: number, now: Instant): readonly ForwardAction[] {
    const segment = this.#segmentOf(packet);
    if (segment === undefined) return this.#take(packet);
    return this.#pass({ packet, segment, hops }, after(now, HOLD_MS), now);
  }

  #pass(passing: Passing, until: Instant, now: Instant): readonly ForwardAction[] {
    const { packet, segment, hops } = passing;
    if (this.#isHere(segment) && !this.#isFollowed(packet)) return this.#take(packet);
    const owner = this.#otherOwner(segment);
    if (owner !== undefined) this.#successors.delete(segment);
    const to = owner ?? this.#successors.get(segment);
    if (to === undefined || hops >= MOST_HOPS) {
      if (now < until) return this.#hold(passing, until);
      return this.#discard(to === undefined ? 'forward-no-owner' : 'forward-too-many-hops');
    }
    if (!this.#parts.view.isHeard(to)) return this.#discard('forward-owner-silent');
    this.#count(FORWARDED[packet.kind]);
    // Who does not have it yet keeps it until then.
    const message = encodeForward({ hops: owner === undefined ? MOST_HOPS : hops + 1, packet });
    return [{ kind: 'tell', to, message }];
  }

  #isHere(segment: Segment): boolean {
    return this.#parts.view.owns(segment) && !this.#successors.has(segment);
  }

  #isFollowed(packet: ForwardedPacket): boolean {
    if (packet.kind === 'ike') return false;
    return this.#parts.view.isFollowed(packet.kind === 'read' ? packet.spiIn : spiOf(packet));
  }

  #otherOwner(segment: Segment): NodeId | undefined {
    const { self, view } = this.#parts;
    const owner = view.owns(segment) ? undefined : view.ownerOf(segment);
    return owner === self ? undefined : owner;
  }

  #take(packet: ForwardedPacket): readonly ForwardAction[] {
    this.#count(TAKEN[packet.kind]);
    switch (packet.kind) {
      case 'ike':
        return [packet];
      case 'read':
        return [{ kind: 'packet', spiIn: packet.spiIn, packet }];
      case 'arrival':
        return [{ kind: 'packet', spiIn: spiOf(packet), packet }];
      default:
        return packet satisfies never;
    }
  }

  #hold(passing: Passing, until: Instant): readonly ForwardAction[] {
    const { segment, packet } = passing;
    const octets = this.#heldOctets + packet.octets.length;
    if (this.#held >= MOST_HELD || octets > MOST_HELD_OCTETS)
      return this.#discard('forward-held-full');
    this.#held++;
    this.#heldOctets = octets;
    const some = this.#waiting.get(segment);
    if (some) some.push({ passing, until });
    else this.#waiting.set(segment, [{ passing, until }]);
    return [];
  }

  /** Undefined for what any node may handle. */
  #segmentOf(packet: ForwardedPacket): Segment | undefined {
    switch (packet.kind) {
      case 'ike':
        return segmentOfIke(packet, this.#parts);
      case 'read':
        return segmentOfSpi(packet.spiIn, this.#parts.hash);
      case 'arrival':
        return segmentOfSpi(spiOf(packet), this.#parts.hash);
      default:
        return packet satisfies never;
    }
  }

  #discard(name: ForwardCounter): readonly ForwardAction[] {
    this.#count(name);
    return [];
  }

  #count(name: ForwardCounter): void {
    this.#counts.set(name, this.of(name) + 1);
  }
}

function decode(message: BusMessage): ForwardMessage | undefined {
  try {
    return decodeForward(message);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** One, and one more where a segment went on while the packet was on its way. */
const MOST_HOPS = 2;
/** Longer than a planned move takes; in milliseconds. */
const HOLD_MS = 100;
/** What is waiting at most: of a thousand packets a second, all for as long as that. */
const MOST_HELD = 1024;
const MOST_HELD_OCTETS = 4 << 20;

const FORWARDED = {
  arrival: 'forwarded-esp',
  read: 'forwarded-read',
  ike: 'forwarded-ike',
} as const;
const TAKEN = { arrival: 'taken-esp', read: 'taken-read', ike: 'taken-ike' } as const;
