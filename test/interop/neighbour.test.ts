/**
 * Neighbours that do not resolve: packets for them are lost, and nobody else waits.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { alive, end, launch, until } from '../../lab/command.ts';
import { connectionName } from '../../lab/swanctl-conf.ts';
import { ping } from '../../lab/traffic.ts';
import { useLab } from '../support/lab.ts';

describe('A neighbour that does not resolve', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  it('does not stall the tunnel of another peer when it is called', async () => {
    const absent = Array.from({ length: 20 }, (_, index) => ({
      name: `absent-${index}`,
      childName: `absent-${index}`,
      g1: { remoteAddress: `192.0.2.${100 + index}`, remoteTs: `10.${100 + index}.0.0/16` },
    }));
    await lab.load({}, ...absent);
    assert.equal((await lab.initiate('initiator')).status, 0);
    for (const { childName } of absent) {
      await lab.subject.swanctl.call(['--initiate', '--child', childName, '--timeout', '-1']);
    }
    const answer = await ping(lab.topology, { count: 200, intervalSeconds: 0.01 });
    assert.equal(answer.lossPercent, 0);
    const { subjectChild } = await lab.tunnel(connectionName);
    assert.equal(subjectChild.state, 'INSTALLED');
    for (const { name } of absent) {
      await lab.subject.swanctl.call(['--terminate', '--ike', name, '--force']);
    }
  });

  it('does not stall anybody when it floods with requests it never hears answered', async () => {
    const { network } = lab.topology;
    const sources = Array.from({ length: 50 }, (_, index) => `192.0.2.${100 + index}`);
    // g2 has the addresses and answers no ARP for them: replies to them find no neighbour.
    await network.exec(lab.peerNode, ['sysctl', '-qw', 'net.ipv4.conf.wan.arp_ignore=1']);
    await network.ip(
      lab.peerNode,
      sources.map((source) => `address add ${source}/32 dev lo`),
    );
    await lab.up('initiator');
    const logFile = join(network.directory, 'flood.log');
    const halfOpen = [process.execPath, 'build/lab/half-open.js', lab.address(lab.subject)];
    const argv = [...network.at(lab.peerNode), ...halfOpen, '60000', '2000', ...sources];
    const flood = launch(argv, { logFile });
    const answer = await ping(lab.topology, { count: 200, intervalSeconds: 0.01 });
    assert.equal(answer.lossPercent, 0, 'the tunnel carries on');
    assert.ok(alive(flood), 'the flood went on all the time');
    await lab.subject.swanctl.must(['--terminate', '--ike', connectionName]);
    await until('the peer to be empty', async () => (await peerSas()) === 0 || undefined);
    assert.equal((await lab.initiate('responder')).status, 0, 'and a new one comes up');
    await lab.carries();
    await end(flood, 'SIGTERM');
  });

  async function peerSas(): Promise<number> {
    return (await lab.peer.swanctl.sas()).length;
  }
});
