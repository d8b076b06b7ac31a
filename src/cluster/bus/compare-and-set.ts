/**
 * Compare-and-set over a majority of all configured nodes: one register for each key, in the manner of
 * CASPaxos (Rystsov, 2018).
 *
 * A proposer asks a majority to promise its ballot and learns the latest value they have; if that is what
 * was expected, it asks them to accept the new one under the ballot, which becomes the revision's number: so
 * the order of ballots is the order of records, and copies that spread by digests keep it. A node that lost
 * its memory makes no promises before it has the records of a majority of the others (`udp-bus.ts` says so).
 * Keys that are compared and set are never simply put.
 */
import type { RandomBytes } from '../../crypto/random.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';
import type { NodeId } from '../node-id.ts';
import type { BusEvent, BusRecord, BusRequest, Revision } from './bus.ts';
import { compareRecords, compareRevisions, sameRevision } from './record.ts';

export type SetRequest = Extract<BusRequest, { readonly kind: 'compare-and-set' }>;

/** What proposers and acceptors say to one another; to oneself too. */
export type CasMessage =
  | { readonly kind: 'prepare'; readonly ballot: Revision; readonly key: string }
  | {
      readonly kind: 'promise';
      readonly ballot: Revision;
      /** False: a higher ballot was promised, or nothing is promised yet. */
      readonly granted: boolean;
      readonly promised: number;
      readonly record: BusRecord | undefined;
    }
  | { readonly kind: 'accept'; readonly ballot: Revision; readonly record: BusRecord }
  | { readonly kind: 'accepted'; readonly ballot: Revision; readonly granted: boolean };

export type CasAction =
  | { readonly kind: 'tell'; readonly to: readonly NodeId[]; readonly message: CasMessage }
  | { readonly kind: 'event'; readonly event: BusEvent };

export interface CasSettings {
  readonly local: NodeId;
  readonly incarnation: number;
  /** All configured nodes, this one too. */
  readonly nodes: readonly NodeId[];
  readonly random: RandomBytes;
}

interface Proposal {
  readonly request: SetRequest;
  ballot: Revision;
  phase: 'preparing' | 'accepting' | 'pausing';
  readonly granted: Set<NodeId>;
  readonly denied: Set<NodeId>;
  /** Ballots under which a value was proposed and refused: some node may have accepted it all the same. */
  readonly spent: Revision[];
  current: BusRecord | undefined;
  tries: number;
  highest: number;
  deadline: Instant;
}

export class Proposer {
  readonly #settings: CasSettings;
  readonly #proposals: Proposal[] = [];
  #actions: CasAction[] = [];
  /** Answers name a ballot and no key: no two proposals, of whatever keys, have the same. */
  #lastBallot = 0;

  constructor(settings: CasSettings) {
    this.#settings = settings;
  }

  /** Begins; answers false where too many are under way. */
  propose(request: SetRequest, highest: number, now: Instant): boolean {
    if (this.#proposals.length >= MOST_PROPOSALS) return false;
    const proposal: Proposal = {
      request,
      ballot: this.#ballot(highest),
      phase: 'preparing',
      granted: new Set(),
      denied: new Set(),
      spent: [],
      current: undefined,
      tries: 0,
      highest,
      deadline: now,
    };
    this.#proposals.push(proposal);
    this.#prepare(proposal, now);
    return true;
  }

  /** An answer of a node to a ballot of ours. */
  answered(
    from: NodeId,
    message: Extract<CasMessage, { readonly kind: 'promise' | 'accepted' }>,
    now: Instant,
  ): void {
    const proposal = this.#proposals.find(
      ({ ballot }) => compareRevisions(ballot, message.ballot) === 0,
    );
    if (!proposal) return;
    const preparing = message.kind === 'promise';
    if (proposal.phase !== (preparing ? 'preparing' : 'accepting')) return;
    if (preparing) proposal.highest = Math.max(proposal.highest, message.promised);
    if (!message.granted) {
      proposal.denied.add(from);
      if (proposal.denied.size > this.#settings.nodes.length - this.#majority) {
        this.#pause(proposal, now);
      }
      return;
    }
    proposal.granted.add(from);
    if (preparing && message.record) {
      const { current } = proposal;
      if (!current || compareRecords(message.record, current) > 0)
        proposal.current = message.record;
    }
    if (proposal.granted.size < this.#majority) return;
    if (preparing) this.#decide(proposal, now);
    else this.#settled(proposal);
  }

  time(now: Instant): void {
    for (const proposal of [...this.#proposals]) {
      if (now < proposal.deadline) continue;
      if (proposal.phase === 'pausing') {
        proposal.ballot = this.#ballot(proposal.highest);
        this.#prepare(proposal, now);
        continue;
      }
      const isClear = proposal.phase !== 'accepting' && proposal.spent.length === 0;
      const reason = isClear ? 'no-majority' : 'unsettled';
      this.#end(proposal, { kind: 'refused', id: proposal.request.id, reason });
    }
  }

  nextDeadline(): Instant | undefined {
    return earliest(...this.#proposals.map(({ deadline }) => deadline));
  }

  take(): readonly CasAction[] {
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  get #majority(): number {
    return Math.floor(this.#settings.nodes.length / 2) + 1;
  }

  #prepare(proposal: Proposal, now: Instant): void {
    const { ballot, request } = proposal;
    proposal.phase = 'preparing';
    proposal.granted.clear();
    proposal.denied.clear();
    proposal.current = undefined;
    proposal.deadline = after(now, ANSWER_MILLISECONDS);
    this.#tell({ kind: 'prepare', ballot, key: request.key });
  }

  #decide(proposal: Proposal, now: Instant): void {
    const { request, current, ballot } = proposal;
    const { key, value, expected, id } = request;
    const there = current?.value === undefined ? undefined : current.revision;
    // Our own value, which a minority accepted under an earlier ballot, is proposed again.
    const isOurs = proposal.spent.some((spent) => sameRevision(spent, current?.revision));
    if (!sameRevision(there, expected) && !isOurs) {
      // Another may have built upon it before it was replaced.
      const unsettled = { kind: 'refused', id, reason: 'unsettled' } as const;
      const isClear = proposal.spent.length === 0;
      this.#end(proposal, isClear ? { kind: 'conflict', id, current } : unsettled);
      return;
    }
    proposal.phase = 'accepting';
    proposal.granted.clear();
    proposal.denied.clear();
    proposal.deadline = after(now, ANSWER_MILLISECONDS);
    // Ballots alone order the values of a register: an epoch would order them otherwise.
    this.#tell({ kind: 'accept', ballot, record: { key, value, epoch: 0, revision: ballot } });
  }

  #settled(proposal: Proposal): void {
    const { request, ballot, granted } = proposal;
    const awaited = this.#settings.nodes.filter((node) => !granted.has(node));
    this.#end(proposal, { kind: 'written', id: request.id, revision: ballot, awaited });
  }

  /** Outbid: tries again a little later, so that two do not outbid one another for ever. */
  #pause(proposal: Proposal, now: Instant): void {
    if (proposal.phase === 'accepting') proposal.spent.push(proposal.ballot);
    if (++proposal.tries === MOST_TRIES) {
      const reason = proposal.spent.length > 0 ? 'unsettled' : 'no-majority';
      this.#end(proposal, { kind: 'refused', id: proposal.request.id, reason });
      return;
    }
    proposal.phase = 'pausing';
    const [chance = 0] = this.#settings.random(1);
    proposal.deadline = after(now, 1 + (chance * proposal.tries * PAUSE_MILLISECONDS) / 256);
  }

  #end(proposal: Proposal, event: BusEvent): void {
    this.#proposals.splice(this.#proposals.indexOf(proposal), 1);
    this.#actions.push({ kind: 'event', event });
  }

  #tell(message: CasMessage): void {
    this.#actions.push({ kind: 'tell', to: this.#settings.nodes, message });
  }

  #ballot(highest: number): Revision {
    const { local, incarnation } = this.#settings;
    this.#lastBallot = Math.max(highest, this.#lastBallot) + 1;
    return { number: this.#lastBallot, writer: local, incarnation };
  }
}

export class Acceptor {
  /** The highest ballot promised for each key. */
  readonly #promised = new Map<string, Revision>();

  /** `mayVote`: this node knows what it may have promised before. */
  prepare(
    { ballot, key }: Extract<CasMessage, { readonly kind: 'prepare' }>,
    record: BusRecord | undefined,
    mayVote: boolean,
  ): CasMessage {
    const promised = this.#promised.get(key);
    const highest = Math.max(promised?.number ?? 0, record?.revision.number ?? 0);
    const granted =
      mayVote &&
      (promised !== undefined || this.#promised.size < MOST_PROMISES) &&
      (!promised || compareRevisions(ballot, promised) > 0) &&
      (!record || compareRevisions(ballot, record.revision) > 0);
    if (granted) this.#promised.set(key, ballot);
    return { kind: 'promise', ballot, granted, promised: highest, record };
  }

  /** Whether the record is to be applied. From then on it stands for the promise. */
  accept(
    { ballot, record }: Extract<CasMessage, { readonly kind: 'accept' }>,
    current: BusRecord | undefined,
    mayVote: boolean,
  ): boolean {
    const promised = this.#promised.get(record.key);
    if (!mayVote || (promised && compareRevisions(ballot, promised) < 0)) return false;
    if (current && compareRevisions(ballot, current.revision) <= 0) return false;
    this.#promised.delete(record.key);
    return true;
  }

  get promises(): number {
    return this.#promised.size;
  }
}

const MOST_PROPOSALS = 256;
/** Keys whose proposals were begun and never ended. */
const MOST_PROMISES = 16_384;
const MOST_TRIES = 20;
const PAUSE_MILLISECONDS = 4;
const ANSWER_MILLISECONDS = 250;
