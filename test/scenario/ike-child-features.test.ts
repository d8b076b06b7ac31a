import assert from 'node:assert/strict';
import type { ChildPolicy } from '../../src/ipsec/connection.ts';
import { child, connection, mirrored } from '../support/connections.ts';
import type { Pair } from '../support/pair.ts';
import { initiate, sites } from '../support/sites.ts';

type Wish = ChildPolicy['nonFirstFragments'];

function between(ours: Wish, theirs: Wish): Pair {
  const one = connection({ children: [child({ nonFirstFragments: ours })] });
  const other = mirrored(connection({ children: [child({ nonFirstFragments: theirs })] }));
  const pair = sites(one, other);
  initiate(pair);
  pair.run(1000, () => pair.a.outcomes.has(1));
  assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
  return pair;
}

/** Whether each end takes later fragments, over all Child SAs it has. */
function agreedOn(pair: Pair): readonly boolean[] {
  return [pair.a, pair.b].flatMap(({ children }) =>
    [...children.values()].map(({ nonFirstFragments }) => nonFirstFragments),
  );
}

const NOTIFY = 'N(NON_FIRST_FRAGMENTS_ALSO)';

describe('NON_FIRST_FRAGMENTS_ALSO (RFC 7296 §1.3.1, RFC 4301 §7.3)', () => {
  it('is agreed on where one asks and the other takes it', () => {
    for (const theirs of ['accept', 'yes'] as const) {
      const pair = between('yes', theirs);
      assert.deepEqual(agreedOn(pair), [true, true]);
      assert.deepEqual(pair.a.seen('alert'), []);
      assert.deepEqual(
        pair.ladder.slice(-2).map((line) => line.includes(NOTIFY)),
        [true, true],
      );
    }
  });

  it('costs nothing but itself where the other does not want it', () => {
    const pair = between('yes', 'no');
    assert.deepEqual(agreedOn(pair), [false, false]);
    assert.ok(!pair.ladder.at(-1)?.includes(NOTIFY));
    const [alert, ...others] = pair.a.seen('alert');
    assert.equal(alert?.alert, 'feature-declined');
    assert.match(alert?.what ?? '', /child net: later fragments .*\(non_first_fragments = yes\)/);
    assert.equal(others.length, 0);
  });

  it('is not said where nobody asks', () => {
    for (const ours of ['accept', 'no'] as const) {
      const pair = between(ours, 'yes');
      assert.deepEqual(agreedOn(pair), [false, false]);
      assert.ok(pair.ladder.every((line) => !line.includes(NOTIFY)));
    }
  });

  it('is asked for again by the rekey of who wants it', () => {
    for (const [ours, theirs, after] of [
      ['yes', 'accept', [true, true, true, true]],
      // The new one is made by the end that asks.
      ['accept', 'yes', [true, false, true, false]],
    ] as const) {
      const pair = between(ours, theirs);
      const side = ours === 'yes' ? pair.a : pair.b;
      pair.handle(side, {
        kind: 'rekey',
        request: 2,
        selector: { child: 'net' },
        reauthenticate: false,
      });
      pair.run(pair.now + 500);
      assert.equal(side.outcomes.get(2)?.kind, 'done');
      assert.deepEqual(agreedOn(pair).toSorted(), [...after].toSorted());
    }
  });
});
