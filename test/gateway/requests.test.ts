import assert from 'node:assert/strict';
import { Requests } from '../../src/gateway/requests.ts';
import type { Outcome } from '../../src/ike/action.ts';

const DONE: Outcome = { kind: 'done', matches: 1, terminated: 0 };
const REFUSED: Outcome = { kind: 'refused', what: 'NO_PROPOSAL_CHOSEN' };

describe('Requests under way', () => {
  it('settle with the outcome of their own number, in whatever order', async () => {
    const requests = new Requests();
    const numbers: number[] = [];
    const first = requests.open((number) => numbers.push(number));
    const second = requests.open((number) => numbers.push(number));
    assert.deepEqual(numbers, [1, 2]);
    requests.complete(2, REFUSED);
    requests.complete(1, DONE);
    assert.deepEqual(await first, DONE);
    assert.deepEqual(await second, REFUSED);
  });

  it('settle when the engine answers at once', async () => {
    const requests = new Requests();
    assert.deepEqual(await requests.open((number) => requests.complete(number, DONE)), DONE);
  });

  it('pass over numbers nobody waits for, and second outcomes', async () => {
    const requests = new Requests();
    requests.complete(1, REFUSED);
    const first = requests.open((number) => requests.complete(number, DONE));
    requests.complete(1, REFUSED);
    assert.deepEqual(await first, DONE);
  });

  it('reject when the engine throws', async () => {
    const requests = new Requests();
    const broken = requests.open(() => {
      throw new Error('no such state');
    });
    await assert.rejects(broken, /no such state/);
  });
});
