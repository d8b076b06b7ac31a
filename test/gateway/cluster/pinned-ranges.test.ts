/**
 * Inner addresses and the segments of the SAs that they are reached by.
 */
import assert from 'node:assert/strict';
import { pinnedRanges } from '../../../src/gateway/cluster/pinned-ranges.ts';
import { type Spi, spi } from '../../../src/ipsec/spi.ts';
import { formatAddress, parsePrefix, prefixRange } from '../../../src/wire/address.ts';

function childSa(number: number, ...prefixes: readonly string[]) {
  const remoteTs = prefixes.map((text) => {
    const prefix = parsePrefix(text) ?? assert.fail(text);
    return { range: prefixRange(prefix), protocol: 0, startPort: 0, endPort: 0xffff };
  });
  return { spiIn: spi(number) ?? assert.fail(), remoteTs };
}

function pinned(...childSas: readonly ReturnType<typeof childSa>[]): readonly string[] {
  const segmentOf = (spiIn: Spi) => spiIn % 16;
  return pinnedRanges(childSas, segmentOf).map(
    ({ range: { first, last }, segment }) =>
      `${formatAddress(first)}-${formatAddress(last)} ${segment}`,
  );
}

describe('What is pinned to segments', () => {
  it('are the addresses that peers have, of both families, in order', () => {
    const one = childSa(0x1003, '10.3.0.9/32', '2001:db8::/64');
    const two = childSa(0x1004, '10.3.0.1/32');
    assert.deepEqual(pinned(one, two), [
      '10.3.0.1-10.3.0.1 4',
      '10.3.0.9-10.3.0.9 3',
      '2001:db8::-2001:db8::ffff:ffff:ffff:ffff 3',
    ]);
  });

  it('is once what a Child SA and its successor have', () => {
    const both = [childSa(0x1003, '10.3.0.9/32'), childSa(0x2003, '10.3.0.9/32')];
    assert.deepEqual(pinned(...both), ['10.3.0.9-10.3.0.9 3']);
  });

  it('never overlaps', () => {
    const wide = childSa(0x1001, '10.3.0.0/24');
    assert.deepEqual(pinned(wide, childSa(0x1002, '10.3.0.128/25')), ['10.3.0.0-10.3.0.255 1']);
    const begins = childSa(0x1002, '10.3.0.0/25');
    const rest = childSa(0x1003, '10.3.0.128/32');
    assert.deepEqual(pinned(wide, begins, rest), [
      '10.3.0.0-10.3.0.127 2',
      '10.3.0.128-10.3.0.128 3',
    ]);
  });
});
