import assert from 'node:assert/strict';
import { child, connection, mirrored } from '../support/connections.ts';
import type { Pair } from '../support/pair.ts';
import { assertAgreement, tunnel } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';

const LIFETIME = { rekey: 0, reauth: 100, over: 20, random: 0 };
const SHORT = connection({ lifetime: LIFETIME });

function reauthenticate(pair: Pair): void {
  const selector = { ike: 'peer' };
  pair.handle(pair.a, { kind: 'rekey', request: 9, selector, reauthenticate: true });
}

describe('Reauthentication (RFC 7296 §2.8.3)', () => {
  it('makes before it breaks: no packet is lost, not even a slow one', () => {
    const pair = tunnel(SHORT);
    pair.trafficEveryMs = 20;
    pair.trafficDelayMs = 900;
    pair.run(1_000_000);
    pair.trafficEveryMs = 0;
    pair.run(1_030_000);
    assertAgreement(pair, 1, 'after ten reauthentications');
    assert.ok(pair.a.seen('ike-sa-up').length >= 9);
    assert.equal(pair.a.packetsLost + pair.b.packetsLost, 0);
    // As often down as up, but for the one that stands.
    for (const side of [pair.a, pair.b]) {
      assert.equal(side.seen('ike-sa-up').length, side.seen('ike-sa-down').length + 1);
      assert.equal(side.seen('child-sa-up').length, side.seen('child-sa-down').length + 1);
    }
  });

  it('is begun on demand, and takes every Child SA along', () => {
    const two = [child(), child({ name: 'other' })];
    const pair = tunnel(connection({ children: two }));
    initiate(pair, pair.a, { request: 2, child: 'other' });
    pair.run(2000);
    assert.equal(pair.a.children.size, 2);
    reauthenticate(pair);
    pair.run(30_000);
    assertAgreement(pair, 2, 'after reauthentication');
  });

  it('is tried again when it came to nothing, as long as the old IKE SA lives', () => {
    const pair = tunnel(SHORT);
    pair.run(99_000);
    const refusing = pair.b.pad;
    refusing.unload('peer');
    pair.run(110_000);
    assert.equal(pair.a.established, 1);
    refusing.load(mirrored(SHORT));
    pair.run(150_000);
    assertAgreement(pair, 1, 'after the second try');
    assert.equal(pair.a.seen('ike-sa-up').length, 2);
  });

  it('that never succeeds ends the IKE SA at reauth_time and over_time', () => {
    const pair = tunnel(SHORT);
    pair.b.pad.unload('peer');
    pair.run(119_000);
    assert.equal(pair.a.established, 1);
    pair.run(130_000);
    assert.equal(pair.a.established, 0);
  });
});

describe('AUTH_LIFETIME (RFC 4478)', () => {
  it('is announced by the responder and heeded by an initiator that has no such wish', () => {
    const pair = sites(connection(), mirrored(SHORT));
    initiate(pair);
    pair.run(1000);
    assert.match(pair.ladder[3] ?? '', /N\(AUTH_LIFETIME\)/);
    pair.run(95_000);
    // At nine tenths of the hundred seconds.
    assert.equal(pair.a.seen('ike-sa-up').length, 2);
    pair.run(110_000);
    assertAgreement(pair, 1, 'after the announced time');
  });
});
