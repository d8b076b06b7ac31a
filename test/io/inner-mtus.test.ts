import assert from 'node:assert/strict';
import fc from 'fast-check';
import { InnerMtus } from '../../src/io/inner-mtus.ts';

describe('Inner MTUs of Child SAs', () => {
  it('know the widest, as a plain search does, while SAs come, change and go', () => {
    const changes = fc.array(fc.tuple(fc.nat(5), fc.constantFrom(undefined, 0, 1280, 1400, 1422)));
    fc.assert(
      fc.property(changes, (list) => {
        const mtus = new InnerMtus();
        const plain = new Map<number, number>();
        for (const [id, octets] of list) {
          if (octets === undefined) {
            mtus.delete(id);
            plain.delete(id);
          } else {
            mtus.set(id, octets);
            plain.set(id, octets);
          }
          const widest = plain.size === 0 ? undefined : Math.max(...plain.values());
          assert.equal(mtus.widest, widest);
        }
      }),
    );
  });
});
