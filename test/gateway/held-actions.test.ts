import assert from 'node:assert/strict';
import { HeldActions, type OtherAction } from '../../src/gateway/held-actions.ts';
import type { Action } from '../../src/ike/action.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { childSa } from '../support/child-sas.ts';
import { endpoint } from '../support/pair.ts';

const [local, remote] = [endpoint('192.0.2.1'), endpoint('192.0.2.2')];

function send(octet: number): Action {
  return { kind: 'send', local, remote, octets: Uint8Array.of(octet) };
}

function complete(request: number): Action {
  const outcome = { kind: 'done', matches: 1, terminated: 0 } as const;
  return { kind: 'complete', request, outcome };
}

const install = (id: number): Action => ({
  kind: 'install-child-sa',
  childSa: childSa({ id }),
});
const remove: Action = { kind: 'remove-child-sa', childSa: childSa({ id: 9 }), reason: 'test' };
const outbound: Action = { kind: 'set-outbound', childSaId: 1, outbound: 'never' };

/** What was performed, in order: `install` among it. */
function holder(reports = true, turns: 'one' | 'several' = 'one') {
  const done: string[] = [];
  const name = (action: OtherAction) =>
    action.kind === 'send' ? `send ${action.octets[0]}` : action.kind;
  const held = new HeldActions((action) => done.push(name(action)));
  const perform = (...actions: readonly Action[]) => {
    const installed = (action: Extract<Action, { kind: 'install-child-sa' }>) => {
      done.push(`install ${action.childSa.id}`);
      return reports;
    };
    held.performAll(actions, installed, turns);
  };
  return { done, held, perform };
}

describe('What tells of a Child SA', () => {
  it('waits until the packet loop has it; what concerns the machine does not', () => {
    const { done, held, perform } = holder();
    perform(send(1), install(1), remove, send(2), complete(7));
    assert.deepEqual(done, ['send 1', 'install 1', 'remove-child-sa']);
    held.settled(2);
    assert.equal(done.length, 3);
    held.settled(1);
    assert.deepEqual(done.slice(3), ['send 2', 'complete']);
    held.settled(1);
    assert.equal(done.length, 5);
  });

  it('waits for it in later turns, where several make one message', () => {
    const { done, held, perform } = holder(true, 'several');
    perform(install(1));
    perform(send(1));
    assert.deepEqual(done, ['install 1']);
    held.settled(1);
    assert.deepEqual(done.slice(1), ['send 1']);
    perform(send(2));
    assert.deepEqual(done.slice(2), ['send 2']);
  });

  it('waits until an SA that goes sends no more', () => {
    const { done, held, perform } = holder();
    perform(outbound, send(1));
    assert.deepEqual(done, ['set-outbound']);
    held.settled(1);
    assert.deepEqual(done.slice(1), ['send 1']);
  });

  it('waits until the packets of an SPI that is offered would be kept', () => {
    const { done, held, perform } = holder();
    perform({ kind: 'expect-spi', spiIn: spi(7) }, send(1));
    assert.deepEqual(done, ['expect-spi']);
    held.settled(7);
    assert.equal(done.length, 1, 'an SA of that number is another thing');
    held.expected(7);
    assert.deepEqual(done.slice(1), ['send 1']);
  });

  it('waits for each of several', () => {
    const { done, held, perform } = holder();
    perform(install(1), install(2), send(1));
    held.settled(1);
    assert.deepEqual(done, ['install 1', 'install 2']);
    held.settled(2);
    assert.deepEqual(done.slice(2), ['send 1']);
  });

  it('goes at once where the packet loop will not have it', () => {
    const { done, perform } = holder(false);
    perform(install(1), send(1));
    assert.deepEqual(done, ['install 1', 'send 1']);
  });

  it('goes when all is taken down, or when the packet loop takes too long', async () => {
    const closed = holder();
    closed.perform(install(1), send(1));
    closed.held.close();
    assert.deepEqual(closed.done, ['install 1', 'send 1']);
    const slow = holder();
    slow.perform(install(1), send(1));
    await new Promise((resolve) => setTimeout(resolve, 300));
    assert.deepEqual(slow.done, ['install 1', 'send 1']);
    slow.held.settled(1);
    assert.equal(slow.done.length, 2);
  });
});
