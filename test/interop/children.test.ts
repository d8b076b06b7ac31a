/**
 * Several Child SAs on one IKE SA (RFC 7296 §1.3.1), and what their selectors let through (§2.9).
 */
import assert from 'node:assert/strict';
import { sleep, until } from '../../lab/command.ts';
import type { Gateway } from '../../lab/gateway.ts';
import { PacketStream } from '../../lab/packet-stream.ts';
import type { ChildSaState } from '../../lab/swanctl.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { h2SecondAddress, hostAddress } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { type Lab, type Role, roles, useLab } from '../support/lab.ts';
import { agreed, dropped } from '../support/tunnel-life.ts';

const east = hostAddress('h2', 'ipv4');
const west = h2SecondAddress;

/** The first without a key exchange of its own, the second with one. */
const twoChildren: PairSettings = {
  childName: 'east',
  g1: { localTs: '10.1.0.0/24', remoteTs: '10.2.0.0/24' },
  g2: { localTs: '10.2.0.0/24', remoteTs: '10.1.0.0/24' },
  furtherChildren: [
    { name: 'west', g1: '10.1.0.0/16', g2: '10.2.1.0/24', espProposals: 'aes128gcm16-x25519' },
  ],
};

describe('Two Child SAs on one IKE SA (RFC 7296 §1.3.1)', () => {
  const lab = useLab();
  before(() => secondNetwork(lab));
  afterEach(() => lab.clear());

  for (const first of roles) {
    const second = first === 'initiator' ? 'responder' : 'initiator';
    it(`are made, and one goes without the other: ours as ${first}, then as ${second}`, async () => {
      await lab.load(twoChildren);
      await initiate(lab, first, 'east');
      await initiate(lab, second, 'west');
      await agreed(lab);
      for (const end of [lab.subject, lab.peer]) {
        const [sa, ...others] = await end.swanctl.sas();
        assert.deepEqual([sa?.children.length, others.length], [2, 0], end.kind);
        assert.equal((await child(end, 'west')).raw['dh-group'], 'CURVE_25519');
        assert.equal((await child(end, 'east')).raw['dh-group'], undefined);
      }
      await carriesOwn(lab, 'east', east);
      await carriesOwn(lab, 'west', west);
      const kept = ping(lab.topology, { to: east, count: 40, intervalSeconds: 0.01 });
      await lab.initiator(second).swanctl.must(['--terminate', '--child', 'west']);
      assert.equal((await kept).lossPercent, 0);
      assert.equal(
        (await ping(lab.topology, { to: west, count: 2, waitSeconds: 0.5 })).received,
        0,
      );
      for (const end of [lab.subject, lab.peer]) {
        await until('one child to be left', async () => {
          const sas = await end.swanctl.sas();
          const names = sas.flatMap(({ children }) => children.map(({ name }) => name));
          return names.join() === 'east' || undefined;
        });
      }
    });
  }
});

describe('Traffic selectors (RFC 7296 §2.9)', () => {
  const lab = useLab();
  before(() => secondNetwork(lab));
  afterEach(() => lab.clear());

  for (const role of roles) {
    it(`are narrowed to the one of two that both have, as ${role}`, async () => {
      const both = '10.2.0.0/24, 10.2.1.0/24';
      const asker = lab.initiator(role).node;
      const { subjectChild, peerChild } = await lab.up(role, {
        g1: { remoteTs: asker === 'g1' ? both : '10.2.0.0/24' },
        g2: { localTs: asker === 'g2' ? both : '10.2.0.0/24' },
      });
      for (const { raw } of [subjectChild, peerChild]) {
        const sides = [raw['local-ts'], raw['remote-ts']];
        assert.ok(
          sides.some((side) => String(side) === '10.2.0.0/24'),
          JSON.stringify(sides),
        );
      }
      await lab.carries();
      assert.equal(
        (await ping(lab.topology, { to: west, count: 2, waitSeconds: 0.5 })).received,
        0,
      );
    });

    it(`of a protocol and a range of ports let pass those and no others, as ${role}`, async () => {
      const ports = (network: string) => `${network}[udp/9001-9004]`;
      const { subjectChild } = await lab.up(role, {
        g1: { localTs: ports('10.1.0.0/16'), remoteTs: ports('10.2.0.0/16') },
        g2: { localTs: ports('10.2.0.0/16'), remoteTs: ports('10.1.0.0/16') },
      });
      assert.deepEqual(subjectChild.localTs, ['10.1.0.0/16[udp/9001-9004]']);
      const before = await dropped(lab, 'no-policy');
      const streams = await Promise.all(
        [9000, 9001, 9004, 9005].map((port) =>
          PacketStream.start(lab.topology, { port, perSecond: 100 }),
        ),
      );
      await sleep(1_000);
      const reports = await Promise.all(streams.map((stream) => stream.stop()));
      const arrived = reports.map(({ there, back }) =>
        [there, back]
          .map((way) => {
            assert.ok(way.sent > 0);
            return way.received === 0 ? 'none' : way.lost === 0 ? 'all' : 'some';
          })
          .join(),
      );
      assert.deepEqual(arrived, ['none,none', 'all,all', 'all,all', 'none,none']);
      const refused = (await dropped(lab, 'no-policy')) - before;
      if (lab.subject.kind === 'tsgw') assert.ok(refused >= 60, `${refused} packets refused by us`);
      assert.equal(
        (await ping(lab.topology, { count: 2, waitSeconds: 0.5 })).received,
        0,
        'echo requests are not UDP',
      );
    });
  }
});

async function initiate(lab: Lab, role: Role, name: string): Promise<void> {
  const { status, stdout, stderr } = await lab.initiate(role, name);
  assert.equal(status, 0, `${stdout}${stderr}`);
}

async function child({ swanctl }: Gateway, name: string): Promise<ChildSaState> {
  const children = (await swanctl.sas()).flatMap((sa) => sa.children);
  const [found, ...others] = children.filter((one) => one.name === name);
  assert.ok(found !== undefined && others.length === 0, `${name}: ${children.length} children`);
  return found;
}

/** Ten echo requests and answers are counted in this child at both ends. */
async function carriesOwn(lab: Lab, name: string, to: string): Promise<void> {
  const packets = async () =>
    (await Promise.all([lab.subject, lab.peer].map((end) => child(end, name)))).flatMap(
      ({ packetsIn, packetsOut }) => [packetsIn, packetsOut],
    );
  const before = await packets();
  assert.equal((await ping(lab.topology, { to, count: 10 })).lossPercent, 0);
  await until(`10 packets each way in ${name}`, async () => {
    const now = await packets();
    return now.every((count, index) => count === (before[index] ?? 0) + 10) || undefined;
  });
}

/** strongSwan installs no route for a network it has no address in. */
async function secondNetwork({ topology: { network } }: Lab): Promise<void> {
  await network.ip('g2', ['address add 10.2.1.1/16 dev lan']);
}
