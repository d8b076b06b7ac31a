import assert from 'node:assert/strict';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { HEADROOM, LARGEST_SLOT, Word } from '../../src/esp/batch.ts';
import type { EspSaParameters } from '../../src/esp/esp-sa.ts';
import { espSuite } from '../../src/esp/esp-suite.ts';
import { SaCounter } from '../../src/events/shared-counters.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { ipv4ChecksumOk, ipv4TypeOfService, writeIpv4Header } from '../../src/wire/ipv4.ts';
import { ipv6TrafficClass } from '../../src/wire/ipv6.ts';
import { concatOctets, fromHex, toHex } from '../../src/wire/octets.ts';
import { TcpFlag } from '../../src/wire/tcp.ts';
import {
  childSa,
  type EspGateway,
  espPair,
  mirrored,
  RAW4,
  RAW6,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { octetsOf, tcpPacket, udpPacket } from '../support/inner-packets.ts';
import { sealPacket } from '../support/reference-sealer.ts';

const FOUR = ['10.1.0.10', '10.2.0.10'] as const;
const SIX = ['2001:db8:1::10', '2001:db8:2::10'] as const;

/** What gateway `a` sends for these packets. */
function sealed(a: EspGateway, ...packets: readonly Uint8Array[]): readonly Uint8Array[] {
  const before = a.sent.length;
  a.fromTun(...packets);
  return a.sent.slice(before).map(({ octets }) => octets);
}

/** A sealed ESP packet with any body, as an authenticated but odd peer may send it. */
function crafted(
  parameters: EspSaParameters,
  sequence: number,
  body: Uint8Array,
  iv = fromHex('0000000000000001'),
): Uint8Array {
  const suite = espSuite(parameters);
  const packet = new Uint8Array(8 + suite.ivLength + body.length + suite.icvLength);
  const view = new DataView(packet.buffer);
  view.setUint32(0, parameters.spiOut);
  view.setUint32(4, sequence);
  packet.set(iv, 8);
  packet.set(body, 8 + suite.ivLength);
  const keys = { suite, esn: parameters.esn, ...testKeys(parameters, 1) };
  sealPacket(packet, keys, new Uint8Array(4), (length) => new Uint8Array(length).fill(9));
  return packet;
}

function body(
  inner: Uint8Array,
  padding: readonly number[],
  nextHeader: number,
  padLength?: number,
) {
  return concatOctets(
    inner,
    Uint8Array.from(padding),
    Uint8Array.of(padLength ?? padding.length, nextHeader),
  );
}

describe('Inbound ESP processing (RFC 4303 §3.4)', () => {
  it('delivers what the peer sent, and counts it', () => {
    const { a, b } = espPair();
    const packets = [udpPacket(...FOUR, 100), udpPacket(...SIX, 33)];
    for (const octets of sealed(a, ...packets)) b.fromSocket(UDP, { octets });
    assert.deepEqual(b.delivered, packets);
    assert.equal(b.counter(0, SaCounter.PACKETS), 2);
    assert.equal(b.counter(0, SaCounter.OCTETS), packets[0]!.length + packets[1]!.length);
    assert.equal(b.counter(0, SaCounter.LAST_USE), b.now);
    assert.equal(b.counter(0, SaCounter.SEQUENCE), 2);
    assert.deepEqual(b.drops(), {});
  });

  it('takes protocol 50 with an IPv4 header of any length, and without an IPv6 header', () => {
    const { a, b } = espPair({ udpEncapsulation: false });
    const packets = [udpPacket(...FOUR, 10), udpPacket(...FOUR, 11), udpPacket(...SIX, 12)];
    const [first, second, third] = sealed(a, ...packets);
    const header = new Uint8Array(20);
    writeIpv4Header(header, 0, {
      typeOfService: 3,
      totalLength: 20 + first!.length,
      identification: 0,
      dontFragment: false,
      ttl: 64,
      protocol: IpProtocol.ESP,
      source: octetsOf('192.0.2.1'),
      destination: octetsOf('192.0.2.2'),
    });
    const withOptions = concatOctets(header, new Uint8Array(4));
    withOptions[0] = 0x46;
    b.fromSocket(RAW4, { octets: concatOctets(Uint8Array.from(header).fill(0, 1, 2), first!) });
    b.fromSocket(RAW4, { octets: concatOctets(withOptions.fill(0, 1, 2), second!) });
    b.fromSocket(RAW6, { octets: third! });
    assert.deepEqual(b.delivered, packets);
    assert.deepEqual(b.drops(), {});
  });

  it('takes ESP in UDP and without it at any time (RFC 7296 §2.23)', () => {
    const packet = udpPacket(...FOUR, 10);
    const udp = espPair();
    udp.b.fromSocket(RAW6, { octets: sealed(udp.a, packet)[0]! });
    const raw = espPair({ udpEncapsulation: false });
    raw.b.fromSocket(UDP, { octets: sealed(raw.a, packet)[0]! });
    for (const { b } of [udp, raw]) assert.deepEqual(b.delivered, [packet]);
  });

  it('takes the outer TOS of a raw IPv4 packet from its header', () => {
    const { a, b } = espPair({ udpEncapsulation: false });
    const [octets] = sealed(a, udpPacket(...FOUR, 10, { trafficClass: 2 }));
    const header = fromHex('4503000000000000000000000000000000000000');
    b.fromSocket(RAW4, { octets: concatOctets(header, octets!) });
    assert.equal(ipv4TypeOfService(b.delivered[0]!, 0), 3);
    assert.equal(ipv4ChecksumOk(b.delivered[0]!, 0), true);
  });

  it('hands IKE messages over, and counts those nobody takes', () => {
    const { b } = espPair();
    const ike = new Uint8Array(40).fill(0, 0, 4).fill(7, 4);
    b.fromSocket(UDP, { octets: ike }, { octets: ike });
    assert.deepEqual(b.ike, [ike, ike]);
    assert.deepEqual(b.drops(), {});
    b.takesIke = false;
    b.fromSocket(UDP, { octets: ike });
    assert.deepEqual(b.drops(), { 'ike-queue-full': 1 });
    assert.equal(b.delivered.length, 0);
  });
});

describe('Datagrams that are no ESP packet of ours', () => {
  const cases: readonly (readonly [string, Uint8Array, string])[] = [
    ['a keepalive', fromHex('ff'), 'nat-keepalive'],
    ['an empty datagram', fromHex(''), 'short-esp-packet'],
    ['a marker with half an IKE header', new Uint8Array(20), 'malformed-ike-datagram'],
    ['half an ESP header', fromHex('c000000200'), 'short-esp-packet'],
    ['half an ESP header of nobody', fromHex('c000000300'), 'short-esp-packet'],
    ['an SPI of the reserved range', fromHex('000000ff00000001'), 'reserved-spi'],
    ['an SPI nobody has', fromHex('c0000003000000010000000000000000'), 'unknown-spi'],
    ['our SPI and nothing behind it', fromHex('c000000200000001'), 'short-esp-packet'],
  ];
  for (const [name, octets, reason] of cases) {
    it(`counts ${name} as ${reason}`, () => {
      const { b } = espPair();
      b.fromSocket(UDP, { octets });
      assert.deepEqual(b.drops(), { [reason]: 1 });
    });
  }

  it('counts a body that is no whole block', () => {
    const { a, b } = espPair();
    const [octets] = sealed(a, udpPacket(...FOUR, 10));
    b.fromSocket(UDP, { octets: octets!.subarray(0, -1) });
    assert.deepEqual(b.drops(), { 'short-esp-packet': 1 });
    assert.equal(b.counter(0, SaCounter.DROPS), 1);
  });

  it('counts a datagram the socket cut', () => {
    const { a, b } = espPair();
    const [octets] = sealed(a, udpPacket(...FOUR, 10));
    b.fromSocket(UDP, { octets: octets!, status: -90 });
    assert.deepEqual(b.drops(), { 'truncated-datagram': 1 });
  });

  it('counts a raw packet whose IPv4 header is longer than itself', () => {
    const { b } = espPair({ udpEncapsulation: false });
    b.fromSocket(RAW4, { octets: fromHex('45000000') });
    b.fromSocket(RAW4, { octets: new Uint8Array(24).fill(0x4f) });
    b.fromSocket(RAW4, { octets: new Uint8Array(24).fill(0x44) });
    assert.deepEqual(b.drops(), { 'short-esp-packet': 3 });
  });

  it('forgets an SA that is removed', () => {
    const { a, b } = espPair();
    const [octets] = sealed(a, udpPacket(...FOUR, 10));
    assert.equal(b.engine.remove(1)?.parameters.id, 1);
    assert.equal(b.engine.remove(1), undefined);
    b.fromSocket(UDP, { octets: octets! });
    assert.deepEqual(b.drops(), { 'unknown-spi': 1 });
  });
});

describe('Integrity and replay (RFC 4303 §3.4.3, §3.4.4)', () => {
  it('counts a packet changed anywhere behind the SPI', () => {
    const { a, b } = espPair();
    const [octets] = sealed(a, udpPacket(...FOUR, 10));
    for (let at = 4; at < octets!.length; at++) {
      const changed = octets!.slice();
      changed[at] = (changed[at] ?? 0) ^ 0x10;
      b.fromSocket(UDP, { octets: changed });
    }
    assert.deepEqual(b.drops(), { 'bad-icv': octets!.length - 4 });
    assert.equal(b.counter(0, SaCounter.BAD_ICVS), octets!.length - 4);
    assert.equal(b.counter(0, SaCounter.SEQUENCE), 0);
    b.fromSocket(UDP, { octets: octets! });
    assert.equal(b.delivered.length, 1, 'forged numbers do not move the window');
  });

  it('delivers each packet once, in one batch or in two', () => {
    const { a, b } = espPair();
    const [first, second] = sealed(a, udpPacket(...FOUR, 10), udpPacket(...FOUR, 11));
    b.fromSocket(UDP, { octets: first! }, { octets: first! }, { octets: second! });
    b.fromSocket(UDP, { octets: second! });
    assert.equal(b.delivered.length, 2);
    assert.deepEqual(b.drops(), { 'replayed-sequence-number': 2 });
    assert.equal(b.counter(0, SaCounter.REPLAYS), 2);
    assert.equal(b.counter(0, SaCounter.DROPS), 2);
  });

  it('counts what is left of the window, also when the same batch moved it', () => {
    const { a, b } = espPair({ replayWindow: 64 });
    const old = sealed(a, udpPacket(...FOUR, 10));
    const packets = sealed(a, ...new Array<Uint8Array>(70).fill(udpPacket(...FOUR, 11)));
    b.fromSocket(UDP, ...[...packets, ...old].map((octets) => ({ octets })));
    b.fromSocket(UDP, { octets: old[0]! });
    assert.equal(b.delivered.length, 70);
    assert.deepEqual(b.drops(), { 'sequence-left-of-window': 2 });
    assert.equal(b.counter(0, SaCounter.REPLAYS), 2);
  });

  it('looks at the number before it spends work on the ICV', () => {
    const { a, b } = espPair();
    const [octets] = sealed(a, udpPacket(...FOUR, 10));
    const forged = octets!.with(octets!.length - 1, (octets!.at(-1) ?? 0) ^ 1);
    b.fromSocket(UDP, { octets: octets! });
    b.fromSocket(UDP, { octets: forged });
    assert.deepEqual(b.drops(), { 'replayed-sequence-number': 1 });
  });

  it('accepts any order without a window', () => {
    const { a, b } = espPair({ replayWindow: 0 });
    const [octets] = sealed(a, udpPacket(...FOUR, 10));
    b.fromSocket(UDP, { octets: octets! }, { octets: octets! });
    assert.equal(b.delivered.length, 2);
  });
});

describe('Trailer (RFC 4303 §2.4-§2.7)', () => {
  const sa = childSa();
  const inner = udpPacket(...FOUR, 8);

  function received(sequence: number, octets: Uint8Array): EspGateway {
    const { b } = espPair();
    b.fromSocket(UDP, { octets: crafted(sa, sequence, octets) });
    return b;
  }

  it('accepts more padding than needed', () => {
    const b = received(1, body(inner, [1, 2, 3, 4, 5, 6], 4));
    assert.deepEqual(b.delivered, [inner]);
  });

  it('counts padding that does not count up, and padding longer than the packet', () => {
    assert.deepEqual(received(1, body(inner, [1, 3], 4)).drops(), { 'bad-padding': 1 });
    assert.deepEqual(received(1, body(inner, [0, 0], 4)).drops(), { 'bad-padding': 1 });
    assert.deepEqual(received(1, body(inner, [1, 2], 4, 200)).drops(), { 'bad-padding': 1 });
    assert.deepEqual(received(1, fromHex('00ff0304')).drops(), { 'bad-padding': 1 });
  });

  it('looks for padding in the payload only', () => {
    const { b } = espPair();
    const iv = fromHex('0102030405060708');
    b.fromSocket(UDP, { octets: crafted(sa, 1, fromHex('090a0a04'), iv) });
    assert.deepEqual(b.drops(), { 'bad-padding': 1 });
  });

  it('discards dummy packets, whatever is in them', () => {
    const b = received(1, body(fromHex('deadbeef'), [1, 2], IpProtocol.IPV6_NONXT));
    assert.deepEqual(b.drops(), { 'dummy-packet': 1 });
    assert.equal(b.counter(0, SaCounter.SEQUENCE), 1);
  });

  it('counts every other next header', () => {
    for (const next of [0, IpProtocol.TCP, IpProtocol.UDP, IpProtocol.ESP, 255]) {
      assert.deepEqual(received(1, body(inner, [1, 2], next)).drops(), { 'bad-next-header': 1 });
    }
  });

  it('trims traffic flow confidentiality padding', () => {
    const b = received(1, body(concatOctets(inner, new Uint8Array(100)), [1, 2], 4));
    assert.deepEqual(b.delivered, [inner]);
    assert.equal(b.counter(0, SaCounter.OCTETS), inner.length);
  });

  it('counts inner packets that lie about their length, version or family', () => {
    const longer = inner.slice();
    longer[3] = 200;
    const strange = inner.slice();
    strange[0] = 0x55;
    for (const bad of [
      body(longer, [1, 2], 4),
      body(strange, [1, 2], 4),
      body(inner, [1, 2], IpProtocol.IPV6),
      body(inner.subarray(0, 12), [1, 2], 4),
      body(new Uint8Array(0), [1, 2], 4),
    ]) {
      assert.deepEqual(received(1, bad).drops(), { 'malformed-inner-packet': 1 });
    }
  });
});

describe('Inner header on arrival', () => {
  it('follows RFC 6040 §4.2 in both families, with a right checksum', () => {
    const { a, b } = espPair();
    const packets = [
      udpPacket(...FOUR, 8, { trafficClass: 0xb8 | 2 }),
      udpPacket(...SIX, 8, { trafficClass: 0xb8 | 2 }),
    ];
    for (const octets of sealed(a, ...packets)) b.fromSocket(UDP, { octets, tos: 3 });
    assert.equal(ipv4TypeOfService(b.delivered[0]!, 0), 0xb8 | 3);
    assert.equal(ipv4ChecksumOk(b.delivered[0]!, 0), true);
    assert.equal(ipv6TrafficClass(b.delivered[1]!, 0), 0xb8 | 3);
  });

  it('drops a congestion mark on a packet that cannot carry one', () => {
    const { a, b } = espPair();
    const [octets] = sealed(a, udpPacket(...FOUR, 8));
    b.fromSocket(UDP, { octets: octets!, tos: 3 });
    assert.deepEqual(b.drops(), { 'ecn-inner-not-ect': 1 });
  });

  it('lowers the MSS of the peer, too', () => {
    const { a, b } = espPair();
    const [octets] = sealed(a, tcpPacket(...FOUR, TcpFlag.ACK, fromHex('020405b4')));
    b.fromSocket(UDP, { octets: octets! });
    assert.equal(toHex(b.delivered[0]!.subarray(40, 44)), '020405b4');
    const narrow = crafted(
      childSa(),
      9,
      body(tcpPacket(...FOUR, TcpFlag.SYN, fromHex('020405b4')), [1, 2], 4),
    );
    b.fromSocket(UDP, { octets: narrow });
    assert.equal(toHex(b.delivered[1]!.subarray(40, 44)), '02040576');
  });
});

describe('Policy check of decrypted packets (RFC 4301 §5.2)', () => {
  const wide = [selector('0.0.0.0/0')];

  /** A peer that sends everything through a gateway that agreed to less. */
  function arriving(packet: Uint8Array): EspGateway {
    const { a, b } = espPair();
    a.engine.remove(1);
    const greedy = childSa({ localTs: wide, remoteTs: wide });
    a.install(greedy, testKeys(greedy, 2), testKeys(greedy, 1));
    for (const octets of sealed(a, packet)) b.fromSocket(UDP, { octets });
    return b;
  }

  it('delivers what fits the selectors', () => {
    assert.equal(arriving(udpPacket(...FOUR, 8)).delivered.length, 1);
  });

  it('counts source and destination outside them', () => {
    for (const [source, destination] of [
      ['10.3.0.1', '10.2.0.1'],
      ['10.1.0.1', '10.3.0.1'],
      ['10.2.0.1', '10.1.0.1'],
    ] as const) {
      const b = arriving(udpPacket(source, destination, 8));
      assert.deepEqual(b.drops(), { 'inbound-policy-mismatch': 1 });
      assert.equal(b.counter(0, SaCounter.DROPS), 1);
    }
  });
});

describe('Rows of the arrivals', () => {
  it('have the whole slot again afterwards', () => {
    const { a, b } = espPair();
    for (const octets of sealed(a, udpPacket(...FOUR, 8), udpPacket(...FOUR, 8))) {
      b.fromSocket(UDP, { octets });
    }
    const { words } = b.engine.arrivals;
    assert.equal(words[Word.OFFSET], HEADROOM);
    assert.equal(words[Word.LENGTH], LARGEST_SLOT - HEADROOM);
    assert.equal(words[Word.SEGMENT], 0);
  });
});

describe('What the device refuses', () => {
  it('is counted by its kind', () => {
    const { a, b } = espPair();
    const packets = sealed(a, udpPacket(...FOUR, 8), udpPacket(...FOUR, 8));
    b.deviceStatus = -11;
    b.fromSocket(UDP, { octets: packets[0]! });
    assert.deepEqual(b.drops(), { 'device-full': 1 });
    b.deviceStatus = -5;
    b.fromSocket(UDP, { octets: packets[1]! });
    assert.deepEqual(b.drops(), { 'device-full': 1, 'device-failed': 1 });
    assert.equal(b.delivered.length, 0);
  });
});

describe('CBC and HMAC', () => {
  it('opens what it sealed, with its own IV, under every HMAC', () => {
    for (const id of [
      IntegrityId.AUTH_HMAC_SHA1_96,
      IntegrityId.AUTH_HMAC_SHA2_256_128,
      IntegrityId.AUTH_HMAC_SHA2_384_192,
      IntegrityId.AUTH_HMAC_SHA2_512_256,
    ]) {
      const { a, b } = espPair({
        encr: { id: EncryptionId.AES_CBC, keyLength: 128 },
        integ: { id },
        esn: true,
      });
      const packet = udpPacket(...FOUR, 77);
      for (const octets of sealed(a, packet)) b.fromSocket(UDP, { octets });
      assert.deepEqual(b.delivered, [packet]);
    }
  });

  it('refuses a second Child SA with the same number or SPI', () => {
    const { a } = espPair();
    const sa = mirrored(childSa());
    assert.throws(() => a.install(childSa(), testKeys(sa, 1), testKeys(sa, 2)), /already/);
    assert.throws(() => a.install(childSa({ id: 2 }), testKeys(sa, 1), testKeys(sa, 2)), /in use/);
  });
});
