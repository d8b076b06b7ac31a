import assert from 'node:assert/strict';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { keepAlive, livenessDeadline } from '../../src/ike/liveness.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import type { IkeEnvironment } from '../../src/ike/turn.ts';
import { instant } from '../../src/wire/instant.ts';
import { established, onlyIkeSa } from '../support/child-sas.ts';
import { connection } from '../support/connections.ts';
import { endpoint, type Pair } from '../support/pair.ts';
import { initiate, sites } from '../support/sites.ts';
import { actionsOf, environment, turnAt } from '../support/turns.ts';

const DPD = 30;

/** Traffic of every Child SA was last seen then. */
function traffic(inbound?: number, outbound?: number): Partial<IkeEnvironment> {
  const at = (milliseconds?: number) =>
    milliseconds === undefined ? undefined : instant(milliseconds);
  return { traffic: { lastInbound: () => at(inbound), lastOutbound: () => at(outbound) } };
}

/** An IKE SA whose peer was last heard, and a keepalive last sent, at one second. */
function quiet(pair: Pair = established(connection({ dpdDelaySeconds: DPD }))): IkeSa {
  const sa = onlyIkeSa(pair.a);
  sa.lastHeard = instant(1000);
  sa.lastKeepalive = instant(1000);
  return sa;
}

function deadline(sa: IkeSa, changes: Partial<IkeEnvironment> = {}): number | undefined {
  return livenessDeadline(sa, environment(changes));
}

function sentAt(milliseconds: number, sa: IkeSa, changes: Partial<IkeEnvironment> = {}) {
  const turn = turnAt(milliseconds, changes);
  keepAlive(turn, sa);
  return turn;
}

describe('Liveness of a peer (RFC 7296 §2.4)', () => {
  it('is asked when nothing was heard for dpd_delay', () => {
    const sa = quiet();
    assert.equal(deadline(sa), 31_000);
    assert.deepEqual(sentAt(30_999, sa).actions, []);
    assert.equal(actionsOf(sentAt(31_000, sa), 'send').length, 1);
    assert.equal(sa.inFlight?.kind, 'liveness');
  });

  it('is proved by traffic of a Child SA, inbound only', () => {
    const sa = quiet();
    assert.equal(deadline(sa, traffic(5000)), 35_000);
    assert.equal(deadline(sa, traffic(undefined, 5000)), 31_000);
    assert.equal(deadline(sa, traffic(500)), 31_000);
    assert.deepEqual(sentAt(34_999, sa, traffic(5000)).actions, []);
    assert.equal(actionsOf(sentAt(35_000, sa, traffic(5000)), 'send').length, 1);
  });

  it('is not asked twice: a request in flight asks already', () => {
    const sa = quiet();
    sentAt(31_000, sa);
    assert.equal(deadline(sa), undefined);
    assert.deepEqual(sentAt(99_000, sa).actions, []);
  });

  it('is not asked without dpd_delay', () => {
    const sa = quiet();
    sa.connection = connection({ dpdDelaySeconds: 0 });
    assert.equal(deadline(sa), undefined);
    assert.deepEqual(sentAt(99_000, sa).actions, []);
  });

  it('is not asked before the IKE SA is up', () => {
    const pair = sites(connection({ dpdDelaySeconds: DPD }));
    initiate(pair);
    pair.run(1000, () => pair.b.engine.halfOpen === 1);
    const halfOpen = onlyIkeSa(pair.b);
    assert.equal(halfOpen.inFlight, undefined);
    assert.equal(deadline(halfOpen), undefined);
    assert.deepEqual(sentAt(99_000, halfOpen).actions, []);
  });
});

describe('NAT keepalives (RFC 3948 §4)', () => {
  /** Side a sits behind a NAT. */
  function translated(): Pair {
    const pair = sites();
    const outside = endpoint('198.51.100.1').address;
    const inside = endpoint('192.0.2.1').address;
    pair.translate = ({ from, to, octets }) => ({
      from: from.address.octets.join('.') === '192.0.2.1' ? { ...from, address: outside } : from,
      to: to.address.octets.join('.') === '198.51.100.1' ? { ...to, address: inside } : to,
      octets,
    });
    initiate(pair);
    pair.run(1000, () => pair.a.outcomes.has(1));
    assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
    return pair;
  }

  it('go out from behind a NAT when nothing else did', () => {
    const sa = quiet(translated());
    assert.equal(deadline(sa), 21_000);
    assert.deepEqual(sentAt(20_999, sa).actions, []);
    assert.deepEqual(sentAt(21_000, sa).actions, [
      { kind: 'send-nat-keepalive', local: sa.local, remote: sa.remote },
    ]);
    assert.equal(deadline(sa), 41_000);
  });

  it('are saved by traffic of a Child SA, outbound only', () => {
    const sa = quiet(translated());
    assert.equal(deadline(sa, traffic(undefined, 5000)), 25_000);
    assert.equal(deadline(sa, traffic(5000)), 21_000);
  });

  it('go at the pace of keep_alive, or not at all', () => {
    const sa = quiet(translated());
    const every = (keepAliveSeconds: number) =>
      deadline(sa, { settings: { ...DEFAULT_IKE_SETTINGS, keepAliveSeconds } });
    assert.equal(every(5), 6000);
    assert.equal(every(0), undefined);
  });

  it('are not sent by whoever is not behind a NAT', () => {
    const sa = onlyIkeSa(translated().b);
    assert.equal(sa.secured?.nat.remoteBehindNat, true);
    assert.equal(deadline(sa), undefined);
    assert.deepEqual(sentAt(99_000, sa).actions, []);
  });
});
