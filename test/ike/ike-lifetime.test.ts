import assert from 'node:assert/strict';
import {
  heedAuthLifetime,
  startAuthenticationLifetime,
  startIkeLifetime,
} from '../../src/ike/ike-lifetime.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import type { IkeLifetime } from '../../src/ipsec/lifetime.ts';
import { established, onlyIkeSa } from '../support/child-sas.ts';
import { connection } from '../support/connections.ts';
import { turnAt } from '../support/turns.ts';

const LIFETIME: IkeLifetime = { rekey: 1000, reauth: 5000, over: 100, random: 200 };
/** Half of the random part is taken off. */
const HALF = () => Uint8Array.of(0x80, 0, 0, 0);

/** An IKE SA of one role whose lifetime is not running yet. */
function fresh(role: 'a' | 'b', changes: Partial<IkeLifetime> = {}): IkeSa {
  const lifetime = { ...LIFETIME, ...changes };
  const sa = onlyIkeSa(established(connection({ lifetime }))[role]);
  sa.rekeyAt = undefined;
  sa.expireAt = undefined;
  sa.reauthenticateAt = undefined;
  sa.authenticationExpiresAt = undefined;
  return sa;
}

const start = () => turnAt(10_000, { random: HALF });

describe('The life of the keys of an IKE SA (RFC 7296 §2.8)', () => {
  it('ends a while after it should have been replaced, in either role', () => {
    for (const role of ['a', 'b'] as const) {
      const sa = fresh(role);
      startIkeLifetime(start(), sa);
      assert.deepEqual([sa.rekeyAt, sa.expireAt], [910_000, 1_110_000]);
      assert.equal(sa.authenticationExpiresAt, undefined);
    }
  });

  it('begins again with new keys', () => {
    const sa = fresh('a');
    startIkeLifetime(start(), sa);
    startIkeLifetime(turnAt(500_000, { random: HALF }), sa);
    assert.deepEqual([sa.rekeyAt, sa.expireAt], [1_400_000, 1_600_000]);
  });

  it('has no end where it is never replaced', () => {
    const sa = fresh('a', { rekey: 0 });
    startIkeLifetime(start(), sa);
    assert.deepEqual([sa.rekeyAt, sa.expireAt], [undefined, undefined]);
  });
});

describe('How long proof of identity lasts', () => {
  it('both ends know; only who began can begin again', () => {
    const [initiator, responder] = [fresh('a'), fresh('b')];
    for (const sa of [initiator, responder]) startAuthenticationLifetime(start(), sa);
    assert.deepEqual(
      [initiator.reauthenticateAt, initiator.authenticationExpiresAt],
      [4_910_000, 5_110_000],
    );
    assert.deepEqual(
      [responder.reauthenticateAt, responder.authenticationExpiresAt],
      [undefined, 5_110_000],
    );
  });

  it('for ever, where no time is configured', () => {
    const sa = fresh('a', { reauth: 0 });
    startAuthenticationLifetime(start(), sa);
    assert.deepEqual([sa.reauthenticateAt, sa.authenticationExpiresAt], [undefined, undefined]);
  });
});

describe('AUTH_LIFETIME (RFC 4478 §3)', () => {
  it('is heeded with a tenth of it to spare, and calls for a new deadline', () => {
    const sa = fresh('a', { reauth: 0 });
    const turn = start();
    heedAuthLifetime(turn, sa, 600);
    assert.equal(sa.reauthenticateAt, 550_000);
    assert.deepEqual([...turn.touched], [sa.ownSpi]);
  });

  it('does not put off what comes earlier anyway', () => {
    const sa = fresh('a');
    startAuthenticationLifetime(start(), sa);
    heedAuthLifetime(start(), sa, 50_000);
    assert.equal(sa.reauthenticateAt, 4_910_000);
    heedAuthLifetime(start(), sa, 1000);
    assert.equal(sa.reauthenticateAt, 910_000);
  });

  it('says nothing to the responder', () => {
    const sa = fresh('b');
    heedAuthLifetime(start(), sa, 600);
    assert.equal(sa.reauthenticateAt, undefined);
  });
});
