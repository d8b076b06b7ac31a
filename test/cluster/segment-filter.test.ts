/**
 * The text of the packet filter; what it does with packets is tried in the kernel
 * (`interop/segment-filter.test.ts`).
 */
import assert from 'node:assert/strict';
import { NO_PINS, pinsOf } from '../../src/cluster/pinned-ranges.ts';
import {
  arpRuleset,
  noRuleset,
  type SegmentFilter,
  samplingOf,
  segmentRuleset,
} from '../../src/cluster/segment-filter.ts';
import { segmentHash } from '../../src/cluster/segment-hash.ts';
import { ownershipRuleset, TABLE } from '../../src/cluster/segment-sets.ts';
import { parseAddress, parsePrefix, prefixRange } from '../../src/wire/address.ts';

function addressOf(text: string) {
  const address = parseAddress(text);
  assert.ok(address !== undefined);
  return address;
}

function rangeOf(text: string) {
  const prefix = parsePrefix(text);
  assert.ok(prefix !== undefined);
  return prefixRange(prefix);
}

const filter = {
  hash: segmentHash(256, 0x5eed),
  sourceSeed: 0xc0ffee,
  own: [5, 1],
  wan: {
    devices: ['wan'],
    addresses: [addressOf('192.0.2.100'), addressOf('2001:db8::64')],
    port: 500,
    portNatT: 4500,
    sampling: samplingOf(65, 64),
  },
} satisfies SegmentFilter;

describe('The packet filter of a node', () => {
  it('names its segments, its samples and the seeds', () => {
    const text = segmentRuleset(filter);
    const lines = text.split('\n');
    const bare = 'jhash esp spi mod 256 seed 0x5eed @own counter name "esp_own" accept';
    assert.ok(lines.includes(bare), text);
    assert.ok(lines.includes('@th,32,32 & 63 == 1 counter name "esp_sampled" accept'), text);
    assert.match(text, /jhash ip6 saddr mod 256 seed 0xc0ffee @own /);
    assert.ok(lines.includes(`add element netdev ${TABLE} own { 5, 1 }`), text);
    assert.doesNotMatch(text, /from_lan/);
  });

  it('is one transaction over what was there', () => {
    const text = segmentRuleset(filter);
    const head = `table netdev ${TABLE} {\n}\nflush table netdev ${TABLE}\ntable netdev ${TABLE} {\n`;
    assert.ok(text.startsWith(head), text);
  });

  it('accepts every packet of an SA where every one is a sample', () => {
    const text = segmentRuleset({
      ...filter,
      wan: { ...filter.wan, sampling: samplingOf(3, 1) },
    });
    assert.match(text, /^counter name "esp_sampled" accept$/m);
  });

  it('says anew what the node has without a rule', () => {
    const pinned = [
      { range: rangeOf('10.8.0.0/16'), segment: 5 },
      { range: rangeOf('10.9.0.1/32'), segment: 4 },
      { range: rangeOf('2001:db8:9::/48'), segment: 4 },
    ];
    const filled = (name: string, elements: string) => {
      const flush = `flush ${name.startsWith('pinned') ? 'map' : 'set'} netdev ${TABLE} ${name}\n`;
      return `${flush}${elements === '' ? '' : `add element netdev ${TABLE} ${name} { ${elements} }\n`}`;
    };
    const mastered = ['00:00:5e:00:01:07'];
    assert.equal(
      ownershipRuleset({ own: [5, 1], count: 256, pins: pinsOf(pinned), mastered }),
      [
        filled('own', '5, 1'),
        filled('own_lan', '5, 1'),
        filled('own_marks', '0x80000005, 0x80000001'),
        filled('mastered', '00:00:5e:00:01:07'),
        filled('pinned_hosts_4', '10.9.0.1 : 0x80000004'),
        filled('pinned_hosts_6', ''),
        filled('pinned_ranges_4', '10.8.0.0-10.8.255.255 : 0x80000005'),
        filled('pinned_ranges_6', '2001:db8:9::-2001:db8:9:ffff:ffff:ffff:ffff:ffff : 0x80000004'),
      ].join(''),
    );
    assert.equal(
      ownershipRuleset({ own: [], count: 256, pins: NO_PINS }).includes('element'),
      false,
    );
  });

  it('gives neighbouring nodes other samples', () => {
    const residues = [1, 2, 3, 64].map((node) => samplingOf(node, 64).residue);
    assert.deepEqual(residues, [1, 2, 3, 0]);
    const wan = { ...filter.wan, sampling: { every: 48, residue: 1 } };
    assert.throws(() => segmentRuleset({ ...filter, wan }), /samples of each 48 packets/);
  });

  it('takes no word from its settings that nft could read otherwise', () => {
    for (const device of ['a"b', 'wan;', 'x y', 'a\nb', '', 'a/b', 'sixteen-letters.']) {
      const wan = { ...filter.wan, devices: [device] };
      assert.throws(() => segmentRuleset({ ...filter, wan }), /device name/, device);
    }
    for (const hardwareAddress of ['01:00:5e:00:00', '01:00:5e:00:00:20 }', '']) {
      const one = { device: 'wan', address: addressOf('192.0.2.100'), hardwareAddress };
      assert.throws(() => arpRuleset([one]), /hardware address/, hardwareAddress);
    }
    assert.throws(() => segmentRuleset({ ...filter, own: [256] }), /segment 256 of 256/);
  });

  it('mangles ARP of IPv4 addresses only', () => {
    const mangled = { device: 'wan', hardwareAddress: '01:00:5e:00:00:20' };
    assert.match(
      arpRuleset([{ ...mangled, address: addressOf('192.0.2.100') }]),
      /^oif "wan" arp saddr ip 192.0.2.100 arp saddr ether set 01:00:5e:00:00:20$/m,
    );
    assert.throws(() => arpRuleset([{ ...mangled, address: addressOf('::1') }]), /ARP for ::1/);
  });

  it('goes away, also where it is not', () => {
    assert.equal(noRuleset('arp'), `table arp ${TABLE} {\n}\ndelete table arp ${TABLE}\n`);
  });
});
