import assert from 'node:assert/strict';
import type { ChildPolicy } from '../../src/ipsec/connection.ts';
import { instant } from '../../src/wire/instant.ts';
import { child, connection, mirrored } from '../support/connections.ts';
import type { Pair } from '../support/pair.ts';
import { assertAgreement, tunnel } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';

const NEVER = { rekey: 0, life: 0, random: 0 };

/** A child of site a alone: site b has no wish of its own. */
function ofOneSide(changes: Partial<ChildPolicy>): Pair {
  const plain = { lifetime: { seconds: NEVER, octets: NEVER, packets: NEVER } };
  const one = connection({ children: [child({ ...plain, ...changes })] });
  const other = mirrored(connection({ children: [child(plain)] }));
  const pair = sites(one, other);
  initiate(pair);
  pair.run(1000);
  return pair;
}

function childIdOf(pair: Pair): number {
  const [id] = pair.a.children.keys();
  return id ?? assert.fail('no child');
}

describe('The life of a Child SA (RFC 4301 §4.4.2.1)', () => {
  it('ends at its hard limit in seconds where rekeying is off; the peer is told', () => {
    const seconds = { rekey: 0, life: 100, random: 0 };
    const pair = ofOneSide({ lifetime: { seconds, octets: NEVER, packets: NEVER } });
    pair.run(99_000);
    assertAgreement(pair, 1, 'before the end');
    pair.run(110_000);
    assertAgreement(pair, 0, 'after the end');
    assert.equal(pair.a.seen('child-sa-down')[0]?.reason, 'its life ended');
  });

  it('begins again where close_action says so', () => {
    const seconds = { rekey: 0, life: 100, random: 0 };
    const lifetime = { seconds, octets: NEVER, packets: NEVER };
    for (const [closeAction, reinitiated, traps] of [
      ['start', ['peer/net'], []],
      ['trap', [], ['peer/net']],
      ['none', [], []],
    ] as const) {
      const pair = ofOneSide({ lifetime, closeAction });
      pair.run(110_000);
      assert.deepEqual(pair.a.reinitiated, reinitiated, closeAction);
      assert.deepEqual(pair.a.traps, traps, closeAction);
    }
  });

  it('is renewed at a soft limit of traffic, and ends at a hard one', () => {
    const pair = ofOneSide({});
    pair.handle(pair.a, { kind: 'traffic-limit', childSaId: childIdOf(pair), limit: 'soft' });
    pair.run(20_000);
    assertAgreement(pair, 1, 'after the soft limit');
    assert.equal(pair.a.seen('child-sa-rekeyed').length, 1);
    const before = childIdOf(pair);
    pair.handle(pair.a, { kind: 'traffic-limit', childSaId: before, limit: 'hard' });
    assert.equal(pair.a.outbound.get(before), 'never');
    pair.run(40_000);
    assertAgreement(pair, 0, 'after the hard limit');
  });

  it('draws soft limits below what is configured, and hands all limits to the packet loop', () => {
    const octets = { rekey: 1000, life: 2000, random: 500 };
    const packets = { rekey: 10, life: 20, random: 5 };
    const pair = ofOneSide({ lifetime: { seconds: NEVER, octets, packets } });
    const [childSa] = pair.a.children.values();
    const { softOctets = 0, softPackets = 0, ...hard } = childSa?.limits ?? {};
    assert.ok(softOctets >= 500 && softOctets <= 1000 && softPackets >= 5 && softPackets <= 10);
    assert.deepEqual(hard, { hardOctets: 2000, hardPackets: 20 });
  });

  it('ends when nothing passed for the time of inactivity, and not before', () => {
    const pair = ofOneSide({ inactivitySeconds: 60 });
    pair.run(50_000);
    pair.a.lastOutbound = instant(50_000);
    pair.run(105_000);
    assertAgreement(pair, 1, 'while it was used');
    pair.run(115_000);
    assertAgreement(pair, 0, 'after the idle time');
    assert.equal(pair.a.seen('child-sa-down')[0]?.reason, 'nothing passed for 60 seconds');
  });
});

describe('The life of an IKE SA (RFC 7296 §2.8)', () => {
  it('is renewed by rekeying again and again, whoever is first', () => {
    const lifetime = { rekey: 100, reauth: 0, over: 10, random: 20 };
    const pair = tunnel(connection({ lifetime }));
    pair.trafficEveryMs = 100;
    pair.run(2_000_000);
    pair.trafficEveryMs = 0;
    pair.run(2_005_000);
    assertAgreement(pair, 1, 'after twenty lives');
    assert.ok(pair.a.seen('ike-sa-rekeyed').length >= 15);
    assert.equal(pair.a.packetsLost + pair.b.packetsLost, 0);
    assert.equal(pair.a.seen('ike-sa-down').length, 0);
  });

  it('ends over_time after it should have been replaced, if the peer does not let us', () => {
    const lifetime = { rekey: 100, reauth: 0, over: 50, random: 0 };
    const pair = tunnel(connection({ lifetime }), {});
    const [ofB] = pair.b.engine.ikeSas();
    assert.ok(ofB);
    ofB.rekeyAt = undefined;
    ofB.expireAt = undefined;
    // CREATE_CHILD_SA (36) gets lost, everything else passes.
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    pair.translate = (flight) => (flight.octets[18] === 36 ? undefined : flight);
    pair.run(149_000);
    assert.equal(sa.state.name === 'Closed', false);
    pair.run(600_000);
    assert.equal(pair.a.established, 0);
  });
});
