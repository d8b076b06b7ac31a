import assert from 'node:assert/strict';
import { connection } from '../support/connections.ts';
import { assertAgreement, rekey } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';

describe('A request of an address that was away (RFC 7296 §2.1)', () => {
  it('goes out once more as soon as the address is back, and of no other address', () => {
    const pair = sites(connection());
    initiate(pair);
    pair.run(1000);
    pair.wire = { loss: 1 };
    rekey(pair, pair.a, 'child', 1000);
    pair.run(1100);
    pair.wire = {};
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    const sent = (address: typeof sa.local.address) =>
      pair.handle(pair.a, { kind: 'address-came', address });
    sent(sa.remote.address);
    pair.run(1200);
    assert.equal(pair.a.seen('child-sa-rekeyed').length, 0);
    sent(sa.local.address);
    pair.run(1300);
    assert.equal(pair.a.seen('child-sa-rekeyed').length, 1);
    pair.run(10_000);
    assertAgreement(pair, 1, 'after the repetition');
  });
});
