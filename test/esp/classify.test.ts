import assert from 'node:assert/strict';
import fc from 'fast-check';
import { classify, Datagram } from '../../src/esp/classify.ts';
import { DropReason } from '../../src/events/drop-reason.ts';

function kind(...octets: readonly number[]): number {
  const room = Uint8Array.of(9, ...octets, 9);
  return classify(room, 1, octets.length);
}

describe('Datagrams on the NAT traversal port (RFC 3948 §2)', () => {
  it('takes one octet 0xFF for a keepalive', () => {
    assert.equal(kind(0xff), DropReason['nat-keepalive']);
  });

  it('takes nothing else of that length for one', () => {
    assert.equal(kind(0xfe), DropReason['short-esp-packet']);
    assert.equal(kind(), DropReason['short-esp-packet']);
    assert.equal(kind(0xff, 0xff), DropReason['short-esp-packet']);
    assert.equal(kind(0, 0, 0), DropReason['short-esp-packet']);
  });

  it('takes the non-ESP marker and an IKE header for IKE', () => {
    assert.equal(kind(...new Array<number>(32).fill(0)), Datagram.IKE);
  });

  it('counts a marker with less than an IKE header behind it', () => {
    assert.equal(kind(...new Array<number>(31).fill(0)), DropReason['malformed-ike-datagram']);
    assert.equal(kind(0, 0, 0, 0), DropReason['malformed-ike-datagram']);
  });

  it('takes every SPI but zero for ESP', () => {
    for (const at of [0, 1, 2, 3]) {
      const octets = [0, 0, 0, 0, 0, 0, 0, 1];
      octets[at] = 1;
      assert.equal(kind(...octets), Datagram.ESP);
    }
  });

  it('reads nothing outside the range', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        fc.uint8Array({ maxLength: 8 }),
        (a, around) => {
          const room = Uint8Array.from([...around, ...a, ...around]);
          assert.equal(classify(room, around.length, a.length), classify(a, 0, a.length));
        },
      ),
    );
  });
});
