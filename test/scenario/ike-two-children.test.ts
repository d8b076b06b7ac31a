import assert from 'node:assert/strict';
import { child, connection, network } from '../support/connections.ts';
import { A, B, endpoint, type Pair } from '../support/pair.ts';
import { sites } from '../support/sites.ts';

const TWO = connection({
  children: [
    child(),
    child({
      name: 'other',
      localTs: [network('10.3.0.0/16')],
      remoteTs: [network('10.4.0.0/16')],
    }),
  ],
});

function ask(pair: Pair, request: number, name: string): void {
  const ends = { local: endpoint(A), remote: endpoint(B) };
  pair.handle(pair.a, { kind: 'initiate', request, connection: 'peer', child: name, ...ends });
}

describe('Two children of one connection (RFC 7296 §1.3.1)', () => {
  const CREATED = [
    '-> CREATE_CHILD_SA request 2 [SA No TSi TSr]',
    '<- CREATE_CHILD_SA response 2 [SA No TSi TSr]',
  ];

  function assertBeside(pair: Pair): void {
    for (const side of [pair.a, pair.b]) {
      assert.equal(side.established, 1);
      assert.deepEqual(
        [...side.children.values()].map(({ name }) => name),
        ['net', 'other'],
      );
      assert.deepEqual([...side.outbound.values()], ['now', 'now']);
    }
    const [spisIn, spisOut] = [pair.a, pair.b].map(({ children }, index) =>
      [...children.values()].map((one) => (index === 0 ? one.spiIn : one.spiOut)),
    );
    assert.deepEqual(spisIn, spisOut);
  }

  it('come up one after the other on one IKE SA and stay up beside one another', () => {
    const pair = sites(TWO);
    for (const [request, name] of ['net', 'other'].entries()) {
      ask(pair, request, name);
      pair.run(pair.now + 1000);
      assert.equal(pair.a.outcomes.get(request)?.kind, 'done', name);
    }
    assertBeside(pair);
    assert.deepEqual(pair.ladder.slice(-2), CREATED);
  });

  it('come up on one IKE SA when both are asked for before it is there', () => {
    const pair = sites(TWO);
    for (const [request, name] of ['net', 'other'].entries()) ask(pair, request, name);
    pair.run(1000);
    for (const request of [0, 1]) assert.equal(pair.a.outcomes.get(request)?.kind, 'done');
    assertBeside(pair);
    assert.deepEqual(pair.ladder.slice(-2), CREATED);
  });
});
