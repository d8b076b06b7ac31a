import assert from 'node:assert/strict';
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { DROP_REASONS, DropReason } from '../../src/events/drop-reason.ts';
import {
  createSharedCounters,
  MAX_SA_ROWS,
  SA_COUNTERS,
  SaCounter,
} from '../../src/events/shared-counters.ts';

describe('Counters of the packet loop', () => {
  it('have a column for each name in every row', () => {
    const columns = Object.values(SaCounter);
    assert.equal(new Set(columns).size, columns.length);
    assert.ok(columns.every((column) => column >= 0 && column < SA_COUNTERS));
  });

  it('have the rows asked for, or as many as there may be', () => {
    assert.equal(createSharedCounters(3).sas.length, 3 * SA_COUNTERS);
    assert.equal(createSharedCounters().sas.length, MAX_SA_ROWS * SA_COUNTERS);
    assert.equal(createSharedCounters(1).drops.length, DROP_REASONS);
    assert.equal(createSharedCounters(3).saDrops.length, 3 * DROP_REASONS);
  });

  it('start at zero', () => {
    const { sas, drops, saDrops } = createSharedCounters(2);
    assert.ok([...sas, ...drops, ...saDrops].every((value) => value === 0));
  });

  it('are the same memory on the other side of a thread', () => {
    const counters = createSharedCounters(1);
    const { port1, port2 } = new MessageChannel();
    port1.postMessage(counters);
    const { message } = receiveMessageOnPort(port2) ?? assert.fail('nothing arrived');
    port1.close();
    message.sas[SaCounter.OCTETS] = 2 ** 53 - 1;
    message.drops[DropReason['bad-icv']] = 1;
    assert.equal(counters.sas[SaCounter.OCTETS], Number.MAX_SAFE_INTEGER);
    assert.equal(counters.drops[DropReason['bad-icv']], 1);
  });
});
