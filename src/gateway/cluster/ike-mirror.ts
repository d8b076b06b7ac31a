/**
 * The IKE SAs of this node at the other ones, and theirs here: what is told (`ToldSas`) and what is followed
 * (`FollowedSas`).
 *
 * Segments that come to this node go on from what is here, those that leave are told once more and become
 * PASSIVE. Where nobody knows whether that is all, they go on as far as it is safe: nothing is sent under keys
 * of which numbers may have been used, no request is answered before it is known where the peer stands.
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
import { ChildRenewal } from './child-renewal.ts';
import { FollowedSas } from './followed-sas.ts';
import type { IkeMirrorAction, IkeMirrorParts } from './ike-mirror-action.ts';
import { heal, type SplitHealingParts } from './split-healing.ts';
import type { StateMessage } from './state-message.ts';
import { ToldSas } from './told-sas.ts';

export class IkeMirror {
  readonly #parts: IkeMirrorParts;
  readonly #told: ToldSas;
  readonly #followed: FollowedSas;
  readonly #renewal: ChildRenewal;
  /** Segments that are fetched, and of which nobody may know all. */
  readonly #unsure = new Set<Segment>();
  readonly #healing: SplitHealingParts;
  #actions: IkeMirrorAction[] = [];

  constructor(parts: IkeMirrorParts) {
    const renewal = new ChildRenewal({ random: parts.random, perSecond: parts.rekeysPerSecond });
    const perform = (action: IkeMirrorAction): void => {
      this.#actions.push(action);
    };
    const told = new ToldSas(parts, renewal, perform);
    this.#parts = parts;
    this.#renewal = renewal;
    this.#healing = {
      ...{ engine: parts.engine, view: parts.view, renewal },
      segmentOf: (spi) => this.segmentOf(spi),
      handle: (input, now) => this.handle(input, now),
    };
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
    return { ...this.#told.figures, 'rekeys-due': this.#renewal.size };
  }

  /** Child SAs that wait for new keys. */
  get awaitingRekey(): number {
    return this.#renewal.size;
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
        if (message.yielded) heal(this.#healing, message.bundle.snapshots, now);
        break;
      case 'reserve': {
        const stale = this.#followed.reserved(from, message, now);
        this.#renewal.markFirst(this.#told.sharedNumbers(stale), 'solo', now);
        // Whoever it was that asked, perhaps it sent them.
        this.#told.noteNumbers(message.reservations);
        break;
      }
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
    this.#told.tellYielded();
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

  /** This one is ours, and other nodes may have more of it; `unsure`: nobody may have all. */
  fetch(segment: Segment, from: readonly NodeId[], unsure: boolean, now: Instant): void {
    if (unsure) this.#unsure.add(segment);
    this.#followed.fetch(segment, from, now);
  }

  /** These are ours, but nobody knows how far their former owner went. */
  takeUnsure(segments: ReadonlySet<Segment>, now: Instant): void {
    const spis = this.#passiveOf(segments);
    if (spis.length === 0) return;
    this.#actions.push({ kind: 'unsure', spis });
    const how = { unsure: true, unvouched: true, paced: true } as const;
    this.handle({ kind: 'activate', spis, ...how }, now);
  }

  /** These go on elsewhere. `isFinal`: the others are told of their last state first. */
  giveUp(segments: ReadonlySet<Segment>, isFinal: boolean, now: Instant): void {
    for (const segment of segments) {
      this.#followed.forget(segment);
      this.#unsure.delete(segment);
    }
    const { engine } = this.#parts;
    const isTheirs = (spi: IkeSpi) => segments.has(this.segmentOf(spi));
    if (isFinal) this.#told.publishSegments(segments, now);
    const spis = engine.ikeSas().flatMap(({ ownSpi }) => (isTheirs(ownSpi) ? [ownSpi] : []));
    if (spis.length > 0) this.handle({ kind: 'deactivate', spis }, now);
    if (!isFinal) this.#told.yieldSegments(segments);
  }

  /** These go on with a higher epoch: what was refused under the lower one is told again. */
  raised(segments: ReadonlySet<Segment>, now: Instant): void {
    this.#told.publishSegments(segments, now);
    this.#told.reserveAgain(segments, now);
  }

  /** Others may have taken what waited for them. */
  tellMore(now: Instant): void {
    this.#told.tellMore(now);
  }

  expire(now: Instant): void {
    this.#told.expire(now);
    const overdue = new Set(this.#followed.takeOverdue(now));
    for (const segment of overdue) this.#unsure.add(segment);
    this.#fetched(overdue, now);
    this.#followed.askAgain(now);
    const spisIn = this.#renewal.take(now);
    if (spisIn.length > 0) this.handle({ kind: 'replace-child-sas', spisIn }, now);
  }

  nextDeadline(): Instant | undefined {
    const [told, followed] = [this.#told.nextDeadline(), this.#followed.nextDeadline()];
    return earliest(told, followed, this.#renewal.nextDeadline());
  }

  #fetched(segments: ReadonlySet<Segment>, now: Instant): void {
    const unsure = new Set([...segments].filter((segment) => this.#unsure.delete(segment)));
    this.takeUnsure(unsure, now);
    this.take(new Set([...segments].filter((segment) => !unsure.has(segment))), now);
    for (const segment of segments) this.#actions.push({ kind: 'settled', segment });
  }

  #passiveOf(segments: ReadonlySet<Segment>): readonly IkeSpi[] {
    if (segments.size === 0) return [];
    return this.#parts.engine.passiveSpis().filter((spi) => segments.has(this.segmentOf(spi)));
  }
}
