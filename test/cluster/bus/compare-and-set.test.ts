/** The proposer of compare-and-set by itself: what it says when it was outbid. */
import assert from 'node:assert/strict';
import type { BusRecord, Revision } from '../../../src/cluster/bus/bus.ts';
import { Acceptor, type CasMessage, Proposer } from '../../../src/cluster/bus/compare-and-set.ts';
import { instant } from '../../../src/wire/instant.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const request = {
  kind: 'compare-and-set',
  id: 1,
  key: 'register',
  value: Uint8Array.of(1),
  expected: undefined,
} as const;

/** A proposer at node 1 of three, whose messages a test answers. */
function proposer() {
  let now = instant(0);
  const made = new Proposer({
    local: 1,
    incarnation: 1,
    nodes: [1, 2, 3],
    random: seededRandom(1),
  });
  made.propose(request, 0, now);
  const told = (): CasMessage | undefined => {
    const message = made.take().find((action) => action.kind === 'tell');
    return message?.kind === 'tell' ? message.message : undefined;
  };
  return {
    told,
    promise(from: number, ballot: Revision, record?: BusRecord) {
      made.answered(from, { kind: 'promise', ballot, granted: true, promised: 0, record }, now);
    },
    accepted(from: number, ballot: Revision, granted: boolean) {
      made.answered(from, { kind: 'accepted', ballot, granted }, now);
    },
    wait(milliseconds: number) {
      now = instant(now + milliseconds);
      made.time(now);
    },
    outcome() {
      const event = made.take().find((action) => action.kind === 'event');
      return event?.kind === 'event' ? event.event : undefined;
    },
  };
}

function expectTold(told: CasMessage | undefined, kind: CasMessage['kind']): Revision {
  assert.equal(told?.kind, kind);
  assert(told);
  return told.ballot;
}

describe('Compare-and-set', () => {
  const other = (number: number): BusRecord => ({
    key: 'register',
    value: Uint8Array.of(2),
    epoch: 0,
    revision: { number, writer: 2, incarnation: 5 },
  });

  it('is a conflict where another value was there before ours was proposed', () => {
    const one = proposer();
    const ballot = expectTold(one.told(), 'prepare');
    one.promise(1, ballot);
    one.promise(2, ballot, other(0));
    assert.equal(one.outcome()?.kind, 'conflict');
  });

  it('is unsettled where ours was proposed, refused, and then another value was there', () => {
    const one = proposer();
    const first = expectTold(one.told(), 'prepare');
    for (const node of [1, 2]) one.promise(node, first);
    expectTold(one.told(), 'accept');
    for (const node of [2, 3]) one.accepted(node, first, false);
    one.wait(100);
    const second = expectTold(one.told(), 'prepare');
    for (const node of [2, 3]) one.promise(node, second, other(first.number + 1));
    assert.deepEqual(one.outcome(), { kind: 'refused', id: 1, reason: 'unsettled' });
  });

  it('goes on with its own value where a minority had accepted it', () => {
    const one = proposer();
    const first = expectTold(one.told(), 'prepare');
    for (const node of [1, 2]) one.promise(node, first);
    expectTold(one.told(), 'accept');
    for (const node of [2, 3]) one.accepted(node, first, false);
    one.wait(100);
    const second = expectTold(one.told(), 'prepare');
    const ours = { key: 'register', value: Uint8Array.of(1), epoch: 0, revision: first };
    for (const node of [1, 2]) one.promise(node, second, ours);
    assert.deepEqual(expectTold(one.told(), 'accept'), second);
    for (const node of [1, 2]) one.accepted(node, second, true);
    assert.equal(one.outcome()?.kind, 'written');
  });

  it('promises nothing, and accepts nothing, while a node does not know what it promised', () => {
    const acceptor = new Acceptor();
    const ballot = { number: 9, writer: 1, incarnation: 1 };
    const promise = acceptor.prepare(
      { kind: 'prepare', ballot, key: 'register' },
      undefined,
      false,
    );
    assert.ok(promise.kind === 'promise' && !promise.granted);
    const accept = { kind: 'accept', ballot, record: other(9) } as const;
    assert.equal(acceptor.accept(accept, undefined, false), false);
    assert.equal(acceptor.accept(accept, undefined, true), true);
  });

  it('of two keys at one time goes by two ballots, so that no answer counts for the other', () => {
    const now = instant(0);
    const nodes = [1, 2, 3];
    const made = new Proposer({ local: 1, incarnation: 1, nodes, random: seededRandom(1) });
    made.propose(request, 5, now);
    made.propose({ ...request, id: 2, key: 'another' }, 5, now);
    const ballots = made
      .take()
      .flatMap((action) => (action.kind === 'tell' ? [action.message.ballot.number] : []));
    assert.deepEqual(ballots, [6, 7]);
  });
});
