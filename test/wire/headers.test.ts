import assert from 'node:assert/strict';
import fc from 'fast-check';
import { checksum, sumPseudoHeader } from '../../src/wire/checksum.ts';
import { readU8, readU16, readU32, writeU16, writeU32 } from '../../src/wire/field.ts';
import {
  icmpCode,
  icmpNextHopMtu,
  icmpType,
  icmpv6Mtu,
  isIcmpError,
  isIcmpv6Error,
} from '../../src/wire/icmp.ts';
import * as ipv4 from '../../src/wire/ipv4.ts';
import * as ipv6 from '../../src/wire/ipv6.ts';
import { clampMss, findMss, tcpFlags, tcpHeaderLength } from '../../src/wire/tcp.ts';
import * as udp from '../../src/wire/udp.ts';

const octets = (hex: string): Uint8Array => Uint8Array.from(Buffer.from(hex, 'hex'));

describe('Fields in place', () => {
  it('read what was written, unsigned', () => {
    const room = new Uint8Array(8);
    writeU32(room, 1, 0xdeadbeef);
    assert.equal(readU32(room, 1), 0xdeadbeef);
    writeU16(room, 5, 0xfffe);
    assert.equal(readU16(room, 5), 0xfffe);
    assert.equal(readU8(room, 5), 0xff);
  });

  it('read zero beyond the end and write nothing there', () => {
    const room = new Uint8Array(2);
    writeU32(room, 1, 0x01020304);
    assert.deepEqual([...room], [0, 1]);
    assert.equal(readU32(room, 7), 0);
  });
});

describe('IPv4 header (RFC 791 §3.1)', () => {
  const header = {
    typeOfService: 0xb8,
    totalLength: 84,
    identification: 0x1234,
    dontFragment: true,
    ttl: 64,
    protocol: 1,
    source: Uint8Array.of(192, 0, 2, 1),
    destination: Uint8Array.of(198, 51, 100, 2),
  };

  it('reads what was written and carries a checksum that verifies', () => {
    const packet = new Uint8Array(3 + 20);
    ipv4.writeIpv4Header(packet, 3, header);
    assert.equal(ipv4.ipVersion(packet, 3), 4);
    assert.equal(ipv4.ipv4HeaderLength(packet, 3), 20);
    assert.equal(ipv4.ipv4TypeOfService(packet, 3), 0xb8);
    assert.equal(ipv4.ipv4TotalLength(packet, 3), 84);
    assert.equal(ipv4.ipv4DontFragment(packet, 3), true);
    assert.equal(ipv4.ipv4MoreFragments(packet, 3), false);
    assert.equal(ipv4.ipv4FragmentOffset(packet, 3), 0);
    assert.equal(ipv4.ipv4Ttl(packet, 3), 64);
    assert.equal(ipv4.ipv4Protocol(packet, 3), 1);
    assert.ok(ipv4.ipv4ChecksumOk(packet, 3));
  });

  it('keeps the checksum right when the DS field or TTL changes', () => {
    fc.assert(
      fc.property(fc.nat(255), fc.nat(255), (typeOfService, ttl) => {
        const packet = new Uint8Array(20);
        ipv4.writeIpv4Header(packet, 0, header);
        ipv4.setIpv4TypeOfService(packet, 0, typeOfService);
        ipv4.setIpv4Ttl(packet, 0, ttl);
        assert.equal(ipv4.ipv4TypeOfService(packet, 0), typeOfService);
        assert.equal(ipv4.ipv4Ttl(packet, 0), ttl);
        assert.equal(ipv4.ipv4Protocol(packet, 0), 1);
        assert.ok(ipv4.ipv4ChecksumOk(packet, 0));
      }),
    );
  });
});

describe('IPv6 header (RFC 8200 §3, §4)', () => {
  const header = {
    trafficClass: 0xb9,
    payloadLength: 0,
    nextHeader: 17,
    hopLimit: 255,
    source: octets('20010db8000000000000000000000001'),
    destination: octets('20010db8000000000000000000000002'),
  };
  const walk = ipv6.createExtensionWalk();

  /** A packet whose extension headers and payload are the octets. */
  function packetOf(nextHeader: number, payload: Uint8Array): Uint8Array {
    const packet = new Uint8Array(40 + payload.length);
    ipv6.writeIpv6Header(packet, 0, { ...header, nextHeader, payloadLength: payload.length });
    packet.set(payload, 40);
    return packet;
  }

  it('reads what was written; the traffic class can change', () => {
    const packet = packetOf(17, new Uint8Array(8));
    assert.equal(ipv4.ipVersion(packet, 0), 6);
    assert.equal(ipv6.ipv6TrafficClass(packet, 0), 0xb9);
    assert.equal(ipv6.ipv6PayloadLength(packet, 0), 8);
    assert.equal(ipv6.ipv6NextHeader(packet, 0), 17);
    assert.equal(ipv6.ipv6HopLimit(packet, 0), 255);
    writeU32(packet, 0, readU32(packet, 0) | 0xabcde);
    ipv6.setIpv6TrafficClass(packet, 0, 0x42);
    ipv6.setIpv6HopLimit(packet, 0, 7);
    assert.equal(ipv6.ipv6TrafficClass(packet, 0), 0x42);
    assert.equal(ipv6.ipv6FlowLabel(packet, 0), 0xabcde);
    assert.equal(ipv6.ipv6HopLimit(packet, 0), 7);
    assert.equal(ipv4.ipVersion(packet, 0), 6);
  });

  it('walks hop-by-hop, routing, fragment and destination headers to the upper layer', () => {
    const chain = `2b000000000000002c01000000000000${'0'.repeat(16)}3c00000100000001`;
    const packet = packetOf(0, octets(`${chain}0600000000000000${'ff'.repeat(20)}`));
    assert.equal(ipv6.walkExtensionHeaders(packet, 0, packet.length, walk), 0);
    assert.deepEqual(walk, {
      protocol: 6,
      headerLength: 40 + 40,
      firstFragment: true,
      identification: 1,
      fragmentOffset: 0,
      fragmentableAt: 40 + 32,
    });
  });

  it('stops in a later fragment', () => {
    const packet = packetOf(44, octets('110000080000000100000000'));
    const end = ipv6.walkExtensionHeaders(packet, 0, packet.length, walk);
    assert.equal(end, ipv6.WalkEnd.LATER_FRAGMENT);
    const { protocol, headerLength, firstFragment, identification, fragmentOffset } = walk;
    assert.deepEqual([protocol, headerLength, firstFragment], [17, 48, false]);
    assert.deepEqual([identification, fragmentOffset], [1, 8]);
  });

  it('takes an atomic fragment for a whole packet (RFC 6946)', () => {
    const packet = packetOf(44, octets('1100000000000001ffffffffffffffff'));
    assert.equal(ipv6.walkExtensionHeaders(packet, 0, packet.length, walk), 0);
    assert.equal(walk.firstFragment, false);
  });

  it('takes a header that ends with the packet', () => {
    const packet = packetOf(60, octets('3b00000000000000'));
    assert.equal(ipv6.walkExtensionHeaders(packet, 0, packet.length, walk), 0);
    const { protocol, headerLength, firstFragment } = walk;
    assert.deepEqual([protocol, headerLength, firstFragment], [59, 48, false]);
  });

  it('refuses headers beyond the packet and endless chains', () => {
    const short = packetOf(0, octets('1101000000000000'));
    const end = ipv6.walkExtensionHeaders(short, 0, short.length, walk);
    assert.equal(end, ipv6.WalkEnd.TRUNCATED);
    const chained = (headers: number): number => {
      const chain = `${'3c00000000000000'.repeat(headers - 1)}3b00000000000000`;
      const packet = packetOf(60, octets(chain));
      return ipv6.walkExtensionHeaders(packet, 0, packet.length, walk);
    };
    assert.equal(chained(ipv6.MAX_EXTENSION_HEADERS), ipv6.WalkEnd.UPPER_LAYER);
    assert.equal(chained(ipv6.MAX_EXTENSION_HEADERS + 1), ipv6.WalkEnd.TOO_MANY);
  });

  it('leaves AH and ESP as next layer protocols (RFC 4301 §4.4.1.1)', () => {
    for (const protocol of [50, 51]) {
      const packet = packetOf(protocol, new Uint8Array(24));
      assert.equal(ipv6.walkExtensionHeaders(packet, 0, packet.length, walk), 0);
      assert.equal(walk.protocol, protocol);
    }
  });
});

describe('UDP header (RFC 768)', () => {
  it('reads what was written, checksum zero', () => {
    const packet = new Uint8Array(10).fill(0xee);
    udp.writeUdpHeader(packet, 1, 4500, 61_000, 108);
    assert.equal(udp.udpSourcePort(packet, 1), 4500);
    assert.equal(udp.udpDestinationPort(packet, 1), 61_000);
    assert.equal(udp.udpLength(packet, 1), 108);
    assert.equal(udp.udpChecksum(packet, 1), 0);
    assert.deepEqual([packet[0], packet[9]], [0xee, 0xee]);
  });
});

describe('TCP MSS (RFC 9293 §3.2)', () => {
  const SYN = 0x02;

  /** A TCP header with the options given, padded to words, with a correct checksum. */
  function segment(options: readonly number[], flags = SYN): Uint8Array {
    const length = 20 + Math.ceil(options.length / 4) * 4;
    const packet = new Uint8Array(8 + length);
    packet.set([10, 1, 0, 1, 10, 2, 0, 1, 0x30, 0x39, 0, 80]);
    packet.set([(length / 4) << 4, flags], 8 + 12);
    packet.set(options, 8 + 20);
    writeU16(packet, 8 + 16, checksum(packet, 8, length, sumPseudoHeader(packet, 0, 4, 6, length)));
    return packet;
  }

  function verifies(packet: Uint8Array): boolean {
    const length = packet.length - 8;
    return checksum(packet, 8, length, sumPseudoHeader(packet, 0, 4, 6, length)) === 0;
  }

  it('reads header length and flags', () => {
    const packet = segment([1, 1, 1, 1]);
    assert.equal(tcpHeaderLength(packet, 8), 24);
    assert.equal(tcpFlags(packet, 8), SYN);
  });

  it('lowers the option at even and odd offsets and keeps the checksum', () => {
    for (const before of [[], [1], [1, 1], [3, 3, 7], [4, 2]]) {
      const packet = segment([...before, 2, 4, 0x05, 0xb4]);
      assert.ok(verifies(packet));
      assert.equal(findMss(packet, 8, packet.length - 8), 8 + 20 + before.length + 2);
      assert.equal(clampMss(packet, 8, packet.length - 8, 1338), true);
      assert.equal(readU16(packet, 8 + 20 + before.length + 2), 1338);
      assert.ok(verifies(packet));
    }
  });

  it('never raises it, and touches no segment without SYN', () => {
    const low = segment([2, 4, 0x02, 0x00]);
    assert.equal(clampMss(low, 8, low.length - 8, 1338), false);
    const data = segment([2, 4, 0x05, 0xb4], 0x10);
    assert.equal(clampMss(data, 8, data.length - 8, 1338), false);
  });

  it('passes over options that do not parse', () => {
    for (const options of [
      [2],
      [2, 0],
      [3, 1, 2, 4],
      [0, 2, 4, 5],
      [2, 3, 5],
      [8, 40, 2, 4, 5, 5],
    ]) {
      const packet = segment(options);
      assert.equal(findMss(packet, 8, packet.length - 8), -1, `options ${options}`);
    }
    const packet = segment([2, 4, 0x05, 0xb4]);
    assert.equal(findMss(packet, 8, 20), -1);
    const across = Uint8Array.of(...segment([1, 1, 2, 4]), 0x05, 0xb4);
    assert.equal(findMss(across, 8, across.length - 8), -1);
  });

  it('stays inside the header for any octets', () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 20, maxLength: 64 }), (packet) => {
        const found = findMss(packet, 0, packet.length);
        assert.ok(found === -1 || (found >= 22 && found + 2 <= tcpHeaderLength(packet, 0)));
      }),
    );
  });
});

describe('ICMP messages (RFC 792, RFC 4443)', () => {
  it('reads type, code and both MTU fields', () => {
    const tooBig = octets('0304abcd00000578');
    assert.equal(icmpType(tooBig, 0), 3);
    assert.equal(icmpCode(tooBig, 0), 4);
    assert.equal(icmpNextHopMtu(tooBig, 0), 1400);
    assert.equal(icmpv6Mtu(octets('0200abcd00010578'), 0), 0x10578);
  });

  it('knows errors from queries', () => {
    assert.deepEqual([0, 3, 5, 8, 11, 12, 13].filter(isIcmpError), [3, 5, 11, 12]);
    assert.deepEqual([1, 2, 127, 128, 129, 135, 137].filter(isIcmpv6Error), [1, 2, 127, 137]);
  });
});
