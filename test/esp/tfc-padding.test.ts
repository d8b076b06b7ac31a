import assert from 'node:assert/strict';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { SaCounter } from '../../src/events/shared-counters.ts';
import { espShape, innerMtu } from '../../src/ipsec/path-mtu.ts';
import { type ChildSaOptions, espPair, UDP } from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';
import { segmentsOf, superPacket } from '../support/super-packets.ts';

const small = udpPacket('10.1.0.5', '10.2.0.9', 40);
const larger = udpPacket('10.1.0.5', '10.2.0.9', 300);
const six = udpPacket('2001:db8:1::5', '2001:db8:2::9', 100);

const udp4 = { family: 4, udpEncapsulation: true } as const;
const gcm = espShape({ id: EncryptionId.AES_GCM_16 }, undefined);
/** SPI and sequence number, IV. */
const FRONT = 8 + 8;

function lengths(packets: readonly { readonly octets: Uint8Array }[]): readonly number[] {
  return packets.map(({ octets }) => octets.length);
}

describe('TFC padding (RFC 4303 §2.7)', () => {
  const cbc: ChildSaOptions = {
    encr: { id: EncryptionId.AES_CBC, keyLength: 128 },
    integ: { id: IntegrityId.AUTH_HMAC_SHA2_256_128 },
  };

  for (const [cipher, options] of Object.entries({ 'AES-GCM': {}, 'AES-CBC': cbc })) {
    it(`makes packets of one length, which arrive as they were, ${cipher}`, () => {
      const { a, b } = espPair({ ...options, tfcPadding: 512 });
      a.fromTun(small, larger, six);
      assert.equal(new Set(lengths(a.sent)).size, 1);
      b.fromSocket(UDP, ...a.sent);
      assert.deepEqual(b.delivered, [small, larger, six]);
    });
  }

  it('is zero octets behind the packet, which padding and trailer follow', () => {
    const { a } = espPair({ tfcPadding: 512 });
    a.engine.reads.arena.fill(0xee);
    a.fromTun(small);
    const [packet] = a.unsealed;
    assert.ok(packet);
    assert.deepEqual(packet.slice(FRONT, FRONT + small.length), small);
    assert.deepEqual(
      packet.slice(FRONT + small.length, FRONT + 512),
      new Uint8Array(512 - small.length),
    );
    assert.deepEqual([...packet.slice(FRONT + 512, FRONT + 516)], [1, 2, 2, 4]);
  });

  it('is not counted, and not put behind packets that are longer', () => {
    const { a } = espPair({ tfcPadding: 200 });
    a.fromTun(small, larger);
    assert.equal(a.counter(1, SaCounter.OCTETS), small.length + larger.length);
    const plain = espPair().a;
    plain.fromTun(larger);
    assert.equal(lengths(a.sent)[1], lengths(plain.sent)[0]);
  });

  it('fills the path with mtu, and follows it', () => {
    const { a, saA } = espPair({ tfcPadding: 65_535 });
    a.fromTun(small);
    const most = innerMtu(1500, gcm, udp4);
    assert.equal(saA.tfcOctets, most);
    assert.deepEqual(lengths(a.sent), [1500 - 28]);
    a.engine.learnPathMtu(saA.spiOut, saA.ends.remote, 1400, a.now);
    a.fromTun(small);
    assert.deepEqual(lengths(a.sent), [1500 - 28, 1400 - 28]);
    assert.deepEqual(a.drops(), {});
  });

  it('follows each packet that a super-packet is cut into', () => {
    const { a, b } = espPair({ tfcPadding: 65_535 }, { offload: { udp: true } });
    const payload = Uint8Array.from({ length: 60_000 }, (_, index) => index * 7);
    const stream = { family: 4, protocol: 'tcp', payload, segment: 100 } as const;
    a.fromDevice(superPacket(stream));
    assert.deepEqual(new Set(lengths(a.sent)), new Set([1500 - 28]));
    const plain = espPair({ tfcPadding: 65_535 });
    plain.b.fromSocket(UDP, ...a.sent);
    assert.deepEqual(plain.b.delivered, segmentsOf(stream));
    b.fromSocket(UDP, ...a.sent);
    assert.deepEqual(b.drops(), {});
    // Those that join are 100 octets each all the same.
    const octets = b.delivered.reduce((sum, one) => sum + one.length - 40, 0);
    assert.equal(octets, payload.length);
  });

  it('has room for as many packets as there are, also where paths are wide', () => {
    const wide = { offload: { udp: true }, outerMtu: 9000 };
    const { a, b, saA } = espPair({ tfcPadding: 65_535 }, wide);
    const payload = Uint8Array.from({ length: 60_000 }, (_, index) => index * 3);
    a.fromDevice(superPacket({ family: 4, protocol: 'tcp', payload, segment: 250 }));
    assert.ok(saA.tfcOctets > 8900);
    assert.deepEqual(new Set(lengths(a.sent)), new Set([9000 - 28]));
    for (const one of a.sent) b.fromSocket(UDP, one);
    assert.equal(b.delivered.length, 240);
  });
});
