import assert from 'node:assert/strict';
import type { Connection } from '../../src/ipsec/connection.ts';
import { child, connection, fqdn, mirrored, network } from '../support/connections.ts';
import type { Pair } from '../support/pair.ts';
import { initiate, sites, terminate } from '../support/sites.ts';

const SECOND_NET = child({ remoteTs: [network('10.3.0.0/16')] });

/** Site a holds two connections to site b under the same identities. */
function twice(changes: Partial<Connection> = {}): Pair {
  const one = connection(changes);
  const two = connection({ ...changes, name: 'other', children: [SECOND_NET] });
  const all = { ...mirrored(one), children: [one, two].flatMap((each) => mirrored(each).children) };
  const pair = sites(one, all);
  pair.a.pad.load(two);
  return pair;
}

describe('INITIAL_CONTACT (RFC 7296 §2.4)', () => {
  it('is not claimed while another IKE SA comes up between the same identities', () => {
    const pair = twice();
    initiate(pair, pair.a, { request: 1 });
    initiate(pair, pair.a, { request: 2, name: 'other' });
    pair.run(1000);
    assert.equal(pair.a.established, 2);
    assert.equal(pair.b.established, 2);
    assert.equal(pair.b.children.size, 2);
  });

  it('is not claimed towards a peer whose identity is not known beforehand', () => {
    const pair = twice({ remote: { method: 'psk', id: { text: '%any' } } });
    pair.b.pad.load({
      ...(pair.b.pad.connection('peer') ?? connection()),
      local: { method: 'psk', id: { text: 'b.lab', identity: fqdn('b.lab') } },
    });
    initiate(pair, pair.a, { request: 1 });
    pair.run(1000);
    initiate(pair, pair.a, { request: 2, name: 'other' });
    pair.run(2000);
    assert.equal(pair.b.established, 2);
    assert.equal(
      pair.ladder.some((line) => line.includes('INITIAL_CONTACT')),
      false,
    );
  });

  it('closes what the peer may still hold, and says so', () => {
    const pair = sites();
    initiate(pair);
    pair.run(1000);
    // The peer loses its SA without a word, and comes back.
    pair.wire = { loss: 1 };
    terminate(pair, pair.a, 2, true);
    pair.run(2000);
    pair.wire = {};
    initiate(pair, pair.a, { request: 3 });
    pair.run(3000);
    assert.equal(pair.b.established, 1);
    assert.equal(pair.b.children.size, 1);
    assert.ok(pair.ladder.includes('<- INFORMATIONAL request 0 [D]'));
  });
});

describe('unique (swanctl.conf)', () => {
  const cases: readonly [Connection['unique'], number, number, string][] = [
    ['no', 2, 2, 'done'],
    ['never', 2, 2, 'done'],
    ['replace', 1, 1, 'done'],
    ['keep', 1, 1, 'authentication-failed'],
  ];
  for (const [unique, atA, atB, outcome] of cases) {
    it(`${unique}: a second IKE SA of one peer`, () => {
      const pair = twice({ unique });
      initiate(pair, pair.a, { request: 1 });
      pair.run(1000);
      initiate(pair, pair.a, { request: 2, name: 'other' });
      pair.run(2000);
      assert.equal(pair.a.outcomes.get(2)?.kind, outcome);
      assert.equal(pair.a.established, atA);
      assert.equal(pair.b.established, atB);
      assert.equal(pair.a.children.size, atA);
    });
  }

  it('another peer is none of its business', () => {
    const one = connection({ unique: 'replace' });
    const pair = sites(one, { ...mirrored(one), remote: { method: 'psk', id: { text: '%any' } } });
    const c = { method: 'psk', id: { text: 'c.lab', identity: fqdn('c.lab') } } as const;
    pair.a.pad.load(connection({ name: 'other', local: c }));
    initiate(pair, pair.a, { request: 1 });
    pair.run(1000);
    initiate(pair, pair.a, { request: 2, name: 'other' });
    pair.run(2000);
    assert.equal(pair.b.established, 2);
  });
});
