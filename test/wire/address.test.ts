import assert from 'node:assert/strict';
import fc from 'fast-check';
import * as wire from '../../src/wire/address.ts';

const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map(wire.ipAddress);
const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map(wire.ipAddress);
const addresses = fc.oneof(ipv4, ipv6);

function parsed(text: string): wire.IpAddress {
  const address = wire.parseAddress(text);
  assert.ok(address !== undefined, text);
  return address;
}

function ranged(first: string, last: string): wire.AddressRange {
  return { first: parsed(first), last: parsed(last) };
}

describe('IP addresses (RFC 4291, RFC 5952)', () => {
  it('are printed as they are parsed', () => {
    fc.assert(
      fc.property(addresses, (address) => {
        assert.deepEqual(parsed(wire.formatAddress(address)), address);
      }),
    );
    assert.equal(wire.formatAddress(parsed('2001:DB8:0:0:1::1')), '2001:db8::1:0:0:1');
  });

  it('are not names, shortened forms, octal or zoned', () => {
    for (const text of [
      '',
      'a.lab',
      '10.1',
      '10.0.0.256',
      '0x7f000001',
      'fe80::1%eth0',
      '1:2',
      '::1/64',
    ]) {
      assert.equal(wire.parseAddress(text), undefined, text);
    }
  });

  it('have 4 or 16 octets', () => {
    assert.throws(() => wire.ipAddress(new Uint8Array(5)), RangeError);
  });

  it('compare by family, then by octets', () => {
    const order = ['0.0.0.0', '9.255.0.0', '10.0.0.0', '::', '::ffff:0:1', 'ff02::1'].map(parsed);
    for (const [index, address] of order.entries()) {
      for (const [other, than] of order.entries()) {
        assert.equal(Math.sign(wire.compareAddresses(address, than)), Math.sign(index - other));
        assert.equal(wire.equalAddresses(address, than), index === other);
      }
    }
  });

  it('know the unspecified address', () => {
    assert.ok(wire.isAnyAddress(wire.anyAddress(4)));
    assert.ok(wire.isAnyAddress(wire.anyAddress(6)));
    assert.ok(!wire.isAnyAddress(parsed('0.0.0.1')));
  });

  it('are a host’s unless they are a network’s, a group’s or the machine’s own', () => {
    for (const text of ['10.3.0.1', '1.0.0.0', '223.255.255.255', '2001:db8::1', '::2', '1::1']) {
      assert.ok(wire.isUnicastAddress(parsed(text)), text);
    }
    for (const text of ['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '255.255.255.255']) {
      assert.ok(!wire.isUnicastAddress(parsed(text)), text);
    }
    for (const text of ['::', '::1', 'ff02::1']) {
      assert.ok(!wire.isUnicastAddress(parsed(text)), text);
    }
  });

  it('make endpoints with a port', () => {
    const endpoint = { address: parsed('192.0.2.1'), port: 500 };
    assert.equal(wire.formatEndpoint(endpoint), '192.0.2.1[500]');
    assert.ok(wire.equalEndpoints(endpoint, { address: parsed('192.0.2.1'), port: 500 }));
    assert.ok(!wire.equalEndpoints(endpoint, { ...endpoint, port: 4500 }));
  });
});

describe('Endpoints that share an address', () => {
  it('have one object for it where it is the same', () => {
    const four = (last: number) => wire.ipAddress(Uint8Array.of(192, 0, 2, last));
    const known = { address: four(1), port: 500 };
    const moved = { address: four(1), port: 4500 };
    assert.deepEqual(wire.sharingAddress(moved, known), moved);
    assert.equal(wire.sharingAddress(moved, known).address, known.address);
    const other = { address: four(2), port: 500 };
    assert.equal(wire.sharingAddress(other, known), other);
  });
});

describe('Prefixes and ranges', () => {
  it('clear host bits', () => {
    const prefix = wire.parsePrefix('10.1.2.3/15');
    assert.ok(prefix !== undefined);
    assert.equal(wire.formatPrefix(prefix), '10.0.0.0/15');
    assert.deepEqual(wire.prefixRange(prefix), ranged('10.0.0.0', '10.1.255.255'));
  });

  it('take a bare address as a prefix of full length', () => {
    assert.equal(wire.parsePrefix('10.0.0.1')?.length, 32);
    assert.equal(wire.parsePrefix('fd00::1')?.length, 128);
  });

  it('refuse other spellings', () => {
    for (const text of [
      '10.0.0.0/33',
      '10.0.0.0/-1',
      '10.0.0.0/',
      '10.0.0.0/8/8',
      'fd00::/129',
      'x/8',
    ]) {
      assert.equal(wire.parsePrefix(text), undefined, text);
    }
  });

  it('contain what lies between, in the same family', () => {
    const range = ranged('10.0.0.9', '10.0.1.3');
    const inside = (text: string): boolean => wire.rangeContains(range, parsed(text));
    assert.deepEqual(
      ['10.0.0.8', '10.0.0.9', '10.0.0.255', '10.0.1.3', '10.0.1.4', '::'].map(inside),
      [false, true, true, true, false, false],
    );
  });

  it('are counted from address to address', () => {
    fc.assert(
      fc.property(addresses, fc.nat(1000), (from, distance) => {
        fc.pre(from.octets[0] !== 0xff);
        const to = wire.addressAfter(from, distance);
        assert.equal(wire.addressDistance(from, to), BigInt(distance));
        assert.deepEqual(wire.addressAfter(to, -distance), from);
      }),
    );
    assert.equal(wire.formatAddress(wire.addressAfter(parsed('10.0.255.255'), 1)), '10.1.0.0');
    const far = wire.addressDistance(parsed('2001:db8::'), parsed('2001:db8:0:1::'));
    assert.equal(far, 2n ** 64n);
  });

  it('cover a range with prefixes, exactly and in order', () => {
    const texts = wire.rangePrefixes(ranged('10.0.0.1', '10.0.0.9')).map(wire.formatPrefix);
    assert.deepEqual(texts, ['10.0.0.1/32', '10.0.0.2/31', '10.0.0.4/30', '10.0.0.8/31']);
    assert.deepEqual(
      wire.rangePrefixes(ranged('0.0.0.0', '255.255.255.255')).map(wire.formatPrefix),
      ['0.0.0.0/0'],
    );
    fc.assert(
      fc.property(fc.nat(255), fc.nat(255), (one, other) => {
        const last = Math.max(one, other);
        let next = Math.min(one, other);
        for (const prefix of wire.rangePrefixes(ranged(`192.0.2.${next}`, `192.0.2.${last}`))) {
          const range = wire.prefixRange(prefix);
          assert.equal(range.first.octets[3], next);
          next = (range.last.octets[3] ?? 0) + 1;
        }
        assert.equal(next, last + 1);
      }),
    );
  });
});
