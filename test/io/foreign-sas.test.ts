import assert from 'node:assert/strict';
import { ForeignSas } from '../../src/io/foreign-sas.ts';
import { childSa, withKeys } from '../support/esp-gateway.ts';

describe("What workers know of each other's SAs", () => {
  let told: string[];
  let happened: string[];
  let sas: ForeignSas;

  beforeEach(() => {
    [told, happened] = [[], []];
    sas = new ForeignSas(3, (worker, command) => {
      const id = command.kind === 'hand-over' ? command.policy.id : 'id' in command && command.id;
      told.push(`${worker}: ${command.kind} ${id}`);
    });
  });

  function add(id: number, worker: number, outbound: 'now' | 'never' = 'now'): void {
    const sa = childSa({ id, outbound });
    sas.add(worker, withKeys(sa), sa);
  }

  function note(what: string): () => void {
    return () => happened.push(what);
  }

  it('is told to all but its own, and counts when all answered', () => {
    add(1, 1);
    assert.equal(sas.ownerOf(1), 1);
    assert.deepEqual(told, []);
    sas.announce(1, note('known'));
    assert.deepEqual(told, ['0: hand-over 1', '2: hand-over 1']);
    sas.known(0, 1);
    sas.known(0, 1);
    sas.known(1, 1);
    assert.deepEqual(happened, []);
    sas.known(2, 1);
    assert.deepEqual(happened, ['known']);
  });

  it('lets an SA end only when those that began before it are known', () => {
    add(1, 0, 'never');
    sas.announce(1, note('1 is there'));
    add(2, 1);
    sas.afterBeginnings(note('1 ends'));
    add(3, 2);
    sas.announce(3, note('3 is known'));
    for (const worker of [0, 1]) sas.known(worker, 3);
    assert.deepEqual(happened, ['1 is there', '3 is known']);
    sas.announce(2, note('2 is known'));
    for (const worker of [0, 2]) sas.known(worker, 2);
    sas.afterBeginnings(note('at once'));
    assert.deepEqual(happened.slice(2), ['2 is known', '1 ends', 'at once']);
  });

  it('waits for nothing that is gone', () => {
    add(1, 1);
    sas.announce(1, note('known'));
    sas.afterBeginnings(note('ends'));
    told = [];
    sas.forget(1);
    sas.forget(1);
    assert.deepEqual(told, ['0: remove-policy 1', '2: remove-policy 1']);
    assert.deepEqual(happened, ['known', 'ends']);
  });

  it('is told to a worker that is new, as far as it counts', () => {
    add(1, 1);
    add(2, 2);
    add(3, 1, 'never');
    sas.announce(1, note('known'));
    told = [];
    sas.replay(0);
    assert.deepEqual(told, ['0: hand-over 1'], 'the second is still to be announced');
    sas.change(3, true);
    sas.announce(3, note('sends'));
    for (const id of [1, 3]) for (const worker of [0, 2]) sas.known(worker, id);
    assert.deepEqual(happened, ['known', 'sends']);
  });

  it('is nothing where there is one worker', () => {
    const alone = new ForeignSas(1, () => assert.fail('there is nobody to tell'));
    const sa = childSa();
    alone.add(0, withKeys(sa), sa);
    alone.announce(sa.id, note('at once'));
    alone.change(sa.id, true);
    alone.afterBeginnings(note('at once, too'));
    alone.forget(sa.id);
    assert.deepEqual([alone.ownerOf(sa.id), ...happened], [0, 'at once', 'at once, too']);
  });
});
