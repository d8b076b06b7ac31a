/**
 * Sequence numbers raised after a take-over (RFC 6311 §5.2, §6.4): the octets by hand from the text, both sides.
 */
import assert from 'node:assert/strict';
import { replaySyncQuestion } from '../../src/ike/exchange/replay-counter-sync.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { ExchangeType } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { ownSpiOf } from '../../src/ike/snapshot.ts';
import { decodeBundle, encodeBundle } from '../../src/ike/snapshot-codec.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { loadSecret } from '../support/connections.ts';
import { firstNode } from '../support/fail-over.ts';
import { A, B, endpoint, type Pair, Side } from '../support/pair.ts';
import { initiate, sealed, sites } from '../support/sites.ts';
import { GCM, snapshotsOf } from '../support/snapshots.ts';

function up(): Pair {
  const pair = sites(GCM, undefined, { nodes: firstNode('a') });
  initiate(pair);
  pair.run(1000);
  return pair;
}

function only({ engine }: Side): IkeSa {
  const [sa] = engine.ikeSas();
  assert.ok(sa);
  return sa;
}

/** Another node of side a goes on in doubt. */
function takeOver(pair: Pair): Side {
  const heard = decodeBundle(encodeBundle(snapshotsOf(pair, pair.a)));
  const node = new Side('a', 5150, {}, { sid: 7, skewMs: 0 });
  for (const one of pair.a.pad.connections()) node.pad.load(one);
  loadSecret(node.pad, 'secret');
  pair.a = node;
  pair.handle(node, { kind: 'install-snapshots', bundle: heard });
  const spis = heard.snapshots.map(ownSpiOf);
  pair.handle(node, { kind: 'activate', spis, unsure: true, unvouched: true, paced: true });
  return node;
}

function notify(data: string) {
  return statusNotify(NotifyType.IPSEC_REPLAY_COUNTER_SYNC, fromHex(data));
}

/** What side b makes of a request in its window. */
function heard(pair: Pair, ...data: readonly string[]) {
  const about = { exchangeType: ExchangeType.INFORMATIONAL, id: only(pair.b).window.expectedId };
  const octets = sealed(only(pair.a), about, data.map(notify));
  const input = { kind: 'datagram', local: endpoint(B), remote: endpoint(A), octets } as const;
  return pair.b.engine.handle(input, pair.now);
}

const skips = (actions: ReturnType<typeof heard>) =>
  actions.flatMap((one) => (one.kind === 'skip-numbers' ? [[one.direction, one.count]] : []));

describe('Replay counters after a take-over (RFC 6311 §5.2)', () => {
  it('are said to be raised on request: type 16421 of both, without data', () => {
    const pair = up();
    for (const side of [pair.a, pair.b]) assert.ok(only(side).announced.includes(16_421));
    for (const { payloads } of pair.a.seen('message').slice(-2)) {
      assert.ok(payloads.includes('N(IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED)'));
    }
  });

  it('are asked for in four octets without ESN, in eight with it, not where some have it', () => {
    const sa = only(up().a);
    const [one] = sa.children.values();
    assert.ok(one);
    const asked = () => replaySyncQuestion(sa).map(({ type, data }) => [type, toHex(data)]);
    one.childSa = { ...one.childSa, esn: false };
    assert.deepEqual(asked(), [[16_423, '04000000']]);
    one.childSa = { ...one.childSa, esn: true };
    assert.deepEqual(asked(), [[16_423, '0000000004000000']]);
    const other = Object.assign(Object.create(Object.getPrototypeOf(one)), one);
    other.childSa = { ...one.childSa, id: 99, esn: false };
    sa.children.set(99, other);
    assert.deepEqual(asked(), []);
    sa.children.delete(99);
    sa.announced = sa.announced.filter((type) => type !== 16_421);
    assert.deepEqual(asked(), [], 'nor of a peer that did not say it');
  });

  it('are raised at both ends when a node that was in doubt asks', () => {
    const pair = up();
    const node = takeOver(pair);
    assert.match(
      pair.ladder.at(-1) ?? '',
      /N\(IKEV2_MESSAGE_ID_SYNC\) N\(IPSEC_REPLAY_COUNTER_SYNC\)/,
    );
    assert.deepEqual(node.skipped, [], 'not before the peer has raised its own');
    pair.run(pair.now + 100);
    const count = 2 ** 26;
    const [ours] = node.children.keys();
    const [theirs] = pair.b.children.keys();
    assert.deepEqual(pair.b.skipped, [
      { kind: 'skip-numbers', childSaId: theirs, direction: 'outbound', count },
    ]);
    assert.deepEqual(node.skipped, [
      { kind: 'skip-numbers', childSaId: ours, direction: 'inbound', count },
    ]);
  });

  it('are raised in an exchange with a message id as well', () => {
    assert.deepEqual(skips(heard(up(), '00000040')), [['outbound', 64]]);
    assert.deepEqual(skips(heard(up(), '0000000000000040')), [['outbound', 64]]);
  });

  it('are not raised by a malformed delta, two of them, or a peer that never said it', () => {
    for (const data of [[''], ['000040'], ['000000000040'], ['00000001', '00000001']]) {
      assert.deepEqual(skips(heard(up(), ...data)), []);
    }
    const pair = up();
    only(pair.b).announced = [];
    assert.deepEqual(skips(heard(pair, '00000040')), []);
  });

  it('leap no farther than the peer can tell; beyond, there are new keys', () => {
    assert.deepEqual(skips(heard(up(), '40000000')), [['outbound', 2 ** 30]]);
    const pair = up();
    assert.deepEqual(skips(heard(pair, '40000001')), []);
    const sent = pair.b.engine
      .handle({ kind: 'deadline' }, pair.now)
      .flatMap((one) =>
        one.kind === 'emit' && one.event.kind === 'message' && one.event.direction === 'sent'
          ? [one.event.exchange]
          : [],
      );
    assert.deepEqual(sent, ['CREATE_CHILD_SA']);
  });
});
