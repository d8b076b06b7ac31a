import assert from 'node:assert/strict';
import {
  HandedOver,
  LINGER_MILLISECONDS,
  LOOK_MILLISECONDS,
} from '../../../src/gateway/cluster/handed-over.ts';
import { instant } from '../../../src/wire/instant.ts';

const at = (milliseconds: number) => instant(1_000 + milliseconds);

function open() {
  const owners = new Map<number, number>();
  const handed = new HandedOver((segment) => owners.get(segment));
  return { owners, handed, left: () => [...handed.segments] };
}

describe('Segments that were handed over', () => {
  it('are let in until another node is seen to have them, and not less than a look', () => {
    const { owners, handed, left } = open();
    handed.add([1, 2], at(0));
    owners.set(1, 2);
    assert.equal(handed.nextDeadline(), at(LOOK_MILLISECONDS));
    assert.equal(handed.look(at(LOOK_MILLISECONDS - 1)), false);
    assert.deepEqual(left(), [1, 2]);
    assert.equal(handed.look(at(LOOK_MILLISECONDS)), true);
    assert.deepEqual(left(), [2]);
    assert.equal(handed.look(at(LOOK_MILLISECONDS * 2)), false, 'nobody has it yet');
  });

  it('are let go of where nobody takes them', () => {
    const { handed, left } = open();
    handed.add([7], at(0));
    for (let now = 0; now < LINGER_MILLISECONDS; now += LOOK_MILLISECONDS) handed.look(at(now));
    assert.deepEqual(left(), [7]);
    assert.equal(handed.look(at(LINGER_MILLISECONDS)), true);
    assert.deepEqual([left(), handed.nextDeadline()], [[], undefined]);
  });

  it('are ours again without a word', () => {
    const { handed, left } = open();
    handed.add([7, 8], at(0));
    handed.remove([7, 9]);
    assert.deepEqual(left(), [8]);
    handed.remove([8]);
    assert.equal(handed.nextDeadline(), undefined);
  });
});
