import assert from 'node:assert/strict';
import fc from 'fast-check';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import {
  type EspShape,
  espBudget,
  espPacketLength,
  espShape,
  fragmentCount,
  innerMtu,
  sizeVerdict,
} from '../../src/ipsec/path-mtu.ts';

const gcm = { id: EncryptionId.AES_GCM_16 };
const cbc = { id: EncryptionId.AES_CBC };
const sha256 = { id: IntegrityId.AUTH_HMAC_SHA2_256_128 };
const paths = fc.record({ family: fc.constantFrom<4 | 6>(4, 6), udpEncapsulation: fc.boolean() });
const shapes = fc.oneof(
  fc.constantFrom(
    espShape(gcm, undefined),
    espShape(cbc, sha256),
    espShape(cbc, { id: IntegrityId.AUTH_HMAC_SHA1_96 }),
    espShape(cbc, { id: IntegrityId.AUTH_HMAC_SHA2_512_256 }),
  ),
  fc.record<EspShape>({
    ivLength: fc.nat(16),
    icvLength: fc.nat(32),
    alignment: fc.constantFrom(4, 8, 16),
  }),
);

describe('Sizes of ESP packets (RFC 4303 §2.4)', () => {
  it('takes lengths from the transforms', () => {
    assert.deepEqual(espShape(gcm, undefined), { ivLength: 8, icvLength: 16, alignment: 4 });
    assert.deepEqual(espShape(cbc, sha256), { ivLength: 16, icvLength: 16, alignment: 16 });
    assert.throws(() => espShape({ id: EncryptionId.DES }, undefined), RangeError);
  });

  it('adds up for known packets', () => {
    const udp4 = { family: 4, udpEncapsulation: true } as const;
    // 20 + 8 + 8 + 8 + (84 + 2 in 4s) + 16
    assert.equal(espPacketLength(84, espShape(gcm, undefined), udp4), 148);
    // 40 + 8 + 16 + (84 + 2 in 16s) + 16
    const esp6 = { family: 6, udpEncapsulation: false } as const;
    assert.equal(espPacketLength(84, espShape(cbc, sha256), esp6), 176);
    assert.equal(innerMtu(1500, espShape(gcm, undefined), udp4), 1438);
  });

  it('fits exactly: one octet more no longer does (RFC 4301 §8.2.1)', () => {
    fc.assert(
      fc.property(fc.integer({ min: 200, max: 9000 }), shapes, paths, (outer, shape, path) => {
        const inner = innerMtu(outer, shape, path);
        assert.ok(inner > 0);
        assert.ok(espPacketLength(inner, shape, path) <= outer);
        assert.ok(espPacketLength(inner + 1, shape, path) > outer);
      }),
    );
  });

  it('names every octet, in the order of the packet', () => {
    const cbc6 = { family: 6, udpEncapsulation: true } as const;
    assert.deepEqual(espBudget(100, espShape(cbc, sha256), cbc6), {
      outerIp: 40,
      udp: 8,
      espHeader: 8,
      iv: 16,
      inner: 100,
      tfcPadding: 0,
      padding: 10,
      trailer: 2,
      icv: 16,
      total: 200,
    });
    fc.assert(
      fc.property(fc.nat(9000), shapes, paths, (inner, shape, path) => {
        const { total, ...octets } = espBudget(inner, shape, path);
        assert.equal(
          Object.values(octets).reduce((sum, count) => sum + count),
          total,
        );
        assert.equal((octets.inner + octets.padding + octets.trailer) % shape.alignment, 0);
      }),
    );
  });

  it('counts what hides the length of a packet (RFC 4303 §2.7)', () => {
    const udp4 = { family: 4, udpEncapsulation: true } as const;
    const padded = (inner: number, tfc: number) => {
      const { tfcPadding, padding, total } = espBudget(inner, espShape(gcm, undefined), udp4, tfc);
      return [tfcPadding, padding, total];
    };
    // 20 + 8 + 8 + 8 + (512 + 2 in 4s) + 16
    assert.deepEqual(padded(84, 512), [428, 2, 576]);
    assert.deepEqual(padded(512, 512), [0, 2, 576]);
    assert.deepEqual(padded(513, 512), [0, 1, 576]);
  });

  it('leave the IP header outside in transport mode (RFC 4303 §3.1.1)', () => {
    const tunnel = { family: 4, udpEncapsulation: true } as const;
    const transport = { ...tunnel, shed: 20 };
    const shape = espShape(gcm, undefined);
    // 20 + 8 + 8 + 8 + (64 + 2 in 4s) + 16
    const { inner, padding, total } = espBudget(84, shape, transport);
    assert.deepEqual([inner, padding, total], [64, 2, 128]);
    assert.equal(innerMtu(1500, shape, transport), innerMtu(1500, shape, tunnel) + 20);
    assert.equal(innerMtu(60, shape, transport), 0);
    assert.equal(espBudget(10, shape, transport).inner, 0);
  });

  it('says 0 when nothing fits', () => {
    const path = { family: 6, udpEncapsulation: true } as const;
    assert.equal(innerMtu(60, espShape(cbc, sha256), path), 0);
    assert.equal(innerMtu(89, espShape(cbc, sha256), path), 0);
  });
});

describe('Packets too big for a tunnel (RFC 4301 §8)', () => {
  const verdict = (family: 4 | 6, octets: number, dontFragment: boolean, copyDf = true) =>
    sizeVerdict(family, octets, dontFragment, { innerMtu: 1200, copyDf });

  it('are refused where they may not be fragmented, but where IPv6 has no say', () => {
    assert.equal(verdict(4, 1200, true), 'fits');
    assert.equal(verdict(4, 1201, true), 'too-big');
    assert.equal(verdict(4, 1201, false), 'fragmented-outside');
    assert.equal(verdict(4, 1201, true, false), 'fragmented-outside');
    assert.equal(verdict(6, 1280, true), 'fragmented-outside');
    assert.equal(verdict(6, 1281, true), 'too-big');
    assert.equal(verdict(6, 1281, true, false), 'fragmented-outside');
  });

  it('make fragments of multiples of 8 octets (RFC 791 §3.2, RFC 8200 §4.5)', () => {
    assert.equal(fragmentCount(1500, 1500, 4), 1);
    assert.equal(fragmentCount(1501, 1500, 4), 2);
    // 1480 octets of data a fragment: 20 + 2 * 1480.
    assert.equal(fragmentCount(2980, 1500, 4), 2);
    assert.equal(fragmentCount(2981, 1500, 4), 3);
    // An MTU of 1502 has room for no more.
    assert.equal(fragmentCount(2981, 1502, 4), 3);
    // 1448 octets of data a fragment: 40 + 2 * 1448.
    assert.equal(fragmentCount(2936, 1500, 6), 2);
    assert.equal(fragmentCount(2937, 1500, 6), 3);
  });
});
