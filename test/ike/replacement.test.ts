import assert from 'node:assert/strict';
import { connection } from '../support/connections.ts';
import type { Pair } from '../support/pair.ts';
import { assertAgreement, tunnel } from '../support/rekeying.ts';

function reauthenticate(pair: Pair, request: number): void {
  const selector = { ike: 'peer' };
  pair.handle(pair.a, { kind: 'rekey', request, selector, reauthenticate: true });
}

describe('Replacing SAs on demand', () => {
  it('begins nothing twice, however fast an operator asks', () => {
    const pair = tunnel(connection());
    for (let request = 10; request < 20; request++) {
      reauthenticate(pair, request);
      pair.run(pair.now + 200);
    }
    const { a } = pair;
    // The one that stands, and those that still take what is under way to them.
    assert.ok(a.established <= 1 + 5, `${a.established} IKE SAs are up`);
    pair.run(pair.now + 60_000);
    assertAgreement(pair, 1, 'after ten requests in two seconds');
  });

  it('says so where what is named is being replaced already', () => {
    const pair = tunnel(connection());
    reauthenticate(pair, 10);
    reauthenticate(pair, 11);
    assert.equal(pair.a.outcomes.get(10)?.kind, 'done');
    assert.deepEqual(pair.a.outcomes.get(11), {
      kind: 'failed',
      what: 'no matching SAs to rekey found',
    });
  });
});
