import assert from 'node:assert/strict';
import { COMMANDS } from '../../src/vici/commands.ts';
import { COUNTER_NAMES, duration } from '../../src/vici/daemon-answers.ts';
import { type ViciSection, viciSection } from '../../src/vici/message.ts';
import { FakeControl } from '../support/fake-control.ts';
import {
  connectionView,
  ikeSaView,
  ordered,
  type RecordedCommand,
  recordedCommand,
  recordedCommands,
  type Tree,
  treeOf,
} from '../support/recorded-views.ts';

/** A list command's rows, or an answer, in the recordings' form. */
function asked(control: FakeControl, name: string, request: ViciSection): readonly Tree[] {
  const command = COMMANDS.get(name);
  assert(command?.kind === 'answer' || command?.kind === 'list', name);
  if (command.kind === 'answer') return [treeOf(command.answer(control, request))];
  return [...command.rows(control, request)].map(treeOf);
}

function requestOf(tree: Tree): ViciSection {
  return viciSection(
    Object.entries(tree).map(([name, value]) => [
      name,
      typeof value === 'string' || Array.isArray(value) ? value : undefined,
    ]),
  );
}

function rows(recorded: RecordedCommand): readonly Tree[] {
  return recorded.events.map(({ message }) => message);
}

describe('list-sas', () => {
  const recordings = recordedCommands().filter(
    ({ command, what }) => command === 'list-sas' && !/^by |^no child$/.test(what ?? ''),
  );

  for (const recorded of recordings.filter(({ events }) => events.length > 0)) {
    it(`has the keys, order and values of strongSwan: ${recorded.what}`, () => {
      const control = new FakeControl();
      control.sas = rows(recorded).map(ikeSaView);
      const ours = asked(control, 'list-sas', viciSection([]));
      assert.equal(ours.map(ordered).join(), rows(recorded).map(ordered).join());
    });
  }

  it('shows an IKE SA without children with an empty section', () => {
    const recorded = recordedCommand('list-sas', 'no child');
    const control = new FakeControl();
    control.sas = rows(recorded).map(ikeSaView);
    const [ours] = asked(control, 'list-sas', viciSection([]));
    assert.equal(JSON.stringify(ours), JSON.stringify(rows(recorded)[0]));
  });

  it('filters as strongSwan does', () => {
    const control = new FakeControl();
    control.sas = rows(recordedCommand('list-sas', 'two children, traffic')).map(ikeSaView);
    for (const what of ['by child', 'by an unknown child', 'by child id']) {
      const recorded = recordedCommand('list-sas', what);
      const ours = asked(control, 'list-sas', requestOf(recorded.request));
      assert.deepEqual(ours.map(childNames), rows(recorded).map(childNames), what);
    }
    assert.deepEqual(asked(control, 'list-sas', viciSection([['ike', 'gcm']])), []);
    assert.deepEqual(asked(control, 'list-sas', viciSection([['ike-id', 99]])), []);
    assert.equal(asked(control, 'list-sas', viciSection([['ike-id', 1]])).length, 1);
  });

  it('says esn=1 behind the algorithms of a Child SA with extended sequence numbers', () => {
    const control = new FakeControl();
    const [view] = rows(recordedCommand('list-sas', 'initiator')).map(ikeSaView);
    assert(view);
    control.sas = [{ ...view, children: view.children.map((child) => ({ ...child, esn: true })) }];
    assert.match(
      JSON.stringify(asked(control, 'list-sas', viciSection([]))),
      /"encr-keysize":"128","esn":"1","bytes-in"/,
    );
  });
});

describe('list-conns', () => {
  it('has the keys, order and values of strongSwan', () => {
    const theirs = rows(recordedCommand('list-conns'));
    const control = new FakeControl();
    control.views = theirs.map(connectionView);
    const ours = asked(control, 'list-conns', viciSection([]));
    assert.equal(ours.map(ordered).join(), theirs.map(ordered).join());
  });

  it('says the delay of liveness checks where there is one', () => {
    const [, theirs] = rows(recordedCommand('list-conns'));
    assert(theirs);
    const control = new FakeControl();
    control.views = [connectionView(theirs)];
    const [ours] = asked(control, 'list-conns', viciSection([['ike', 'gcm']]));
    assert(ours);
    assert.equal(JSON.stringify(ours), JSON.stringify(theirs));
    assert.deepEqual(asked(control, 'list-conns', viciSection([['ike', 'peer']])), []);
  });
});

describe('list-policies', () => {
  it('has the keys, order and values of strongSwan, and only the kinds asked for', () => {
    const control = new FakeControl();
    const [listing] = recordedCommands().filter(
      ({ command, events }) => command === 'list-policies' && events.length > 0,
    );
    assert(listing);
    const [row] = rows(listing);
    assert(row);
    control.shunts = [
      {
        child: 'cbc',
        ike: 'peer',
        mode: 'TUNNEL',
        localTs: ['10.1.0.0/16[icmp]', '10.1.0.0/16[tcp/http]'],
        remoteTs: ['10.2.0.0/16[icmp/8]', '10.2.0.0/16[tcp/1024-2000]'],
      },
      { child: 'byp', ike: 'peer', mode: 'PASS', localTs: ['::/0'], remoteTs: ['::/0'] },
      { child: 'blk', ike: 'peer', mode: 'DROP', localTs: ['::/0'], remoteTs: ['::/0'] },
    ];
    const ask = (...names: string[]): readonly string[] =>
      asked(control, 'list-policies', viciSection(names.map((name) => [name, true]))).flatMap(
        (one) => Object.keys(one),
      );
    const [trap] = asked(control, 'list-policies', viciSection([['trap', true]]));
    assert(trap);
    assert.equal(ordered(trap), ordered(row));
    assert.deepEqual(ask(), []);
    assert.deepEqual(ask('trap'), ['peer/cbc']);
    assert.deepEqual(ask('pass'), ['peer/byp']);
    assert.deepEqual(ask('drop'), ['peer/blk']);
    assert.deepEqual(ask('drop', 'pass', 'trap'), ['peer/cbc', 'peer/byp', 'peer/blk']);
  });
});

describe('What the daemon says about itself', () => {
  it('stats has the keys of strongSwan in its order, but for the C heap', () => {
    const [ours] = asked(new FakeControl(), 'stats', viciSection([]));
    assert(ours);
    const theirs = recordedCommand('stats').response ?? {};
    assert.deepEqual(
      keys(ours),
      keys(theirs).filter((key) => !key.startsWith('mallinfo')),
    );
  });

  it('version has the keys of strongSwan in its order', () => {
    const [ours] = asked(new FakeControl(), 'version', viciSection([]));
    assert.deepEqual(
      Object.keys(ours ?? {}),
      Object.keys(recordedCommand('version').response ?? {}),
    );
    assert.equal(ours?.daemon, 'tsgw');
  });

  it('get-algorithms has sections of algorithms, as strongSwan', () => {
    const [ours] = asked(new FakeControl(), 'get-algorithms', viciSection([]));
    assert.deepEqual(ours?.encryption, { AES_CBC: 'tsgw' });
    const theirs = Object.keys(recordedCommand('get-algorithms').response ?? {});
    assert(Object.keys(ours ?? {}).every((kind) => theirs.includes(kind)));
  });

  it('get-counters has every counter of strongSwan in its order', () => {
    const control = new FakeControl();
    const [ours] = asked(control, 'get-counters', viciSection([]));
    assert(ours);
    assert.equal(ordered(ours), ordered(recordedCommand('get-counters').response ?? {}));
    assert.equal(COUNTER_NAMES.length, 21);
  });

  it('get-counters of a connection, of all, and of one without counters', () => {
    const control = new FakeControl();
    control.totals = { '': { invalid: 3 }, peer: { invalid: 1 }, gcm: { invalid: 2 } };
    const of = (request: ViciSection): Tree => asked(control, 'get-counters', request)[0] ?? {};
    assert.deepEqual(Object.keys(Object(of(viciSection([])).counters)), ['']);
    assert.deepEqual(Object.keys(Object(of(viciSection([['name', 'gcm']])).counters)), ['gcm']);
    assert.deepEqual(Object.keys(Object(of(viciSection([['all', true]])).counters)), [
      'peer',
      'gcm',
    ]);
    asked(control, 'reset-counters', viciSection([['all', true]]));
    asked(control, 'reset-counters', viciSection([['name', 'gcm']]));
    asked(control, 'reset-counters', viciSection([]));
    assert.deepEqual(control.calls, [
      'reset-counters peer',
      'reset-counters gcm',
      'reset-counters gcm',
      'reset-counters undefined',
    ]);
    const gcm = of(viciSection([['name', 'gcm']]));
    assert.match(ordered(gcm), /"invalid": "2"/);
    const unknown = recordedCommands().find(
      ({ command, request }) => command === 'get-counters' && request.name === 'nope',
    );
    assert.equal(ordered(of(viciSection([['name', 'nope']]))), ordered(unknown?.response ?? {}));
  });

  it('running time is said in the largest unit of which there are more than two', () => {
    assert.equal(duration(0), '0 seconds');
    assert.equal(duration(1), '1 second');
    assert.equal(duration(120), '120 seconds');
    assert.equal(duration(121), '2 minutes');
    assert.equal(duration(7201), '2 hours');
    assert.equal(duration(3 * 86_400), '3 days');
  });
});

describe('What tsgw adds', () => {
  it('tsgw-status names only the reasons something was dropped for', () => {
    const control = new FakeControl();
    control.daemon = { ...control.daemon, drops: { 'bad-icv': 2, 'unknown-spi': 0 } };
    const [ours] = asked(control, 'tsgw-status', viciSection([]));
    assert.deepEqual(ours?.drops, { 'bad-icv': '2' });
  });

  it('tsgw-status says which library ciphers what', () => {
    const control = new FakeControl();
    const [ours] = asked(control, 'tsgw-status', viciSection([]));
    assert.deepEqual(ours?.['back-ends'], { evp: '3.0.19', 'ipsec-mb': '1.3.0' });
    assert.deepEqual(ours?.ciphers, control.daemon.ciphers);
  });

  it('tsgw-sad and tsgw-spd stream one row each', () => {
    const control = new FakeControl();
    control.sadRows = [sadRow, { ...sadRow, direction: 'out', integ: 'HMAC_SHA2_256_128' }];
    control.spdRows = [spdRow];
    const sad = asked(control, 'tsgw-sad', viciSection([]));
    assert.deepEqual(
      sad.map((row) => row.integ),
      [undefined, 'HMAC_SHA2_256_128'],
    );
    assert.equal(sad[0]?.['replay-window'], '1024');
    assert.deepEqual(asked(control, 'tsgw-spd', viciSection([])), [{ ...spdRow }]);
  });
});

const sadRow = {
  direction: 'in',
  spi: 'c0000001',
  local: '192.0.2.1[4500]',
  remote: '192.0.2.2[4500]',
  child: 'net',
  ike: 'peer',
  encapsulation: 'udp',
  encr: 'AES_GCM_16_128',
  esn: false,
  sequence: 17,
  replayWindow: 1024,
  packets: 17,
  octets: 1700,
  drops: 0,
  replays: 0,
  badIcvs: 0,
  mtu: 1438,
} as const;

const spdRow = {
  direction: 'in',
  action: 'protect',
  local: '10.1.0.0/16',
  remote: '10.2.0.0/16',
  ike: 'peer',
  child: 'net',
  spi: 'c0000001',
} as const;

function childNames(tree: Tree): string {
  return JSON.stringify(
    Object.values(tree).map((sa) => Object.keys(Object(Object(sa)['child-sas']))),
  );
}

/** Every key with its path, in order. */
function keys(tree: Tree, path = ''): readonly string[] {
  return Object.entries(tree).flatMap(([name, value]) => [
    `${path}${name}`,
    ...(typeof value === 'string' || Array.isArray(value)
      ? []
      : keys(Object(value), `${path}${name}.`)),
  ]);
}
