import assert from 'node:assert/strict';
import { runCli } from '../../src/cli/cli.ts';
import type { MtuView } from '../../src/vici/mtu-view.ts';
import { TestTerminal } from '../support/terminal.ts';
import { TestServer } from '../support/vici-server.ts';

const NARROW: MtuView = {
  connection: 'peer',
  ikeSaId: 4,
  local: '192.0.2.1',
  remote: '192.0.2.2',
  remoteId: 'b.lab',
  before: 1500,
  outerMtu: 1400,
  lostOctets: 1401,
  probes: 13,
  losses: 6,
  milliseconds: 3210,
  children: [{ name: 'net', uniqueId: 7, innerMtu: 1338, mssIpv4: 1298 }],
  here: ['gateway { mtu = 1338 }'],
  there: ['an MTU of 1338'],
};

describe('tsgw doctor', () => {
  let test: TestServer;
  let terminal: TestTerminal;

  beforeEach(async () => {
    test = await TestServer.start();
    terminal = new TestTerminal({ TSGW_URI: test.uri });
    test.control.onMeasure = () => Promise.resolve({ kind: 'measured', view: NARROW });
  });

  afterEach(() => test.stop());

  function doctor(...argv: readonly string[]): Promise<number> {
    return runCli(['doctor', ...argv], terminal);
  }

  it('says what the path carries, what fits into it and what to set', async () => {
    assert.equal(await doctor('mtu', 'b.lab', '--ike-id', '4'), 0);
    assert.deepEqual(test.control.calls, ['measure-mtu {"peer":"b.lab","ikeId":4}']);
    assert.deepEqual(terminal.stdout.split('\n'), [
      '192.0.2.2 (b.lab), connection peer, IKE SA 4',
      'the path from 192.0.2.1 carries 1400 octets and loses packets of 1401; believed before: 1500',
      '13 probes, 6 of them too long, in 3.2 s',
      '',
      'CHILD  ID  INNER MTU  MSS IPV4  MSS IPV6',
      'net     7       1338      1298         -',
      '',
      'what to set',
      '  here:      gateway { mtu = 1338 }',
      '  the peer:  an MTU of 1338',
      '',
    ]);
  });

  it('says so where nothing is lost', async () => {
    const { lostOctets: _, ...wide } = NARROW;
    const view = { ...wide, outerMtu: 1500, losses: 0, children: [] };
    test.control.onMeasure = () => Promise.resolve({ kind: 'measured', view });
    assert.equal(await doctor('mtu', 'peer'), 0);
    assert.match(terminal.stdout, /carries 1500 octets, the most that was tried; believed/);
    assert.match(terminal.stdout, /no child is up/);
  });

  it('--json has every figure as a number', async () => {
    assert.equal(await doctor('mtu', 'peer', '--json'), 0);
    const { children, here, there, ...rest } = JSON.parse(terminal.stdout);
    assert.deepEqual(rest, {
      connection: 'peer',
      'ike-id': 4,
      local: '192.0.2.1',
      remote: '192.0.2.2',
      'remote-id': 'b.lab',
      before: 1500,
      'outer-mtu': 1400,
      lost: 1401,
      probes: 13,
      losses: 6,
      milliseconds: 3210,
    });
    assert.deepEqual(children, [{ name: 'net', uniqueid: 7, 'inner-mtu': 1338, 'mss-ipv4': 1298 }]);
    assert.deepEqual([here, there], [['gateway { mtu = 1338 }'], ['an MTU of 1338']]);
  });

  it('tells by its exit code what went wrong', async () => {
    test.control.onMeasure = () => Promise.resolve({ kind: 'failed', what: 'no IKE SA is up' });
    assert.equal(await doctor('mtu', 'peer'), 1);
    test.control.onMeasure = () => Promise.resolve({ kind: 'timeout', what: 'nobody answers' });
    assert.equal(await doctor('mtu', 'peer'), 6);
    assert.equal(terminal.stderr, 'tsgw: no IKE SA is up\ntsgw: nobody answers\n');
  });

  it('refuses what it cannot examine', async () => {
    assert.equal(await doctor('teeth', 'peer'), 2);
    assert.equal(await doctor('mtu'), 2);
    assert.equal(await doctor('mtu', 'peer', '--ike-id', 'x'), 2);
    assert.deepEqual(test.control.calls, []);
    assert.match(terminal.stderr, /teeth: the doctor examines mtu, as in tsgw doctor mtu peer/);
  });
});
