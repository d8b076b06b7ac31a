import assert from 'node:assert/strict';
import type { Action } from '../../src/ike/action.ts';
import { ownSpiOf, type SnapshotBundle } from '../../src/ike/snapshot.ts';
import { WriteAhead } from '../../src/ike/write-ahead.ts';
import { instant } from '../../src/wire/instant.ts';
import { A, B, endpoint } from '../support/pair.ts';
import { initiate } from '../support/sites.ts';
import { followedPair, plainSnapshot } from '../support/snapshots.ts';

const plain = plainSnapshot();
const spi = ownSpiOf(plain);
const bundle: SnapshotBundle = { snapshots: [plain], gone: [] };
const ends = { local: endpoint(A), remote: endpoint(B) };

function message(text: string, after = spi): Action {
  return { kind: 'send', ...ends, octets: new TextEncoder().encode(text), after };
}

const texts = (actions: readonly Action[]) =>
  actions.map((one) => (one.kind === 'send' ? new TextDecoder().decode(one.octets) : one.kind));

describe('Write-ahead of several nodes', () => {
  it('keeps a message until another node holds its IKE SA, and nothing else', () => {
    const ahead = new WriteAhead();
    const ticket = ahead.send(bundle, instant(0));
    const keepalive: Action = { kind: 'send-nat-keepalive', ...ends };
    const refusal: Action = { kind: 'send', ...ends, octets: new Uint8Array() };
    const other = message('of another', plain.spiR);
    assert.deepEqual(texts(ahead.pass([message('first'), keepalive, refusal, other])), [
      'send-nat-keepalive',
      '',
      'of another',
    ]);
    assert.equal(ahead.held, 1);
    assert.deepEqual(texts(ahead.acknowledge(ticket)), ['first']);
    assert.deepEqual(texts(ahead.acknowledge(ticket)), []);
    assert.equal(ahead.nextDeadline(), undefined);
    assert.deepEqual(texts(ahead.pass([message('later')])), ['later']);
  });

  it('keeps the messages of an IKE SA in order, whatever is acknowledged first', () => {
    const ahead = new WriteAhead();
    const first = ahead.send(bundle, instant(0));
    ahead.pass([message('one')]);
    const second = ahead.send(bundle, instant(1));
    ahead.pass([message('two')]);
    assert.deepEqual(texts(ahead.acknowledge(second)), []);
    assert.deepEqual(texts(ahead.acknowledge(first)), ['one', 'two']);
  });

  it('keeps a repetition as long as the first one', () => {
    const ahead = new WriteAhead();
    const ticket = ahead.send(bundle, instant(0));
    ahead.pass([message('answer')]);
    assert.deepEqual(texts(ahead.pass([message('answer')])), []);
    assert.deepEqual(texts(ahead.acknowledge(ticket)), ['answer', 'answer']);
  });

  it('lets go of what is deferred only when somebody has it, or nobody is there', () => {
    const isDeferred = (octets: Uint8Array) => new TextDecoder().decode(octets) === 'welcome';
    for (const end of ['acknowledged', 'abandoned'] as const) {
      const ahead = new WriteAhead({ patienceMs: 5, isDeferred });
      const ticket = ahead.send(bundle, instant(0));
      assert.deepEqual(ahead.pass([message('welcome'), message('later')]), []);
      assert.deepEqual(texts(ahead.expire(instant(5))), ['later']);
      assert.deepEqual(texts(ahead.pass([message('welcome'), message('more')])), ['more']);
      const last = end === 'acknowledged' ? ahead.acknowledge(ticket) : ahead.abandon();
      assert.deepEqual(texts(last), ['welcome', 'welcome']);
    }
  });

  it('waits no longer than its patience, and remembers what nobody has', () => {
    const ahead = new WriteAhead({ patienceMs: 5 });
    const ticket = ahead.send(bundle, instant(100));
    ahead.pass([message('late')]);
    assert.equal(ahead.nextDeadline(), 105);
    assert.deepEqual(texts(ahead.expire(instant(104))), []);
    assert.deepEqual([...ahead.unsynced], []);
    assert.deepEqual(texts(ahead.expire(instant(105))), ['late']);
    assert.deepEqual([...ahead.unsynced], [spi]);
    assert.equal(ahead.nextDeadline(), undefined);
    assert.deepEqual(texts(ahead.pass([message('at once')])), ['at once']);
    assert.deepEqual(texts(ahead.acknowledge(ticket)), []);
    assert.deepEqual([...ahead.unsynced], []);
  });

  it('lets everything go where nobody is left', () => {
    const ahead = new WriteAhead();
    ahead.send(bundle, instant(0));
    ahead.pass([message('alone')]);
    assert.deepEqual(texts(ahead.abandon()), ['alone']);
    assert.equal(ahead.held + ahead.unsynced.size, 0);
    assert.equal(ahead.nextDeadline(), undefined);
  });

  it('lets no message of the engine go before its snapshot', () => {
    const pair = followedPair();
    const gates = new Map([pair.a, pair.b].map((side) => [side, new WriteAhead()]));
    let acknowledged = 0;
    pair.settle = (side, actions) => {
      const ahead = gates.get(side)!;
      const changes = side.engine.takeChanges(pair.now);
      const ticket = changes && ahead.send(changes, pair.now);
      const ready = ahead.pass(actions);
      assert.ok(ready.every(({ kind }) => kind !== 'send'));
      if (ticket === undefined) return ready;
      acknowledged++;
      return [...ready, ...ahead.acknowledge(ticket)];
    };
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.a.established + pair.b.established, 2);
    assert.ok(acknowledged >= 4);
  });
});
