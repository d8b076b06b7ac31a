import assert from 'node:assert/strict';
import type { ChildAttempt } from '../../src/ike/child-wish.ts';
import { deleteChild } from '../../src/ike/deletion.ts';
import { requestChild } from '../../src/ike/exchange/create-child-initiator.ts';
import type { HeldChild } from '../../src/ike/held-child.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import {
  rekeyed,
  rekeyInFlight,
  replacedByPeer,
  rivalled,
  rivalWithdrawn,
} from '../../src/ike/simultaneous-rekey.ts';
import type { Turn } from '../../src/ike/turn.ts';
import { established, heldChild, onlyChild, onlyIkeSa } from '../support/child-sas.ts';
import { actionsOf, turnAt } from '../support/turns.ts';

const LOWEST = new Uint8Array(32);

describe('A Child SA that both ends replace (RFC 7296 §2.8.1)', () => {
  let turn: Turn;
  let sa: IkeSa;
  let old: HeldChild;
  let rival: HeldChild;
  beforeEach(() => {
    turn = turnAt(1000);
    sa = onlyIkeSa(established().a);
    old = onlyChild(sa);
    rival = heldChild({ id: 70, outbound: 'after-inbound' });
    sa.children.set(70, rival);
  });

  /** Our own rekey of the old one, out and not answered. */
  function ours(): ChildAttempt {
    requestChild(turnAt(1000), sa, { policy: old.policy, replaces: old, requests: new Set() });
    return rekeyInFlight(sa, old) ?? assert.fail('nothing is out');
  }

  function set(): readonly string[] {
    return actionsOf(turn, 'set-outbound').map((one) => `${one.childSaId} ${one.outbound}`);
  }

  it('is known by our request that is out', () => {
    assert.equal(rekeyInFlight(sa, old), undefined);
    const attempt = ours();
    assert.equal(attempt.wish.replaces, old);
    assert.equal(rekeyInFlight(sa, rival), undefined);
  });

  it("has the peer's successor for a rival while nothing is decided", () => {
    const attempt = ours();
    assert.equal(rivalled(sa, rival), undefined);
    attempt.rival = { child: rival, lowestNonce: LOWEST };
    assert.equal(rivalled(sa, rival), attempt);
    assert.equal(rivalled(sa, old), undefined);
    replacedByPeer(turn, old, rival);
    assert.equal(rivalled(sa, rival), undefined, 'it stands');
  });

  it('that we replaced is ours to delete, and sends no more', () => {
    rekeyed(turn, sa, old, undefined);
    assert.deepEqual(old.state, { name: 'Deleting', reason: 'rekeyed', replaced: true });
    assert.deepEqual(set(), [`${old.childSa.id} never`]);
    assert.equal(sa.inFlight?.kind, 'delete-child-sa');
    assert.equal(rival.state.name, 'Installed');
  });

  it("leaves the rival of our successor to the peer, for a minute's patience", () => {
    rekeyed(turn, sa, old, rival);
    assert.deepEqual(rival.state, { name: 'Redundant', until: 61_000 });
    assert.equal(rival.waitsForPeer, false);
    assert.deepEqual(set(), ['70 never', `${old.childSa.id} never`]);
  });

  it('leaves a rival alone that is gone or going', () => {
    sa.children.delete(70);
    rekeyed(turn, sa, old, rival);
    assert.equal(rival.state.name, 'Installed');
    const going = heldChild({ id: 71 });
    sa.children.set(71, going);
    going.move({ name: 'Deleting', reason: 'closed', replaced: false });
    rekeyed(turn, sa, old, going);
    assert.equal(going.state.name, 'Deleting');
  });

  it('that the peer has deleted meanwhile is not deleted again', () => {
    sa.children.delete(old.childSa.id);
    rekeyed(turn, sa, old, undefined);
    assert.deepEqual(turn.actions, []);
    assert.equal(sa.inFlight, undefined);
  });

  it("that the peer replaced is the peer's to delete, and sends until then", () => {
    replacedByPeer(turn, old, rival);
    assert.deepEqual(old.state, { name: 'Replaced', successor: rival, until: 61_000 });
    assert.deepEqual(turn.actions, []);
  });

  it('that is on its way out is not replaced any more', () => {
    deleteChild(turn, sa, old, 'its life ended');
    replacedByPeer(turn, old, rival);
    assert.equal(old.state.name, 'Deleting');
  });

  it('is ours alone once the peer took its successor back', () => {
    const attempt = ours();
    rivalWithdrawn(turn, sa, attempt);
    assert.deepEqual(turn.actions, [], 'there was no rival');
    attempt.rival = { child: rival, lowestNonce: LOWEST };
    rivalWithdrawn(turn, sa, attempt);
    assert.equal(attempt.rival, undefined);
    assert.equal(rival.state.name, 'Draining');
    assert.deepEqual(set(), ['70 never']);
    assert.equal(rekeyInFlight(sa, old), attempt);
  });
});
