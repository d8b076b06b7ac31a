/**
 * The segments of a strongSwan HA cluster, against what charon logged and against the hash as published.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { haHash, haSegment, haSpiSegment } from '../../../src/cluster/charon-ha/segment-hash.ts';
import { type IpAddress, parseAddress } from '../../../src/wire/address.ts';

interface Vectors {
  readonly count: number;
  readonly children: readonly {
    readonly address: string;
    readonly spi: string;
    readonly hash: string;
    readonly segment: number;
  }[];
  readonly peers: readonly { readonly address: string; readonly hash: string }[];
}

const vectors: Vectors = JSON.parse(
  readFileSync('vectors/cluster/strongswan-ha-segment-hash.json', 'utf8'),
);
const segmenting = { variant: 'lookup3-4.1', count: vectors.count } as const;

describe('The segment hash of charon', () => {
  for (const { address, spi, hash, segment } of vectors.children) {
    it(`puts SPI ${spi} of ${address} where charon does`, () => {
      const number = Number.parseInt(spi, 16);
      assert.equal(hexOf(haHash('lookup3-4.1', wordOf(address), number)), hash);
      assert.equal(haSpiSegment(segmenting, parsed(address), number), segment);
    });
  }

  for (const { address, hash } of vectors.peers) {
    it(`of the peer ${address} alone is ${hash}`, () => {
      const value = haHash('lookup3-4.1', wordOf(address), 0);
      assert.equal(hexOf(value), hash);
      for (const count of [1, 2, 3, 16]) {
        const expected = Number((BigInt(value) * BigInt(count)) >> 32n) + 1;
        assert.equal(haSegment({ variant: 'lookup3-4.1', count }, parsed(address)), expected);
      }
    });
  }

  it('takes every IPv6 address for the same', () => {
    const ends = ['2001:db8::1', '2001:db8:ffff::2'].map((text) =>
      haSegment(segmenting, parsed(text)),
    );
    assert.equal(ends[0], ends[1]);
  });

  for (const variant of ['lookup2', 'lookup3', 'lookup3-4.1'] as const) {
    it(`${variant} is the hash as Bob Jenkins published it`, () => {
      const word = fc.integer({ min: 0, max: 0xffff_ffff });
      fc.assert(
        fc.property(word, word, (a, b) => {
          assert.equal(haHash(variant, a, b), plainHash(variant, BigInt(a), BigInt(b)));
        }),
      );
    });
  }
});

/** The published steps, a line each, on numbers of 32 bits that cannot overflow. */
function plainHash(variant: string, first: bigint, second: bigint): number {
  const low = (value: bigint) => value & 0xffff_ffffn;
  const rot = (value: bigint, by: bigint) => low(value << by) | (low(value) >> (32n - by));
  if (variant === 'lookup2') {
    let a = low(first + 0x9e3779b9n);
    let b = low(second + 0x9e3779b9n);
    let c = 0n;
    for (const [x, y, z] of [
      [13n, 8n, 13n],
      [12n, 16n, 5n],
      [3n, 10n, 15n],
    ] as const) {
      a = low(low(a - b - c) ^ (c >> x));
      b = low(low(b - c - a) ^ low(a << y));
      c = low(low(c - a - b) ^ (b >> z));
    }
    return Number(c);
  }
  const since41 = variant === 'lookup3-4.1';
  const initial = low(0xdeadbeefn + (since41 ? (second === 0n ? 4n : 8n) : 0n));
  let a = low(first + initial);
  let b = low(second + initial);
  let c = since41 ? initial : 0n;
  c = low((c ^ b) - rot(b, 14n));
  a = low((a ^ c) - rot(c, 11n));
  b = low((b ^ a) - rot(a, 25n));
  c = low((c ^ b) - rot(b, 16n));
  a = low((a ^ c) - rot(c, 4n));
  b = low((b ^ a) - rot(a, 14n));
  c = low((c ^ b) - rot(b, 24n));
  return Number(c);
}

function wordOf(address: string): number {
  return parsed(address).octets.reduce((word, octet) => word * 256 + octet, 0);
}

function parsed(text: string): IpAddress {
  const address = parseAddress(text);
  assert.ok(address, text);
  return address;
}

function hexOf(value: number): string {
  return value.toString(16).padStart(8, '0');
}
