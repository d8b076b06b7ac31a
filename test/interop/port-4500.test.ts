/**
 * Peers that talk to port 4500 from the first message on (RFC 7296 §2.23: no floating needed).
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { onlyTsgw, type Role, useLab } from '../support/lab.ts';

/** charon sends from port 500 unless it is told, and then without the marker: of no use. */
const ways: readonly (readonly [Role, Readonly<Record<string, string>>])[] = [
  ['initiator', { local_port: '4500', remote_port: '4500' }],
  ['initiator', { remote_port: '4500' }],
  ['responder', { local_port: '4500', remote_port: '4500' }],
];

describe('IKE on port 4500 from the start (RFC 7296 §2.23, RFC 3948 §2.2)', () => {
  onlyTsgw();
  const lab = useLab();
  afterEach(() => lab.clear());

  for (const [role, connection] of ways) {
    it(`comes up with ${Object.keys(connection).join(' and ')}, as ${role}`, async () => {
      const capture = await Capture.start(lab.topology.network, 'g1');
      const { subject, peer } = await lab.up(role, {
        [lab.initiator(role).node]: { connection },
      });
      assert.deepEqual([subject.localPort, subject.remotePort], [4500, 4500]);
      assert.deepEqual([peer.localPort, peer.remotePort], [4500, 4500]);
      await lab.carries({ count: 20 });
      const file = await capture.stop();
      const messages = await dissect(file, {
        fields: ['udp.srcport', 'udp.dstport'],
        filter: 'isakmp',
      });
      assert.ok(messages.length >= 4, `${messages.length} IKE messages captured`);
      for (const message of messages) {
        assert.deepEqual(message.get('udp.srcport'), ['4500']);
        assert.deepEqual(message.get('udp.dstport'), ['4500']);
      }
    });
  }
});
