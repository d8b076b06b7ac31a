import assert from 'node:assert/strict';
import { type PinnedRange, pinsOf } from '../../src/cluster/pinned-ranges.ts';
import {
  compareAddresses,
  formatAddress,
  type IpAddress,
  ipAddress,
  parseAddress,
  rangeContains,
} from '../../src/wire/address.ts';
import { seededNumbers } from '../support/seeded-random.ts';

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function pin(text: string, segment: number): PinnedRange {
  const [first = '', last = first] = text.split('-');
  return { range: { first: address(first), last: address(last) }, segment };
}

function shown(pinned: readonly PinnedRange[]): readonly string[] {
  const { hosts, ranges } = pinsOf(pinned);
  return [
    ...[...hosts].map(([text, { segment }]) => `${text} ${segment}`),
    ...ranges.map(({ range: { first, last }, segment }) => {
      return `${formatAddress(first)}-${formatAddress(last)} ${segment}`;
    }),
  ];
}

describe('Pinned addresses', () => {
  it('are single ones and ranges, of both families', () => {
    assert.deepEqual(
      shown([
        pin('2001:db8::-2001:db8::ffff', 3),
        pin('10.0.0.1', 1),
        pin('10.1.0.0-10.1.0.255', 2),
        pin('2001:db8::1', 4),
      ]),
      ['10.0.0.1 1', '2001:db8::1 4', '10.1.0.0-10.1.0.255 2', '2001:db8::-2001:db8::ffff 3'],
    );
  });

  it('are in the smallest range that has them, and of equal ones in the last', () => {
    assert.deepEqual(
      shown([
        pin('10.0.0.0-10.255.255.255', 1),
        pin('10.1.0.0-10.1.0.255', 2),
        pin('10.1.0.0-10.1.0.255', 3),
        pin('10.0.0.9', 4),
        pin('10.0.0.9', 5),
      ]),
      [
        '10.0.0.9 5',
        '10.0.0.0-10.0.255.255 1',
        '10.1.0.0-10.1.0.255 3',
        '10.1.1.0-10.255.255.255 1',
      ],
    );
  });

  it('are one range where neighbours have one segment, also of everything', () => {
    assert.deepEqual(shown([pin('10.0.0.0-10.0.0.9', 1), pin('10.0.0.10-10.0.0.19', 1)]), [
      '10.0.0.0-10.0.0.19 1',
    ]);
    const all = ['0.0.0.0-255.255.255.255', '::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'];
    assert.deepEqual(
      shown(all.map((text) => pin(text, 7))),
      all.map((text) => `${text} 7`),
    );
  });

  it('are in no two ranges, and where a plain look at all of them finds them', () => {
    const number = seededNumbers(95);
    const any = (below: number) => Math.floor(number() * below);
    const at = (last: number) => ipAddress(Uint8Array.of(10, 0, 0, last));
    for (let each = 0; each < 200; each++) {
      const pinned = Array.from({ length: 1 + any(8) }, (_, segment): PinnedRange => {
        const first = any(250);
        return { range: { first: at(first), last: at(first + 1 + any(255 - first - 1)) }, segment };
      });
      const { ranges } = pinsOf(pinned);
      for (let last = 0; last < 256; last++) {
        const having = pinned.filter(({ range }) => rangeContains(range, at(last)));
        const sizeOf = ({ range }: PinnedRange) =>
          (range.last.octets[3] ?? 0) - (range.first.octets[3] ?? 0);
        const least = Math.min(...having.map(sizeOf));
        const plain = having.findLast((one) => sizeOf(one) === least)?.segment;
        const found = ranges.filter(({ range }) => rangeContains(range, at(last)));
        assert.deepEqual(
          found.map(({ segment }) => segment),
          plain === undefined ? [] : [plain],
        );
      }
      for (const [index, { range }] of ranges.entries()) {
        const next = ranges[index + 1];
        if (next) assert.ok(compareAddresses(range.last, next.range.first) < 0, 'in order');
      }
    }
  });
});
