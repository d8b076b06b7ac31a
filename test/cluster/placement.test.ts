/**
 * Properties of the placement of segments, for clusters of any size, weights and absences.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  LOAD_CAP,
  movedSegments,
  type PlacedNode,
  placeSegments,
} from '../../src/cluster/placement.ts';

const SEGMENTS = 256;

function equalNodes(count: number): readonly PlacedNode[] {
  return Array.from({ length: count }, (_, index) => ({ node: index + 1, weight: 1 }));
}

function place(nodes: readonly PlacedNode[], absent: readonly number[] = [], segments = SEGMENTS) {
  const present = new Set(nodes.map(({ node }) => node).filter((node) => !absent.includes(node)));
  return placeSegments({ segments, nodes, present });
}

function loads(placement: readonly number[]): Map<number, number> {
  const counts = new Map<number, number>();
  for (const node of placement) counts.set(node, (counts.get(node) ?? 0) + 1);
  return counts;
}

const cluster = fc
  .uniqueArray(fc.integer({ min: 1, max: 64 }), { minLength: 1, maxLength: 12, size: 'max' })
  .chain((ids) =>
    fc.record({
      nodes: fc.tuple(
        ...ids.map((node) =>
          fc.record({ node: fc.constant(node), weight: fc.integer({ min: 1, max: 9 }) }),
        ),
      ),
      absent: fc.subarray(ids, { maxLength: ids.length - 1 }),
    }),
  );

describe('Placement of segments', () => {
  it('gives every segment to a node that is there, and none more than the cap', () => {
    fc.assert(
      fc.property(cluster, ({ nodes, absent }) => {
        const placement = place(nodes, absent);
        assert.equal(placement.length, SEGMENTS);
        const there = nodes.filter(({ node }) => !absent.includes(node));
        const total = there.reduce((sum, { weight }) => sum + weight, 0);
        const counts = loads(placement);
        for (const { node, weight } of there) {
          const share = (SEGMENTS * weight) / total;
          assert.ok((counts.get(node) ?? 0) <= Math.ceil(LOAD_CAP * share), `node ${node}`);
          counts.delete(node);
        }
        assert.deepEqual([...counts.keys()], [], 'nobody else has any');
      }),
    );
  });

  it('respects weights to the segment while all are there', () => {
    fc.assert(
      fc.property(cluster, ({ nodes }) => {
        const total = nodes.reduce((sum, { weight }) => sum + weight, 0);
        const counts = loads(place(nodes));
        for (const { node, weight } of nodes) {
          const share = (SEGMENTS * weight) / total;
          const off = Math.abs((counts.get(node) ?? 0) - share);
          assert.ok(off < 1, `node ${node}: ${counts.get(node)} of ${share}`);
        }
      }),
    );
  });

  it('depends on the members, not on the order they are named in', () => {
    fc.assert(
      fc.property(cluster, ({ nodes, absent }) => {
        assert.deepEqual(place(nodes.toReversed(), absent), place(nodes, absent));
      }),
    );
  });

  it('moves only the segments of a node that leaves, and gives it the same ones back', () => {
    fc.assert(
      fc.property(cluster, ({ nodes }) => {
        fc.pre(nodes.length > 1);
        const before = place(nodes);
        for (const { node } of nodes) {
          const after = place(nodes, [node]);
          const own = before.flatMap((one, segment) => (one === node ? [segment] : []));
          assert.deepEqual(movedSegments(before, after), own);
        }
      }),
    );
  });

  it('moves at most 26 % when one of four equal nodes leaves', () => {
    for (const node of [1, 2, 3, 4]) {
      const moved = movedSegments(place(equalNodes(4)), place(equalNodes(4), [node]));
      assert.ok(moved.length <= 0.26 * SEGMENTS, `node ${node}: ${moved.length}`);
    }
  });

  it('moves at most 5 % more than it must when another one leaves', () => {
    for (const count of [3, 4, 5, 8, 16]) {
      const nodes = equalNodes(count);
      let extra = 0;
      let pairs = 0;
      for (let first = 1; first <= count; first++) {
        const before = place(nodes, [first]);
        for (let second = 1; second <= count; second++) {
          if (second === first) continue;
          const moved = movedSegments(before, place(nodes, [first, second]));
          const unforced = moved.filter((segment) => before[segment] !== second);
          extra = Math.max(extra, unforced.length);
          pairs++;
        }
      }
      assert.ok(extra <= 0.05 * SEGMENTS, `${count} nodes, ${pairs} pairs: ${extra}`);
    }
  });

  it('spreads what an absent node had over all others', () => {
    for (const count of [3, 4, 8]) {
      const nodes = equalNodes(count);
      const before = place(nodes);
      const after = place(nodes, [1]);
      const takers = new Set(movedSegments(before, after).map((segment) => after[segment]));
      assert.equal(takers.size, count - 1);
    }
  });

  it('gives nothing to a witness', () => {
    const nodes = [...equalNodes(2), { node: 3, weight: 0 }];
    assert.deepEqual([...loads(place(nodes)).values()], [128, 128]);
    assert.deepEqual([...loads(place(nodes, [1])).keys()], [2]);
  });

  it('works with as few as one segment, and refuses to place any with nobody there', () => {
    assert.equal(place(equalNodes(8), [], 1).length, 1);
    assert.equal(place(equalNodes(8), [1, 2, 3, 4, 5, 6, 7], 1)[0], 8);
    assert.throws(() => place(equalNodes(2), [1, 2]), /256 segments and no node to have them/);
    assert.throws(() => place([{ node: 1, weight: 0 }]), RangeError);
  });
});
