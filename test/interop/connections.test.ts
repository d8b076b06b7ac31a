/**
 * Several connections between the same two addresses: only the identities tell them apart
 * (RFC 4301 §4.4.3), only the selectors tell their traffic apart.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import { h2SecondAddress, hostAddress } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { type Lab, onlyTsgw, type Role, roles, useLab } from '../support/lab.ts';

/** Where the traffic of each connection goes. */
const destinations = { east: hostAddress('h2', 'ipv4'), west: h2SecondAddress };
type Name = keyof typeof destinations;

function pair(name: Name, localTs: string, remoteTs: string): PairSettings {
  return {
    name,
    childName: name,
    identities: { g1: `g1.${name}`, g2: `g2.${name}` },
    secret: `the secret of ${name}`,
    g1: { localTs, remoteTs },
    g2: { localTs: remoteTs, remoteTs: localTs },
  };
}

const pairs = [
  pair('east', '10.1.0.0/24', '10.2.0.0/24'),
  pair('west', '10.1.1.0/24', '10.2.1.0/24'),
];

describe('Two connections between the same addresses', () => {
  const lab = useLab();
  before(() => secondNetworks(lab));
  afterEach(() => lab.clear());

  for (const role of roles) {
    it(`have an IKE SA each, with the identities each was configured for, as ${role}`, async () => {
      await bothUp(lab, role);
      for (const name of ['east', 'west']) {
        const { subject, peer } = await lab.tunnel(name);
        assert.equal(subject.raw['local-id'], `g1.${name}`);
        assert.equal(subject.raw['remote-id'], `g2.${name}`);
        assert.equal(peer.raw['remote-id'], `g1.${name}`);
      }
    });

    it(`carry their own traffic and none of the other's, as ${role}`, async () => {
      await bothUp(lab, role);
      for (const [name, other] of [
        ['east', 'west'],
        ['west', 'east'],
      ] as const) {
        const [before, beside] = [await packets(lab, name), await packets(lab, other)];
        const { lossPercent } = await ping(lab.topology, { to: destinations[name], count: 10 });
        assert.equal(lossPercent, 0);
        await until(`10 packets each way in ${name}`, async () => {
          const now = await packets(lab, name);
          return now.every((count, index) => count === (before[index] ?? 0) + 10) || undefined;
        });
        assert.deepEqual(await packets(lab, other), beside, `${other} carried nothing of it`);
      }
    });

    it(`end one without a packet lost in the other, as ${role}`, async () => {
      await bothUp(lab, role);
      const kept = ping(lab.topology, { to: destinations.west, count: 100, intervalSeconds: 0.01 });
      await lab.subject.swanctl.must(['--terminate', '--ike', 'east']);
      const { lossPercent } = await kept;
      assert.equal(lossPercent, 0);
      for (const { swanctl } of [lab.subject, lab.peer]) {
        assert.deepEqual(
          (await swanctl.sas()).map(({ name }) => name),
          ['west'],
        );
      }
      const ended = await ping(lab.topology, { to: destinations.east, count: 2, waitSeconds: 0.5 });
      assert.equal(ended.received, 0);
    });
  }
});

describe('SIGTERM with tunnels up', () => {
  onlyTsgw();
  const lab = useLab();
  before(() => secondNetworks(lab));

  it('deletes the SAs at the peer, ends 0 and leaves no socket open', async () => {
    await bothUp(lab, 'responder');
    assert.notEqual(await sockets(lab), '', 'what it has open can be seen');
    const process = lab.tsgw.process();
    await lab.tsgw.stop();
    assert.deepEqual([process.exitCode, process.signalCode], [0, null]);
    await until(
      'the peer to have no SA',
      async () => (await lab.peer.swanctl.sas()).length === 0 || undefined,
      10_000,
    );
    assert.equal(await sockets(lab), '');
    const { stdout } = await lab.topology.network.exec(lab.subjectNode, ['ip', '-o', 'link']);
    assert.doesNotMatch(stdout, /tsgw0/);
  });
});

/** 10.1.1.0/24 at h1 for what goes to 10.2.1.0/24. */
async function secondNetworks({ topology: { network } }: Lab): Promise<void> {
  await network.ip('h1', [
    'address add 10.1.1.10/16 dev eth0',
    'route add 10.2.1.0/24 via 10.1.0.1 src 10.1.1.10',
  ]);
  // strongSwan installs no policy for a network it has no address in.
  await network.ip('g1', ['address add 10.1.1.1/16 dev lan']);
  await network.ip('g2', ['address add 10.2.1.1/16 dev lan']);
}

async function bothUp(lab: Lab, role: Role): Promise<void> {
  await lab.load(...pairs);
  for (const { childName } of pairs) {
    const { status, stdout, stderr } = await lab.initiate(role, childName);
    assert.equal(status, 0, `${stdout}${stderr}`);
  }
}

/** In and out at the subject, in and out at the peer. */
async function packets(lab: Lab, name: Name): Promise<readonly number[]> {
  const { subjectChild, peerChild } = await lab.tunnel(name);
  return [subjectChild, peerChild].flatMap(({ packetsIn, packetsOut }) => [packetsIn, packetsOut]);
}

/** UDP and raw sockets at the subject's node, and the vici socket of the subject. */
async function sockets({ topology, subject, subjectNode }: Lab): Promise<string> {
  const { stdout: ip } = await topology.network.exec(subjectNode, ['ss', '-Hanuw']);
  const { stdout: unix } = await topology.network.exec(subjectNode, ['ss', '-Hanx']);
  const path = subject.swanctl.uri.replace('unix://', '');
  return (
    ip +
    unix
      .split('\n')
      .filter((line) => line.includes(path))
      .join('\n')
  );
}
