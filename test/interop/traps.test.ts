/**
 * Policies that stand without an SA (RFC 4301 §4.4.1): traps that bring the tunnel up for the first
 * packet, and shunts that let pass or discard.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { events } from '../../lab/swanctl.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { type Family, protectedNet, routePlainly } from '../../lab/topology.ts';
import { type PingOptions, ping } from '../../lab/traffic.ts';
import { dropsOf, growth } from '../support/abuse.ts';
import { type Lab, onlyTsgw, useLab } from '../support/lab.ts';

const trap: PairSettings = { g1: { child: { start_action: 'trap' } } };

/** A shunt of g1 between the two nets, perhaps of one protocol only; g2 knows nothing of it. */
function shunt(mode: 'pass' | 'drop', protocol = ''): PairSettings {
  return {
    name: 'shunts',
    childName: mode,
    identities: { g1: 'g1.shunt', g2: 'g2.shunt' },
    localTs: `${protectedNet('g1', 'ipv4')}${protocol}`,
    remoteTs: `${protectedNet('g2', 'ipv4')}${protocol}`,
    g1: { child: { mode, start_action: 'trap' } },
    g2: { localTs: '10.99.0.0/16', remoteTs: '10.98.0.0/16' },
  };
}

/** What `swanctl --list-pols` says of tsgw's policies. */
async function policies(lab: Lab): Promise<readonly string[]> {
  const text = await lab.subject.swanctl.must(['--list-pols', '--raw']);
  return events(text, 'list-policy').flatMap((event) =>
    Object.entries(event).map(([name, policy]) => `${name} ${Object(policy).mode}`),
  );
}

async function routes(lab: Lab): Promise<string> {
  const { stdout } = await lab.topology.network.exec('g1', ['ip', 'route', 'show', 'table', '220']);
  return stdout;
}

/** Every echo request is answered; where not, the counters say how far they came. */
async function answered(lab: Lab, options: PingOptions): Promise<void> {
  const { sent, received } = await ping(lab.topology, options);
  if (sent === received) return;
  const ends = [...(await lab.subject.swanctl.sas()), ...(await lab.peer.swanctl.sas())];
  const counted = ends.flatMap(({ children }) =>
    children.map(({ packetsIn, packetsOut }) => `in ${packetsIn} out ${packetsOut}`),
  );
  const drops = JSON.stringify(await dropsOf(lab.tsgw));
  assert.fail(`${received} of ${sent} came back: ${counted.join(', ')}, ${drops}`);
}

describe('Traffic that brings its tunnel up', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const family of ['ipv4', 'ipv6'] as const satisfies readonly Family[]) {
    it(`is delivered from its first packet on, ${family}`, async () => {
      await lab.load({ ...trap, inner: family });
      assert.deepEqual(await policies(lab), ['peer/net TUNNEL']);
      assert.deepEqual(await lab.subject.swanctl.sas(), []);
      await answered(lab, { family, count: 30, intervalSeconds: 0.01 });
      const { subject, subjectChild } = await lab.tunnel();
      assert.equal(subject.initiator, true);
      assert.equal(subjectChild.packetsOut, 30);
      assert.deepEqual(await policies(lab), ['peer/net TUNNEL'], 'the trap stays');
    });
  }

  it('does so again after the tunnel went, without a packet lost', async () => {
    await lab.load(trap);
    for (let turn = 0; turn < 3; turn++) {
      await answered(lab, { count: 10 });
      await lab.tunnel();
      await lab.clear();
    }
  });

  it('is put off and on by hand', async () => {
    await lab.load({});
    const { swanctl } = lab.subject;
    await swanctl.must(['--install', '--child', 'net']);
    await swanctl.must(['--uninstall', '--child', 'net']);
    assert.deepEqual(await policies(lab), []);
    assert.equal(await routes(lab), '');
    assert.equal((await ping(lab.topology, { count: 2, waitSeconds: 0.5 })).received, 0);
    await swanctl.must(['--install', '--child', 'net']);
    await answered(lab, { count: 5 });
  });

  it('waits again where the peer closed the tunnel (close_action = trap)', async () => {
    await lab.up('initiator', { g1: { child: { close_action: 'trap' } } });
    assert.deepEqual(await policies(lab), []);
    await lab.peer.swanctl.must(['--terminate', '--child', 'net']);
    await until('the trap', async () => (await policies(lab)).length === 1 || undefined);
    await answered(lab, { count: 10 });
  });

  it('goes with its connection', async () => {
    await lab.load(trap);
    await lab.subject.swanctl.load('');
    assert.deepEqual(await policies(lab), []);
    assert.equal((await ping(lab.topology, { count: 2, waitSeconds: 0.5 })).received, 0);
    assert.deepEqual(await lab.subject.swanctl.sas(), []);
  });
});

describe('Shunts beside a tunnel', () => {
  onlyTsgw();
  const lab = useLab();
  before(() => routePlainly(lab.topology));
  afterEach(() => lab.clear());

  async function counted(): Promise<number> {
    return (await lab.tunnel()).subjectChild.packetsOut;
  }

  it('let pass what is of their protocol, and nothing else', async () => {
    await lab.load({}, shunt('pass', '[icmp]'));
    await lab.initiate('initiator');
    assert.deepEqual(await policies(lab), ['shunts/pass PASS']);
    assert.match(await routes(lab), /10\.2\.0\.0\/16 dev tsgw0/);
    const before = await counted();
    assert.equal((await ping(lab.topology, { count: 10, size: 1000 })).lossPercent, 0);
    assert.equal(await counted(), before, 'none of it was protected');
    await lab.transfer({ octets: 5_000_000 });
    await until(
      'the transfer to be counted',
      async () => (await counted()) > before + 500 || undefined,
    );
    assert.deepEqual(growthOfPlain(await dropsOf(lab.tsgw)), {});
  });

  it('let everything pass around the device, until they are taken down', async () => {
    await lab.load({}, shunt('pass'));
    await lab.initiate('initiator');
    assert.match(await routes(lab), /throw 10\.2\.0\.0\/16/);
    const before = await counted();
    assert.equal((await ping(lab.topology, { count: 5 })).lossPercent, 0);
    assert.equal(await counted(), before);
    await lab.subject.swanctl.must(['--uninstall', '--child', 'pass']);
    assert.equal((await ping(lab.topology, { count: 5 })).lossPercent, 0);
    assert.equal(await counted(), before + 5);
  });

  it('discard what nothing else is for', async () => {
    await lab.load({}, shunt('drop'));
    assert.deepEqual(await policies(lab), ['shunts/drop DROP']);
    const before = await dropsOf(lab.tsgw);
    assert.equal((await ping(lab.topology, { count: 3, waitSeconds: 0.5 })).received, 0);
    assert.deepEqual(growth(before, await dropsOf(lab.tsgw)), { 'discard-policy': 3 });
    await lab.initiate('initiator');
    assert.equal((await ping(lab.topology, { count: 3 })).lossPercent, 0, 'an SA is stronger');
    await lab.subject.swanctl.must(['--uninstall', '--child', 'drop']);
    await lab.clear();
    assert.equal((await ping(lab.topology, { count: 3 })).lossPercent, 0, 'in the clear');
  });
});

/** Drops of packets that were to leave as they are. */
function growthOfPlain(drops: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  return Object.fromEntries(Object.entries(drops).filter(([name]) => name.startsWith('send-')));
}
