import assert from 'node:assert/strict';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType } from '../../src/ike/message/message.ts';
import { child, connection } from '../support/connections.ts';
import type { Flight } from '../support/pair.ts';
import { assertAgreement, deleteChild, rekey, tunnel } from '../support/rekeying.ts';

function ladderFrom(pair: ReturnType<typeof tunnel>, line: number): readonly string[] {
  return pair.ladder.slice(line);
}

describe('Rekeying a Child SA (RFC 7296 §1.3.3, §2.8)', () => {
  it('replaces it and deletes the old one', () => {
    const pair = tunnel();
    const before = pair.ladder.length;
    const [old] = pair.a.children.values();
    rekey(pair, pair.a, 'child', 2);
    pair.run(2000);
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    assert.deepEqual(ladderFrom(pair, before), [
      '-> CREATE_CHILD_SA request 2 [N(REKEY_SA) SA No TSi TSr]',
      '<- CREATE_CHILD_SA response 2 [SA No TSi TSr]',
      '-> INFORMATIONAL request 3 [D]',
      '<- INFORMATIONAL response 3 [D]',
    ]);
    // What is under way under the old keys is still taken for a while.
    assert.equal(pair.a.children.size, 2);
    pair.run(20_000);
    assertAgreement(pair, 1, 'after the rekey');
    const [young] = pair.a.children.values();
    assert.notEqual(young?.spiIn, old?.spiIn);
    assert.equal(young?.reqid, old?.reqid);
    assert.equal(pair.a.seen('child-sa-rekeyed').length, 1);
    assert.equal(pair.b.seen('child-sa-down').length, 0);
  });

  it('takes packets that the Delete of the old one overtook', () => {
    const pair = tunnel();
    pair.trafficEveryMs = 10;
    pair.trafficDelayMs = 4000;
    rekey(pair, pair.a, 'child', 2);
    pair.run(10_000);
    assert.equal(pair.a.packetsLost + pair.b.packetsLost, 0);
  });

  it('is not made of an answer whose SA the peer has deleted meanwhile', () => {
    const pair = tunnel();
    const answers = ({ octets, from }: Flight) =>
      from.address.octets[3] === 2 && decodeHeader(octets).isResponse;
    rekey(pair, pair.a, 'child', 2);
    // The answer to the rekey is lost for now; the peer's operator takes everything down.
    pair.translate = (flight) => (answers(flight) ? undefined : flight);
    pair.run(pair.now + 100);
    deleteChild(pair, pair.b, 3);
    pair.run(pair.now + 100);
    pair.translate = (flight) => flight;
    pair.run(pair.now + 60_000);
    assertAgreement(pair, 0, 'after the Delete');
  });

  it('is done by the responder of the IKE SA as well', () => {
    const pair = tunnel();
    rekey(pair, pair.b, 'child', 2);
    pair.run(20_000);
    assertAgreement(pair, 1, 'after the rekey');
  });

  it('happens by itself before the life of the SA ends', () => {
    const seconds = { rekey: 100, life: 110, random: 10 };
    const none = { rekey: 0, life: 0, random: 0 };
    const one = child({ lifetime: { seconds, octets: none, packets: none } });
    const pair = tunnel(connection({ children: [one] }));
    pair.trafficEveryMs = 50;
    pair.run(1_000_000);
    pair.trafficEveryMs = 0;
    pair.run(1_010_000);
    assertAgreement(pair, 1, 'after many lives');
    assert.ok(pair.a.seen('child-sa-rekeyed').length >= 9);
    for (const { packetsLost, packetsSent } of [pair.a, pair.b]) {
      assert.ok(packetsSent > 10_000);
      assert.equal(packetsLost, 0);
    }
  });
});

describe('Rekeying the IKE SA (RFC 7296 §1.3.2, §2.18)', () => {
  it('replaces it; the new one inherits the Child SAs', () => {
    const pair = tunnel();
    const before = pair.ladder.length;
    const [old] = pair.a.engine.ikeSas();
    rekey(pair, pair.a, 'ike', 2);
    pair.run(2000);
    assert.deepEqual(ladderFrom(pair, before), [
      '-> CREATE_CHILD_SA request 2 [SA No KE]',
      '<- CREATE_CHILD_SA response 2 [SA No KE]',
      '-> INFORMATIONAL request 3 [D]',
      '<- INFORMATIONAL response 3 []',
    ]);
    assertAgreement(pair, 1, 'after the rekey');
    const [young] = pair.a.engine.ikeSas();
    assert.notEqual(young?.spiI, old?.spiI);
    assert.equal(pair.a.seen('ike-sa-rekeyed').length, 1);
    assert.equal(pair.a.seen('ike-sa-down').length, 0);
    assert.equal(pair.b.seen('ike-sa-down').length, 0);
  });

  it('makes the responder an initiator where it begins', () => {
    const pair = tunnel();
    rekey(pair, pair.b, 'ike', 2);
    pair.run(2000);
    assertAgreement(pair, 1, 'after the rekey');
    assert.equal(pair.b.engine.ikeSas()[0]?.initiator, true);
    // Over the new one everything goes on.
    rekey(pair, pair.a, 'child', 3);
    rekey(pair, pair.a, 'ike', 4);
    pair.run(30_000);
    assertAgreement(pair, 1, 'after three rekeys');
  });
});

describe('A peer that replaces and does not delete (RFC 7296 §2.8)', () => {
  /** Site b rekeys the Child SA, and its Deletes get lost. */
  function withoutDelete() {
    const pair = tunnel();
    pair.translate = (flight) => {
      const { exchangeType, isResponse } = decodeHeader(flight.octets);
      const fromB = flight.from.address.octets[3] === 2;
      return fromB && !isResponse && exchangeType === ExchangeType.INFORMATIONAL
        ? undefined
        : flight;
    };
    return pair;
  }

  it('gets the Delete from us after a while, and our traffic takes the new SA', () => {
    const pair = withoutDelete();
    rekey(pair, pair.b, 'child', 2);
    pair.run(50_000);
    const sends = () => [...pair.a.outbound.values()].filter((use) => use === 'now').length;
    assert.deepEqual([...pair.a.outbound.values()], ['now', 'after-inbound']);
    pair.run(70_000);
    assert.equal(sends(), 1);
    assert.equal([...pair.a.outbound.values()].at(-1), 'now');
    pair.run(90_000);
    assert.equal(pair.a.children.size, 1);
  });

  it('is no alarm when it stays silent about an IKE SA that was replaced', () => {
    const pair = tunnel();
    rekey(pair, pair.a, 'ike', 2);
    // Everything about the old IKE SA gets lost from now on.
    const [old] = pair.a.engine.ikeSas();
    pair.run(pair.now + 2);
    pair.translate = (flight) =>
      decodeHeader(flight.octets).initiatorSpi === old?.spiI ? undefined : flight;
    pair.run(400_000);
    assert.equal(pair.a.seen('peer-unreachable').length, 0);
    assert.equal(pair.a.established, 1);
  });
});
