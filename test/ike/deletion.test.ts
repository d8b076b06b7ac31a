import assert from 'node:assert/strict';
import {
  childDeleted,
  closeTelling,
  DELETE_IKE_SA,
  deleteChild,
  deleteIkeSa,
  deletePayload,
  drain,
  useNow,
  withdraw,
} from '../../src/ike/deletion.ts';
import type { HeldChild } from '../../src/ike/held-child.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { ExchangeType, type Payload } from '../../src/ike/message/message.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import type { Turn } from '../../src/ike/turn.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { established, heldChild, onlyChild, onlyIkeSa } from '../support/child-sas.ts';
import { initiate, sites } from '../support/sites.ts';
import { actionsOf, eventsOf, turnAt } from '../support/turns.ts';

const OUTCOME = { kind: 'failed', what: 'gone' } as const;

/** The payloads of the request that is out. */
function sent(sa: IkeSa): readonly Payload[] {
  const request = sa.window.inFlight ?? assert.fail('nothing was sent');
  assert.equal(request.header.exchangeType, ExchangeType.INFORMATIONAL);
  return request.payloads;
}

function set(turn: Turn): readonly string[] {
  return actionsOf(turn, 'set-outbound').map((one) => `${one.childSaId} ${one.outbound}`);
}

describe('Deleting a Child SA (RFC 7296 §1.4.1)', () => {
  let turn: Turn;
  let sa: IkeSa;
  let held: HeldChild;
  beforeEach(() => {
    turn = turnAt(10_000);
    sa = onlyIkeSa(established().a);
    held = onlyChild(sa);
  });

  it('names the SPI at which we receive', () => {
    assert.deepEqual(deletePayload([spi(0x0102_0304), spi(0xf0f0_f0f0)]), [
      {
        kind: 'DELETE',
        protocol: 3,
        spiSize: 4,
        spis: [Uint8Array.of(1, 2, 3, 4), Uint8Array.of(0xf0, 0xf0, 0xf0, 0xf0)],
      },
    ]);
    assert.deepEqual(deletePayload([]), []);
    deleteChild(turn, sa, held, 'rekeyed');
    assert.deepEqual(sent(sa), deletePayload([held.childSa.spiIn]));
  });

  it('goes out once, and only to a peer that holds the SA', () => {
    deleteChild(turn, sa, held, 'first');
    deleteChild(turn, sa, held, 'second');
    assert.deepEqual(held.state, { name: 'Deleting', reason: 'first', replaced: false });
    drain(turn, sa, held);
    deleteChild(turn, sa, held, 'third');
    assert.equal(held.state.name, 'Draining');
    assert.equal(actionsOf(turn, 'send').length, 1);
    assert.deepEqual(sa.queued, []);
  });

  it('is left out where the SA went while it waited for the window', () => {
    withdraw(turn, sa, spi(0x1000));
    deleteChild(turn, sa, held, 'late');
    assert.deepEqual(
      sa.queued.map(({ kind }) => kind),
      ['delete-child-sa'],
    );
    sa.removeChild(turn, held, 'the peer deleted it');
    sa.window.take(sa.window.inFlight?.header ?? assert.fail());
    sa.proceed(turn);
    assert.equal(sa.inFlight, undefined);
    assert.equal(actionsOf(turn, 'send').length, 1, 'the withdrawal alone');
  });

  it('ends it when the peer has answered, with a word to observers', () => {
    deleteChild(turn, sa, held, 'its life ended');
    childDeleted(turn, sa, held);
    assert.equal(sa.children.size, 0);
    const [removed] = actionsOf(turn, 'remove-child-sa');
    assert.deepEqual([removed?.childSa, removed?.reason], [held.childSa, 'its life ended']);
    assert.equal(eventsOf(turn, 'child-sa-down')[0]?.reason, 'its life ended');
  });

  it('lets one that was replaced receive a little longer, without a word at its end', () => {
    deleteChild(turnAt(10_000), sa, held, 'rekeyed', true);
    childDeleted(turn, sa, held);
    const { deleteRekeyedDelaySeconds } = DEFAULT_IKE_SETTINGS;
    const until = 10_000 + deleteRekeyedDelaySeconds * 1000;
    assert.deepEqual(held.state, { name: 'Draining', until });
    assert.deepEqual(set(turn), [`${held.childSa.id} never`]);
    assert.deepEqual(actionsOf(turn, 'remove-child-sa'), []);
    assert.ok(turn.touched.has(sa.ownSpi));
    sa.removeChild(turn, held, 'replaced');
    assert.equal(actionsOf(turn, 'remove-child-sa').length, 1);
    assert.deepEqual(eventsOf(turn, 'child-sa-down'), []);
  });

  it('is no news of one that nobody is deleting', () => {
    childDeleted(turn, sa, held);
    assert.equal(held.state.name, 'Installed');
    assert.deepEqual(turn.actions, []);
  });

  it('takes back what the peer granted and we cannot use', () => {
    withdraw(turn, sa, spi(0x0102_0304));
    assert.deepEqual(sent(sa), deletePayload([spi(0x0102_0304)]));
    assert.equal(sa.children.size, 1);
  });
});

describe('A Child SA that waited for the peer (RFC 7296 §2.8)', () => {
  it('sends from the first proof on, once', () => {
    const turn = turnAt(0);
    const waiting = heldChild({ outbound: 'after-inbound' });
    useNow(turn, waiting);
    useNow(turn, waiting);
    assert.deepEqual(set(turn), ['7 now']);
    assert.equal(waiting.waitsForPeer, false);
  });

  it('is told nothing where it sends already, or is going', () => {
    const turn = turnAt(0);
    useNow(turn, heldChild());
    const going = heldChild({ outbound: 'after-inbound' });
    going.move({ name: 'Deleting', reason: 'redundant', replaced: true });
    useNow(turn, going);
    assert.deepEqual(turn.actions, []);
  });
});

describe('Deleting an IKE SA (RFC 7296 §1.4.1)', () => {
  it('tells the peer, answers who waits, and gives up what waits for the window', () => {
    const turn = turnAt(0);
    const sa = onlyIkeSa(established().a);
    sa.requests.add(5);
    deleteIkeSa(turn, sa, 'rekeyed', OUTCOME);
    assert.equal(sa.state.name, 'AwaitingDeleteResponse');
    assert.deepEqual(sent(sa), [DELETE_IKE_SA]);
    assert.deepEqual(
      actionsOf(turn, 'complete').map(({ request, outcome }) => [request, outcome]),
      [[5, OUTCOME]],
    );
  });

  it('waits for the window, and takes the place of all else that waited', () => {
    const turn = turnAt(0);
    const sa = onlyIkeSa(established().a);
    for (const one of [1, 2]) withdraw(turn, sa, spi(0x1000 * one));
    deleteIkeSa(turn, sa, 'deleted', OUTCOME);
    assert.equal(sa.inFlight?.kind, 'withdraw-child-sa');
    assert.deepEqual(
      sa.queued.map(({ kind }) => kind),
      ['delete-ike-sa'],
    );
  });

  it('happens once, and only to one that is up', () => {
    const turn = turnAt(0);
    const sa = onlyIkeSa(established().a);
    deleteIkeSa(turn, sa, 'first', OUTCOME);
    deleteIkeSa(turn, sa, 'second', OUTCOME);
    assert.ok(sa.state.name === 'AwaitingDeleteResponse');
    assert.equal(sa.state.reason, 'first');
    const pair = sites();
    initiate(pair);
    const young = onlyIkeSa(pair.a);
    deleteIkeSa(turn, young, 'too early', OUTCOME);
    assert.equal(young.state.name, 'AwaitingIkeSaInitResponse');
    assert.equal(actionsOf(turn, 'send').length, 1);
  });

  it('without waiting tells the peer once, if the window is free', () => {
    for (const busy of [false, true]) {
      const sa = onlyIkeSa(established().a);
      if (busy) withdraw(turnAt(0), sa, spi(0x1000));
      const turn = turnAt(0);
      closeTelling(turn, sa, DELETE_IKE_SA, { reason: 'the peer starts afresh', outcome: OUTCOME });
      assert.equal(sa.state.name, 'Closed');
      assert.equal(actionsOf(turn, 'send').length, busy ? 0 : 1);
      assert.equal(actionsOf(turn, 'remove-child-sa').length, 1);
      assert.deepEqual([sa.inFlight, sa.queued], [undefined, []]);
      assert.equal(eventsOf(turn, 'ike-sa-down')[0]?.reason, 'the peer starts afresh');
    }
  });
});
