import assert from 'node:assert/strict';
import type { AdvertOf } from '../../src/cluster/demotion.ts';
import { groupCount, groupOfSegment } from '../../src/cluster/segment-groups.ts';
import { groupsToMasters, sharedAmongAll } from '../../src/cluster/segment-shares.ts';

const advert = (node: number, advskew = 0): AdvertOf => ({
  node,
  demotion: 0,
  advbase: 1,
  advskew,
});

/** The node of each group, which must be of one mind. */
function masters(placed: readonly number[], groups: number): readonly number[] {
  return Array.from({ length: groups }, (_, group) => {
    const of = placed.filter((_, segment) => groupOfSegment(segment, groups) === group);
    const [first = 0] = of;
    assert.ok(of.length > 0 && of.every((node) => node === first), `group ${group}: ${of}`);
    return first;
  });
}

describe('The segments of addresses that have masters', () => {
  const place = groupsToMasters(256, [2, undefined, 3]);

  it('go as a whole to the node that is preferred, while it is a candidate', () => {
    assert.deepEqual(masters(place([advert(1), advert(2), advert(3)]), 3), [2, 1, 3]);
    assert.deepEqual(masters(place([advert(1), advert(3)]), 3), [1, 1, 3]);
  });

  it('go to the best advert otherwise', () => {
    assert.deepEqual(masters(place([advert(4, 100), advert(5, 1), advert(6, 2)]), 3), [5, 5, 5]);
    assert.deepEqual(masters(place([advert(1, 100), advert(2, 200)]), 3), [2, 1, 1]);
  });

  it('are all of one master where there is one address or none', () => {
    for (const preferred of [[], [undefined]]) {
      const placed = groupsToMasters(16, preferred)([advert(7), advert(3)]);
      assert.deepEqual(placed, new Array(16).fill(3));
    }
  });

  it('are as many groups as there are segments at most', () => {
    assert.equal(groupCount(2, 5), 2);
    assert.equal(groupCount(256, 0), 1);
    assert.deepEqual(groupsToMasters(2, [1, 2, 3])([advert(1), advert(2), advert(3)]), [1, 2]);
  });
});

describe('The segments of addresses that all nodes have', () => {
  it('are shared by weight', () => {
    const members = [1, 2, 3].map((node) => ({
      node,
      name: `n${node}`,
      weight: node === 3 ? 0 : 1,
    }));
    const placed = sharedAmongAll(members, 256)([advert(1), advert(2)]);
    assert.deepEqual(
      [1, 2, 3].map((node) => placed.filter((one) => one === node).length),
      [128, 128, 0],
    );
  });
});
