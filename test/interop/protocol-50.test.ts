/**
 * What strongSwan's userspace ESP cannot speak, between two tsgw: IP protocol 50, extended
 * sequence numbers, forced encapsulation without a NAT. tshark is the oracle.
 */
import assert from 'node:assert/strict';
import { Capture, type Dissected, dissect } from '../../lab/capture.ts';
import type { PairSettings } from '../../lab/swanctl-conf.ts';
import type { Family } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { onlyTsgw, subjectKind, useLab } from '../support/lab.ts';

const families: readonly Family[] = ['ipv4', 'ipv6'];

describe('Two tsgw (RFC 4303)', () => {
  onlyTsgw();
  const lab = useLab({ peer: subjectKind });
  afterEach(() => lab.clear());

  for (const outer of families) {
    for (const inner of families) {
      it(`carry ${inner} in ${outer} as IP protocol 50`, async () => {
        const packets = await captured({ outer, inner });
        for (const packet of packets) {
          assert.deepEqual(packet.get('udp.dstport'), [], 'not encapsulated in UDP');
        }
      });
    }
  }

  it('carry ESP in UDP when encapsulation is forced at one end', async () => {
    const packets = await captured({ g1: { connection: { encap: 'yes' } } });
    for (const packet of packets) {
      assert.deepEqual(packet.get('udp.dstport'), ['4500']);
    }
  });

  for (const espProposals of ['aes128gcm16-esn', 'aes256-sha256-esn']) {
    it(`carry packets with extended sequence numbers and ${espProposals}`, async () => {
      await lab.up('initiator', { espProposals });
      const { subjectChild } = await lab.tunnel();
      assert.equal(subjectChild.raw.esn, '1');
      await lab.carries({ count: 20 });
      const { octets } = await lab.transfer({ octets: 20_000_000 });
      assert.ok(octets > 10_000_000, `${octets} octets arrived`);
    });
  }

  it('carry a TCP stream each way and fragments', async () => {
    await lab.up('initiator');
    for (const reverse of [false, true]) {
      const { octets } = await lab.transfer({ octets: 20_000_000, reverse });
      assert.ok(octets > 10_000_000, `${octets} octets arrived`);
    }
    const large = await ping(lab.topology, { size: 4000 });
    assert.equal(large.lossPercent, 0);
  });

  /** Brings the tunnel up, pings, and answers the ESP packets, each with a good ICV. */
  async function captured(pair: PairSettings): Promise<readonly Dissected[]> {
    const capture = await Capture.start(lab.topology.network, 'g1');
    await lab.up('initiator', pair);
    await lab.carries({ inner: pair.inner ?? 'ipv4', count: 10 });
    const packets = await dissect(await capture.stop(), {
      fields: ['udp.dstport', 'esp.icv_good', 'esp.sequence'],
      filter: 'esp',
      keyLog: lab.tsgw.keyLog,
    });
    assert.ok(packets.length >= 20, `${packets.length} ESP packets captured`);
    for (const packet of packets) {
      assert.deepEqual(packet.get('esp.icv_good'), ['1'], 'an ICV was not found good');
    }
    return packets;
  }
});
