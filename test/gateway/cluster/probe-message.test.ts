import assert from 'node:assert/strict';
import { AttributeWriter, MessageType } from '../../../src/cluster/bus/message.ts';
import {
  decodeProbeMessage,
  encodeProbeMessage,
  type ProbeMessage,
} from '../../../src/gateway/cluster/probe-message.ts';
import { MalformedError } from '../../../src/wire/octets.ts';
import { seededNumbers, seededRandom } from '../../support/seeded-random.ts';

const random = seededRandom(70);
const number = seededNumbers(71);

const MESSAGES: readonly ProbeMessage[] = [
  { kind: 'listen', device: 'wan', nonce: random(16) },
  { kind: 'report', device: 'eth0.4000', nonce: random(16), heard: true },
  { kind: 'report', device: 'eth0', nonce: random(16), heard: false },
  { kind: 'verdict', device: 'fifteen-letters', heard: true },
  { kind: 'verdict', device: 'x', heard: false },
];

describe('PROBE messages', () => {
  it('come back as they were', () => {
    for (const message of MESSAGES) {
      assert.deepEqual(decodeProbeMessage(encodeProbeMessage(message)), message);
    }
  });

  it('are malformed at every shorter length', () => {
    for (const message of MESSAGES) {
      const { type, body } = encodeProbeMessage(message);
      for (let length = 0; length < body.length; length++) {
        const cut = { type, body: body.subarray(0, length) };
        assert.throws(() => decodeProbeMessage(cut), MalformedError, `${message.kind} ${length}`);
      }
    }
  });

  it('let nothing but MalformedError escape, whatever the octets', () => {
    for (let each = 0; each < 2_000; each++) {
      const { type, body } = encodeProbeMessage(MESSAGES[each % MESSAGES.length] ?? fail());
      const octets = body.slice();
      octets[Math.floor(number() * octets.length)] = Math.floor(number() * 256);
      try {
        decodeProbeMessage({ type, body: octets });
      } catch (error) {
        assert.ok(error instanceof MalformedError, String(error));
      }
    }
  });

  it('refuse nonces and device names of another length', () => {
    const body = (nonce: number, device: number) =>
      new AttributeWriter()
        .number(1, 0)
        .octets(2, new Uint8Array(device).fill(0x61))
        .octets(3, new Uint8Array(nonce))
        .finish();
    const decode = (nonce: number, device: number) =>
      decodeProbeMessage({ type: MessageType.PROBE, body: body(nonce, device) });
    assert.equal(decode(16, 15)?.kind, 'listen');
    assert.throws(() => decode(15, 15), /a nonce of 15 octets/);
    assert.throws(() => decode(16, 16), /a device name of 16 octets/);
    assert.throws(() => decode(16, 0), /a device name of 0 octets/);
  });

  it('are passed over where they are of a later version, or of others', () => {
    const later = new AttributeWriter().number(1, 9).octets(2, Uint8Array.of(0x61)).finish();
    assert.equal(decodeProbeMessage({ type: MessageType.PROBE, body: later }), undefined);
    assert.equal(decodeProbeMessage({ type: MessageType.BYE, body: later }), undefined);
  });
});

function fail(): never {
  throw new Error('no message');
}
