import assert from 'node:assert/strict';
import type { Event } from '../../src/events/event.ts';
import { COMMANDS } from '../../src/vici/commands.ts';
import { textToOctets, type ViciSection, viciSection } from '../../src/vici/message.ts';
import type { Prepared } from '../../src/vici/operation.ts';
import { done, FakeControl } from '../support/fake-control.ts';
import {
  connectionView,
  ikeSaView,
  ordered,
  recordedCommand,
  recordedCommands,
  type Tree,
  treeOf,
} from '../support/recorded-views.ts';

function controlWithPeer(): FakeControl {
  const control = new FakeControl();
  control.views = recordedCommand('list-conns').events.map(({ message }) =>
    connectionView(message),
  );
  control.sas = recordedCommand('list-sas', 'two children, traffic').events.map(({ message }) =>
    ikeSaView(message),
  );
  return control;
}

function answer(control: FakeControl, name: string, request: ViciSection = viciSection([])): Tree {
  const command = COMMANDS.get(name);
  assert(command?.kind === 'answer', name);
  return treeOf(command.answer(control, request));
}

function prepare(control: FakeControl, name: string, request: ViciSection): Prepared {
  const command = COMMANDS.get(name);
  assert(command?.kind === 'operation', name);
  return command.prepare(control, request);
}

function sectionOf(tree: Tree): ViciSection {
  return viciSection(
    Object.entries(tree).map(([name, value]) => [
      name,
      typeof value === 'string' || Array.isArray(value) ? value : sectionOf(Object(value)),
    ]),
  );
}

function operation(control: FakeControl, name: string, request: ViciSection) {
  const prepared = prepare(control, name, request);
  assert(prepared.kind === 'operation');
  return prepared.operation;
}

describe('Commands that change nothing they should not', () => {
  /** What strongSwan refuses, or grants without effect, in its words. */
  const sameAnswers: readonly (readonly [string, (request: Tree) => boolean])[] = [
    ['initiate', (request) => !['wr', 'np', 'unr', 'esn'].includes(String(request.child))],
    ['terminate', ({ child, ike }) => child === 'nope' || (!child && !ike)],
    ['unload-conn', () => true],
    ['unload-shared', ({ id }) => id !== 'x'],
    ['load-shared', ({ id }) => id === undefined],
    ['get-keys', () => true],
    ['get-authorities', () => true],
    ['get-pools', () => true],
    ['flush-certs', () => true],
    ['reload-settings', () => true],
    ['unload-key', () => true],
    ['unload-pool', () => true],
    ['unload-authority', () => true],
    ['load-pool', () => true],
    ['load-authority', () => true],
    ['clear-creds', () => true],
  ];

  for (const [name, applies] of sameAnswers) {
    const recordings = recordedCommands().filter(
      ({ command, request, what }) => command === name && what === undefined && applies(request),
    );
    for (const { request, response } of recordings) {
      it(`${name} ${JSON.stringify(request)} answers as strongSwan`, () => {
        const control = controlWithPeer();
        const command = COMMANDS.get(name);
        assert(command && command.kind !== 'list');
        const sent = sectionOf(request);
        let ours: Tree;
        if (command.kind === 'answer') {
          ours = treeOf(command.answer(control, sent));
        } else {
          const prepared = command.prepare(control, sent);
          assert(prepared.kind === 'refused');
          ours = treeOf(prepared.answer);
        }
        assert.equal(ordered(ours), ordered(response ?? {}));
      });
    }
  }

  it('a command nobody has is unknown', () => {
    assert.equal(recordedCommand('nonsense').response, null);
    assert.equal(COMMANDS.get('nonsense'), undefined);
  });

  it('what comes later is refused with its reason', () => {
    const control = controlWithPeer();
    const some = viciSection([['name', viciSection([])]]);
    for (const [name, reason] of [
      ['load-key', /private keys come later/],
      ['load-cert', /certificates come later/],
      ['load-token', /tokens come later/],
      ['load-authority', /name: certification authorities come later/],
      ['load-pool', /name: address pools come later/],
      ['redirect', /redirecting peers/],
      ['install', /trap and shunt policies come later/],
      ['uninstall', /trap and shunt policies come later/],
    ] as const) {
      const ours = answer(control, name, some);
      assert.equal(ours.success, 'no', name);
      assert.match(String(ours.errmsg), reason);
    }
    assert.equal(answer(control, 'rekey').errmsg, 'missing rekey selector');
    const rekey = answer(control, 'rekey', viciSection([['child', 'net']]));
    assert.equal(
      ordered(rekey),
      ordered({ success: 'no', matches: '0', errmsg: 'rekeying on demand comes later' }),
    );
    assert.deepEqual(control.calls, []);
  });
});

describe('load-conn and load-shared', () => {
  it('hand each section to the gateway', () => {
    const control = new FakeControl();
    const ours = answer(
      control,
      'load-conn',
      viciSection([
        ['a', viciSection([['version', 2]])],
        ['b', viciSection([['local_addrs', ['192.0.2.1', '192.0.2.3']]])],
      ]),
    );
    assert.deepEqual(ours, { success: 'yes' });
    assert.deepEqual([...control.loaded.keys()], ['a', 'b']);
    const list = control.loaded.get('b')?.entries.get('local_addrs');
    assert(list?.kind === 'list');
    assert.deepEqual(
      list.items.map(({ text }) => text),
      ['192.0.2.1', '192.0.2.3'],
    );
  });

  it('answer what the operator should mend', () => {
    const control = new FakeControl();
    const ours = answer(control, 'load-conn', viciSection([['a', viciSection([['foo', 'bar']])]]));
    assert.deepEqual(ours, { success: 'no', errmsg: 'unknown key foo' });
    const flat = answer(control, 'load-conn', viciSection([['a', 'b']]));
    assert.equal(flat.success, 'no');
  });

  it('keep the octets of a secret and its owners', () => {
    const control = new FakeControl();
    const data = Uint8Array.of(0, 0xff, 0x80);
    const request = viciSection([
      ['id', 'ike-1'],
      ['type', 'IKE'],
      ['data', data],
      ['owners', ['a.lab', 'b.lab']],
    ]);
    assert.deepEqual(answer(control, 'load-shared', request), { success: 'yes' });
    assert.deepEqual(control.secrets.get('ike-1'), { data, owners: 'a.lab b.lab' });
    assert.deepEqual(answer(control, 'get-shared'), { keys: ['ike-1'] });
    answer(control, 'unload-shared', viciSection([['id', 'ike-1']]));
    assert.equal(control.secrets.size, 0);
  });

  it('refuse kinds of secrets that come later', () => {
    for (const type of ['eap', 'ntlm', 'ppk', 'xauth']) {
      const ours = answer(
        new FakeControl(),
        'load-shared',
        viciSection([
          ['type', type],
          ['data', textToOctets('x')],
        ]),
      );
      assert.equal(ours.success, 'no', type);
      assert.doesNotMatch(String(ours.errmsg), /invalid shared key type/);
    }
  });
});

describe('initiate', () => {
  it('starts what the gateway has and answers success', async () => {
    const control = controlWithPeer();
    const one = operation(control, 'initiate', viciSection([['child', 'net']]));
    const outcome = await one.start();
    assert.deepEqual(control.calls, ['initiate net undefined']);
    assert.deepEqual(treeOf(one.answer(outcome)), { success: 'yes' });
    assert.equal(one.logLevel, 1);
    assert.equal(one.timeoutMilliseconds, 0);
  });

  it('says why it failed in the words of strongSwan, and how for the command line', () => {
    const one = operation(controlWithPeer(), 'initiate', viciSection([['child', 'net']]));
    const recorded = recordedCommand('initiate', 'wrong secret').response;
    const ours = treeOf(one.answer({ kind: 'authentication-failed', what: 'the reason' }));
    assert.equal(
      String(ours.errmsg),
      `${String(recorded?.errmsg).replace('wr', 'net')}: the reason`,
    );
    assert.equal(ours['tsgw-outcome'], 'authentication-failed');
    assert.deepEqual(Object.keys(ours), ['success', 'errmsg', 'tsgw-outcome']);
  });

  it('says that it did not come up in time', () => {
    const request = viciSection([
      ['child', 'net'],
      ['timeout', 500],
      ['loglevel', 2],
    ]);
    const one = operation(controlWithPeer(), 'initiate', request);
    assert.equal(one.timeoutMilliseconds, 500);
    assert.equal(one.logLevel, 2);
    const recorded = recordedCommand('initiate', 'not in time').response;
    assert.equal(
      treeOf(one.answer({ kind: 'not-in-time' })).errmsg,
      String(recorded?.errmsg).replace('unr', 'net'),
    );
  });

  it('shows the events of the connection that has the child, and no other', () => {
    const one = operation(controlWithPeer(), 'initiate', viciSection([['child', 'net']]));
    assert.equal(one.concerns(retransmit('peer', 7)), true);
    assert.equal(one.concerns(retransmit('gcm', 7)), false);
    assert.equal(one.concerns({ kind: 'daemon', level: 'notice', what: 'ready' }), false);
  });
});

describe('terminate', () => {
  it('hands the selector to the gateway and answers its counts', async () => {
    const control = controlWithPeer();
    const request = viciSection([
      ['ike', 'peer'],
      ['child', 'cbc'],
      ['ike-id', 1],
      ['child-id', 2],
      ['force', true],
    ]);
    const one = operation(control, 'terminate', request);
    control.onTerminate = () => Promise.resolve(done(2, 1));
    const ours = treeOf(one.answer(await one.start()));
    assert.deepEqual(control.calls, [
      'terminate {"ike":"peer","child":"cbc","ikeId":1,"childId":2,"force":true}',
    ]);
    assert.deepEqual(ours, { success: 'yes', matches: '2', terminated: '1' });
  });

  it('counts what it would end when the client does not wait', () => {
    const recorded = recordedCommands().find(
      ({ command, request }) => command === 'terminate' && request.timeout === '-1',
    );
    const one = operation(
      controlWithPeer(),
      'terminate',
      viciSection([
        ['ike', 'peer'],
        ['timeout', -1],
      ]),
    );
    assert.equal(one.timeoutMilliseconds, -1);
    assert.equal(
      ordered(treeOf(one.answer({ kind: 'started' }))),
      ordered(recorded?.response ?? {}),
    );
  });

  it('shows the events of the SAs it ends, and no other', () => {
    const one = operation(controlWithPeer(), 'terminate', viciSection([['ike', 'peer']]));
    assert.equal(one.concerns(retransmit('peer', 1)), true);
    assert.equal(one.concerns(retransmit('peer', 2)), false);
  });

  it('says what failed between the counts and the outcome', () => {
    const one = operation(controlWithPeer(), 'terminate', viciSection([['child', 'net']]));
    const ours = treeOf(one.answer({ kind: 'timeout', what: 'no answer' }));
    assert.deepEqual(Object.entries(ours), [
      ['success', 'no'],
      ['matches', '1'],
      ['terminated', '0'],
      ['errmsg', 'terminating SAs failed: no answer'],
      ['tsgw-outcome', 'timeout'],
    ]);
  });
});

describe('reset-counters and clear-creds', () => {
  it('reach the gateway', () => {
    const control = controlWithPeer();
    answer(control, 'reset-counters', viciSection([['name', 'peer']]));
    answer(control, 'reset-counters');
    answer(control, 'clear-creds');
    assert.deepEqual(control.calls, [
      'reset-counters peer',
      'reset-counters undefined',
      'clear-creds',
    ]);
  });
});

function retransmit(connection: string, ikeSa: number): Event {
  return {
    kind: 'retransmit',
    messageId: 0,
    attempt: 1,
    connection,
    ikeSa,
    peer: '192.0.2.2[500]',
  };
}
