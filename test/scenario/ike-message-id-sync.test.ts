/**
 * Message ids said anew after a take-over by a node that had not heard of everything (RFC 6311).
 */
import assert from 'node:assert/strict';
import { ExchangeType } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { ownSpiOf, type SnapshotBundle } from '../../src/ike/snapshot.ts';
import { decodeBundle, encodeBundle } from '../../src/ike/snapshot-codec.ts';
import { loadSecret } from '../support/connections.ts';
import { assertNothingTwice, firstNode } from '../support/fail-over.ts';
import { A, B, endpoint, type Pair, Side } from '../support/pair.ts';
import { assertAgreement, rekey } from '../support/rekeying.ts';
import { initiate, sealed, sites } from '../support/sites.ts';
import { GCM, snapshotsOf } from '../support/snapshots.ts';

type Which = 'a' | 'b';

/** Both ends ask each other several things, so many times; the second node has heard of none of it. */
function stale(
  which: Which,
  exchanges: number,
): { readonly pair: Pair; readonly heard: SnapshotBundle } {
  const pair = sites(GCM, undefined, { nodes: firstNode(which) });
  initiate(pair);
  pair.run(1000);
  const heard = decodeBundle(encodeBundle(snapshotsOf(pair, pair[which])));
  for (let at = 0; at < exchanges; at++) {
    for (const side of [pair.a, pair.b]) check(pair, side);
    pair.run(pair.now + 10);
  }
  return { pair, heard };
}

/** A few INFORMATIONAL exchanges, one after the other. */
function check(pair: Pair, side: Side): void {
  const [sa] = side.engine.ikeSas();
  assert.ok(sa);
  pair.handle(side, { kind: 'measure-path', request: 100, ikeSaId: sa.id, most: 600 });
}

/** The second node takes over, sure of itself or not. */
function takeOver(pair: Pair, which: Which, heard: SnapshotBundle, unsure: boolean): Side {
  const node = new Side(which, 5150, {}, { sid: 7, skewMs: 123_456 });
  for (const one of pair[which].pad.connections()) node.pad.load(one);
  loadSecret(node.pad, 'secret');
  pair[which] = node;
  pair.handle(node, { kind: 'install-snapshots', bundle: heard });
  pair.handle(node, { kind: 'activate', spis: heard.snapshots.map(ownSpiOf), unsure });
  return node;
}

const synced = ({ ladder }: Pair) =>
  ladder.filter((line) => line.includes('N(IKEV2_MESSAGE_ID_SYNC)')).length;

describe('Message ids after a take-over (RFC 6311)', () => {
  for (const which of ['a', 'b'] as const) {
    for (const exchanges of [0, 1, 2, 5]) {
      it(`${which} missed ${exchanges} rounds of exchanges: it asks, and both go on`, () => {
        const { pair, heard } = stale(which, exchanges);
        const before = pair.flights.length;
        takeOver(pair, which, heard, true);
        pair.run(pair.now + 60_000);
        assert.ok(synced(pair) >= 2, pair.ladder.join('\n'));
        assert.ok(exchanges > 0 || synced(pair) === 2, 'the first question is answered');
        assert.ok(
          pair.ladder.some((line) => line.includes('response 0 [N(IKEV2_MESSAGE_ID_SYNC)]')),
        );
        for (const side of [pair.a, pair.b]) {
          const last = [...side.children.keys()];
          rekey(pair, side, 'child', 2);
          pair.run(pair.now + 20_000);
          assert.notDeepEqual([...side.children.keys()], last, `${side.name} rekeys`);
        }
        assertAgreement(pair, 1, `${exchanges} exchanges missed`);
        for (const side of [pair.a, pair.b]) assert.deepEqual(side.seen('peer-unreachable'), []);
        assert.ok(pair.flights.length > before);
      });
    }
  }

  it('is not asked where nothing was missed: the ids of the snapshot are good', () => {
    const { pair, heard } = stale('a', 0);
    takeOver(pair, 'a', heard, false);
    rekey(pair, pair.a, 'child', 2);
    pair.run(pair.now + 20_000);
    assert.equal(synced(pair), 0);
    assertNothingTwice(pair.flights, 'no question');
    assertAgreement(pair, 1, 'no question');
  });

  it('shows that without a question a node that missed something is lost', () => {
    const { pair, heard } = stale('a', 2);
    takeOver(pair, 'a', heard, false);
    rekey(pair, pair.a, 'child', 2);
    pair.run(pair.now + 300_000);
    assert.equal(pair.a.seen('peer-unreachable').length, 1);
  });

  it('asks again, higher, when a question is lost, and gives up where nobody answers', () => {
    const { pair, heard } = stale('a', 0);
    pair.wire = { loss: 1 };
    const node = takeOver(pair, 'a', heard, true);
    pair.run(pair.now + 3000);
    pair.wire = {};
    pair.run(pair.now + 5000);
    assert.equal(synced(pair), 3);
    rekey(pair, node, 'child', 2);
    pair.run(pair.now + 20_000);
    assertAgreement(pair, 1, 'the second question');

    const other = stale('a', 0);
    other.pair.wire = { loss: 1 };
    takeOver(other.pair, 'a', other.heard, true);
    other.pair.run(other.pair.now + 25_000);
    assert.equal(synced(other.pair), 6);
    other.pair.run(other.pair.now + 300_000);
    // Of this IKE SA, and of the one that was to take its place.
    assert.equal(other.pair.a.seen('peer-unreachable').length, 2);
  });

  it('answers no question twice, none that goes back, none of who cannot ask', () => {
    const { pair } = stale('a', 3);
    const [asker] = pair.a.engine.ikeSas();
    const [answerer] = pair.b.engine.ikeSas();
    assert.ok(asker && answerer);
    const question = (send: number, receive: number, length = 12) => {
      const data = new Uint8Array(length).fill(7);
      new DataView(data.buffer).setUint32(4, send);
      if (length >= 12) new DataView(data.buffer).setUint32(8, receive);
      const about = { exchangeType: ExchangeType.INFORMATIONAL, id: 0 };
      return sealed(asker, about, [statusNotify(NotifyType.IKEV2_MESSAGE_ID_SYNC, data)]);
    };
    const answers = (octets: Uint8Array) =>
      pair.b.engine
        .handle({ kind: 'datagram', local: endpoint(B), remote: endpoint(A), octets }, pair.now)
        .filter(({ kind }) => kind === 'send').length;
    const { expectedId } = answerer.window;
    assert.ok(expectedId > 2);
    assert.equal(answers(question(expectedId - 1, 0)), 0, 'it was seen');
    const good = question(expectedId, 0);
    assert.equal(answers(good), 1);
    assert.equal(answers(good), 0, 'a replay');
    assert.equal(answers(question(expectedId + 4, 0)), 1);
    assert.equal(answerer.window.expectedId, expectedId + 4);
    assert.equal(answers(question(expectedId + 3, 0)), 0, 'it goes back');
    assert.equal(answers(question(expectedId + 9, 0, 8)), 0, 'too short');
    answerer.announced = [];
    assert.equal(answers(question(expectedId + 9, 0)), 0, 'never negotiated');
    assert.equal(pair.b.seen('ike-drop').length, 0, 'counted in the actions of each');
  });

  it('is asked no more once the IKE SA is gone', () => {
    const { pair, heard } = stale('a', 0);
    pair.wire = { loss: 1 };
    const node = takeOver(pair, 'a', heard, true);
    pair.handle(node, { kind: 'terminate', request: 4, selector: {}, force: true });
    const asked = synced(pair);
    pair.run(pair.now + 60_000);
    assert.equal(synced(pair), asked);
    assert.equal(node.engine.nextDeadline(), undefined);
  });

  it('is said by an initiator always, by a responder to who said it', () => {
    const { pair } = stale('a', 0);
    for (const side of [pair.a, pair.b]) {
      const messages = side.seen('message').filter(({ exchange }) => exchange === 'IKE_AUTH');
      assert.equal(messages.length, 2);
      for (const { payloads } of messages) {
        assert.ok(payloads.includes('N(IKEV2_MESSAGE_ID_SYNC_SUPPORTED)'));
      }
    }
  });
});
