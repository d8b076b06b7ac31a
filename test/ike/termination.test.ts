import assert from 'node:assert/strict';
import type { SaSelector } from '../../src/ike/action.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { Terminations } from '../../src/ike/termination.ts';
import type { Turn } from '../../src/ike/turn.ts';
import { established, onlyChild, onlyIkeSa } from '../support/child-sas.ts';
import { connection } from '../support/connections.ts';
import { initiate, sites } from '../support/sites.ts';
import { actionsOf, turnAt } from '../support/turns.ts';

/** Requests of operators about IKE SAs, one engine's turn after the other. */
class Operator {
  readonly terminations = new Terminations();
  readonly turn: Turn = turnAt(2000);

  ask(sas: readonly IkeSa[], selector: SaSelector, force = false, request = 1): void {
    this.terminations.start(this.turn, sas, request, { selector, force });
    this.terminations.complete(this.turn);
  }

  /** `request:matches`, in the order in which they were answered. */
  get answers(): readonly string[] {
    return actionsOf(this.turn, 'complete').map(({ request, outcome }) => {
      assert.equal(outcome.kind, 'done');
      assert.ok(outcome.kind === 'done' && outcome.matches === outcome.terminated);
      return `${request}:${outcome.matches}`;
    });
  }
}

describe('Terminating SAs (RFC 7296 §1.4.1)', () => {
  let operator: Operator;
  let sa: IkeSa;

  beforeEach(() => {
    operator = new Operator();
    sa = onlyIkeSa(established().a);
  });

  it('tells the peer, and answers when the IKE SA is gone', () => {
    operator.ask([sa], { ike: 'peer' });
    assert.equal(sa.state.name, 'AwaitingDeleteResponse');
    assert.equal(actionsOf(operator.turn, 'send').length, 1);
    assert.deepEqual(operator.answers, []);
    sa.close(operator.turn, 'deleted', { kind: 'failed', what: 'deleted' });
    operator.terminations.complete(operator.turn);
    operator.terminations.complete(operator.turn);
    assert.deepEqual(operator.answers, ['1:1']);
  });

  it('does not wait for the peer when forced, but tells it', () => {
    operator.ask([sa], { ikeSaId: sa.id }, true);
    assert.equal(sa.state.name, 'Closed');
    assert.equal(actionsOf(operator.turn, 'send').length, 1);
    assert.equal(actionsOf(operator.turn, 'remove-child-sa').length, 1);
    assert.deepEqual(operator.answers, ['1:1']);
  });

  it('ends at once what is not up: there is no peer to tell', () => {
    const pair = sites();
    initiate(pair);
    const young = onlyIkeSa(pair.a);
    operator.ask([young], {});
    assert.equal(young.state.name, 'Closed');
    assert.deepEqual(actionsOf(operator.turn, 'send'), []);
    const outcomes = actionsOf(operator.turn, 'complete').map(({ outcome }) => outcome.kind);
    assert.deepEqual(outcomes, ['failed', 'done'], 'the initiate request, then ours');
  });

  it('of a Child SA leaves the IKE SA and waits for the answer', () => {
    const held = onlyChild(sa);
    operator.ask([sa], { child: 'net' });
    assert.equal(sa.state.name, 'Established');
    assert.equal(sa.inFlight?.kind, 'delete-child-sa');
    assert.deepEqual(operator.answers, []);
    sa.removeChild(operator.turn, held, 'deleted');
    operator.terminations.complete(operator.turn);
    assert.deepEqual(operator.answers, ['1:1']);
  });

  it('of a Child SA does not wait when forced', () => {
    operator.ask([sa], { child: 'net' }, true);
    assert.equal(sa.children.size, 0);
    assert.equal(sa.state.name, 'Established');
    assert.deepEqual(operator.answers, ['1:1']);
  });

  it('selects by name and number, both where both are given', () => {
    const other = onlyIkeSa(established(connection({ name: 'peer' })).b);
    const held = onlyChild(sa);
    const nothing: readonly SaSelector[] = [
      { ike: 'nobody' },
      { ikeSaId: 99 },
      { ike: 'peer', ikeSaId: 99 },
      { child: 'nothing' },
      { childSaId: 99 },
      { child: 'net', childSaId: 99 },
      { ike: 'nobody', child: 'net' },
    ];
    for (const selector of nothing) operator.ask([sa, other], selector);
    assert.deepEqual(
      operator.answers,
      nothing.map(() => '1:0'),
    );
    operator.ask([sa, other], { ike: 'peer', childSaId: held.childSa.id }, true, 2);
    assert.deepEqual(operator.answers.at(-1), '2:2', 'both sides number from one');
  });

  it('selects everything without a name', () => {
    const other = onlyIkeSa(established().b);
    operator.ask([sa, other], {}, true);
    assert.deepEqual([sa.state.name, other.state.name], ['Closed', 'Closed']);
    assert.deepEqual(operator.answers, ['1:2']);
  });

  it('answers each request when its own SAs are gone', () => {
    const other = onlyIkeSa(established().b);
    operator.ask([sa], {}, false, 1);
    operator.ask([other], {}, true, 2);
    assert.deepEqual(operator.answers, ['2:1']);
  });
});
