import assert from 'node:assert/strict';
import { reopen } from '../../src/ike/reopening.ts';
import type { ChildPolicy, DpdAction, StartAction } from '../../src/ipsec/connection.ts';
import { established, heldChild, onlyIkeSa } from '../support/child-sas.ts';
import { child } from '../support/connections.ts';
import { turnAt } from '../support/turns.ts';

/** What the end of Child SAs of these policies leads to. */
function ledTo(cause: 'closed' | 'lost', ...policies: readonly ChildPolicy[]): readonly string[] {
  const turn = turnAt(0);
  const children = policies.map((policy) => heldChild({}, policy));
  reopen(turn, onlyIkeSa(established().a), children, cause);
  return turn.actions.map((action) => {
    assert.ok(action.kind === 'trap' || action.kind === 'reinitiate', action.kind);
    return `${action.kind} ${action.connection}/${action.child}`;
  });
}

describe('After the end of a Child SA', () => {
  it('close_action says what happens where the peer took it down or its life ended', () => {
    const expected: Readonly<Record<StartAction, readonly string[]>> = {
      none: [],
      trap: ['trap peer/net'],
      start: ['reinitiate peer/net'],
      'trap|start': ['trap peer/net', 'reinitiate peer/net'],
    };
    for (const closeAction of ['none', 'trap', 'start', 'trap|start'] as const) {
      const found = ledTo('closed', child({ closeAction, dpdAction: 'restart' }));
      assert.deepEqual(found, expected[closeAction], closeAction);
    }
  });

  it('dpd_action says what happens where the peer is silent', () => {
    const expected: Readonly<Record<DpdAction, readonly string[]>> = {
      clear: [],
      trap: ['trap peer/net'],
      restart: ['reinitiate peer/net'],
    };
    for (const dpdAction of ['clear', 'trap', 'restart'] as const) {
      const found = ledTo('lost', child({ dpdAction, closeAction: 'trap|start' }));
      assert.deepEqual(found, expected[dpdAction], dpdAction);
    }
  });

  it('each child is brought up once, however many of its SAs ended', () => {
    const one = child({ closeAction: 'start' });
    const other = child({ name: 'other', closeAction: 'trap' });
    const found = ledTo('closed', one, other, one, other);
    assert.deepEqual(found, ['reinitiate peer/net', 'trap peer/other']);
  });

  it('nothing happens where nothing ended', () => {
    assert.deepEqual(ledTo('lost'), []);
  });
});
