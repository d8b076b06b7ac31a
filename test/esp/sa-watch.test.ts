/**
 * What an SA's packets change about it: when it sends, where its peer is, when it ends.
 */
import assert from 'node:assert/strict';
import { SaCounter } from '../../src/events/shared-counters.ts';
import type { OutboundUse } from '../../src/ipsec/child-sa.ts';
import type { Endpoint } from '../../src/wire/address.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { instant } from '../../src/wire/instant.ts';
import {
  type ChildSaOptions,
  childSa,
  type EspGateway,
  espPair,
  mirrored,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';

const THERE = ['10.1.0.10', '10.2.0.10'] as const;
const BACK = ['10.2.0.10', '10.1.0.10'] as const;
const NO_LIMITS = { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 };

/** What `from` sends for so many packets from its inside. */
function sent(from: EspGateway, ...inner: readonly Uint8Array[]): readonly Uint8Array[] {
  from.fromTun(...inner);
  return from.sent.splice(0).map(({ octets }) => octets);
}

/** A successor of the Child SA that both ends install, the responder `b` with this outbound use. */
function rekey(a: EspGateway, b: EspGateway, outbound: OutboundUse, options: ChildSaOptions = {}) {
  const parameters = childSa({
    id: 2,
    spiIn: 0xc011,
    spiOut: 0xc012,
    rowIn: 2,
    rowOut: 3,
    ...options,
  });
  a.install(parameters, testKeys(parameters, 4), testKeys(parameters, 3));
  const other = { ...mirrored(parameters), outbound };
  return b.install(other, testKeys(parameters, 3), testKeys(parameters, 4));
}

function at(address: string, port: number): Endpoint {
  const parsed = parseAddress(address);
  assert.ok(parsed);
  return { address: parsed, port };
}

describe('Which SA sends (RFC 7296 §2.8)', () => {
  it('is the old one until a packet on the new one proved that the peer has it', () => {
    const { a, b } = espPair();
    const [old] = sent(a, udpPacket(...THERE, 1));
    rekey(a, b, 'after-inbound');
    b.fromTun(udpPacket(...BACK, 1));
    assert.deepEqual([b.counter(1, SaCounter.SEQUENCE), b.counter(3, SaCounter.SEQUENCE)], [1, 0]);
    // A late packet on the old SA proves nothing, nor does one that is forged.
    b.fromSocket(UDP, { octets: old! });
    const [first] = sent(a, udpPacket(...THERE, 2));
    const forged = first!.with(first!.length - 1, first!.at(-1)! ^ 1);
    b.fromSocket(UDP, { octets: forged });
    b.fromTun(udpPacket(...BACK, 2));
    assert.deepEqual(b.reports, []);
    assert.equal(b.counter(3, SaCounter.SEQUENCE), 0);
    b.fromSocket(UDP, { octets: first! });
    assert.deepEqual(b.reports, ['activated 2']);
    b.fromTun(udpPacket(...BACK, 3));
    assert.deepEqual([b.counter(1, SaCounter.SEQUENCE), b.counter(3, SaCounter.SEQUENCE)], [2, 1]);
    b.fromSocket(UDP, { octets: first! });
    assert.deepEqual(b.reports, ['activated 2'], 'once');
    assert.deepEqual(b.drops(), { 'bad-icv': 1, 'replayed-sequence-number': 1 });
  });

  it('is told at any time', () => {
    const { a, b, saB } = espPair();
    const successor = rekey(a, b, 'never');
    const from = (): number => {
      b.fromTun(udpPacket(...BACK, 1));
      return b.sent.at(-1)?.path ?? 0;
    };
    assert.equal(from(), 1);
    b.engine.setOutbound(successor, 'now', b.now);
    assert.equal(from(), 2);
    b.engine.setOutbound(saB, 'now', b.now);
    assert.equal(from(), 2, 'it was in use before: nothing changed');
    b.engine.setOutbound(successor, 'never', b.now);
    assert.equal(from(), 1);
    b.engine.setOutbound(saB, 'never', b.now);
    b.fromTun(udpPacket(...BACK, 1));
    assert.deepEqual(b.drops(), { 'no-policy': 1 });
    b.fromSocket(UDP, { octets: sent(a, udpPacket(...THERE, 7))[0]! });
    assert.equal(b.delivered.length, 1, 'an SA that does not send receives');
    assert.equal(b.engine.find(2), successor);
    b.engine.remove(2);
    assert.equal(b.engine.find(2), undefined);
    const next = rekey(a, b, 'now', { id: 3, spiIn: 0xc013, spiOut: 0xc014 });
    assert.equal(next.index, successor.index, 'reused');
  });

  it('stays what it was told when a packet arrives later', () => {
    const { a, b } = espPair();
    const successor = rekey(a, b, 'after-inbound');
    b.engine.setOutbound(successor, 'never', b.now);
    b.fromSocket(UDP, { octets: sent(a, udpPacket(...THERE, 1))[0]! });
    b.fromTun(udpPacket(...BACK, 1));
    assert.equal(b.sent.at(-1)?.path, 1);
    assert.deepEqual(b.reports, []);
  });
});

describe('An SA that moves (RFC 4555 §3.5)', () => {
  it('goes on with its numbers and its window, over another path, whose MTU it learns anew', () => {
    const { a, b, saA } = espPair();
    const before = sent(a, udpPacket(...THERE, 1), udpPacket(...THERE, 2));
    a.engine.learnPathMtu(saA.spiOut, saA.ends.remote, 1300, a.now);
    assert.equal(saA.pathMtu.octets, 1300);
    const ends = {
      local: at('2001:db8::1', 0),
      remote: at('2001:db8::2', 0),
      udpEncapsulation: false,
    };
    a.engine.move(saA, ends, 77);
    assert.equal(saA.pathMtu.octets, 1500);
    // Twenty octets more of IP header, eight less of UDP; the TUN device's 9000 do not bind.
    assert.equal(saA.innerMtu, 1500 - 40 - 8 - 8 - 16 - 2);
    a.fromTun(udpPacket(...THERE, 3));
    const [moved] = a.sent;
    assert.equal(moved?.path, 77);
    b.fromSocket(UDP, ...[moved!.octets, ...before].map((octets) => ({ octets })));
    assert.equal(b.delivered.length, 3);
    assert.deepEqual(b.drops(), {});
    a.engine.learnPathMtu(saA.spiOut, at('192.0.2.2', 0), 1400, a.now);
    assert.deepEqual(a.drops(), { 'icmp-unknown-spi': 1 }, 'the peer is not there any more');
    a.engine.learnPathMtu(saA.spiOut, ends.remote, 1400, a.now);
    assert.equal(saA.pathMtu.octets, 1400);
  });
});

describe('A peer that moves (RFC 7296 §2.23)', () => {
  const home = { from: at('192.0.2.1', 4500), to: at('192.0.2.2', 0).address };
  const away = { from: at('198.51.100.7', 40_000), to: home.to };

  it('is reported by its newest authenticated packet, which is delivered', () => {
    const { a, b } = espPair();
    const [first, second, third] = sent(a, ...[1, 2, 3].map((data) => udpPacket(...THERE, data)));
    b.fromSocket(UDP, { octets: first!, ...home });
    b.fromSocket(UDP, { octets: third!, ...away });
    assert.deepEqual(b.reports, ['moved 1 192.0.2.2[4500] 198.51.100.7[40000]']);
    b.now = instant(b.now + 1000);
    // Held back on the way: it says where the peer was.
    b.fromSocket(UDP, { octets: second!, from: at('203.0.113.1', 1), to: home.to });
    assert.equal(b.reports.length, 1);
    assert.equal(b.delivered.length, 3);
  });

  it('is at home where its SA was moved to', () => {
    const { a, b, saB } = espPair();
    b.engine.move(saB, { ...saB.ends, remote: away.from }, 1);
    const [first, second] = sent(a, udpPacket(...THERE, 1), udpPacket(...THERE, 2));
    b.fromSocket(UDP, { octets: first!, ...away });
    assert.deepEqual(b.reports, []);
    b.fromSocket(UDP, { octets: second!, ...home });
    assert.deepEqual(b.reports, ['moved 1 192.0.2.2[4500] 192.0.2.1[4500]']);
  });

  it('is not reported by a packet that does not verify, or that is a copy', () => {
    const { a, b } = espPair({ replayWindow: 0 });
    const [packet] = sent(a, udpPacket(...THERE, 1));
    b.fromSocket(UDP, { octets: packet!.with(20, packet![20]! ^ 1), ...away });
    b.fromSocket(UDP, { octets: packet!, ...home });
    b.fromSocket(UDP, { octets: packet!, ...away });
    assert.deepEqual(b.reports, []);
    assert.equal(b.delivered.length, 2, 'without a window copies are delivered');
  });

  it('may change its port alone, and the address of ours it sends to', () => {
    const { a, b } = espPair();
    const packets = sent(a, udpPacket(...THERE, 1), udpPacket(...THERE, 2));
    b.fromSocket(UDP, { octets: packets[0]!, from: at('192.0.2.1', 4501), to: home.to });
    b.now = instant(b.now + 100);
    const elsewhere = at('192.0.2.3', 0).address;
    b.fromSocket(UDP, { octets: packets[1]!, from: home.from, to: elsewhere });
    assert.deepEqual(b.reports, [
      'moved 1 192.0.2.2[4500] 192.0.2.1[4501]',
      'moved 1 192.0.2.3[4500] 192.0.2.1[4500]',
    ]);
  });

  it('changes any octet of an IPv6 address', () => {
    const ends = { local: at('2001:db8::1', 4500), remote: at('2001:db8::2', 4500) };
    for (const other of ['2001:db8::3', '3001:db8::1', '2001:db8:0:1::1', '2001:db8::1:0:1']) {
      const { a, b } = espPair(ends);
      const [first, second] = sent(a, udpPacket(...THERE, 1), udpPacket(...THERE, 2));
      b.fromSocket(UDP, { octets: first!, from: ends.local, to: ends.remote.address });
      assert.deepEqual(b.reports, []);
      b.fromSocket(UDP, { octets: second!, from: at(other, 4500), to: ends.remote.address });
      assert.equal(b.reports.length, 1, other);
    }
  });

  it('is reported at most ten times a second, also when the SA follows it', () => {
    const { a, b, saB } = espPair();
    const start = b.now;
    for (let step = 0; step < 100; step++) {
      const port = 1000 + (step % 2);
      const [octets] = sent(a, udpPacket(...THERE, step));
      b.fromSocket(UDP, { octets: octets!, from: at('192.0.2.1', port), to: home.to });
      const remote = at('192.0.2.1', port);
      b.engine.move(saB, { ...saB.ends, remote }, 1);
      b.now = instant(start + step * 10);
    }
    assert.ok(b.reports.length >= 9 && b.reports.length <= 11, `${b.reports.length} reports`);
    assert.equal(b.delivered.length, 100);
  });

  it('is of no interest without UDP encapsulation', () => {
    const { a, b } = espPair({ udpEncapsulation: false });
    const [octets] = sent(a, udpPacket(...THERE, 1));
    b.fromSocket(UDP, { octets: octets!, ...away });
    assert.deepEqual(b.reports, []);
    assert.equal(b.delivered.length, 1);
  });
});

describe('Limits of an SA (RFC 4301 §4.4.2.1)', () => {
  it('end it outbound at exactly the hard one, in the middle of a batch', () => {
    const { a } = espPair({ limits: { ...NO_LIMITS, softPackets: 5, hardPackets: 8 } });
    a.fromTun(...Array.from({ length: 20 }, (_, data) => udpPacket(...THERE, data)));
    assert.equal(a.sent.length, 8);
    assert.deepEqual(a.drops(), { 'outbound-hard-limit': 12 });
    assert.deepEqual(a.reports, ['soft limit 1', 'hard limit 1']);
    assert.equal(a.counter(1, SaCounter.PACKETS), 8);
    assert.equal(a.counter(1, SaCounter.DROPS), 12);
  });

  it('end it inbound at exactly the hard one, whether packets come at once or later', () => {
    const { a, b } = espPair();
    const limited = rekey(a, b, 'now', { limits: { ...NO_LIMITS, hardOctets: 1000 } });
    a.engine.setOutbound(a.engine.find(2)!, 'never', a.now);
    const twin = espPair();
    rekey(twin.a, twin.b, 'now');
    const packets = sent(twin.a, ...Array.from({ length: 30 }, () => udpPacket(...THERE, 72)));
    const arrivals = packets.map((octets) => ({ octets }));
    b.fromSocket(UDP, ...arrivals.slice(0, 20));
    b.fromSocket(UDP, ...arrivals.slice(20));
    assert.equal(b.delivered.length, 10, 'ten packets of a hundred octets');
    assert.deepEqual(b.drops(), { 'inbound-hard-limit': 20 });
    assert.deepEqual(b.reports, ['hard limit 2']);
    // Nothing of it is worth opening any more.
    b.fromSocket(UDP, { octets: packets[29]!.with(-1, packets[29]!.at(-1)! ^ 1) });
    assert.equal(b.dropped('inbound-hard-limit'), 21);
    assert.equal(limited.meterOut.ended, false, 'the other direction goes on');
    b.fromTun(udpPacket(...BACK, 1));
    assert.equal(b.sent.at(-1)?.path, 2);
  });

  it('are told once each for both directions together', () => {
    const limits = { ...NO_LIMITS, softPackets: 1, hardPackets: 2 };
    const { a, b } = espPair({ limits });
    for (let data = 0; data < 3; data++) {
      b.fromSocket(UDP, ...sent(a, udpPacket(...THERE, data)).map((octets) => ({ octets })));
      a.fromSocket(UDP, ...sent(b, udpPacket(...BACK, data)).map((octets) => ({ octets })));
    }
    for (const { reports } of [a, b]) assert.deepEqual(reports, ['soft limit 1', 'hard limit 1']);
  });

  it('are its sequence numbers, too (RFC 4303 §3.3.3)', () => {
    const { a, b, saA } = espPair();
    saA.sequence.resumeAfter(0, 0xefff_fffe);
    b.fromSocket(UDP, { octets: sent(a, udpPacket(...THERE, 1))[0]! });
    assert.deepEqual([a.reports, b.reports], [[], []]);
    b.fromSocket(UDP, { octets: sent(a, udpPacket(...THERE, 2))[0]! });
    assert.deepEqual([a.reports, b.reports], [['soft limit 1'], ['soft limit 1']]);
    saA.sequence.resumeAfter(0, 0xffff_fffe);
    a.fromTun(udpPacket(...THERE, 3), udpPacket(...THERE, 4), udpPacket(...THERE, 5));
    assert.equal(a.sent.length, 1);
    assert.deepEqual(a.drops(), { 'sequence-exhausted': 2 });
    assert.deepEqual(a.reports, ['soft limit 1', 'hard limit 1']);
  });
});
