import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { sleep } from '../../lab/command.ts';
import { natAddress } from '../../lab/topology.ts';
import { impatient, useLab } from '../support/lab.ts';

const settings = { ...impatient, keepAliveSeconds: 1 };

describe('A NAT between the gateways (RFC 7296 §2.23, RFC 3948)', () => {
  describe('with the subject behind it', () => {
    const lab = useLab({ nat: true, subjectAt: 'g1', subjectSettings: settings });
    afterEach(() => lab.clear());

    it('floats to port 4500, carries traffic and keeps the mapping alive', async () => {
      const capture = await Capture.start(lab.topology.network, 'g1');
      const { subject, subjectChild, peer } = await lab.up('initiator');
      assert.equal(subjectChild.encap, true);
      assert.equal(subject.raw['nat-local'], 'yes');
      assert.equal(subject.localPort, 4500);
      assert.equal(peer.remoteHost, natAddress);
      assert.notEqual(peer.remotePort, 4500, 'the NAT box chose another port');
      await lab.carries({ count: 20 });
      const { octets } = await lab.transfer({ octets: 4_000_000 });
      assert.ok(octets > 2_000_000);
      await sleep(2_500);
      const keepalives = await dissect(await capture.stop(), {
        fields: ['ip.src'],
        filter: 'udpencap.nat_keepalive',
      });
      const own = keepalives.filter((packet) => packet.get('ip.src')?.[0] === '198.51.100.1');
      assert.ok(own.length >= 1, 'a keepalive was sent while the tunnel was idle');
      await lab.carries();
    });
  });

  describe('with the peer behind it', () => {
    const lab = useLab({ nat: true, subjectAt: 'g2', subjectSettings: settings });
    afterEach(() => lab.clear());

    it('answers to the address and port the NAT box shows', async () => {
      const { subject, subjectChild } = await lab.up('responder', {
        g2: { remoteAddress: '%any' },
      });
      assert.equal(subjectChild.encap, true);
      assert.equal(subject.raw['nat-remote'], 'yes');
      assert.equal(subject.remoteHost, natAddress);
      assert.notEqual(subject.remotePort, 4500);
      await lab.carries({ count: 20 });
      const { octets } = await lab.transfer({ octets: 4_000_000, reverse: true });
      assert.ok(octets > 2_000_000);
    });
  });
});
