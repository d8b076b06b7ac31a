import assert from 'node:assert/strict';
import type { Family } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { roles, useLab } from '../support/lab.ts';

const families: readonly Family[] = ['ipv4', 'ipv6'];

describe('A tunnel with strongSwan (RFC 4303 §3.1.2, RFC 3948)', () => {
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const role of roles) {
    for (const outer of families) {
      for (const inner of families) {
        it(`carries ${inner} in ${outer} as ${role}`, async () => {
          const { subject, subjectChild } = await lab.up(role, { outer, inner });
          assert.equal(subject.initiator, role === 'initiator');
          assert.equal(subject.localHost, lab.address(lab.subject, outer));
          assert.equal(subject.remoteHost, lab.address(lab.peer, outer));
          // charon's userspace ESP speaks UDP encapsulation only and fakes a NAT to get it.
          assert.equal(subjectChild.encap, true);
          assert.equal(subject.localPort, 4500);
          assert.equal(subject.remotePort, 4500);
          await lab.carries({ inner });
        });
      }
    }

    it(`carries fragments and a TCP stream each way as ${role}`, async () => {
      await lab.up(role);
      const large = await ping(lab.topology, { size: 4000 });
      assert.equal(large.lossPercent, 0, 'fragmented echo requests of 4000 octets');
      for (const reverse of [false, true]) {
        const { octets } = await lab.transfer({ octets: 8_000_000, reverse });
        assert.ok(octets > 4_000_000, `${octets} octets arrived`);
      }
    });

    it(`carries an IPv6 TCP stream each way as ${role}`, async () => {
      await lab.up(role, { outer: 'ipv6', inner: 'ipv6' });
      for (const reverse of [false, true]) {
        const { octets } = await lab.transfer({ family: 'ipv6', octets: 8_000_000, reverse });
        assert.ok(octets > 4_000_000, `${octets} octets arrived`);
      }
    });
  }

  it('sends nothing of the protected networks in the clear when no tunnel is up', async () => {
    await lab.load({});
    const answer = await ping(lab.topology, { count: 3, waitSeconds: 0.5 });
    assert.equal(answer.received, 0);
  });
});
