import assert from 'node:assert/strict';
import { ENCRYPTION_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { FLAG_DF } from '../../src/esp/batch.ts';
import { PATH_MTU_AGE } from '../../src/esp/path-mtu.ts';
import { SaCounter } from '../../src/events/shared-counters.ts';
import { icmpNextHopMtu, icmpv6Mtu } from '../../src/wire/icmp.ts';
import { after as later } from '../../src/wire/instant.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { TcpFlag } from '../../src/wire/tcp.ts';
import {
  childSa,
  EspGateway,
  espPair,
  mirrored,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { innerPacket, tcpPacket, udpPacket } from '../support/inner-packets.ts';

const FOUR = ['10.1.0.10', '10.2.0.10'] as const;
const SIX = ['2001:db8:1::10', '2001:db8:2::10'] as const;

describe('Outbound ESP processing (RFC 4303 §3.3)', () => {
  it('writes SPI, sequence number and IV in front of the inner packet (§2)', () => {
    const { a } = espPair();
    a.fromTun(udpPacket(...FOUR, 100), udpPacket(...FOUR, 100));
    assert.deepEqual(
      a.sent.map(({ octets }) => toHex(octets.subarray(0, 16))),
      ['c0000002000000010000000000000001', 'c0000002000000020000000000000002'],
    );
  });

  it('gives every cipher but CBC the sequence number for an IV, which no two packets share', () => {
    const counting = ENCRYPTION_ALGORITHMS.filter(({ mode }) => mode !== 'cbc' && mode !== 'null');
    assert.equal(counting.length, 10);
    for (const { id, name, aead, variableKey } of counting) {
      const encr = variableKey ? { id, keyLength: 128 } : { id };
      const integ = { integ: { id: IntegrityId.AUTH_HMAC_SHA2_256_128 } };
      const { a, saA } = espPair({ encr, ...(!aead && integ), esn: true });
      saA.sequence.resumeAfter(7, 0xffff_fffe);
      a.fromTun(udpPacket(...FOUR, 100), udpPacket(...FOUR, 100));
      const ivs = a.sent.map(({ octets }) => toHex(octets.subarray(8, 16)));
      assert.deepEqual(ivs, ['00000007ffffffff', '0000000800000000'], name);
    }
  });

  it('counts packets and the octets inside them', () => {
    const { a } = espPair();
    a.fromTun(udpPacket(...FOUR, 100), udpPacket(...SIX, 50));
    assert.equal(a.counter(1, SaCounter.PACKETS), 2);
    assert.equal(a.counter(1, SaCounter.OCTETS), 20 + 8 + 100 + 40 + 8 + 50);
    assert.equal(a.counter(1, SaCounter.LAST_USE), a.now);
    assert.equal(a.counter(1, SaCounter.SEQUENCE), 2);
    assert.deepEqual(a.drops(), {});
  });

  it('fills whole blocks, with trailer and ICV behind (§2.4)', () => {
    for (const [encr, integ, block, fixed] of [
      [{ id: EncryptionId.AES_GCM_16, keyLength: 256 }, undefined, 4, 8 + 8 + 16],
      [
        { id: EncryptionId.AES_CBC, keyLength: 256 },
        { id: IntegrityId.AUTH_HMAC_SHA2_256_128 },
        16,
        8 + 16 + 16,
      ],
    ] as const) {
      const { a } = espPair(integ === undefined ? { encr } : { encr, integ });
      for (let data = 0; data < 40; data++) a.fromTun(udpPacket(...FOUR, data));
      for (const [data, { octets }] of a.sent.entries()) {
        const body = Math.ceil((28 + data + 2) / block) * block;
        assert.equal(octets.length, fixed + body);
      }
    }
  });

  it('sends no number twice and counts what comes after the last one (§3.3.3)', () => {
    const { a, saA } = espPair();
    saA.sequence.resumeAfter(0, 0xffff_fffe);
    a.fromTun(udpPacket(...FOUR, 8), udpPacket(...FOUR, 8));
    assert.equal(a.sent.length, 1);
    assert.deepEqual(a.drops(), { 'sequence-exhausted': 1 });
    assert.equal(a.counter(1, SaCounter.SEQUENCE), 0xffff_ffff);
    assert.equal(a.counter(1, SaCounter.DROPS), 1);
  });

  it('goes on past 2^32 with ESN, the high half in the IV and not in the header', () => {
    const { a, b, saA, saB } = espPair({ esn: true });
    saA.sequence.resumeAfter(0, 0xffff_ffff);
    saB.window.update(0, 0xffff_fff0);
    a.fromTun(udpPacket(...FOUR, 8));
    assert.equal(toHex(a.sent[0]!.octets.subarray(4, 16)), '000000000000000100000000');
    assert.equal(a.counter(1, SaCounter.SEQUENCE), 2 ** 32);
    b.fromSocket(UDP, a.sent[0]!);
    assert.equal(b.delivered.length, 1);
    assert.equal(b.counter(0, SaCounter.SEQUENCE), 2 ** 32);
  });

  it('sends by the path of the SA the policy names', () => {
    const gateway = new EspGateway();
    for (const [id, subnet] of [
      [1, '10.2.0.0/16'],
      [2, '10.2.3.0/24'],
    ] as const) {
      const sa = childSa({
        id,
        spiIn: 0x1000 + id,
        spiOut: 0x2000 + id,
        remoteTs: [selector(subnet)],
      });
      gateway.install(sa, testKeys(sa, 1), testKeys(sa, 2));
    }
    gateway.fromTun(udpPacket('10.1.0.1', '10.2.3.1', 1), udpPacket('10.1.0.1', '10.2.4.1', 1));
    assert.deepEqual(
      gateway.sent.map(({ path }) => path),
      [2, 1],
    );
    gateway.engine.remove(2);
    gateway.fromTun(udpPacket('10.1.0.1', '10.2.3.1', 1));
    assert.equal(gateway.sent[2]?.path, 1);
  });
});

describe('Outbound policy and inner header (RFC 4301 §5.1)', () => {
  it('counts packets without a policy', () => {
    const { a } = espPair();
    a.fromTun(udpPacket('10.1.0.1', '10.3.0.1', 8));
    assert.deepEqual(a.drops(), { 'no-policy': 1 });
    assert.equal(a.sent.length, 0);
  });

  it('counts octets that are no packet', () => {
    const { a } = espPair();
    const cut = udpPacket(...FOUR, 100).subarray(0, 60);
    a.fromTun(cut, fromHex('00'), fromHex('7f00'), new Uint8Array(0));
    assert.deepEqual(a.drops(), { 'malformed-packet': 4 });
  });

  it('leaves octets behind the packet outside', () => {
    const { a, b } = espPair();
    const packet = udpPacket(...FOUR, 20);
    const longer = new Uint8Array(packet.length + 9);
    longer.set(packet);
    a.fromTun(longer, packet);
    assert.equal(a.sent[0]?.octets.length, a.sent[1]?.octets.length);
    b.fromSocket(UDP, a.sent[0]!);
    assert.deepEqual(b.delivered, [packet]);
  });

  it('counts packets whose hops are used up, and changes the hops of no other', () => {
    const { a, b } = espPair();
    a.fromTun(udpPacket(...FOUR, 8, { hops: 0 }), udpPacket(...SIX, 8, { hops: 0 }));
    assert.deepEqual(a.drops(), { 'hop-limit-expired': 2 });
    const last = udpPacket(...FOUR, 8, { hops: 1 });
    a.fromTun(last);
    b.fromSocket(UDP, a.sent[0]!);
    assert.deepEqual(b.delivered, [last]);
  });
});

describe('Outer header of a tunnelled packet (RFC 4301 §5.1.2, RFC 6040 §4.1)', () => {
  it('copies DSCP and ECN of both families', () => {
    const { a } = espPair();
    a.fromTun(
      udpPacket(...FOUR, 8, { trafficClass: 0xb9 }),
      udpPacket(...SIX, 8, { trafficClass: 0xb9 }),
    );
    assert.deepEqual(
      a.sent.map(({ tos }) => tos),
      [0xb9, 0xb9],
    );
  });

  it('copies neither when told so', () => {
    const { a } = espPair({ copyDscp: 'no', copyEcn: false });
    a.fromTun(udpPacket(...FOUR, 8, { trafficClass: 0xb9 }));
    assert.equal(a.sent[0]?.tos, 0);
  });

  it('copies DF, has it for IPv6, and not without copy_df', () => {
    const flags = (copyDf: boolean): readonly number[] => {
      const { a } = espPair({ copyDf });
      a.fromTun(
        udpPacket(...FOUR, 8, { dontFragment: true }),
        udpPacket(...FOUR, 8, { dontFragment: false }),
        udpPacket(...SIX, 8),
      );
      return a.sent.map((sent) => sent.flags);
    };
    assert.deepEqual(flags(true), [FLAG_DF, 0, FLAG_DF]);
    assert.deepEqual(flags(false), [0, 0, 0]);
  });
});

describe('Packets too big for the tunnel (RFC 4301 §8.2.1)', () => {
  // 1500 outside, less 20 IP, 8 UDP, 8 ESP, 8 IV, 16 ICV, in fours less the trailer's 2.
  const INNER = 1438;

  it('takes a packet of exactly the inner MTU', () => {
    const { a, saA } = espPair();
    assert.equal(saA.innerMtu, INNER);
    a.fromTun(udpPacket(...FOUR, INNER - 28, { dontFragment: true }));
    assert.equal(a.sent[0]?.octets.length, 1500 - 28);
    assert.deepEqual(a.drops(), {});
  });

  it('answers one octet more with the exact MTU, IPv4', () => {
    const { a } = espPair();
    a.fromTun(udpPacket(...FOUR, INNER - 27, { dontFragment: true }));
    assert.deepEqual(a.drops(), { 'packet-too-big': 1 });
    assert.equal(a.counter(1, SaCounter.DROPS), 1);
    assert.deepEqual([a.saDrops(0), a.saDrops(1)], [{}, { 'packet-too-big': 1 }]);
    assert.equal(icmpNextHopMtu(a.answered[0]!, 20), INNER);
    assert.equal(a.sent.length, 0);
  });

  it('answers one octet more with the exact MTU, IPv6', () => {
    const { a } = espPair();
    a.fromTun(udpPacket(...SIX, INNER - 47));
    assert.deepEqual(a.drops(), { 'packet-too-big': 1 });
    assert.equal(icmpv6Mtu(a.answered[0]!, 40), INNER);
  });

  it('lets the outer packet be fragmented where the sender allowed it, or copy_df is off', () => {
    const { a } = espPair();
    a.fromTun(udpPacket(...FOUR, 2000));
    assert.equal(a.sent[0]?.flags, 0);
    const other = espPair({ copyDf: false });
    other.a.fromTun(udpPacket(...FOUR, 2000, { dontFragment: true }), udpPacket(...SIX, 2000));
    assert.equal(other.a.sent.length, 2);
  });

  it('tells no IPv6 sender to go below 1280, and fragments outside instead (RFC 8200 §5)', () => {
    const { a, saA } = espPair();
    a.engine.learnPathMtu(0xc000_0002, childSa().remote, 1000, a.now);
    assert.ok(saA.innerMtu < 1000);
    a.fromTun(udpPacket(...SIX, 1280 - 48), udpPacket(...SIX, 1281 - 48));
    assert.deepEqual(
      a.sent.map(({ flags }) => flags),
      [0],
    );
    assert.equal(icmpv6Mtu(a.answered[0]!, 40), 1280);
  });

  it('answers no more than the rate allows, and counts all', () => {
    const { a } = espPair();
    const big = udpPacket(...FOUR, 1460, { dontFragment: true });
    for (let turn = 0; turn < 10; turn++) a.fromTun(...new Array<Uint8Array>(10).fill(big));
    assert.equal(a.dropped('packet-too-big'), 100);
    assert.equal(a.answered.length, 50);
  });

  it('answers no more than its rows in one batch', () => {
    const { a } = espPair();
    const big = udpPacket(...FOUR, 1460, { dontFragment: true });
    a.fromTun(...new Array<Uint8Array>(40).fill(big));
    assert.equal(a.dropped('packet-too-big'), 40);
    assert.equal(a.answered.length, 16);
  });

  it('tries the full size again when what it learned is old (RFC 1191 §6.3)', () => {
    const { a } = espPair();
    a.engine.learnPathMtu(0xc000_0002, childSa().remote, 1400, a.now);
    a.now = later(a.now, PATH_MTU_AGE);
    a.fromTun(udpPacket(...FOUR, INNER - 28, { dontFragment: true }));
    assert.equal(a.sent.length, 1);
    assert.deepEqual(a.pathMtuChanges, [1338, INNER]);
  });

  it('has the device MTU for a bound as well', () => {
    const gateway = new EspGateway({ tunMtu: 1300 });
    const sa = childSa();
    gateway.install(sa, testKeys(sa, 1), testKeys(sa, 2));
    const syn = tcpPacket(...FOUR, TcpFlag.SYN, fromHex('02040564'));
    gateway.fromTun(syn);
    const peer = new EspGateway();
    peer.install(mirrored(sa), testKeys(sa, 2), testKeys(sa, 1));
    peer.fromSocket(UDP, gateway.sent[0]!);
    assert.equal(toHex(peer.delivered[0]!.subarray(40, 44)), '020404ec');
  });
});

describe('What the path refuses', () => {
  const refused: readonly (readonly [number, string])[] = [
    [-11, 'send-would-block'],
    [-105, 'send-would-block'],
    [-90, 'send-too-big'],
    [-101, 'send-unreachable'],
    [-113, 'send-unreachable'],
    [-1, 'send-failed'],
  ];
  for (const [status, reason] of refused) {
    it(`counts errno ${-status} as ${reason}`, () => {
      const { a } = espPair();
      a.sendStatus = status;
      a.fromTun(udpPacket(...FOUR, 8));
      assert.deepEqual(a.drops(), { [reason]: 1 });
      assert.equal(a.counter(1, SaCounter.PACKETS), 0);
      assert.equal(a.counter(1, SaCounter.DROPS), 1);
    });
  }

  it('guesses the next step below the whole outer packet', () => {
    const { a, saA } = espPair();
    a.sendStatus = -90;
    a.fromTun(udpPacket(...FOUR, saA.innerMtu - 28, { dontFragment: true }));
    assert.equal(saA.pathMtu.octets, 1492);
  });

  it('narrows the path after EMSGSIZE, until a router says the number', () => {
    const { a, saA } = espPair();
    a.sendStatus = -90;
    a.fromTun(udpPacket(...FOUR, 1400, { dontFragment: true }));
    assert.equal(saA.pathMtu.octets, 1280);
    assert.deepEqual(a.pathMtuChanges, [1218]);
    a.engine.learnPathMtu(0xc000_0002, childSa().remote, 1420, a.now);
    assert.equal(saA.pathMtu.octets, 1420);
    assert.equal(a.pathMtuChanges.length, 2);
  });

  it('believes no router about another SPI or peer', () => {
    const { a, saA } = espPair();
    a.engine.learnPathMtu(0xc000_0003, childSa().remote, 1000, a.now);
    a.engine.learnPathMtu(0xc000_0002, childSa().local, 1000, a.now);
    assert.equal(saA.pathMtu.octets, 1500);
    assert.deepEqual(a.drops(), { 'icmp-unknown-spi': 2 });
  });

  it('counts packets of an SA without a socket', () => {
    const { a } = espPair();
    a.engine.remove(1);
    a.engine.install(childSa(), { contextIn: 0, contextOut: 1, path: -1 }, a.now);
    a.fromTun(udpPacket(...FOUR, 8));
    assert.deepEqual(a.drops(), { 'send-unreachable': 1 });
    assert.equal(a.counter(1, SaCounter.SEQUENCE), 0);
  });

  it('counts what could not be sealed, and does not send it', () => {
    const { a } = espPair();
    a.sealStatus = -22;
    a.fromTun(udpPacket(...FOUR, 8));
    assert.deepEqual(a.drops(), { 'seal-failed': 1 });
    assert.equal(a.sent.length, 0);
  });
});

describe('Packets without ports', () => {
  it('fit selectors without ports, and no others (RFC 4301 §4.4.1.1)', () => {
    const { a } = espPair({
      localTs: [selector('10.1.0.0/16', { protocol: 17, endPort: 40_000 })],
    });
    const first = udpPacket(...FOUR, 32);
    const later = innerPacket({ source: FOUR[0], destination: FOUR[1], upper: new Uint8Array(32) });
    later[7] = 4;
    a.fromTun(first, later);
    assert.equal(a.sent.length, 1);
    assert.deepEqual(a.drops(), { 'outbound-fragment-unmatched': 1 });
  });
});
