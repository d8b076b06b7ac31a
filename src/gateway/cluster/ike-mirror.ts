/**
 * The IKE SAs of this node at the other ones, and theirs here: what is told (`ToldSas`) and what is followed
 * (`FollowedSas`).
 *
 * Segments that come to this node go on from what is here, those that leave are told once more and become
 * PASSIVE.
 */
import type { Segment, Sid } from '../../cluster/ballot.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import { segmentOfIkeSpi } from '../../cluster/segment-hash.ts';
import type { Edges } from '../../events/edge-digest.ts';
import type { Input } from '../../ike/action.ts';
import type { IkeSpi } from '../../ike/message/message.ts';
import type { ChildSequences } from '../../ike/snapshot.ts';
import type { SequenceHalves } from '../../ipsec/sequence-number.ts';
import type { Spi } from '../../ipsec/spi.ts';
import { earliest, type Instant } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import { FollowedSas } from './followed-sas.ts';
import type { IkeMirrorAction, IkeMirrorParts } from './ike-mirror-action.ts';
import type { StateMessage } from './state-message.ts';
import { ToldSas } from './told-sas.ts';

export class IkeMirror {
  readonly #parts: IkeMirrorParts;
  readonly #told: ToldSas;
  readonly #followed: FollowedSas;
  #actions: IkeMirrorAction[] = [];

  constructor(parts: IkeMirrorParts) {
    const perform = (action: IkeMirrorAction): void => {
      this.#actions.push(action);
    };
    const told = new ToldSas(parts, perform);
    this.#parts = parts;
    this.#told = told;
    this.#followed = new FollowedSas({
      ...parts,
      perform,
      leave: (actions, now) => told.leave(actions, now),
    });
  }

  /** IKE SAs of which others do not have the newest state. */
  get unsynced(): ReadonlySet<IkeSpi> {
    return this.#told.unsynced;
  }

  /** For monitoring. */
  get figures(): Readonly<Record<string, number>> {
    return this.#told.figures;
  }

  /** How far the log of a node is here. */
  applied(node: NodeId): number | undefined {
    return this.#followed.applied(node);
  }

  segmentOf(spi: IkeSpi): Segment {
    return segmentOfIkeSpi(fromHex(spi), this.#parts.hash);
  }

  /** What was done since the last call, in order. */
  drain(): readonly IkeMirrorAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** A turn of the engine; its messages leave once others have what they depend on. */
  handle(input: Input, now: Instant): void {
    this.#told.handle(input, now);
  }

  receive(from: NodeId, message: StateMessage, now: Instant): void {
    switch (message.kind) {
      case 'put':
        this.#followed.put(from, message, now);
        break;
      case 'reserve':
        // Whoever it was that asked, perhaps it sent them.
        this.#told.noteNumbers(message.reservations);
        this.#followed.reserved(from, message, now);
        break;
      case 'edges':
        this.#actions.push({ kind: 'follow-edges', edges: message.edges });
        break;
      case 'ack':
        this.#told.acknowledged(from, message, now);
        break;
      case 'snapshot-request':
        this.#told.answer(from, message, now);
        break;
      case 'snapshot-chunk':
        this.#followed.chunk(from, message, now);
        break;
      case 'snapshot-end':
        this.#fetched(this.#followed.end(from, message, now), now);
        break;
      default:
        message satisfies never;
    }
  }

  /** A Child SA of ours wants to send up to this number. */
  reserve(spiIn: Spi, upTo: SequenceHalves, now: Instant): void {
    this.#told.reserve(spiIn, upTo, now);
  }

  /** Windows of ours, for whoever follows them: worth nothing late. */
  tellEdges(edges: Edges): void {
    this.#told.tellEdges(edges);
  }

  /** What a snapshot said of a Child SA's numbers, and what was heard since. */
  sequencesSince(spiIn: Spi, then: ChildSequences): ChildSequences {
    return this.#told.sequencesSince(spiIn, then);
  }

  /** A session with a node began: what was said before went past one of us. */
  connected(node: NodeId, now: Instant): void {
    this.#followed.connected(node, now);
  }

  nodeStarted(node: NodeId, sid: Sid): void {
    this.#told.nodeStarted(node, sid);
  }

  nodeEnded(node: NodeId): void {
    this.#told.nodeEnded(node);
  }

  /** State of others went past this node. */
  resync(now: Instant): void {
    this.#followed.resync(now);
  }

  /** These are ours from now on. */
  take(segments: ReadonlySet<Segment>, now: Instant): void {
    const spis = this.#passiveOf(segments);
    if (spis.length > 0) this.handle({ kind: 'activate', spis }, now);
  }

  /** This one is ours, and other nodes may have more of it. */
  fetch(segment: Segment, from: readonly NodeId[], now: Instant): void {
    this.#followed.fetch(segment, from, now);
  }

  /** These are ours, but nobody knows how far their former owner went. */
  abandon(segments: ReadonlySet<Segment>): void {
    const spis = this.#passiveOf(segments);
    if (spis.length > 0) this.#actions.push({ kind: 'not-carried-on', spis });
  }

  /** These go on elsewhere. `isFinal`: the others are told of their last state first. */
  giveUp(segments: ReadonlySet<Segment>, isFinal: boolean, now: Instant): void {
    for (const segment of segments) this.#followed.forget(segment);
    const { engine } = this.#parts;
    const isTheirs = (spi: IkeSpi) => segments.has(this.segmentOf(spi));
    if (isFinal) this.#told.publishSegments(segments, now);
    const spis = engine.ikeSas().flatMap(({ ownSpi }) => (isTheirs(ownSpi) ? [ownSpi] : []));
    if (spis.length > 0) this.handle({ kind: 'deactivate', spis }, now);
  }

  /** These go on with a higher epoch: what was refused under the lower one is told again. */
  raised(segments: ReadonlySet<Segment>, now: Instant): void {
    this.#told.publishSegments(segments, now);
    this.#told.reserveAgain(segments, now);
  }

  expire(now: Instant): void {
    this.#told.expire(now);
    for (const segment of this.#followed.takeOverdue(now)) {
      this.abandon(new Set([segment]));
      this.#actions.push({ kind: 'settled', segment });
    }
    this.#followed.askAgain(now);
  }

  nextDeadline(): Instant | undefined {
    return earliest(this.#told.nextDeadline(), this.#followed.nextDeadline());
  }

  #fetched(segments: ReadonlySet<Segment>, now: Instant): void {
    this.take(segments, now);
    for (const segment of segments) this.#actions.push({ kind: 'settled', segment });
  }

  #passiveOf(segments: ReadonlySet<Segment>): readonly IkeSpi[] {
    if (segments.size === 0) return [];
    return this.#parts.engine.passiveSpis().filter((spi) => segments.has(this.segmentOf(spi)));
  }
}
