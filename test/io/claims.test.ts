import assert from 'node:assert/strict';
import fc from 'fast-check';
import { Claims } from '../../src/io/claims.ts';

describe('Claims', () => {
  it('are a map, whether of none, one or several', () => {
    const changes = fc.array(fc.tuple(fc.nat(3), fc.option(fc.nat(9), { nil: undefined })));
    fc.assert(
      fc.property(changes, (list) => {
        const claims = new Claims<number>();
        const plain = new Map<number, number>();
        for (const [claimant, what] of list) {
          if (what === undefined) {
            claims.delete(claimant);
            plain.delete(claimant);
          } else {
            claims.set(claimant, what);
            plain.set(claimant, what);
          }
          assert.equal(claims.size, plain.size);
          assert.deepEqual(claims.entries(), [...plain]);
        }
      }),
    );
  });
});
