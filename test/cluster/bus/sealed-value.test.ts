/** Records as an engine keeps them, and what an engine may do to them. */
import assert from 'node:assert/strict';
import { KeyRing } from '../../../src/cluster/bus/cluster-key.ts';
import { ValueSealer } from '../../../src/cluster/bus/sealed-value.ts';
import { clusterKey } from '../../support/sealed-pair.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const record = {
  key: 'sa/1',
  value: Buffer.from('a value'),
  epoch: 7,
  revision: { number: 12, writer: 2, incarnation: 99 },
};

function sealer(over: { bucket?: string; ring?: KeyRing; seed?: number; local?: number } = {}) {
  const { bucket = 'bucket', ring = new KeyRing(clusterKey(1)), seed = 1, local = 1 } = over;
  return new ValueSealer({ bucket, local, ring, random: seededRandom(seed) });
}

describe('Values sealed for an engine', () => {
  it('are opened by every node under the same key, with a tombstone as well', () => {
    const deleted = { ...record, value: undefined };
    for (const one of [record, deleted]) {
      const opened = sealer({ seed: 2, local: 2 }).open('sa/1', sealer().seal(one));
      assert.deepEqual(opened, { ...one, value: one.value && Uint8Array.from(one.value) });
    }
  });

  it('are not opened under another key, in another bucket, or for another record', () => {
    const sealed = sealer().seal(record);
    assert.equal(sealer().open('sa/2', sealed), undefined);
    assert.equal(sealer({ bucket: 'other' }).open('sa/1', sealed), undefined);
    assert.equal(sealer({ ring: new KeyRing(clusterKey(2)) }).open('sa/1', sealed), undefined);
  });

  it('are refused with any bit changed, and at any length but their own', () => {
    const sealed = sealer().seal(record);
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const copy = sealed.slice();
      copy[bit >> 3] = (copy[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(sealer().open('sa/1', copy), undefined, `bit ${bit}`);
    }
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(sealer().open('sa/1', sealed.subarray(0, length)), undefined);
    }
  });

  it('never have the same key and nonce twice, whoever seals', () => {
    const fronts = new Set<string>();
    let sealed = 0;
    for (const [seed, local] of [
      [1, 1],
      [2, 1],
      [1, 2],
    ] as const) {
      const one = sealer({ seed, local });
      for (let count = 0; count < 50; count++, sealed++) {
        const octets = one.seal(record);
        // Key id, node and incarnation make the key; the counter makes the nonce.
        fronts.add(
          Buffer.from([...octets.subarray(0, 14), ...octets.subarray(22, 30)]).toString('hex'),
        );
      }
    }
    assert.equal(fronts.size, sealed);
  });

  it('are sealed under the new key and opened under both while the key is rotated', () => {
    const [old, fresh] = [clusterKey(1), clusterKey(2)];
    const rotating = sealer({ ring: new KeyRing(old) });
    const before = rotating.seal(record);
    rotating.ring = new KeyRing(fresh, old);
    assert.ok(rotating.open('sa/1', before));
    const after = rotating.seal(record);
    assert.ok(sealer({ ring: new KeyRing(fresh) }).open('sa/1', after));
    rotating.ring = new KeyRing(fresh);
    assert.equal(rotating.open('sa/1', before), undefined);
  });
});
