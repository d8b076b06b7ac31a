/**
 * Sizes of fragments by path (RFC 7383 §2.5.1, §2.5.2).
 */
import { strict as assert } from 'node:assert';
import { PathSize } from '../../src/ike/fragmentation.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import { type Endpoint, parseAddress } from '../../src/wire/address.ts';

const IPV4 = { local: endpoint('192.0.2.1'), remote: endpoint('192.0.2.2') };
const IPV6 = { local: endpoint('2001:db8::1'), remote: endpoint('2001:db8::2') };
const NAT_T = { local: endpoint('192.0.2.1', 4500), remote: endpoint('192.0.2.2', 61_000) };

function endpoint(text: string, port = 500): Endpoint {
  const address = parseAddress(text);
  assert.ok(address);
  return { address, port };
}

function pathSize(fragmentSize = 1280): PathSize {
  return new PathSize({ ...DEFAULT_IKE_SETTINGS, fragmentSize });
}

describe('Size of fragments (RFC 7383 §2.5.1)', () => {
  it('leaves room for IP, UDP and, on the NAT traversal port, the marker', () => {
    assert.equal(pathSize().messageOctets(IPV4), 1280 - 20 - 8);
    assert.equal(pathSize().messageOctets(IPV6), 1280 - 40 - 8);
    assert.equal(pathSize().messageOctets(NAT_T), 1280 - 20 - 8 - 4);
  });

  it('is what the administrator set, whatever the family', () => {
    assert.equal(pathSize(600).messageOctets(IPV6), 600 - 48);
    assert.equal(pathSize(9000).messageOctets(IPV4), 9000 - 28);
  });

  it('follows the fragments that arrive, down to what every path carries', () => {
    const size = pathSize();
    size.heard(IPV4, 900);
    assert.equal(size.messageOctets(IPV4), 900);
    size.heard(IPV4, 1200);
    assert.equal(size.messageOctets(IPV4), 900, 'larger fragments do not raise it');
    size.heard(IPV4, 100);
    assert.equal(size.messageOctets(IPV4), 576 - 28);
    const six = pathSize(1500);
    six.heard(IPV6, 500);
    assert.equal(six.messageOctets(IPV6), 1280 - 48);
    const small = pathSize(576);
    small.heard(IPV4, 900);
    assert.equal(small.messageOctets(IPV4), 576 - 28, 'what is set stays the most');
  });
});

describe('Smaller fragments after no answer (RFC 7383 §2.5.2)', () => {
  it('goes down to 576 octets over IPv4', () => {
    const size = pathSize(1500);
    assert.equal(size.shrink(IPV4, size.messageOctets(IPV4)), true);
    assert.equal(size.messageOctets(IPV4), 1280 - 28);
    assert.equal(size.shrink(IPV4, size.messageOctets(IPV4)), true);
    assert.equal(size.messageOctets(IPV4), 576 - 28);
    assert.equal(size.shrink(IPV4, size.messageOctets(IPV4)), false);
    assert.equal(size.messageOctets(IPV4), 576 - 28);
  });

  it('goes down to 1280 octets over IPv6', () => {
    const size = pathSize(1500);
    assert.equal(size.shrink(IPV6, size.messageOctets(IPV6)), true);
    assert.equal(size.messageOctets(IPV6), 1280 - 48);
    assert.equal(size.shrink(IPV6, size.messageOctets(IPV6)), false);
  });

  it('passes over sizes that would not have made the message smaller', () => {
    const size = pathSize(1500);
    assert.equal(size.shrink(IPV4, 1000), true);
    assert.equal(size.messageOctets(IPV4), 576 - 28);
  });

  it('is not tried with what is small already', () => {
    const size = pathSize();
    assert.equal(size.shrink(IPV4, 548), false);
    assert.equal(size.messageOctets(IPV4), 1252);
  });

  it('starts anew on another path, whatever the ports', () => {
    const size = pathSize();
    size.shrink(IPV4, 1252);
    assert.equal(size.messageOctets(NAT_T), 576 - 32);
    const moved = { ...IPV4, local: endpoint('198.51.100.1') };
    assert.equal(size.messageOctets(moved), 1252);
  });
});
