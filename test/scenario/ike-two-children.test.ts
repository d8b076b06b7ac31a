import assert from 'node:assert/strict';
import { child, connection, loadSecret, mirrored, network } from '../support/connections.ts';
import { A, B, endpoint, Pair } from '../support/pair.ts';

describe('Two children of one connection, before CREATE_CHILD_SA is granted', () => {
  it('come up on an IKE SA each and stay up beside one another', () => {
    const children = [
      child(),
      child({
        name: 'other',
        localTs: [network('10.3.0.0/16')],
        remoteTs: [network('10.4.0.0/16')],
      }),
    ];
    const one = connection({ children });
    const pair = new Pair();
    pair.a.pad.load(one);
    pair.b.pad.load(mirrored(one));
    for (const side of [pair.a, pair.b]) loadSecret(side.pad, 'secret');
    for (const [index, name] of ['net', 'other'].entries()) {
      pair.handle(pair.a, {
        kind: 'initiate',
        request: index,
        connection: 'peer',
        child: name,
        local: endpoint(A),
        remote: endpoint(B),
      });
      pair.run(pair.now + 1000);
      assert.equal(pair.a.outcomes.get(index)?.kind, 'done', name);
    }
    for (const side of [pair.a, pair.b]) {
      assert.equal(side.established, 2);
      assert.deepEqual(
        [...side.children.values()].map(({ name }) => name),
        ['net', 'other'],
      );
    }
  });
});
