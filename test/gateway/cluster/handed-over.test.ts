import assert from 'node:assert/strict';
import {
  HandedOver,
  LAN_MILLISECONDS,
  LINGER_MILLISECONDS,
  WAN_MILLISECONDS,
} from '../../../src/gateway/cluster/handed-over.ts';
import { instant } from '../../../src/wire/instant.ts';

const at = (milliseconds: number) => instant(1_000 + milliseconds);

function open() {
  const owners = new Map<number, number>();
  const handed = new HandedOver((segment) => owners.get(segment));
  return { owners, handed, comesIn: () => [[...handed.wan], [...handed.lan]] };
}

describe('Segments that were handed over', () => {
  it('are let in until another node has them, from clients a little longer than from hosts', () => {
    const { owners, handed, comesIn } = open();
    handed.add([1, 2], at(0));
    assert.deepEqual(comesIn(), [
      [1, 2],
      [1, 2],
    ]);
    assert.equal(handed.look(at(3)), false, 'nobody has them');
    owners.set(1, 2);
    assert.equal(handed.look(at(4)), false, 'seen now');
    assert.equal(handed.nextDeadline(), at(4 + LAN_MILLISECONDS));
    assert.equal(handed.look(at(4 + LAN_MILLISECONDS)), true);
    assert.deepEqual(comesIn(), [[1, 2], [2]]);
    assert.equal(handed.nextDeadline(), at(4 + WAN_MILLISECONDS));
    assert.equal(handed.look(at(4 + WAN_MILLISECONDS)), true);
    assert.deepEqual(comesIn(), [[2], [2]]);
  });

  it('are let go of where nobody takes them', () => {
    const { handed, comesIn } = open();
    handed.add([7], at(0));
    assert.equal(handed.nextDeadline(), at(LINGER_MILLISECONDS));
    assert.equal(handed.look(at(LINGER_MILLISECONDS - 1)), false);
    assert.deepEqual(comesIn(), [[7], [7]]);
    assert.equal(handed.look(at(LINGER_MILLISECONDS)), true);
    assert.deepEqual([comesIn(), handed.nextDeadline()], [[[], []], undefined]);
  });

  it('are ours again without a word', () => {
    const { handed, comesIn } = open();
    handed.add([7, 8], at(0));
    handed.remove([7, 9]);
    assert.deepEqual(comesIn(), [[8], [8]]);
    handed.remove([8]);
    assert.equal(handed.nextDeadline(), undefined);
  });
});
