import assert from 'node:assert/strict';
import { deleteChild, withdraw } from '../../src/ike/deletion.ts';
import { requestChild } from '../../src/ike/exchange/create-child-initiator.ts';
import { startLiveness } from '../../src/ike/exchange/informational.ts';
import { IkeSa } from '../../src/ike/ike-sa.ts';
import { ikeSpi } from '../../src/ike/message/message.ts';
import { awaitDelete, succeed } from '../../src/ike/succession.ts';
import type { Turn } from '../../src/ike/turn.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { instant } from '../../src/wire/instant.ts';
import { established, onlyChild, onlyIkeSa } from '../support/child-sas.ts';
import { child } from '../support/connections.ts';
import { initiate, sites } from '../support/sites.ts';
import { actionsOf, eventsOf, turnAt } from '../support/turns.ts';

/** A new IKE SA between the same peers, with nothing in it. */
function newborn({ connection, local, remote, state }: IkeSa): IkeSa {
  return new IkeSa({
    id: 50,
    initiator: true,
    connection,
    local,
    remote,
    spiI: ikeSpi(new Uint8Array(8).fill(5)),
    spiR: ikeSpi(new Uint8Array(8).fill(6)),
    state,
    now: instant(1000),
  });
}

describe('An IKE SA that takes the place of another (RFC 7296 §2.8, §2.18)', () => {
  let turn: Turn;
  let old: IkeSa;
  let heir: IkeSa;
  beforeEach(() => {
    turn = turnAt(1000);
    old = onlyIkeSa(established().a);
    heir = newborn(old);
  });

  it('inherits the Child SAs: nothing is installed or removed', () => {
    const held = onlyChild(old);
    succeed(turn, old, heir);
    assert.deepEqual([...heir.children], [[held.childSa.id, held]]);
    assert.equal(old.children.size, 0);
    const kinds = turn.actions.map(({ kind }) => kind);
    assert.deepEqual([...new Set(kinds)], ['emit']);
  });

  it('inherits who waits: for the IKE SA, for a Child SA, for a better time', () => {
    const wish = { policy: child({ name: 'other' }), requests: new Set([8]) };
    const later = { at: instant(9000), wish: { ...wish, requests: new Set([9]) } };
    old.requests.add(7);
    old.wishes.push(wish);
    old.postponed.push(later);
    succeed(turn, old, heir);
    assert.deepEqual([[...heir.requests], heir.wishes, heir.postponed], [[7], [wish], [later]]);
    assert.deepEqual([old.requests.size, old.wishes, old.postponed], [0, [], []]);
    assert.deepEqual(actionsOf(turn, 'complete'), []);
  });

  it('is announced once, as the successor', () => {
    succeed(turn, old, heir);
    const [rekeyed, ...others] = eventsOf(turn, 'ike-sa-rekeyed');
    assert.deepEqual(others, []);
    assert.deepEqual(
      [rekeyed?.replaces, rekeyed?.ikeSa, rekeyed?.spiI, rekeyed?.initiator],
      [old.id, 50, heir.spiI, true],
    );
    assert.deepEqual([old.replaced, heir.replaced], [true, false]);
    assert.deepEqual([...turn.touched].sort(), [old.ownSpi, heir.ownSpi].sort());
  });

  it('asks for what waited and concerns Child SAs; the rest was about the old one', () => {
    withdraw(turnAt(1000), old, spi(0x1000));
    startLiveness(turn, old);
    deleteChild(turn, old, onlyChild(old), 'its life ended');
    requestChild(turn, old, { policy: child({ name: 'other' }), requests: new Set([3]) });
    succeed(turn, old, heir);
    assert.equal(old.inFlight?.kind, 'withdraw-child-sa', 'what is out is out');
    assert.deepEqual(old.queued, []);
    assert.equal(heir.inFlight?.kind, 'delete-child-sa');
    assert.equal(heir.window.inFlight?.header.messageId, 0);
    assert.deepEqual(
      heir.queued.map(({ kind }) => kind),
      ['create-child'],
    );
  });
});

describe('An IKE SA that the peer is to delete (RFC 7296 §2.8, §2.8.2)', () => {
  it('waits a minute for that, and its end is no event', () => {
    const turn = turnAt(1000);
    const sa = onlyIkeSa(established().a);
    awaitDelete(turn, sa);
    assert.ok(sa.state.name === 'AwaitingDelete');
    assert.equal(sa.state.until, 61_000);
    assert.ok(turn.touched.has(sa.ownSpi) && sa.replaced && sa.isClosing);
    sa.close(turn, 'the peer deleted it', { kind: 'failed', what: 'deleted' });
    assert.deepEqual(eventsOf(turn, 'ike-sa-down'), []);
  });

  it('is none that is not up', () => {
    const pair = sites();
    initiate(pair);
    const young = onlyIkeSa(pair.a);
    awaitDelete(turnAt(0), young);
    assert.equal(young.state.name, 'AwaitingIkeSaInitResponse');
    assert.equal(young.replaced, false);
  });
});
