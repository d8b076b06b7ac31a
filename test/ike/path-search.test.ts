import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PathSearch } from '../../src/ike/path-search.ts';

/** Searches a path that carries `mtu` octets with a cipher of these blocks. */
function search(mtu: number, block = 1, most = 1500): PathSearch {
  const fit = (octets: number): number => octets - (octets % block);
  const found = new PathSearch(576, most);
  for (let octets = found.next(fit); octets !== undefined; octets = found.next(fit)) {
    found.conclude(octets, octets <= mtu);
  }
  return found;
}

describe('The search for the largest packet (RFC 8899 §5)', () => {
  it('finds every size exactly, in few packets', () => {
    for (let mtu = 576; mtu <= 1500; mtu++) {
      const found = search(mtu);
      assert.equal(found.answered, mtu);
      assert.equal(found.lost, mtu === 1500 ? undefined : mtu + 1);
      assert.ok(found.probes <= 14, `${found.probes} packets for ${mtu}`);
    }
  });

  it('needs three packets where the most passes', () => {
    assert.equal(search(9000).probes, 3);
  });

  it('comes as close as whole blocks allow', () => {
    fc.assert(
      fc.property(fc.integer({ min: 576, max: 1499 }), fc.constantFrom(8, 16), (mtu, block) => {
        const { answered, lost, probes } = search(mtu, block);
        assert.ok(answered <= mtu && mtu < (lost ?? 1501));
        assert.ok((lost ?? 1501) - answered <= block || lost === undefined);
        assert.ok(probes <= 14);
      }),
    );
  });

  it('says when not even the least passes', () => {
    const found = search(500);
    assert.deepEqual([found.answered, found.lost, found.probes], [0, 576, 1]);
  });

  it('does not believe a size that was answered by chance', () => {
    const found = new PathSearch(576, 1500);
    const whole = (octets: number): number => octets;
    let chance = true;
    for (let octets = found.next(whole); octets !== undefined; octets = found.next(whole)) {
      const lucky = chance && octets === 1500;
      if (lucky) chance = false;
      found.conclude(octets, lucky || octets <= 1400);
    }
    assert.equal(found.answered, 1400);
    assert.ok(found.probes <= 20);
  });

  it('ends, whatever is answered', () => {
    fc.assert(
      fc.property(fc.array(fc.boolean(), { minLength: 30, maxLength: 30 }), (answers) => {
        const found = new PathSearch(1280, 1500);
        let packets = 0;
        for (;;) {
          const octets = found.next((most) => most);
          if (octets === undefined) break;
          found.conclude(octets, answers[packets++] ?? true);
        }
        assert.ok(packets <= 20);
      }),
    );
  });
});
