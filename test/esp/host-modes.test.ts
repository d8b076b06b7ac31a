import assert from 'node:assert/strict';
import fc from 'fast-check';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { espSuite } from '../../src/esp/esp-suite.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { ipv4ChecksumOk } from '../../src/wire/ipv4.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import { TcpFlag } from '../../src/wire/tcp.ts';
import {
  type ChildSaOptions,
  childSa,
  EspGateway,
  espPair,
  mirrored,
  RAW4,
  RAW6,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import {
  icmpPacket,
  innerPacket,
  octetsOf,
  tcpPacket,
  udpPacket,
  upperChecksum,
} from '../support/inner-packets.ts';
import { sealPacket } from '../support/reference-sealer.ts';
import { streams } from '../support/stream-arbitrary.ts';
import { segmentsOf, superPacket } from '../support/super-packets.ts';

const FOUR = ['10.1.0.10', '10.2.0.10'] as const;
const SIX = ['2001:db8:1::10', '2001:db8:2::10'] as const;
const FAMILIES: readonly (readonly [string, string])[] = [FOUR, SIX];
/** What the header of a packet is made with where it arrives. */
const MADE = { identification: 0, dontFragment: true } as const;

const hex = (octets: Uint8Array) => toHex(octets);
/** The ICV of a packet that is not sealed yet is whatever stood there. */
const withoutIcv = (octets: Uint8Array) => hex(octets.slice(0, -16));

/** An SA between the two hosts of a family. */
function between(
  ends: readonly [string, string],
  mode: 'transport' | 'beet' = 'transport',
  more: ChildSaOptions = {},
): ChildSaOptions {
  const bits = ends[0].includes(':') ? 128 : 32;
  const [localTs, remoteTs] = ends.map((end) => [selector(`${end}/${bits}`)]);
  return { mode, localTs: localTs ?? [], remoteTs: remoteTs ?? [], ...more };
}

/** A body as the peer may seal it. */
function crafted(
  options: ChildSaOptions,
  payload: Uint8Array,
  nextHeader: number,
  sequence = 1,
): Uint8Array {
  const parameters = childSa(options);
  const suite = espSuite(parameters);
  const padLength = -(payload.length + 2) & (suite.alignment - 1);
  const padding = Uint8Array.from({ length: padLength }, (_, index) => index + 1);
  const body = concatOctets(payload, padding, Uint8Array.of(padLength, nextHeader));
  const packet = new Uint8Array(16 + body.length + suite.icvLength);
  new DataView(packet.buffer).setUint32(0, parameters.spiOut);
  packet[7] = sequence;
  packet.set(body, 16);
  const keys = { suite, esn: false, ...testKeys(parameters, 1) };
  sealPacket(packet, keys, new Uint8Array(4), (length) => new Uint8Array(length));
  return packet;
}

function withOptions(packet: Uint8Array, options: Uint8Array): Uint8Array {
  const whole = concatOctets(packet.slice(0, 20), options, packet.slice(20));
  whole[0] = 0x45 + options.length / 4;
  const view = new DataView(whole.buffer);
  view.setUint16(2, whole.length);
  view.setUint16(10, 0);
  let sum = 0;
  for (let at = 0; at < 20 + options.length; at += 2) sum += view.getUint16(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  view.setUint16(10, ~sum & 0xffff);
  return whole;
}

describe('Transport mode (RFC 4303 §3.1.1)', () => {
  it('puts what stands behind the IP header into ESP, and names it', () => {
    for (const ends of FAMILIES) {
      const { a } = espPair(between(ends));
      const packet = tcpPacket(...ends, TcpFlag.ACK);
      a.fromTun(packet);
      const inside = a.unsealed[0]!.slice(16);
      const upper = packet.slice(ends === FOUR ? 20 : 40);
      assert.equal(hex(inside.slice(0, upper.length)), hex(upper));
      // 20 octets, 2 of padding, the trailer, the ICV to come.
      assert.equal(inside.length, 20 + 2 + 2 + 16);
      assert.equal(hex(inside.slice(20, 24)), '01020206');
    }
  });

  it('makes the header anew where the packet arrives, with the class of the outer one', () => {
    for (const ends of FAMILIES) {
      for (const arrival of [UDP, RAW6]) {
        const { a, b } = espPair(between(ends));
        a.fromTun(udpPacket(...ends, 33, { trafficClass: 0xb9, hops: 3 }));
        assert.equal(a.sent[0]?.tos, 0xb9);
        // A router on the way marked congestion.
        b.fromSocket(arrival, { octets: a.sent[0]!.octets, tos: 0xbb });
        const expected = udpPacket(...ends, 33, { ...MADE, trafficClass: 0xbb });
        assert.deepEqual(b.delivered.map(hex), [hex(expected)]);
        assert.deepEqual(b.drops(), {});
      }
    }
  });

  it('takes protocol 50 with its IPv4 header', () => {
    const { a, b } = espPair(between(FOUR));
    a.fromTun(udpPacket(...FOUR, 5));
    const header = fromHex('4510000000000000000000000000000000000000');
    b.fromSocket(RAW4, { octets: concatOctets(header, a.sent[0]!.octets) });
    const expected = udpPacket(...FOUR, 5, { ...MADE, trafficClass: 0x10 });
    assert.deepEqual(b.delivered.map(hex), [hex(expected)]);
  });

  it('carries packets of any protocol, those that are IP in IP too', () => {
    const { a, b } = espPair(between(FOUR));
    const whole = udpPacket('10.7.0.1', '10.8.0.1', 9);
    const packets = [
      innerPacket({ source: FOUR[0], destination: FOUR[1], upper: whole, protocol: 4, ...MADE }),
      innerPacket({ source: FOUR[0], destination: FOUR[1], upper: whole, protocol: 47, ...MADE }),
    ];
    a.fromTun(...packets);
    b.fromSocket(UDP, ...a.sent);
    assert.deepEqual(b.delivered.map(hex), packets.map(hex));
  });

  it('cuts super-packets as it would carry their segments, checksums and all', () => {
    fc.assert(
      fc.property(streams(), fc.constantFrom('transport', 'beet'), (stream, mode) => {
        const options = between(stream.family === 4 ? FOUR : SIX, mode);
        const one = espPair(options);
        one.a.fromDevice(superPacket(stream));
        const each = espPair(options);
        each.a.fromTun(...segmentsOf(stream));
        const [cut, whole] = [one, each].map(({ a }) => a.unsealed.map(withoutIcv));
        assert.deepEqual(cut, whole);
        assert.deepEqual(one.a.drops(), {});
      }),
      { numRuns: 60 },
    );
  });

  it('joins what segmentation made of one, alone or merged on arrival', () => {
    fc.assert(
      fc.property(streams(), fc.boolean(), (stream, merged) => {
        const options = between(stream.family === 4 ? FOUR : SIX);
        const { a, b } = espPair(options, { offload: { udp: true } });
        a.fromTun(...segmentsOf(stream));
        const { trafficClass = 0 } = stream;
        b.fromSocket(UDP, ...(merged ? mergedOf(a, trafficClass) : a.sent));
        const expected = superPacket({ ...stream, ...MADE });
        assert.deepEqual(b.delivered.map(hex), [hex(expected.octets)]);
        assert.deepEqual(b.vnets.map(hex), [hex(expected.vnet)]);
      }),
      { numRuns: 80 },
    );
  });

  it('leaves merged packets whole, whatever their suite leaves in front of them', () => {
    const suites: readonly ChildSaOptions[] = [
      { encr: { id: EncryptionId.AES_GCM_8, keyLength: 128 } },
      { encr: { id: EncryptionId.NULL }, integ: { id: IntegrityId.AUTH_AES_XCBC_96 } },
      {
        encr: { id: EncryptionId.AES_CBC, keyLength: 256 },
        integ: { id: IntegrityId.AUTH_HMAC_SHA2_256_128 },
      },
    ];
    for (const suite of suites) {
      for (const ends of FAMILIES) {
        const { a, b } = espPair(between(ends, 'transport', suite));
        const packets = Array.from({ length: 60 }, (_, index) =>
          udpPacket(...ends, 0, { hops: index }),
        ).map((packet, index) => {
          packet[packet.length - 8] = index;
          return packet;
        });
        a.fromTun(...packets);
        b.fromSocket(UDP, ...mergedOf(a, 0));
        const uppers = packets.map((packet) => hex(packet.slice(-8)));
        // Hop limit 0 does not leave.
        assert.deepEqual(
          b.delivered.map((packet) => hex(packet.slice(-8))),
          uppers.slice(1),
        );
      }
    }
  });

  it('has room for as many packets as the kernel merges', () => {
    const { a, b } = espPair(between(SIX));
    const packets = Array.from({ length: 45 }, () => udpPacket(...SIX, 1348));
    a.fromTun(...packets);
    const [merged] = mergedOf(a, 0);
    assert.ok(merged && merged.octets.length > 60_000);
    b.fromSocket(UDP, merged);
    assert.deepEqual(b.delivered.map(hex), Array(45).fill(hex(udpPacket(...SIX, 1348))));
  });

  it('carries whole datagrams only (RFC 4303 §3.3.4)', () => {
    const six = between(SIX);
    const fragment = concatOctets(fromHex('1100000100000001'), new Uint8Array(8));
    const receiver = espPair(six).b;
    receiver.fromSocket(UDP, { octets: crafted(six, fragment, IpProtocol.IPV6_FRAG) });
    assert.deepEqual(receiver.drops(), { 'inbound-transport-fragment': 1 });
  });

  it('carries no ICMP error of a third party, whose address would be lost (RFC 4301 §6.2)', () => {
    const { a } = espPair(between(FOUR));
    const upper = concatOctets(fromHex('0303000000000000'), udpPacket(FOUR[1], FOUR[0], 20));
    const error = { destination: FOUR[1], upper, protocol: IpProtocol.ICMP, checksumAt: 2 };
    a.fromTun(innerPacket({ ...error, source: '10.1.0.1' }));
    assert.deepEqual(a.drops(), { 'outbound-transport-addresses': 1 });
    a.fromTun(innerPacket({ ...error, source: FOUR[0] }));
    assert.equal(a.sent.length, 1);
  });

  it('leaves IPv4 options behind, and takes destination options of IPv6 along', () => {
    const { a, b } = espPair(between(FOUR));
    a.fromTun(withOptions(udpPacket(...FOUR, 20), fromHex('94040000')));
    b.fromSocket(UDP, ...a.sent);
    assert.deepEqual(b.delivered.map(hex), [hex(udpPacket(...FOUR, 20, MADE))]);

    const six = espPair(between(SIX));
    const udp = udpPacket(...SIX, 20).slice(40);
    const options = fromHex('1100010400000000');
    const packet = (first: number, ...headers: readonly Uint8Array[]): Uint8Array =>
      innerPacket({
        source: SIX[0],
        destination: SIX[1],
        protocol: first,
        upper: concatOctets(...headers, udp),
      });
    const one = packet(IpProtocol.IPV6_OPTS, options);
    const two = packet(IpProtocol.HOPOPT, options);
    six.a.fromTun(one, two);
    six.b.fromSocket(UDP, ...six.a.sent);
    assert.deepEqual(six.b.delivered.map(hex), [hex(one)]);
    assert.deepEqual(six.a.drops(), { 'outbound-transport-headers': 1 });
  });

  it('delivers only what the SA is for', () => {
    const only = { protocol: 6, startPort: 80, endPort: 80 };
    const options = between(FOUR, 'transport', { remoteTs: [selector('10.2.0.10/32', only)] });
    const { b } = espPair(options);
    const udp = udpPacket(...FOUR, 20).slice(20);
    b.fromSocket(UDP, { octets: crafted(options, udp, IpProtocol.UDP) });
    assert.deepEqual(b.drops(), { 'inbound-policy-mismatch': 1 });
  });

  it('drops what is no packet', () => {
    const options = between(FOUR);
    const { b } = espPair(options);
    b.fromSocket(UDP, { octets: crafted(options, new Uint8Array(7), IpProtocol.UDP) });
    assert.deepEqual(b.drops(), { 'malformed-inner-packet': 1 });
    const empty = espPair(options);
    empty.b.fromSocket(UDP, { octets: crafted(options, new Uint8Array(0), 99) });
    assert.equal(empty.b.delivered[0]?.length, 20);
    const dummy = espPair(options);
    dummy.b.fromSocket(UDP, { octets: crafted(options, new Uint8Array(30), 59) });
    assert.deepEqual(dummy.b.drops(), { 'dummy-packet': 1 });
  });
});

describe('Sizes in transport mode (RFC 4301 §8.2.1)', () => {
  it('have room for the header that stays outside', () => {
    const cases: readonly (readonly [readonly [string, string], string])[] = [
      [FOUR, '192.0.2.2'],
      [SIX, '192.0.2.2'],
      [FOUR, '2001:db8::2'],
    ];
    for (const [ends, outer] of cases) {
      const remote = {
        address: selector(`${outer}/${outer.includes(':') ? 128 : 32}`).range.first,
      };
      const more = { remote: { ...remote, port: 4500 } };
      const tunnel = espPair({ ...between(ends), ...more, mode: 'tunnel' });
      const { a, saA } = espPair({ ...between(ends), ...more });
      const header = ends === FOUR ? 20 : 40;
      assert.equal(saA.innerMtu, tunnel.saA.innerMtu + header);
      const largest = udpPacket(...ends, saA.innerMtu - header - 8, { dontFragment: true });
      a.fromTun(largest, concatOctets(largest));
      const room = 1500 - (outer.includes(':') ? 40 : 20) - 8;
      assert.ok(a.sent[0]!.octets.length <= room && a.sent[0]!.octets.length > room - 4);
      a.fromTun(udpPacket(...ends, saA.innerMtu - header - 7, { dontFragment: true }));
      assert.deepEqual(a.drops(), { 'packet-too-big': 1 });
      assert.equal(a.answered.length, 1);
    }
  });

  it('show in the MSS of a SYN', () => {
    const { a, saA } = espPair(between(FOUR));
    a.fromTun(tcpPacket(...FOUR, TcpFlag.SYN, fromHex('020405b4')));
    const mss = new DataView(a.unsealed[0]!.slice(16 + 22, 16 + 24).buffer).getUint16(0);
    assert.equal(mss, saA.innerMtu - 40);
  });
});

describe('Transport mode through a NAT (RFC 3948 §3.1.2)', () => {
  /** Site a at a private address behind one NAT, site b behind another. */
  const A = { inside: '10.0.0.2', outside: '203.0.113.5' };
  const B = { inside: '192.0.2.9', outside: '198.51.100.7' };
  const pair = (text: string) => selector(`${text}/32`).range.first;

  /** Both gateways; what arrives at b has the addresses that b sees. */
  function gateways(offload?: { readonly udp: boolean }) {
    const base = childSa(between([A.inside, B.outside]));
    const options = offload && { offload };
    const a = new EspGateway(options);
    const b = new EspGateway(options);
    const [one, two] = [testKeys(base, 1), testKeys(base, 2)];
    a.install(base, two, one);
    const ends = between([B.inside, A.outside]);
    const peerAddresses = { local: pair(B.outside), remote: pair(A.inside) };
    b.install({ ...mirrored(base), ...ends, peerAddresses }, one, two);
    return { a, b };
  }

  const uppers = fc.oneof(
    ...[
      { protocol: IpProtocol.UDP, checksumAt: 6, least: 8 },
      { protocol: IpProtocol.TCP, checksumAt: 16, least: 20 },
      { protocol: IpProtocol.DCCP, checksumAt: 6, least: 12 },
      { protocol: IpProtocol.UDPLITE, checksumAt: 6, least: 8 },
    ].map(({ least, ...kind }) =>
      fc.uint8Array({ minLength: least, maxLength: 200 }).map((upper) => ({ ...kind, upper })),
    ),
  );

  it('makes checksums right for the addresses that the packet arrives with', () => {
    const [plain, offloading] = [gateways(), gateways({ udp: true })];
    fc.assert(
      fc.property(uppers, fc.boolean(), (upper, offloaded) => {
        const { a, b } = offloaded ? offloading : plain;
        for (const list of [a.sent, b.delivered, b.vnets]) list.length = 0;
        if (upper.protocol === IpProtocol.TCP) upper.upper[12] = 0x50;
        const sent = innerPacket({ source: A.inside, destination: B.outside, ...upper });
        a.fromTun(sent);
        b.fromSocket(UDP, ...a.sent);
        const [packet] = b.delivered;
        assert.ok(packet);
        assert.equal(upperChecksum(packet, 20, upper.protocol), 0);
        assert.ok(ipv4ChecksumOk(packet, 0));
        const made = { source: A.outside, destination: B.inside, ...upper, ...MADE };
        // Ones' complement has two zeros; UDP sends the one that is not 'none'.
        const expected = innerPacket(made);
        if (upper.protocol === IpProtocol.UDP) assert.equal(hex(packet), hex(expected));
        if (offloaded && (upper.protocol === 6 || upper.protocol === 17)) {
          assert.equal(b.vnets[0]?.[0], 2, 'found right before it was corrected');
        }
      }),
      { numRuns: 400 },
    );
  });

  it('never says by a corrected checksum that UDP made none (RFC 768)', () => {
    const { a, b } = gateways();
    const data = (word: number): Uint8Array => {
      const upper = new Uint8Array(10);
      const view = new DataView(upper.buffer);
      view.setUint16(4, 10);
      view.setUint16(8, word);
      return upper;
    };
    // With this word of data the sum is all ones for the addresses it arrives with.
    const arriving = { source: A.outside, destination: B.inside, checksumAt: 6 };
    const blank = innerPacket({ ...arriving, upper: data(0) });
    const upper = data(new DataView(blank.buffer).getUint16(26));
    a.fromTun(innerPacket({ source: A.inside, destination: B.outside, upper, checksumAt: 6 }));
    b.fromSocket(UDP, ...a.sent);
    assert.equal(hex(b.delivered[0]!.slice(26, 28)), 'ffff');
  });

  it('leaves a wrong checksum wrong, and a UDP packet without one without', () => {
    const { a, b } = gateways({ udp: true });
    const wrong = udpPacket(A.inside, B.outside, 50);
    wrong[26] = wrong[26]! ^ 0x55;
    const none = udpPacket(A.inside, B.outside, 51);
    none.fill(0, 26, 28);
    a.fromTun(wrong, none);
    b.fromSocket(UDP, ...a.sent);
    assert.notEqual(upperChecksum(b.delivered[0]!, 20, IpProtocol.UDP), 0);
    assert.equal(hex(b.delivered[1]!.slice(26, 28)), '0000');
    assert.deepEqual(
      b.vnets.map(([flags]) => flags),
      [0, 0],
    );
  });

  it('joins packets with the checksum of their new addresses left to the host', () => {
    fc.assert(
      fc.property(streams(), (any) => {
        const { a, b } = gateways({ udp: true });
        const stream = { ...any, ...MADE, family: 4 } as const;
        // The stream between other addresses: segments of its own checksums.
        const moved = (packet: Uint8Array, source: string, destination: string): Uint8Array =>
          innerPacket({
            ...{ source, destination, upper: packet.slice(20), trafficClass: packet[1]! },
            protocol: packet[9]!,
            checksumAt: packet[9] === 6 ? 16 : 6,
            dontFragment: true,
            identification: new DataView(packet.buffer).getUint16(4),
          });
        a.fromTun(...segmentsOf(stream).map((one) => moved(one, A.inside, B.outside)));
        b.fromSocket(UDP, ...a.sent);
        assert.equal(b.delivered.length, 1);
        const arrived = b.delivered[0]!;
        const header = stream.protocol === 'tcp' ? 40 + (stream.options?.length ?? 0) : 28;
        assert.equal(hex(arrived.slice(header)), hex(stream.payload));
        assert.equal(hex(arrived.slice(12, 20)), hex(ends(A.outside, B.inside)));
        const sum = superPacket(stream).octets;
        // The pseudo-header's sum of the new addresses stands where the checksum comes.
        const at = stream.protocol === 'tcp' ? 36 : 26;
        const difference = pseudo(A.outside, B.inside) - pseudo(...FOUR);
        const view = (octets: Uint8Array) => new DataView(octets.buffer, octets.byteOffset);
        const shifted = (view(sum).getUint16(at) + difference + 0xffff * 4) % 0xffff;
        assert.equal(view(arrived).getUint16(at) % 0xffff, shifted);
      }),
      { numRuns: 60 },
    );
  });

  function ends(source: string, destination: string): Uint8Array {
    return concatOctets(octetsOf(source), octetsOf(destination));
  }

  function pseudo(source: string, destination: string): number {
    const view = new DataView(ends(source, destination).buffer);
    return [0, 2, 4, 6].reduce((sum, at) => sum + view.getUint16(at), 0);
  }

  it('leaves ICMP as it is, whose checksum covers no address', () => {
    const { a, b } = gateways();
    const packet = icmpPacket(A.inside, B.outside, 8);
    a.fromTun(packet);
    b.fromSocket(UDP, ...a.sent);
    assert.equal(hex(b.delivered[0]!.slice(20)), hex(packet.slice(20)));
  });
});

describe('BEET', () => {
  const OPTIONS = ['94040000', '9404000001010101', '440c050000000000'.concat('00000000')];

  it('carries IPv4 options behind a pseudo-header of whole units', () => {
    for (const [index, text] of OPTIONS.entries()) {
      const { a, b } = espPair(between(FOUR, 'beet'));
      const options = fromHex(text);
      const packet = withOptions(udpPacket(...FOUR, 21, MADE), options);
      a.fromTun(packet);
      const inside = a.unsealed[0]!.slice(16);
      const padding = options.length % 8 === 0 ? '01010101' : '';
      const units = (4 + padding.length / 2 + options.length) / 8 - 1;
      const header = `110${units}0${padding.length / 2}00${padding}${text}`;
      assert.equal(hex(inside).slice(0, header.length), header, `options ${index}`);
      assert.equal(inside.at(-17), IpProtocol.BEETPH);
      b.fromSocket(UDP, ...a.sent);
      assert.deepEqual(b.delivered.map(hex), [hex(packet)]);
      assert.ok(ipv4ChecksumOk(b.delivered[0]!, 0));
    }
  });

  it('has no pseudo-header without options', () => {
    const { a, b } = espPair(between(FOUR, 'beet'));
    a.fromTun(udpPacket(...FOUR, 10));
    assert.equal(a.unsealed[0]!.at(-17), IpProtocol.UDP);
    b.fromSocket(UDP, ...a.sent);
    assert.deepEqual(b.delivered.map(hex), [hex(udpPacket(...FOUR, 10, MADE))]);
  });

  it('drops a pseudo-header that makes no sense', () => {
    const options = between(FOUR, 'beet');
    const udp = udpPacket(...FOUR, 10).slice(20);
    for (const [what, header] of [
      ['longer than the payload', '11ff0000'],
      ['more options than a header has', '11050400'],
      ['padding of its own kind', '1101080000000000'],
      ['options that are no words', '11000200'],
      ['half of it', '1100'],
    ] as const) {
      const { b } = espPair(options);
      const payload = what === 'half of it' ? fromHex(header) : concatOctets(fromHex(header), udp);
      b.fromSocket(UDP, { octets: crafted(options, payload, IpProtocol.BEETPH) });
      assert.deepEqual(b.drops(), { 'malformed-inner-packet': 1 }, what);
    }
  });

  it('is no protocol of its own outside of BEET', () => {
    const options = between(FOUR);
    const { b } = espPair(options);
    b.fromSocket(UDP, { octets: crafted(options, fromHex('1100000094040000'), 94) });
    assert.equal(hex(b.delivered[0]!.slice(20)), '1100000094040000');
  });
});

describe('An authenticated peer that seals anything', () => {
  it('gets packets delivered that are whole and between the two hosts, or counted', () => {
    const protocols = fc.oneof(
      fc.constantFrom(0, 4, 6, 17, 33, 41, 43, 44, 50, 58, 59, 60, 94, 135, 136),
      fc.nat(255),
    );
    const cases = fc.record({
      mode: fc.constantFrom('transport', 'beet'),
      ends: fc.constantFrom(...FAMILIES),
      bodies: fc.array(fc.tuple(fc.uint8Array({ maxLength: 90 }), protocols), {
        minLength: 1,
        maxLength: 8,
      }),
      merged: fc.boolean(),
    });
    fc.assert(
      fc.property(cases, ({ mode, ends, bodies, merged }) => {
        const options = between(ends, mode);
        const { b } = espPair(options, { offload: { udp: true } });
        const packets = bodies.map(([payload, next], index) =>
          crafted(options, payload, next, index + 1),
        );
        for (const octets of merged ? [] : packets) b.fromSocket(UDP, { octets });
        if (merged)
          b.fromSocket(UDP, ...mergedOf({ sent: packets.map((octets) => ({ octets })) }, 0));
        const dropped = Object.values(b.drops()).reduce((sum, count) => sum + count, 0);
        const addresses = hex(concatOctets(...ends.map(octetsOf)));
        for (const packet of b.delivered) {
          const six = (packet[0] ?? 0) >>> 4 === 6;
          assert.equal(hex(six ? packet.slice(8, 40) : packet.slice(12, 20)), addresses);
          const length = new DataView(packet.buffer, packet.byteOffset).getUint16(six ? 4 : 2);
          assert.equal(packet.length, six ? 40 + length : length);
        }
        // Random octets are hardly ever two packets of one stream: each is one or the other.
        assert.equal(b.delivered.length + dropped, packets.length);
      }),
      { numRuns: 150 },
    );
  });
});

/** What one sent as the kernel merges it: datagrams of one size, the last one may be shorter. */
function mergedOf(a: { readonly sent: readonly { readonly octets: Uint8Array }[] }, tos: number) {
  const sent = a.sent.map(({ octets }) => octets);
  const groups: Uint8Array[][] = [];
  for (const octets of sent) {
    const group = groups.at(-1);
    const size = group?.[0]?.length ?? 0;
    const open = group !== undefined && group.at(-1)?.length === size && group.length < 64;
    if (open && octets.length <= size) group.push(octets);
    else groups.push([octets]);
  }
  return groups.map((group) => ({
    octets: concatOctets(...group),
    segment: group.length > 1 ? (group[0]?.length ?? 0) : 0,
    tos,
  }));
}
