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
  poolViews,
  recordedCommand,
  recordedCommands,
  recordedRekeying,
  type Tree,
  treeOf,
} from '../support/recorded-views.ts';
import { sampleEvents } from '../support/sample-events.ts';

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

/** An answer, or what an operation answers to a client that does not wait. */
function operated(control: FakeControl, name: string, request: ViciSection): Tree {
  if (COMMANDS.get(name)?.kind === 'answer') return answer(control, name, request);
  const prepared = prepare(control, name, request);
  if (prepared.kind === 'refused') return treeOf(prepared.answer);
  const { timeoutMilliseconds } = prepared.operation;
  assert.equal(timeoutMilliseconds, -1, 'the client is not kept waiting');
  return treeOf(prepared.operation.answer({ kind: 'started' }));
}

function operation(control: FakeControl, name: string, request: ViciSection) {
  const prepared = prepare(control, name, request);
  assert(prepared.kind === 'operation');
  return prepared.operation;
}

describe('The commands', () => {
  it('are those of strongSwan 6.0, and ours', () => {
    const theirs = [...COMMANDS.keys()].filter((name) => !name.startsWith('tsgw-'));
    assert.deepEqual(theirs.toSorted(), STRONGSWAN_COMMANDS.toSorted());
    assert.equal(theirs.length, 36);
  });
});

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
        assert(command && command.kind !== 'list' && command.kind !== 'capture');
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
    ] as const) {
      const ours = answer(control, name, some);
      assert.equal(ours.success, 'no', name);
      assert.match(String(ours.errmsg), reason);
    }
    assert.deepEqual(control.calls, []);
  });
});

describe('Commands about pools, policies, rekeying and redirects', () => {
  const { commands } = recordedRekeying();

  function recorded(name: string, what?: string): (typeof commands)[number] {
    const found = commands.find((one) => one.command === name && one.what === what);
    assert(found, `${name} ${what}`);
    return found;
  }

  it('are refused in the words of strongSwan where nothing fits', () => {
    for (const { command, request, response } of recordedCommands().filter(
      (one) =>
        ['rekey', 'redirect', 'install', 'uninstall', 'unload-pool'].includes(one.command) &&
        one.response?.success === 'no',
    )) {
      const control = controlWithPeer();
      control.policyOutcome = 'not-found';
      control.redirected = 0;
      const ours = operated(control, command, sectionOf(request));
      assert.equal(ordered(ours), ordered(response ?? {}), `${command} ${ordered(request)}`);
    }
    const wrong = recorded('redirect', 'bad peer ip');
    const control = controlWithPeer();
    control.redirected = 'invalid peer IP selector';
    const ours = operated(control, 'redirect', sectionOf(wrong.request));
    assert.equal(ordered(ours), ordered(wrong.response ?? {}));
    const none = recorded('redirect', 'no selector');
    assert.equal(
      ordered(operated(control, 'redirect', sectionOf(none.request))),
      ordered(none.response ?? {}),
    );
  });

  it('get-pools answers as strongSwan, with leases where they are asked for', () => {
    for (const what of ['before', 'leases before', 'leases after', 'by name', 'after terminate']) {
      const { request, response } = recorded('get-pools', what);
      const control = new FakeControl();
      const all = recorded('get-pools', what === 'by name' ? 'leases after' : what);
      control.addressPools = poolViews(all.response ?? {});
      const ours = answer(control, 'get-pools', sectionOf(request));
      assert.equal(ordered(ours), ordered(response ?? {}), what);
    }
  });

  it('load-pool hands each section to the gateway and says what it refuses', () => {
    const control = new FakeControl();
    const { request, response } = recorded('load-pool', 'no addrs');
    assert.equal(
      ordered(answer(control, 'load-pool', sectionOf(request))),
      ordered(response ?? {}),
    );
    const good = answer(control, 'load-pool', sectionOf(recorded('load-pool').request));
    assert.deepEqual(good, { success: 'yes' });
    assert.deepEqual(control.calls, ['load-pool rw']);
    assert.equal(answer(control, 'load-pool', viciSection([['a', 'b']])).success, 'no');
  });

  it('unload-pool passes on what the gateway says', () => {
    const control = new FakeControl();
    control.addressPools = poolViews(recorded('get-pools', 'before').response ?? {});
    const { request, response } = recorded('unload-pool', 'free');
    assert.equal(
      ordered(answer(control, 'unload-pool', sectionOf(request))),
      ordered(response ?? {}),
    );
  });

  it('install and uninstall hand the names to the gateway', () => {
    const control = new FakeControl();
    const request = sectionOf(recorded('install', 'trap again').request);
    assert.deepEqual(answer(control, 'install', request), { success: 'yes' });
    assert.deepEqual(answer(control, 'uninstall', request), { success: 'yes' });
    assert.deepEqual(control.calls, ['install trp peer', 'uninstall trp peer']);
    control.policyOutcome = { failed: 'the reason' };
    const { response } = recorded('install', 'drop');
    assert.equal(
      answer(control, 'install', sectionOf({ child: 'blk' })).errmsg,
      `${response?.errmsg}: the reason`,
    );
  });

  it('rekey answers at once, as strongSwan, and counts what it would replace', () => {
    for (const [request, matches] of [
      [{ child: 'net' }, '1'],
      [{ ike: 'peer' }, '1'],
      [{ ike: 'peer', reauth: 'yes' }, '1'],
      [{ 'child-id': '2' }, '1'],
    ] as const) {
      const control = controlWithPeer();
      const ours = operated(control, 'rekey', sectionOf(request));
      assert.deepEqual(ours, { success: 'yes', matches });
    }
    assert.equal(
      ordered(recorded('rekey', 'ike').response ?? {}),
      '{\n "success": "yes",\n "matches": "1"\n}',
    );
  });

  it('rekey says how it ended to a client that waits', async () => {
    const control = controlWithPeer();
    const request = sectionOf({ ike: 'peer', reauth: 'yes', timeout: '500', loglevel: '2' });
    const one = operation(control, 'rekey', request);
    assert.equal(one.timeoutMilliseconds, 500);
    assert.equal(one.logLevel, 2);
    assert.deepEqual(treeOf(one.answer(await one.start())), { success: 'yes', matches: '1' });
    assert.deepEqual(control.calls, ['rekey {"ike":"peer","reauthenticate":true}']);
    assert.equal(one.concerns(retransmit('peer', 99)), true, 'the SA that takes its place');
    assert.equal(one.concerns(retransmit('other', 99)), false);
    assert.deepEqual(Object.entries(treeOf(one.answer({ kind: 'refused', what: 'the reason' }))), [
      ['success', 'no'],
      ['matches', '1'],
      ['errmsg', 'rekeying SAs failed: the reason'],
      ['tsgw-outcome', 'refused'],
    ]);
    assert.match(String(treeOf(one.answer({ kind: 'not-in-time' })).errmsg), /after 500ms/);
    const child = operation(control, 'rekey', sectionOf({ child: 'net' }));
    assert.equal(child.concerns(retransmit('peer', 1)), true);
    assert.equal(child.concerns(retransmit('peer', 99)), false);
    assert.equal(child.concerns(sampleEvents.ikeSaRekeyed), true);
    assert.equal(child.concerns({ ...sampleEvents.ikeSaRekeyed, replaces: 98 }), false);
  });

  it('redirect hands the selector to the gateway and answers how many were told', async () => {
    const control = controlWithPeer();
    control.redirected = 2;
    const request = sectionOf({
      ike: 'peer',
      'peer-ip': '192.0.2.0/24',
      'peer-id': 'b.lab',
      gateway: '192.0.2.9',
    });
    assert.deepEqual(operated(control, 'redirect', request), { success: 'yes', matches: '2' });
    const one = operation(control, 'redirect', request);
    control.onRedirect = () => Promise.resolve({ kind: 'failed', what: 'the reason' });
    assert.match(String(treeOf(one.answer(await one.start())).errmsg), /the reason/);
    assert.deepEqual(
      control.calls.at(-1),
      [
        'redirect {"ike":"peer","peerAddress":"192.0.2.0/24","peerId":"b.lab","gateway":"192.0.2.9"}',
      ][0],
    );
  });

  it('reload-settings names what waits for a restart', () => {
    const control = new FakeControl();
    assert.deepEqual(answer(control, 'reload-settings'), { success: 'yes' });
    control.restart = ['gateway.port'];
    assert.deepEqual(answer(control, 'reload-settings'), {
      success: 'yes',
      'tsgw-restart': ['gateway.port'],
    });
  });

  it('list-policies lists the kinds asked for', () => {
    const control = new FakeControl();
    const { request, events } = recorded('list-policies', 'all');
    const selectors = { localTs: ['10.1.0.0/16'], remoteTs: ['10.2.0.0/16'] };
    control.shunts = [
      { child: 'trp', ike: 'peer', mode: 'TUNNEL', ...selectors },
      { child: 'byp', ike: 'peer', mode: 'PASS', ...selectors },
      { child: 'blk', ike: 'peer', mode: 'DROP', ...selectors },
    ];
    const rows = (asked: Tree) => {
      const command = COMMANDS.get('list-policies');
      assert(command?.kind === 'list');
      return [...command.rows(control, sectionOf(asked))].map(treeOf);
    };
    assert.equal(ordered(rows(request)[0] ?? {}), ordered(events[0]?.message ?? {}));
    assert.equal(rows(request).length, 3);
    assert.deepEqual(rows({ pass: 'yes' }).flatMap(Object.keys), ['peer/byp']);
    assert.deepEqual(rows({ drop: 'yes', child: 'byp' }), []);
  });

  it('list-conns lists lifetimes and modes as strongSwan', () => {
    for (const { message } of recorded('list-conns', 'second kind').events) {
      const control = new FakeControl();
      control.views = [connectionView(message)];
      const command = COMMANDS.get('list-conns');
      assert(command?.kind === 'list');
      const [ours] = [...command.rows(control, viciSection([]))].map(treeOf);
      assert.equal(ordered(ours ?? {}), ordered(message));
    }
  });

  it('list-sas lists virtual addresses and times as strongSwan, while SAs are replaced too', () => {
    for (const { what, events } of commands.filter(({ command }) => command === 'list-sas')) {
      for (const { message } of events) {
        const control = new FakeControl();
        control.sas = [ikeSaView(message)];
        const command = COMMANDS.get('list-sas');
        assert(command?.kind === 'list');
        const [ours] = [...command.rows(control, viciSection([]))].map(treeOf);
        assert.equal(ordered(ours ?? {}), ordered(message), what);
      }
    }
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

/** The command list of the vici protocol. */
const STRONGSWAN_COMMANDS = [
  ...['version', 'stats', 'reload-settings', 'initiate', 'terminate', 'rekey', 'redirect'],
  ...['install', 'uninstall', 'list-sas', 'list-policies', 'list-conns', 'get-conns'],
  ...['list-certs', 'list-authorities', 'get-authorities', 'load-conn', 'unload-conn'],
  ...['load-cert', 'load-key', 'unload-key', 'get-keys', 'load-token', 'load-shared'],
  ...['unload-shared', 'get-shared', 'flush-certs', 'clear-creds', 'load-authority'],
  ...['unload-authority', 'load-pool', 'unload-pool', 'get-pools', 'get-algorithms'],
  ...['get-counters', 'reset-counters'],
];
