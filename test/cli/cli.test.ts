import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCli } from '../../src/cli/cli.ts';
import { EXIT_CODES } from '../../src/cli/exit-code.ts';
import { VERBS } from '../../src/cli/verbs.ts';
import type { Event } from '../../src/events/event.ts';
import type { ControlOutcome, FailureView } from '../../src/vici/control.ts';
import { done } from '../support/fake-control.ts';
import { connectionView, ikeSaView, recordedCommand } from '../support/recorded-views.ts';
import { sampleEvents, subject } from '../support/sample-events.ts';
import { TestTerminal } from '../support/terminal.ts';
import { TestServer, until } from '../support/vici-server.ts';

describe('tsgw against a daemon', () => {
  let test: TestServer;
  let terminal: TestTerminal;

  beforeEach(async () => {
    test = await TestServer.start();
    terminal = new TestTerminal({ TSGW_URI: test.uri });
    const { control } = test;
    control.views = recordedCommand('list-conns')
      .events.slice(0, 1)
      .map(({ message }) => connectionView(message));
    control.sas = recordedCommand('list-sas', 'two children, traffic').events.map(({ message }) =>
      ikeSaView(message),
    );
  });

  afterEach(() => test.stop());

  function tsgw(...argv: readonly string[]): Promise<number> {
    return runCli(argv, terminal);
  }

  it('status says version, uptime, SAs and what was dropped', async () => {
    test.control.daemon = { ...test.control.daemon, ikeSas: 1, drops: { 'bad-icv': 2 } };
    assert.equal(await tsgw('status'), 0);
    assert.equal(
      terminal.stdout,
      'tsgw 0.1.0 on Linux 6.18.0 x86_64\n' +
        'up 26 s, since Nov 21 21:40:47 2026\n' +
        'IKE SAs: 1, of which half open: 0\n' +
        'ciphers by evp 3.0.19: chacha20-poly1305, others\n' +
        'ciphers by ipsec-mb 1.3.0: aes-128/256-gcm\n' +
        'super-packets: tcp,udp\n' +
        'WORKER  CHILD-SAS  PACKETS-IN  PACKETS-OUT  HANDED-OVER  TAKEN-OVER\n' +
        '     0          0           0            0            0           0\n' +
        'dropped:\n  2 bad-icv\n',
    );
  });

  it('status names no cipher where one library has them all', async () => {
    const [backEnds, ciphers] = [{ evp: '3.0.19' }, { 'aes-128-gcm': 'evp', others: 'evp' }];
    test.control.daemon = { ...test.control.daemon, backEnds, ciphers };
    assert.equal(await tsgw('status'), 0);
    assert.match(terminal.stdout, /^ciphers by evp 3\.0\.19: all$/m);
    assert.match(terminal.stdout, /^super-packets: tcp,udp$/m);
    test.control.daemon = {
      ...test.control.daemon,
      backEnds: { ...backEnds, 'ipsec-mb': '1.3.0' },
    };
    assert.equal(await tsgw('status'), 0);
    assert.match(terminal.stdout, /^ciphers by ipsec-mb 1\.3\.0: none$/m);
  });

  it('status --json has numbers as numbers', async () => {
    test.control.daemon = { ...test.control.daemon, drops: { 'bad-icv': 2 } };
    assert.equal(await tsgw('status', '--json'), 0);
    assert.deepEqual(JSON.parse(terminal.stdout), {
      version: '0.1.0',
      sysname: 'Linux',
      release: '6.18.0',
      machine: 'x86_64',
      offload: 'tcp,udp',
      uptime: 26,
      since: 'Nov 21 21:40:47 2026',
      'ike-sas': 0,
      'half-open': 0,
      drops: { 'bad-icv': 2 },
      workers: [
        {
          worker: '0',
          'child-sas': 0,
          'packets-in': 0,
          'packets-out': 0,
          'handed-over': 0,
          'taken-over': 0,
        },
      ],
      'back-ends': { evp: '3.0.19', 'ipsec-mb': '1.3.0' },
      ciphers: test.control.daemon.ciphers,
    });
  });

  it('sas is a table with Child SAs below their IKE SA', async () => {
    assert.equal(await tsgw('sas'), 0);
    const lines = terminal.stdout.trimEnd().split('\n');
    assert.equal(lines.length, 4);
    assert.match(lines[0] ?? '', /^SA {2,}STATE {2,}LOCAL/);
    assert.match(lines[1] ?? '', /^peer #\d+ {2,}ESTABLISHED {2,}a\.lab @ 192\.0\.2\.1\[4500\]/);
    assert.match(lines[2] ?? '', /^ {2}net #1 {2,}INSTALLED .* AES_GCM_16_128 in UDP .* 168 B/);
    const states = lines.map((line) => line.search(/STATE|ESTABLISHED|INSTALLED/));
    assert.equal(new Set(states).size, 1, 'the states stand in one column');
  });

  it('sas --json has the keys of vici, flags always there', async () => {
    assert.equal(await tsgw('sas', '--json', '--ike', 'peer'), 0);
    const [sa] = JSON.parse(terminal.stdout);
    assert.equal(sa.connection, 'peer');
    assert.equal(sa['local-port'], 4500);
    assert.equal(sa.initiator, true);
    assert.equal(sa['nat-fake'], false);
    const [net] = sa['child-sas'];
    assert.equal(net.name, 'net');
    assert.equal(net['bytes-in'], 168);
    assert.equal(net.esn, false);
    assert.deepEqual(net['local-ts'], ['10.1.0.0/16']);
  });

  it('sas says what was dropped of which Child SA, by reason, where anything was', async () => {
    assert.equal(await tsgw('sas'), 0);
    assert.doesNotMatch(terminal.stdout, /dropped/);
    test.control.sas = test.control.sas.map((one) => ({
      ...one,
      children: one.children.map((child, index) => ({
        ...child,
        droppedIn: index === 0 ? { 'bad-icv': 2, 'replayed-sequence-number': 1 } : {},
        droppedOut: index === 0 ? { 'packet-too-big': 3 } : {},
      })),
    }));
    terminal.stdout = '';
    await tsgw('sas');
    assert.deepEqual(terminal.stdout.match(/^.* dropped .*$/gm), [
      'peer/net #1 dropped in: 2 bad-icv, 1 replayed-sequence-number',
      'peer/net #1 dropped out: 3 packet-too-big',
    ]);
    terminal.stdout = '';
    await tsgw('sas', '--json');
    const [{ 'child-sas': children }] = JSON.parse(terminal.stdout);
    assert.deepEqual(children[0]['dropped-in'], { 'bad-icv': 2, 'replayed-sequence-number': 1 });
    assert.deepEqual(children[1]['dropped-out'], {});
  });

  it('an empty listing says so, and is [] as JSON', async () => {
    test.control.sas = [];
    assert.equal(await tsgw('sas'), 0);
    assert.equal(terminal.stdout, 'no IKE SA\n');
    terminal.stdout = '';
    for (const verb of ['sas', 'sad', 'spd']) await tsgw(verb, '--json');
    assert.equal(terminal.stdout, '[]\n[]\n[]\n');
  });

  it('conns lists connections with their children', async () => {
    assert.equal(await tsgw('conns'), 0);
    assert.match(terminal.stdout, /^peer +IKEv2 +a\.lab @ 192\.0\.2\.1 +b\.lab @ 192\.0\.2\.2$/m);
    assert.match(terminal.stdout, /^ {2}net +TUNNEL +10\.1\.0\.0\/16 +10\.2\.0\.0\/16$/m);
    terminal.stdout = '';
    await tsgw('conns', '--json');
    const [connection] = JSON.parse(terminal.stdout);
    assert.equal(connection.rekey_time, 14_400);
    assert.equal(connection.children[0].name, 'net');
  });

  it('sad and spd have one row each per SA and policy', async () => {
    test.control.sadRows = [
      {
        direction: 'out',
        spi: 'c0000001',
        local: '192.0.2.1[4500]',
        remote: '192.0.2.2[4500]',
        child: 'net',
        ike: 'peer',
        encapsulation: 'udp',
        encr: 'AES_CBC_256',
        integ: 'HMAC_SHA2_256_128',
        esn: true,
        sequence: 17,
        replayWindow: 1024,
        packets: 17,
        octets: 2048,
        drops: 1,
        replays: 0,
        badIcvs: 0,
        mtu: 1400,
      },
    ];
    test.control.spdRows = [
      {
        direction: 'out',
        action: 'discard',
        local: '::/0',
        remote: '::/0',
        child: '',
        ike: '',
        spi: '',
      },
    ];
    assert.equal(await tsgw('sad'), 0);
    assert.match(
      terminal.stdout,
      /c0000001 +out +peer\/net .* AES_CBC_256\/HMAC_SHA2_256_128\/ESN +17 +- +17 +2\.0 KiB +1 /,
    );
    terminal.stdout = '';
    await tsgw('sad', '--json');
    assert.equal(JSON.parse(terminal.stdout)[0].sequence, 17);
    assert.equal(JSON.parse(terminal.stdout)[0].esn, true);
    terminal.stdout = '';
    assert.equal(await tsgw('spd'), 0);
    assert.match(terminal.stdout, /^out +discard +::\/0 +::\/0 +- +-$/m);
  });

  it('initiate shows each exchange and ends 0', async () => {
    test.control.onInitiate = async () => {
      test.control.emit(sampleEvents.message, sampleEvents.received, sampleEvents.ikeSaUp);
      test.control.emit({ ...sampleEvents.message, connection: 'other' }, sampleEvents.childSaUp);
      test.control.emit({ ...sampleEvents.received, octets: 3420, fragments: 3 });
      return done(1, 0);
    };
    assert.equal(await tsgw('initiate', 'net'), 0);
    const lines = terminal.stdout.split('\n').map((line) => line.slice(10));
    assert.deepEqual(lines.slice(0, 4), [
      '──► IKE_SA_INIT request 0      SA KE No N(NAT_DETECTION_SOURCE_IP) N(NAT_DETECTION_DESTINATION_IP)  (328 octets)',
      '◄── IKE_SA_INIT response 0     SA KE No  (248 octets)',
      'IKE SA #1 peer is up',
      'a.lab === b.lab, IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519',
    ]);
    assert.match(terminal.stdout, /Child SA net #1 is up/);
    assert.match(terminal.stdout, /\nestablished\n$/);
    assert.match(terminal.stdout, /\(3420 octets in 3 fragments\)/);
    assert.equal(terminal.stdout.match(/──►/g)?.length, 1, 'nothing of other connections');
    assert.equal(terminal.stderr, '');
    assert.deepEqual(test.control.calls, ['initiate net undefined']);
  });

  it('initiate hands over the connection and the time to wait', async () => {
    test.control.onInitiate = () => new Promise(() => {});
    assert.equal(await tsgw('initiate', '--child', 'net', '--ike', 'peer', '--timeout', '0.02'), 6);
    assert.deepEqual(test.control.calls, ['initiate net peer']);
    assert.match(terminal.stderr, /'net' not established after 20ms/);
  });

  const outcomes: readonly (readonly [ControlOutcome, Event, number, RegExp])[] = [
    [
      { kind: 'refused', what: 'no proposal fits' },
      sampleEvents.refused,
      4,
      /we refused with NO_PROPOSAL_CHOSEN.*\n +ENCR {2}offered {2}AES_CBC_128\n +accepted AES_CBC_256, AES_GCM_16_256\n +KE {4}offered {2}MODP_2048\n +accepted nothing/,
    ],
    [
      { kind: 'refused', what: 'the peer answered TS_UNACCEPTABLE' },
      { ...sampleEvents.refused, by: 'peer', notify: 'TS_UNACCEPTABLE', transforms: [] },
      4,
      /the peer refused with TS_UNACCEPTABLE: .*\n +the peer does not say what it would accept/,
    ],
    [
      { kind: 'authentication-failed', what: 'the peer answered AUTHENTICATION_FAILED' },
      sampleEvents.authenticationFailed,
      5,
      /the peer refused the authentication/,
    ],
    [
      { kind: 'timeout', what: 'the peer did not answer' },
      sampleEvents.peerUnreachable,
      6,
      /192\.0\.2\.2\[500\] did not answer 5 transmissions/,
    ],
    [
      { kind: 'failed', what: 'two SA payloads' },
      sampleEvents.peerFault,
      1,
      /the peer is at fault: two SA payloads/,
    ],
  ];
  for (const [outcome, event, code, shown] of outcomes) {
    it(`initiate ends ${code} when it is ${outcome.kind}: ${event.kind}`, async () => {
      test.control.onInitiate = async () => {
        test.control.emit(event);
        return outcome;
      };
      assert.equal(await tsgw('initiate', 'net'), code);
      assert.match(terminal.stdout, shown);
      assert.match(terminal.stderr, /^tsgw: establishing CHILD_SA 'net' failed: /);
    });
  }

  it('initiate says what would mend it, if the daemon knows', async () => {
    const failure: FailureView = {
      secondsAgo: 0,
      count: 1,
      alert: 'ts-mismatch',
      peer: '192.0.2.2',
      connection: 'peer',
      what: '',
      why: '',
      here: ['write local_ts = 10.1.0.0/24'],
      there: ['let its remote side be 10.1.0.0/16'],
      transforms: [],
    };
    const others = { ...failure, connection: 'other', here: ['nothing of this'] };
    test.control.failed = [others, failure];
    test.control.onInitiate = () => Promise.resolve({ kind: 'refused', what: 'no' });
    assert.equal(await tsgw('initiate', 'net'), 4);
    assert.equal(
      terminal.stdout,
      '  here:      write local_ts = 10.1.0.0/24\n' +
        '  the peer:  let its remote side be 10.1.0.0/16\n',
    );
    terminal.stdout = '';
    test.control.failed = [{ ...failure, secondsAgo: 60 }];
    assert.equal(await tsgw('initiate', 'net'), 4);
    assert.equal(terminal.stdout, '');
  });

  it('initiate of what is not configured ends 1', async () => {
    assert.equal(await tsgw('initiate', 'nope'), 1);
    assert.equal(terminal.stderr, "tsgw: CHILD_SA config 'nope' not found\n");
  });

  it('terminate shows what happens to the SAs it ends, and no other', async () => {
    test.control.onTerminate = async () => {
      test.control.emit(sampleEvents.childSaDown, { ...sampleEvents.ikeSaDown, ikeSa: 77 });
      return done(1, 1);
    };
    assert.equal(await tsgw('terminate', 'net', '--force'), 0);
    assert.match(
      terminal.stdout,
      /Child SA net #1 is down: deleted by the peer\nterminated 1 SAs\n$/,
    );
    assert.doesNotMatch(terminal.stdout, /IKE SA/);
    assert.deepEqual(test.control.calls, ['terminate {"child":"net","force":true}']);
    assert.equal(await tsgw('terminate', '--ike', 'nope'), 1);
    assert.match(terminal.stderr, /no matching SAs/);
  });

  it('rekey shows how SAs are replaced, and no other', async () => {
    test.control.onRekey = async () => {
      test.control.emit(sampleEvents.childSaRekeyed, sampleEvents.ikeSaRekeyed);
      test.control.emit({ ...sampleEvents.childSaRekeyed, ikeSa: 77 });
      return done(1, 0);
    };
    assert.equal(await tsgw('rekey', 'net'), 0);
    const lines = terminal.stdout.split('\n').map((line) => line.slice(10));
    assert.deepEqual(lines.slice(0, 5), [
      'Child SA net #2 is up',
      'it replaces #1, ESP:AES_GCM_16_128/NO_EXT_SEQ',
      'SPI in c0000003, out c0000004',
      'IKE SA #2 peer is up',
      'it replaces #1, IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519',
    ]);
    assert.match(terminal.stdout, /\nrekeyed 1 SAs\n$/);
    assert.equal(terminal.stdout.match(/Child SA/g)?.length, 1);
    assert.equal(await tsgw('rekey', '--ike', 'peer', '--reauth', '--timeout', '3'), 0);
    assert.deepEqual(test.control.calls, [
      'rekey {"child":"net","reauthenticate":false}',
      'rekey {"ike":"peer","reauthenticate":true}',
    ]);
  });

  it('rekey waits for the end and says how it failed', async () => {
    test.control.onRekey = () => Promise.resolve({ kind: 'refused', what: 'no proposal fits' });
    assert.equal(await tsgw('rekey', '--ike', 'peer'), 4);
    assert.equal(terminal.stderr, 'tsgw: rekeying SAs failed: no proposal fits\n');
    assert.equal(await tsgw('rekey', 'nope'), 1);
    assert.match(terminal.stderr, /no matching SAs to rekey found/);
    assert.equal(await tsgw('rekey'), 2);
    assert.match(terminal.stderr, /name a child, or an SA/);
  });

  it('why explains the last failures, newest first', async () => {
    const failure: FailureView = {
      secondsAgo: 90,
      count: 3,
      alert: 'proposal-mismatch-child',
      peer: '192.0.2.2',
      identity: 'b.lab',
      connection: 'peer',
      child: 'net',
      what: 'we refused child net',
      why: 'ENCR: it offers A, we accept B',
      here: ['add aes256gcm16 to esp_proposals of child net'],
      there: ['let it offer aes128gcm16', 'or something else'],
      transforms: [{ type: 'ENCR', offered: ['A'], accepted: ['B', 'C'] }],
    };
    const { identity: _identity, connection: _connection, child: _child, ...plain } = failure;
    test.control.failed = [failure, ...Array.from({ length: 6 }, () => ({ ...plain, count: 1 }))];
    assert.equal(await tsgw('why', '192.0.2.2', '--last', '1'), 0);
    assert.equal(
      terminal.stdout,
      '192.0.2.2 (b.lab) connection peer child net, 90 s ago, 3 times: proposal-mismatch-child\n' +
        '  we refused child net\n' +
        '  ENCR: it offers A, we accept B\n' +
        '    ENCR  offered  A\n' +
        '          accepted B, C\n' +
        '  here:      add aes256gcm16 to esp_proposals of child net\n' +
        '  the peer:  let it offer aes128gcm16\n' +
        '  the peer:  or something else\n' +
        '\n6 older: --last says how many\n',
    );
    terminal.stdout = '';
    assert.equal(await tsgw('why'), 0);
    assert.equal(terminal.stdout.match(/seconds|ago/g)?.length, 5);
    assert.match(terminal.stdout, /\n2 older/);
    terminal.stdout = '';
    assert.equal(await tsgw('why', '--json'), 0);
    const rows = JSON.parse(terminal.stdout);
    assert.equal(rows.length, 7);
    assert.deepEqual(rows[0], {
      'seconds-ago': 90,
      count: 3,
      alert: 'proposal-mismatch-child',
      peer: '192.0.2.2',
      identity: 'b.lab',
      connection: 'peer',
      child: 'net',
      what: failure.what,
      why: failure.why,
      here: failure.here,
      there: failure.there,
      transforms: { ENCR: { offered: ['A'], accepted: ['B', 'C'] } },
    });
  });

  it('why says that nothing is known', async () => {
    assert.equal(await tsgw('why', '192.0.2.9'), 0);
    assert.match(terminal.stdout, /^nothing failed with 192\.0\.2\.9 that is still remembered/);
    terminal.stdout = '';
    await tsgw('why');
    assert.equal(terminal.stdout, 'nothing failed since the daemon started\n');
    assert.equal(await tsgw('why', '--last', '0'), 2);
  });

  it('policies lists traps and shunts', async () => {
    assert.equal(await tsgw('policies'), 0);
    assert.equal(terminal.stdout, 'no trap and no shunt is installed\n');
    const selectors = { localTs: ['10.1.0.0/16', '10.3.0.0/16'], remoteTs: ['10.2.0.0/16'] };
    test.control.shunts = [
      { child: 'trp', ike: 'peer', mode: 'TUNNEL', ...selectors },
      { child: 'byp', ike: 'peer', mode: 'PASS', ...selectors },
    ];
    terminal.stdout = '';
    assert.equal(await tsgw('policies'), 0);
    assert.match(terminal.stdout, /^peer\/trp +trap +10\.1\.0\.0\/16 10\.3\.0\.0\/16 +10\.2/m);
    assert.match(terminal.stdout, /^peer\/byp +pass/m);
    terminal.stdout = '';
    assert.equal(await tsgw('policies', '--child', 'byp', '--json'), 0);
    assert.deepEqual(JSON.parse(terminal.stdout), [
      {
        child: 'byp',
        ike: 'peer',
        mode: 'PASS',
        'local-ts': selectors.localTs,
        'remote-ts': selectors.remoteTs,
      },
    ]);
  });

  it('pools says how full they are, and who has what', async () => {
    assert.equal(await tsgw('pools'), 0);
    assert.equal(terminal.stdout, 'no pool is loaded\n');
    const leases = [
      { address: '10.3.0.1', identity: 'a@lab', status: 'online' },
      { address: '10.3.0.2', identity: 'b@lab', status: 'offline' },
    ] as const;
    const pool = { name: 'rw', base: '10.3.0.0', size: 6, online: 1, offline: 1, leases };
    test.control.addressPools = [pool];
    terminal.stdout = '';
    assert.equal(await tsgw('pools'), 0);
    assert.match(terminal.stdout, /^rw +10\.3\.0\.0 +6 +1 +1$/m);
    assert.doesNotMatch(terminal.stdout, /a@lab/);
    terminal.stdout = '';
    assert.equal(await tsgw('pools', 'rw', '--leases'), 0);
    assert.match(terminal.stdout, /^ {2}a@lab +10\.3\.0\.1 +yes$/m);
    terminal.stdout = '';
    assert.equal(await tsgw('pools', '--json'), 0);
    assert.deepEqual(JSON.parse(terminal.stdout), [{ ...pool, leases }]);
  });

  it('log prints each event until interrupted', async () => {
    const ended = tsgw('log');
    await until('the client', () => test.server.clients === 1);
    await until('a line', () => {
      test.control.emit(sampleEvents.childSaUp, sampleEvents.message);
      return terminal.stdout.includes('\n');
    });
    terminal.interrupt();
    assert.equal(await ended, 0);
    assert.match(terminal.stdout, /^notice child-sa-up ike-sa=1 connection=peer /);
    assert.doesNotMatch(terminal.stdout, /^trace/m);
  });

  it('log --json --level trace prints one object per line', async () => {
    const ended = tsgw('log', '--json', '--level', 'trace');
    await until('a line', () => {
      test.control.emit(sampleEvents.message);
      return terminal.stdout.includes('\n');
    });
    await test.server.close();
    assert.equal(await ended, 3);
    const event = JSON.parse(terminal.stdout.split('\n')[0] ?? '');
    assert.equal(event.kind, 'message');
    assert.equal(event.octets, 328);
    assert.equal(event['ike-sa'], 1);
    assert.deepEqual(event.payloads.slice(0, 2), ['SA', 'KE']);
  });

  it('--uri goes before TSGW_URI', async () => {
    assert.equal(await tsgw('sas', '--uri', `unix://${test.directory}/none`), 3);
    assert.match(terminal.stderr, /no daemon at unix:.*none/);
    assert.equal(await tsgw('sas', '--vici', test.uri), 0);
  });

  it('text of peers cannot steer the terminal', async () => {
    const remoteId = '\u001b[2Jevil\u009b';
    const [sa] = test.control.sas;
    assert(sa);
    test.control.sas = [{ ...sa, remoteId }];
    test.control.onInitiate = async () => {
      test.control.emit({ ...sampleEvents.ikeSaUp, remoteId });
      return { kind: 'failed', what: remoteId };
    };
    await tsgw('sas');
    await tsgw('initiate', 'net');
    assert.match(terminal.stdout, /\?\[2Jevil\?/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not pass
    assert.doesNotMatch(`${terminal.stdout}${terminal.stderr}`, /[\u001b\u009b]/);
  });

  it('colours only where the terminal wants it', async () => {
    terminal = new TestTerminal({ TSGW_URI: test.uri }, { colour: true });
    test.control.onInitiate = async () => {
      test.control.emit({ ...sampleEvents.ikeSaUp, ...subject });
      return done(1, 0);
    };
    await tsgw('initiate', 'net');
    assert(terminal.stdout.includes('\u001b[32mIKE SA #1 peer is up'));
  });
});

describe('tsgw without a daemon', () => {
  let terminal: TestTerminal;
  beforeEach(() => {
    terminal = new TestTerminal({ TSGW_URI: 'unix:///nonexistent/tsgw.vici' });
  });

  for (const verb of ['status', 'sas', 'spd', 'sad', 'conns', 'log']) {
    it(`${verb} ends 3`, async () => {
      assert.equal(await runCli([verb], terminal), 3);
      assert.match(terminal.stderr, /^tsgw: no daemon at unix:\/\/\/nonexistent/);
      assert.equal(terminal.stdout, '');
    });
  }

  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [[], /usage: tsgw VERB/],
    [['dance'], /there is no verb dance/],
    [['stauts'], /did you mean status\?/],
    [['sas', '--jsno'], /unknown option --jsno; did you mean --json\?/],
    [['sas', '--json=yes'], /--json takes no value/],
    [['sas', '--ike'], /--ike needs a NAME/],
    [['sas', 'peer'], /peer is one argument too many/],
    [['sas', '--uri', '/run/tsgw.vici'], /write unix:\/\/\/PATH/],
    [['check'], /FILE is missing/],
    [['initiate'], /name a child/],
    [['initiate', 'net', '--timeout', 'soon'], /number of seconds/],
    [['terminate'], /name a child, or an SA/],
    [['log', '--level', 'loud'], /one of error, notice, debug, trace/],
    [['run', '--log-level', 'loud'], /one of error, notice, debug, trace/],
    [['run', '--constructor'], /unknown option --constructor/],
    [['help', 'dance'], /there is no verb dance/],
  ];
  for (const [argv, said] of wrong) {
    it(`tsgw ${argv.join(' ')} ends 2 and says what is wrong`, async () => {
      assert.equal(await runCli(argv, terminal), 2);
      assert.match(terminal.stderr, said);
      assert.equal(terminal.stdout, '');
    });
  }

  it('help lists every verb, and every verb explains itself', async () => {
    assert.equal(await runCli(['help'], terminal), 0);
    assert.match(terminal.stdout, /^ {2}cluster +operate a node .*: tsgw help cluster$/m);
    const listed = new TestTerminal();
    assert.equal(await runCli(['help', 'cluster'], listed), 0);
    for (const { name, summary } of VERBS) {
      const isGrouped = name.includes(' ');
      assert.match(
        isGrouped ? listed.stdout : terminal.stdout,
        new RegExp(`^  ${name.split(' ').at(-1)} +${summary.replace(/[:,]/g, '.')}$`, 'm'),
      );
      const one = new TestTerminal();
      assert.equal(await runCli([...name.split(' '), '--help'], one), 0);
      assert.match(one.stdout, new RegExp(`^usage: tsgw ${name}`, 'm'));
      assert.match(one.stdout, /^examples:\n {2}tsgw /m);
    }
  });

  it('the manual names every verb, option, variable and exit code', async () => {
    assert.equal(await runCli(['help', '--man'], terminal), 0);
    for (const verb of VERBS) {
      for (const name of Object.keys(verb.options)) assert(terminal.stdout.includes(`--${name}`));
    }
    for (const [code, what] of EXIT_CODES)
      assert.match(terminal.stdout, new RegExp(`^  ${code}  ${what}`, 'm'));
    assert(terminal.stdout.split('\n').every((line) => line.length <= 100));
  });

  it('version is that of the package', async () => {
    assert.equal(await runCli(['version'], terminal), 0);
    assert.match(terminal.stdout, /^tsgw \d+\.\d+\.\d+\n$/);
  });

  it('as a process, NO_COLOR and pipes are honoured and data goes to stdout', () => {
    const script =
      "import { runCli } from './build/src/cli/cli.js'; process.exitCode = await runCli(process.argv.slice(1));";
    const ran = spawnSync(process.execPath, ['--input-type=module', '-e', script, 'help'], {
      encoding: 'utf8',
    });
    assert.equal(ran.status, 0);
    assert.match(ran.stdout, /usage: tsgw VERB/);
    assert(!ran.stdout.includes('\u001b'));
  });
});

describe('tsgw check', () => {
  let test: TestServer;
  let terminal: TestTerminal;

  before(async () => {
    test = await TestServer.start();
  });
  after(() => test.stop());
  beforeEach(() => {
    terminal = new TestTerminal();
  });

  async function checked(text: string, ...options: readonly string[]): Promise<number> {
    const file = join(test.directory, 'swanctl.conf');
    await writeFile(file, text);
    return runCli(['check', file, ...options], terminal);
  }

  const good =
    'connections {\n peer {\n  remote_addrs = 192.0.2.2\n  local {\n   auth = psk\n  }\n' +
    '  remote {\n   auth = psk\n  }\n  children {\n   net {\n   }\n  }\n }\n}\n';

  it('ends 0 where the file is good', async () => {
    assert.equal(await checked(good), 0, terminal.stdout);
    assert.match(terminal.stdout, /swanctl\.conf: good, 1 connection, 0 secrets, \d warnings?\n$/);
  });

  it('ends 1 with file, line and the nearest known key', async () => {
    assert.equal(await checked(good.replace('remote_addrs', 'dpd_dealy = 3\nremote_addrs')), 1);
    assert.match(terminal.stdout, /swanctl\.conf:3: error: .*dpd_dealy.*dpd_delay/);
    assert.equal(terminal.stderr, '');
  });

  it('finds everything at once, as JSON too', async () => {
    const bad = good.replace('remote_addrs', 'dpd_dealy').replace('net {', 'net {\n esp = no');
    assert.equal(await checked(bad, '--json'), 1);
    const findings = JSON.parse(terminal.stdout);
    assert.deepEqual(
      findings.map(({ line, kind }: { line: number; kind: string }) => [line, kind]),
      [
        [3, 'error'],
        [12, 'error'],
      ],
    );
  });

  it('says what is no error and will hurt, with what to write instead', async () => {
    const hurting = good.replace('net {\n', 'net {\n rekey_time = 0\n life_time = 1h\n');
    assert.equal(await checked(hurting), 0);
    assert.match(
      terminal.stdout,
      /swanctl\.conf:12: warning: connections\.peer\.children\.net\.rekey_time: the tunnel goes down after 3600 s.*; write rekey_time = 3240, or remove life_time\n/,
    );
    assert.match(terminal.stdout, /, 1 warning\n$/);
    terminal.stdout = '';
    assert.equal(await checked(hurting, '--json'), 0);
    const [finding, ...others] = JSON.parse(terminal.stdout);
    assert.deepEqual(others, []);
    assert.deepEqual(
      [finding.line, finding.kind, finding.rule, finding.instead],
      [12, 'warning', 'lifetime-without-rekey', 'write rekey_time = 3240, or remove life_time'],
    );
  });

  it('says of a weak algorithm once what is wrong with it', async () => {
    const weak = good.replace('local {', 'proposals = aes256-sha1-modp2048\n local {');
    assert.equal(await checked(weak), 0);
    assert.equal(terminal.stdout.match(/sha1/gi)?.length, 1, terminal.stdout);
  });

  it('ends 1 where there is no such file', async () => {
    assert.equal(await runCli(['check', join(test.directory, 'none')], terminal), 1);
    assert.match(terminal.stderr, /there is no such file/);
  });
});
