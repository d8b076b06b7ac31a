import assert from 'node:assert/strict';
import { runCli } from '../../src/cli/cli.ts';
import { CLUSTER_VIEW, FakeCluster } from '../support/fake-cluster.ts';
import { sampleEvents } from '../support/sample-events.ts';
import { TestTerminal } from '../support/terminal.ts';
import { TestServer, until } from '../support/vici-server.ts';

describe('tsgw cluster', () => {
  let test: TestServer;
  let cluster: FakeCluster;
  let terminal: TestTerminal;

  beforeEach(async () => {
    test = await TestServer.start();
    cluster = new FakeCluster();
    test.control.clusterControl = cluster;
    terminal = new TestTerminal({ TSGW_URI: test.uri });
  });

  afterEach(() => test.stop());

  function run(...argv: readonly string[]): Promise<number> {
    return runCli(['cluster', ...argv], terminal);
  }

  it('status shows the node, the others, and what is wrong', async () => {
    assert.equal(await run('status'), 0);
    assert.deepEqual(terminal.stdout.split('\n'), [
      'cluster tsgw, node a (1): active-passive over udp, process 259',
      'segments: 4 of 8',
      'lease: for 184 ms more, answered 61 ms ago',
      'state: that of all nodes is here',
      'demotion: 0',
      'IKE SAs: 12 served here, 30 of other nodes kept, 1 unsynced; Child SAs alone: 0',
      'trouble: filter: nft: no such device',
      '',
      'NODE  ID  STATE    SEGMENTS  WEIGHT  DEMOTION  ADVERT  LEGS          HEARD  IN STEP  DIFFERS',
      'a      1  self            4       1         0  1/0     wan lan sync      -  yes      -',
      'b      2  up              4       1        50  1/100   lan sync      34 ms  yes      connections',
      'c      3  unheard         0       0         -  -       -                 -  -        -',
      '',
      'ADDRESS      NAME   DEVICE  SIDE  HERE  NODE  MAC',
      '192.0.2.100  outer  wan     wan   yes   a     -',
      '10.1.0.1     inner  lan     lan   no    -     01:00:5e:00:00:21',
      '',
      'figures:',
      '  0.4 lag-p50',
      '  2 take-overs',
      'dropped from the bus:',
      '  7 bad-tag',
      '',
    ]);
  });

  it('status of a node that may not transmit says so', async () => {
    const { leaseAge: _age, leaseLeft: _left, ...rest } = CLUSTER_VIEW;
    cluster.view = {
      ...rest,
      lease: 'over',
      alone: true,
      synced: false,
      demotion: 1240,
      demotions: { boot: 1000, drain: 240 },
      troubles: [],
    };
    assert.equal(await run('status'), 0);
    assert.match(terminal.stdout, /^segments: 4 of 8, going on alone$/m);
    assert.match(terminal.stdout, /^lease: over, so that it transmits nothing$/m);
    assert.match(terminal.stdout, /^state: not here yet, so that it gets no segments$/m);
    assert.match(terminal.stdout, /^demotion: 1240 \(boot 1000, drain 240\)$/m);
    assert.doesNotMatch(terminal.stdout, /trouble/);
  });

  it('status --json has every figure as a number', async () => {
    assert.equal(await run('status', '--json'), 0);
    const view = JSON.parse(terminal.stdout);
    assert.equal(view.owned, 4);
    assert.equal(view['lease-left'], 184);
    assert.equal(view.alone, false);
    assert.deepEqual(view.metrics, { 'lag-p50': 0.4, 'take-overs': 2, forwarded: 0 });
    assert.deepEqual(view.drops, { 'bad-tag': 7 });
    assert.deepEqual(view['ike-sas'], { active: 12, passive: 30, unsynced: 1, solo: 0 });
    assert.deepEqual(view.members[1], {
      name: 'b',
      'node-id': 2,
      state: 'up',
      sid: 515,
      owned: 4,
      weight: 1,
      demotion: 50,
      advbase: 1,
      advskew: 100,
      alone: false,
      synced: true,
      wan: false,
      lan: true,
      sync: true,
      load: 3,
      heard: 34,
      applied: 1200,
      differences: ['connections'],
    });
    assert.equal(view.addresses[1].here, false);
    // Of a node that was never heard nothing is known.
    assert.deepEqual(view.members[2], {
      name: 'c',
      'node-id': 3,
      state: 'unheard',
      owned: 0,
      weight: 0,
      differences: [],
    });
  });

  it('segments are one row for each owner, or with --each for each of them', async () => {
    assert.equal(await run('segments'), 0);
    assert.deepEqual(terminal.stdout.split('\n'), [
      'OWNER     COUNT  EPOCH  IKE SAS  CHILD SAS  SEGMENTS',
      'a (here)      4     13        6         12  0-3',
      'b             3     16       15         30  4-6',
      'nobody        1     17        7         14  7',
      '',
    ]);
    terminal.stdout = '';
    assert.equal(await run('segments', '--each'), 0);
    assert.equal(terminal.stdout.split('\n').length, 10);
    terminal.stdout = '';
    assert.equal(await run('segments', '--json'), 0);
    const rows = JSON.parse(terminal.stdout);
    assert.equal(rows.length, 8);
    assert.deepEqual(rows[0], {
      segment: 0,
      owner: 'a',
      here: true,
      epoch: 10,
      'ike-sas': 0,
      'child-sas': 0,
    });
  });

  it('orders are passed on with what they name', async () => {
    assert.equal(await run('take', '1-2', '5'), 0);
    assert.equal(terminal.stdout, 'take: done\n');
    assert.equal(await run('give', '3', '4', 'b'), 0);
    assert.equal(await run('drain', '--timeout', '2.5'), 0);
    assert.equal(await run('undrain'), 0);
    assert.equal(await run('unpin'), 0);
    assert.equal(await run('demote', '50'), 0);
    assert.equal(await run('resync'), 0);
    assert.equal(await run('rekey', 'all'), 0);
    assert.equal(await run('rotate-key'), 0);
    assert.equal(await run('probe'), 0);
    assert.equal(await run('declare-dead', 'b', '--yes'), 0);
    assert.equal(await run('simulate-failure', 'stop', '--seconds', '60', '--yes'), 0);
    assert.deepEqual(
      cluster.orders.map(({ kind, ...more }) => [kind, ...Object.values(more)]),
      [
        ['take', [1, 2, 5]],
        ['give', [3, 4], 'b'],
        ['drain'],
        ['undrain'],
        ['unpin'],
        ['demote', 50],
        ['resync'],
        ['rekey', [0, 1, 2, 3, 4, 5, 6, 7]],
        ['rotate-key'],
        ['probe'],
        ['declare-dead', 'b'],
        ['simulate-failure', 'stop', 60_000],
      ],
    );
  });

  it('a probe answers node by node, --json as an object', async () => {
    const nodes = { b: 'came', c: 'did not come' };
    cluster.outcome = async () => ({ kind: 'done', what: 'probed', milliseconds: 3, nodes });
    assert.equal(await run('probe'), 0);
    assert.equal(terminal.stdout, 'probed\n  b: came\n  c: did not come\n');
    terminal.stdout = '';
    assert.equal(await run('probe', '--json'), 0);
    assert.deepEqual(JSON.parse(terminal.stdout), { what: 'probed', milliseconds: 3, nodes });
  });

  it('what fails ends with the reason and a code', async () => {
    assert.equal(await run('take', '9'), 1);
    assert.equal(terminal.stderr, 'tsgw: segment 9: there are 8, 0 to 7\n');
    terminal.stderr = '';
    cluster.outcome = () => new Promise(() => {});
    assert.equal(await run('drain', '--timeout', '0.005'), 6);
    assert.match(terminal.stderr, /^tsgw: 4 segments are still here after 0.0 s; c is unheard: /);
  });

  it('what interrupts is not done without --yes', async () => {
    assert.equal(await run('simulate-failure', 'crash'), 2);
    assert.equal(await run('declare-dead', 'b'), 2);
    assert.match(terminal.stderr, /add --yes/);
    assert.deepEqual(cluster.orders, []);
  });

  it('a wrong command line is told what would be right', async () => {
    assert.equal(await run('dran'), 2);
    assert.match(terminal.stderr, /^tsgw: there is no verb cluster dran; did you mean drain/);
    terminal.stderr = '';
    assert.equal(await run('give', '3'), 2);
    assert.match(terminal.stderr, /NODE is missing\nusage: tsgw cluster give SEG\.\.\. NODE /);
    terminal.stderr = '';
    assert.equal(await run('drain', '--timeout', 'soon'), 2);
    assert.match(terminal.stderr, /--timeout needs a number of seconds/);
    terminal.stderr = '';
    assert.equal(await run(), 2);
    assert.match(terminal.stderr, /^ {2}drain +empty this node/m);
    assert.equal(await run('--help'), 0);
    assert.match(terminal.stdout, /^ {2}drain +empty this node/m);
    terminal.stdout = '';
    assert.equal(await runCli(['help', 'cluster', 'drain'], terminal), 0);
    assert.match(terminal.stdout, /^usage: tsgw cluster drain \[--timeout SECONDS\]/m);
    assert.equal(await runCli(['help', 'cluster', 'drain', 'x'], terminal), 2);
  });

  it('without a cluster every verb says so', async () => {
    test.control.clusterControl = undefined;
    for (const words of [['status'], ['segments'], ['drain'], ['watch']]) {
      terminal.stderr = '';
      assert.equal(await run(...words), 1, words.join(' '));
      assert.match(terminal.stderr, /^tsgw: this daemon is no node of a cluster: /);
    }
  });

  it('watch shows what happens in the cluster and nothing else', async () => {
    const ended = run('watch');
    await until('the watch', () => test.control.subscribers > 0 && test.server.clients === 1);
    await until('an event', () => {
      test.control.emit(sampleEvents.ikeSaUp, sampleEvents.nodeDown);
      return terminal.stdout !== '';
    });
    assert.match(terminal.stdout, /^\d\d:\d\d:\d\d\.\d{3} {2}node b\[2\] is silent$/m);
    assert.doesNotMatch(terminal.stdout, /IKE_SA/);
    terminal.interrupt();
    assert.equal(await ended, 0);
  });

  it('watch --json gives an object for each event', async () => {
    const ended = run('watch', '--json');
    await until('an event', () => {
      test.control.emit(sampleEvents.ikeSaUp, sampleEvents.takeOver, sampleEvents.alone);
      return terminal.stdout !== '';
    });
    const [first = '', second = ''] = terminal.stdout.split('\n');
    assert.equal(JSON.parse(second).alone, true);
    const { time, ...event } = JSON.parse(first);
    assert.ok(Math.abs(Date.parse(time) - Date.now()) < 60_000);
    assert.deepEqual(event, {
      kind: 'cluster-take-over',
      level: 'notice',
      node: 'b',
      'node-id': 2,
      count: 128,
      milliseconds: 312,
    });
    terminal.interrupt();
    assert.equal(await ended, 0);
  });
});
