/**
 * What hides the traffic in a tunnel from who counts its packets: TFC padding (RFC 4303 §2.7).
 * strongSwan is the receiver; tshark says what was on the wire.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { setOffloads } from '../../lab/topology.ts';
import { ping } from '../../lab/traffic.ts';
import { onlyTsgw, useLab } from '../support/lab.ts';

const FIELDS = ['ip.src', 'frame.len', 'esp.icv_good', 'icmp.type', 'ip.len'];

describe('Packets that all look alike (RFC 4303 §2.6, §2.7)', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const [padding, frame] of [
    ['600', 14 + 20 + 8 + 8 + 8 + 600 + 2 + 2 + 16],
    ['mtu', 14 + 1500],
  ] as const) {
    it(`arrive at strongSwan as they were: tfc_padding = ${padding}`, async () => {
      await setOffloads(lab.topology, 'off');
      const capture = await Capture.start(lab.topology.network, 'g1');
      await lab.up('initiator', { g1: { child: { tfc_padding: padding } } });
      for (const size of [20, 56, 500]) {
        const { lossPercent } = await ping(lab.topology, { size, count: 4 });
        assert.equal(lossPercent, 0, `echo requests of ${size} octets`);
      }
      const file = await capture.stop();
      const packets = await dissect(file, {
        fields: FIELDS,
        filter: 'esp',
        keyLog: lab.tsgw.keyLog,
      });
      const ours = packets.filter((packet) => packet.get('ip.src')?.[0] === '192.0.2.1');
      assert.equal(ours.length, 12);
      for (const packet of ours) {
        assert.deepEqual(packet.get('frame.len'), [String(frame)]);
        assert.deepEqual(packet.get('esp.icv_good'), ['1']);
        assert.deepEqual(packet.get('icmp.type'), ['8']);
      }
      const inner = new Set(ours.map((packet) => packet.get('ip.len')?.[1]));
      assert.deepEqual(inner, new Set(['48', '84', '528']));
      // The peer pads nothing, so its packets tell the lengths.
      const theirs = packets.filter((packet) => packet.get('ip.src')?.[0] === '192.0.2.2');
      assert.equal(new Set(theirs.map((packet) => packet.get('frame.len')?.[0])).size, 3);
    });
  }

  it('are joined by dummy packets that look like them, and that strongSwan takes for nothing', async () => {
    await setOffloads(lab.topology, 'off');
    const capture = await Capture.start(lab.topology.network, 'g1');
    const child = { tfc_padding: '600', dummy_packets: '100' };
    const before = await lab.up('initiator', { g1: { child } });
    await lab.carries({ count: 20 });
    const after = await lab.tunnel();
    const file = await capture.stop();
    const packets = await dissect(file, {
      fields: ['frame.len', 'esp.icv_good', 'esp.protocol', 'icmp.type'],
      filter: 'esp && ip.src == 192.0.2.1',
      keyLog: lab.tsgw.keyLog,
    });
    assert.deepEqual(new Set(packets.map((packet) => packet.get('frame.len')?.[0])).size, 1);
    assert.ok(packets.every((packet) => packet.get('esp.icv_good')?.[0] === '1'));
    // tshark has no name for what is behind Next Header 59, and says nothing about it.
    const dummies = packets.filter((packet) => packet.get('esp.protocol')?.length === 0);
    assert.ok(dummies.length >= 20, `${dummies.length} dummy packets in ${packets.length}`);
    const echoes = packets.filter((packet) => packet.get('icmp.type')?.[0] === '8');
    assert.equal(echoes.length + dummies.length, packets.length);
    // They are no traffic to us and no fault to the peer, which counts all that it opens.
    assert.doesNotMatch(lab.peer.log(), /parsing ESP payload failed/);
    assert.equal(after.subjectChild.packetsOut - before.subjectChild.packetsOut, echoes.length);
  });

  it('carry TCP, whose super-packets are padded one by one', async () => {
    await lab.up('initiator', { g1: { child: { tfc_padding: 'mtu' } } });
    const { octets } = await lab.transfer({ octets: 8_000_000 });
    assert.ok(octets > 4_000_000, `${octets} octets arrived`);
  });
});
