import assert from 'node:assert/strict';
import { currentConnection } from '../../src/ike/current-policy.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { established, onlyIkeSa } from '../support/child-sas.ts';
import { child, connection, fqdn, network } from '../support/connections.ts';
import type { Pair, Side } from '../support/pair.ts';
import { turnAt } from '../support/turns.ts';

const lifetime = {
  seconds: { rekey: 600, life: 700, random: 0 },
  octets: { rekey: 0, life: 0, random: 0 },
  packets: { rekey: 0, life: 0, random: 0 },
};

/** What the side's Child SAs that stay were made under. */
function lives(side: Side): readonly number[] {
  return onlyIkeSa(side).childrenUp.map(({ policy }) => policy.lifetime.seconds.rekey);
}

function rekey(pair: Pair, selector: { readonly child?: string }): void {
  const request = 70 + pair.a.outcomes.size;
  pair.handle(pair.a, { kind: 'rekey', request, selector, reauthenticate: false });
  pair.run(pair.now + 1000, () => pair.a.outcomes.has(request));
  assert.equal(pair.a.outcomes.get(request)?.kind, 'done');
  pair.run(pair.now + 10_000);
}

/** The connection of a side with other children, everything else the same. */
function changed({ pad }: Side, changes: Partial<Connection>): Connection {
  const loaded = pad.connection('peer');
  assert.ok(loaded);
  return { ...loaded, ...changes };
}

describe('A connection that changes while it is up', () => {
  it('leaves SAs alone until they are rekeyed, by either end', () => {
    const pair = established();
    for (const side of [pair.a, pair.b]) {
      const [policy] = side.pad.connection('peer')?.children ?? [];
      assert.ok(policy);
      side.pad.load(changed(side, { children: [{ ...policy, lifetime }] }));
    }
    pair.run(pair.now + 1000);
    assert.deepEqual([lives(pair.a), lives(pair.b)], [[3600], [3600]]);
    rekey(pair, { child: 'net' });
    assert.deepEqual([lives(pair.a), lives(pair.b)], [[600], [600]]);
  });

  it('keeps what it had where the child is gone', () => {
    const pair = established();
    pair.a.pad.load(changed(pair.a, { children: [child({ name: 'other' })] }));
    pair.b.pad.unload('peer');
    rekey(pair, { child: 'net' });
    assert.deepEqual([lives(pair.a), lives(pair.b)], [[3600], [3600]]);
  });

  it('takes a new child over the IKE SA that is up', () => {
    const pair = established();
    for (const [side, local, remote] of [
      [pair.a, '10.7.0.0/16', '10.8.0.0/16'],
      [pair.b, '10.8.0.0/16', '10.7.0.0/16'],
    ] as const) {
      const added = child({ name: 'new', localTs: [network(local)], remoteTs: [network(remote)] });
      const { children } = changed(side, {});
      side.pad.load(changed(side, { children: [...children, added] }));
    }
    const { local, remote } = onlyIkeSa(pair.a);
    const name = { connection: 'peer', child: 'new' };
    pair.handle(pair.a, { kind: 'initiate', request: 9, ...name, local, remote });
    pair.run(pair.now + 1000, () => pair.a.outcomes.has(9));
    assert.equal(pair.a.outcomes.get(9)?.kind, 'done');
    assert.equal(onlyIkeSa(pair.a).childrenUp.length, 2);
  });

  it('gives a rekeyed IKE SA its new times', () => {
    const pair = established();
    const ike = { rekey: 500, reauth: 0, over: 50, random: 0 };
    for (const side of [pair.a, pair.b]) side.pad.load(changed(side, { lifetime: ike }));
    rekey(pair, {});
    assert.equal(onlyIkeSa(pair.a).connection.lifetime.rekey, 500);
    assert.equal(onlyIkeSa(pair.b).connection.lifetime.rekey, 500);
  });

  it('means nothing to an IKE SA whose peer proved itself to another', () => {
    const { a } = established();
    const sa = onlyIkeSa(a);
    const turn = turnAt(1000, { pad: a.pad });
    const stranger = { text: 'c.lab', identity: fqdn('c.lab') };
    a.pad.load(changed(a, { remote: { method: 'psk', id: stranger } }));
    assert.equal(currentConnection(turn, sa), sa.connection);
    a.pad.load(connection({ encap: true }));
    assert.equal(currentConnection(turn, sa).encap, true);
    a.pad.unload('peer');
    assert.equal(currentConnection(turn, sa), sa.connection);
  });
});
