import assert from 'node:assert/strict';
import { ErrorRate, TOO_BIG_OCTETS, writeTooBig } from '../../src/esp/icmp-too-big.ts';
import { checksum } from '../../src/wire/checksum.ts';
import { icmpNextHopMtu, icmpv6Mtu } from '../../src/wire/icmp.ts';
import { instant, after as later } from '../../src/wire/instant.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { ipv4TotalLength } from '../../src/wire/ipv4.ts';
import { ipv6PayloadLength } from '../../src/wire/ipv6.ts';
import {
  icmpPacket,
  innerPacket,
  octetsOf,
  udpPacket,
  upperChecksum,
} from '../support/inner-packets.ts';

function errorAbout(packet: Uint8Array, mtu = 1400): Uint8Array {
  const answer = new Uint8Array(TOO_BIG_OCTETS + 8).fill(0xee);
  return answer.subarray(0, writeTooBig(packet, mtu, answer));
}

describe('ICMP "fragmentation needed" (RFC 792, RFC 1191 §4)', () => {
  const packet = udpPacket('10.1.0.10', '10.2.0.10', 1460, { dontFragment: true });
  const error = errorAbout(packet, 1438);

  it('goes back to the sender, from the address it sent to', () => {
    assert.deepEqual(error.subarray(12, 16), octetsOf('10.2.0.10'));
    assert.deepEqual(error.subarray(16, 20), octetsOf('10.1.0.10'));
  });

  it('says type 3, code 4 and the exact MTU', () => {
    assert.deepEqual([error[20], error[21], icmpNextHopMtu(error, 20)], [3, 4, 1438]);
  });

  it('has right lengths and checksums, and no more than 576 octets (RFC 1812 §4.3.2.3)', () => {
    assert.equal(error.length, 576);
    assert.equal(ipv4TotalLength(error, 0), 576);
    assert.equal(checksum(error, 0, 20), 0);
    assert.equal(upperChecksum(error, 20, IpProtocol.ICMP), 0);
  });

  it('quotes the packet from its header on', () => {
    assert.deepEqual(error.subarray(28), packet.subarray(0, 548));
  });

  it('is not sent about an ICMP error, but about an echo (RFC 1812 §4.3.2.7)', () => {
    assert.equal(errorAbout(icmpPacket('10.1.0.10', '10.2.0.10', 3)).length, 0);
    assert.notEqual(errorAbout(icmpPacket('10.1.0.10', '10.2.0.10', 8)).length, 0);
  });

  it('is not sent about a later fragment, nor about what is not one host to another', () => {
    const fragment = udpPacket('10.1.0.10', '10.2.0.10', 8);
    fragment[7] = 1;
    assert.equal(errorAbout(fragment).length, 0);
    assert.equal(errorAbout(udpPacket('10.1.0.10', '224.0.0.5', 8)).length, 0);
    assert.equal(errorAbout(udpPacket('10.1.0.10', '255.255.255.255', 8)).length, 0);
    assert.equal(errorAbout(udpPacket('0.0.0.0', '10.2.0.10', 8)).length, 0);
    assert.equal(errorAbout(udpPacket('127.0.0.1', '10.2.0.10', 8)).length, 0);
  });
});

describe('ICMPv6 "packet too big" (RFC 4443 §3.2)', () => {
  const packet = udpPacket('2001:db8:1::10', '2001:db8:2::10', 1440);
  const error = errorAbout(packet, 1422);

  it('goes back to the sender with the exact MTU', () => {
    assert.deepEqual(error.subarray(8, 24), octetsOf('2001:db8:2::10'));
    assert.deepEqual(error.subarray(24, 40), octetsOf('2001:db8:1::10'));
    assert.deepEqual([error[40], error[41], icmpv6Mtu(error, 40)], [2, 0, 1422]);
  });

  it('has right lengths and checksum, and no more than 1280 octets', () => {
    assert.equal(error.length, 1280);
    assert.equal(ipv6PayloadLength(error, 0), 1240);
    assert.equal(upperChecksum(error, 40, IpProtocol.IPV6_ICMP), 0);
  });

  it('quotes the packet from its header on', () => {
    assert.deepEqual(error.subarray(48), packet.subarray(0, 1232));
  });

  it('is not sent about an ICMPv6 error or a redirect, but about an echo (§2.4)', () => {
    assert.equal(errorAbout(icmpPacket('2001:db8::1', '2001:db8::2', 1)).length, 0);
    assert.equal(errorAbout(icmpPacket('2001:db8::1', '2001:db8::2', 137)).length, 0);
    assert.notEqual(errorAbout(icmpPacket('2001:db8::1', '2001:db8::2', 128)).length, 0);
  });

  it('is not sent about what is not one host to another', () => {
    assert.equal(errorAbout(udpPacket('::', '2001:db8::2', 8)).length, 0);
    assert.equal(errorAbout(udpPacket('ff02::1', '2001:db8::2', 8)).length, 0);
    assert.equal(errorAbout(udpPacket('2001:db8::1', 'ff02::1', 8)).length, 0);
  });
});

describe('ICMP errors about short packets', () => {
  it('reads nothing behind a packet that ends at its header', () => {
    const upper = new Uint8Array(0);
    for (const [source, destination, protocol] of [
      ['10.1.0.10', '10.2.0.10', IpProtocol.ICMP],
      ['2001:db8::1', '2001:db8::2', IpProtocol.IPV6_ICMP],
    ] as const) {
      errorAbout(innerPacket({ source, destination, protocol, upper }));
    }
  });
});

describe('Rate of ICMP errors (RFC 4443 §2.4 f)', () => {
  it('lets a burst pass, then only what the rate allows', () => {
    const rate = new ErrorRate(10, 3);
    const start = instant(1000);
    const taken = [0, 0, 0, 0, 50, 100, 100, 350].map((ms) => rate.take(later(start, ms)));
    assert.deepEqual(taken, [true, true, true, false, false, true, false, true]);
  });
});
