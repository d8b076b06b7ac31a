import assert from 'node:assert/strict';
import { deriveHardwareAddress } from '../../../src/cluster/virtual-address/derived-hardware-address.ts';
import {
  formatHardwareAddress,
  isGroup as isGroupAddress,
} from '../../../src/cluster/virtual-address/ethernet.ts';
import { type IpAddress, ipAddress, parseAddress } from '../../../src/wire/address.ts';

function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  assert.ok(parsed !== undefined, text);
  return parsed;
}

function derive(text: string, isGroup: boolean, cluster = 'here', taken = new Set<string>()) {
  const wish = { cluster, address: address(text), isGroup };
  return formatHardwareAddress(deriveHardwareAddress(wish, taken));
}

describe('The hardware address of a shared address', () => {
  it('is a group of the link where all nodes hear it', () => {
    for (let last = 1; last < 255; last++) {
      const four = derive(`192.0.2.${last}`, true);
      const [, octet = ''] = /^01:00:5e:00:00:(..)$/.exec(four) ?? [];
      const number = Number.parseInt(octet, 16);
      assert.ok(number >= 160 && number <= 249, four);
      assert.match(derive(`2001:db8::${last}`, true), /^33:33:00:00:00:[a-f]/);
    }
  });

  it("is one of VRRP's where it has a master (RFC 9568 §7.3)", () => {
    for (let last = 1; last < 255; last++) {
      for (const text of [`192.0.2.${last}`, `2001:db8::${last}`]) {
        const octets = deriveHardwareAddress(
          { cluster: 'here', address: address(text), isGroup: false },
          new Set(),
        );
        assert.equal(isGroupAddress(octets), false);
        assert.ok((octets[5] ?? 0) > 0);
        assert.equal(octets[4], text.includes(':') ? 2 : 1);
      }
    }
  });

  it('is the same on every node, and another for another cluster or address', () => {
    assert.equal(derive('192.0.2.100', false), derive('192.0.2.100', false));
    assert.notEqual(derive('192.0.2.100', false), derive('192.0.2.100', false, 'there'));
    assert.notEqual(derive('192.0.2.100', false), derive('192.0.2.101', false));
  });

  it('is one that no other has, as long as there are any', () => {
    const taken = new Set<string>();
    for (let count = 0; count < 90; count++) {
      const octets = ipAddress(Uint8Array.of(192, 0, 2, count));
      const wish = { cluster: 'here', address: octets, isGroup: true };
      const found = formatHardwareAddress(deriveHardwareAddress(wish, taken));
      assert.ok(!taken.has(found), found);
      taken.add(found);
    }
    assert.throws(() => derive('192.0.2.200', true, 'here', taken), /192.0.2.200 has none/);
  });
});
