import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { ikeSpi, NO_IKE_SPI } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import {
  detectNat,
  NO_NAT_TRAVERSAL,
  natDetectionHash,
  natDetectionNotifies,
  needsEncapsulation,
} from '../../src/ike/nat-detection.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { fromHex } from '../../src/wire/octets.ts';
import { A, B, endpoint } from '../support/pair.ts';

const SPI = ikeSpi(fromHex('0102030405060708'));
const a = endpoint(A);
const b = endpoint(B);
/** Where a NAT puts what a sent. */
const moved = endpoint('198.51.100.1', 61_000);

describe('NAT detection (RFC 7296 §2.23)', () => {
  it('hashes SPIs, address and port', () => {
    const octets = fromHex('0102030405060708 0000000000000000 c0000201 01f4');
    const expected = createHash('sha1').update(octets).digest();
    assert.deepEqual(natDetectionHash(SPI, NO_IKE_SPI, a), new Uint8Array(expected));
    const six = endpoint('2001:db8::1', 4500);
    const octets6 = fromHex(
      '0102030405060708 0000000000000000 20010db8000000000000000000000001 1194',
    );
    const expected6 = createHash('sha1').update(octets6).digest();
    assert.deepEqual(natDetectionHash(SPI, NO_IKE_SPI, six), new Uint8Array(expected6));
  });

  it('finds no NAT where addresses arrive as they were sent', () => {
    const notifies = natDetectionNotifies(SPI, NO_IKE_SPI, { local: a, remote: b }, false);
    assert.deepEqual(detectNat(notifies, SPI, NO_IKE_SPI, { local: b, remote: a }), {
      supported: true,
      localBehindNat: false,
      remoteBehindNat: false,
    });
  });

  it('finds the NAT in front of the sender, by address or by port alone', () => {
    const notifies = natDetectionNotifies(SPI, NO_IKE_SPI, { local: a, remote: b }, false);
    for (const remote of [moved, endpoint(A, 61_000), endpoint('198.51.100.1')]) {
      const found = detectNat(notifies, SPI, NO_IKE_SPI, { local: b, remote });
      assert.deepEqual([found.localBehindNat, found.remoteBehindNat], [false, true]);
    }
  });

  it('finds the NAT in front of the receiver', () => {
    const notifies = natDetectionNotifies(SPI, NO_IKE_SPI, { local: a, remote: moved }, false);
    const found = detectNat(notifies, SPI, NO_IKE_SPI, { local: b, remote: a });
    assert.deepEqual([found.localBehindNat, found.remoteBehindNat], [true, false]);
  });

  it('takes another SPI for a NAT: the hash covers it', () => {
    const notifies = natDetectionNotifies(SPI, NO_IKE_SPI, { local: a, remote: b }, false);
    const found = detectNat(notifies, SPI, SPI, { local: b, remote: a });
    assert.deepEqual([found.localBehindNat, found.remoteBehindNat], [true, true]);
  });

  it('is content with one of several source hashes', () => {
    const first = natDetectionNotifies(SPI, NO_IKE_SPI, { local: moved, remote: b }, false);
    const second = natDetectionNotifies(SPI, NO_IKE_SPI, { local: a, remote: b }, false);
    const both = [...first, ...second];
    const found = detectNat(both, SPI, NO_IKE_SPI, { local: b, remote: a });
    assert.equal(found.remoteBehindNat, false);
  });

  it('a peer that sends one notify or none does not traverse NATs', () => {
    const [source, destination] = natDetectionNotifies(
      SPI,
      NO_IKE_SPI,
      { local: a, remote: b },
      false,
    );
    assert.ok(source && destination);
    for (const payloads of [[], [source], [destination]]) {
      const ends = { local: b, remote: moved };
      assert.equal(detectNat(payloads, SPI, NO_IKE_SPI, ends), NO_NAT_TRAVERSAL);
    }
  });

  it('pretends to be behind a NAT for encap = yes, and only itself', () => {
    const notifies = natDetectionNotifies(SPI, NO_IKE_SPI, { local: a, remote: b }, true);
    const found = detectNat(notifies, SPI, NO_IKE_SPI, { local: b, remote: a });
    assert.deepEqual(found, { supported: true, localBehindNat: false, remoteBehindNat: true });
  });

  it('survives hashes of other lengths', () => {
    const empty = statusNotify(NotifyType.NAT_DETECTION_SOURCE_IP);
    const long = statusNotify(NotifyType.NAT_DETECTION_DESTINATION_IP, new Uint8Array(64));
    const found = detectNat([empty, long], SPI, NO_IKE_SPI, { local: b, remote: a });
    assert.deepEqual(found, { supported: true, localBehindNat: true, remoteBehindNat: true });
  });

  it('puts ESP into UDP where a NAT is between or pretended, if the peer can', () => {
    const none = { supported: true, localBehindNat: false, remoteBehindNat: false };
    assert.equal(needsEncapsulation(none, false), false);
    assert.equal(needsEncapsulation({ ...none, localBehindNat: true }, false), true);
    assert.equal(needsEncapsulation({ ...none, remoteBehindNat: true }, false), true);
    assert.equal(needsEncapsulation(none, true), true);
    assert.equal(needsEncapsulation(NO_NAT_TRAVERSAL, true), false);
  });
});
