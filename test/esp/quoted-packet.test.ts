import assert from 'node:assert/strict';
import fc from 'fast-check';
import { QuotedPacket } from '../../src/esp/quoted-packet.ts';
import { createFlow, FlowFault, OPAQUE, readFlow } from '../../src/wire/flow.ts';
import { instant } from '../../src/wire/instant.ts';
import { IpProtocol } from '../../src/wire/ip-protocol.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import {
  type ChildSaOptions,
  type EspGateway,
  espPair,
  selector,
  UDP,
} from '../support/esp-gateway.ts';
import { icmpPacket, innerPacket, octetsOf, udpPacket } from '../support/inner-packets.ts';

/** a protects 10.1.0.0/16 and sends; b receives it. */
const THERE = ['10.1.0.10', '10.2.0.10'] as const;
const BACK = ['10.2.0.10', '10.1.0.10'] as const;
const ROUTER = '172.16.0.1';
const SIX_THERE = ['2001:db8:1::10', '2001:db8:2::10'] as const;
const SIX_BACK = ['2001:db8:2::10', '2001:db8:1::10'] as const;
const ROUTER_SIX = '2001:db8:ffff::1';

const EXCEEDED = [11, 0] as const;
const EXCEEDED_SIX = [3, 0] as const;

/** The error of a router about a packet. */
function icmpError(
  [source, destination]: readonly [string, string],
  quoted: Uint8Array,
  [type, code]: readonly [number, number] = source.includes(':') ? EXCEEDED_SIX : EXCEEDED,
): Uint8Array {
  const protocol = source.includes(':') ? IpProtocol.IPV6_ICMP : IpProtocol.ICMP;
  const upper = concatOctets(Uint8Array.of(type, code, 0, 0, 0, 0, 0, 0), quoted);
  return innerPacket({ source, destination, protocol, upper, checksumAt: 2 });
}

/** An SA that a takes everything into, so that b alone decides. */
const ANYTHING: ChildSaOptions = {
  localTs: [selector('0.0.0.0/0'), selector('::/0')],
  remoteTs: [selector('0.0.0.0/0'), selector('::/0')],
};

/** What b delivers of what a peer sends that sends what it likes. */
function arriving(packet: Uint8Array, options: ChildSaOptions = {}): EspGateway {
  const { a } = espPair(ANYTHING);
  const { b } = espPair(options);
  a.fromTun(packet);
  assert.equal(a.sent.length, 1);
  b.fromSocket(UDP, ...a.sent);
  return b;
}

const MISMATCH = { 'inbound-policy-mismatch': 1 };

describe('An ICMP error that leaves (RFC 4301 §6.2)', () => {
  for (const [router, back, there] of [
    [ROUTER, BACK, THERE],
    [ROUTER_SIX, SIX_BACK, SIX_THERE],
  ] as const) {
    it(`takes the SA of the packet it is about: ${router}`, () => {
      const { a, b } = espPair();
      const error = icmpError([router, back[0]], udpPacket(back[0], back[1], 20));
      a.fromTun(error);
      assert.deepEqual(a.drops(), {});
      b.fromSocket(UDP, ...a.sent);
      assert.deepEqual(b.drops(), {});
      assert.deepEqual(b.delivered, [error]);
      // About a packet that no SA carried.
      a.fromTun(icmpError([router, back[0]], udpPacket(there[0], there[1], 20)));
      a.fromTun(icmpError([router, there[0]], udpPacket(there[0], there[1], 20)));
      a.fromTun(udpPacket(router, back[0], 20));
      a.fromTun(icmpPacket(router, back[0], router === ROUTER ? 8 : 128));
      assert.deepEqual(a.drops(), { 'no-policy': 4 });
      assert.equal(a.sent.length, 1);
    });
  }

  it('goes as its own policy says, where there is one', () => {
    const { a } = espPair();
    const policy = { id: -1, localTs: [selector('172.16.0.0/16')], priority: 0 };
    const remoteTs = [selector('10.2.0.0/16')];
    a.engine.installPolicy({ ...policy, action: 'discard', remoteTs }, a.now);
    a.fromTun(icmpError([ROUTER, BACK[0]], udpPacket(...BACK, 20)));
    assert.deepEqual(a.drops(), { 'discard-policy': 1 });
  });

  it('does not take the way of what is no SA: a trap asks for none in its name', () => {
    const { a } = espPair();
    const policy = { id: -1, localTs: [selector('10.1.0.0/16')], priority: 0 };
    const remoteTs = [selector('10.5.0.0/16')];
    for (const action of ['trap', 'bypass'] as const) {
      a.engine.installPolicy({ ...policy, action, remoteTs }, a.now);
      a.fromTun(icmpError([ROUTER, '10.5.0.1'], udpPacket('10.5.0.1', '10.1.0.10', 20)));
    }
    assert.deepEqual(a.drops(), { 'no-policy': 2 });
    assert.deepEqual([a.reports, a.bypassed], [[], []]);
  });
});

describe('An ICMP error that arrives (RFC 4301 §6.2)', () => {
  const from = (router: string) => [router, BACK[0]] as const;

  it('is delivered when it is about a packet that the SA carried', () => {
    for (const [type, code] of [
      [3, 1],
      [3, 4],
      [4, 0],
      [11, 1],
      [12, 0],
    ] as const) {
      const error = icmpError(from(ROUTER), udpPacket(...BACK, 20), [type, code]);
      assert.deepEqual(arriving(error).delivered, [error], `type ${type}`);
    }
    for (const type of [1, 2, 3, 4]) {
      const quoted = udpPacket(...SIX_BACK, 20);
      const error = icmpError([ROUTER_SIX, SIX_BACK[0]], quoted, [type, 0]);
      assert.deepEqual(arriving(error).delivered, [error], `type ${type} of IPv6`);
    }
  });

  it('is discarded when it is about anything else', () => {
    const quoted = udpPacket(...BACK, 20);
    for (const [what, packet] of [
      ['what the peer sent itself', icmpError([ROUTER, THERE[0]], udpPacket(...THERE, 20))],
      ['what went elsewhere', icmpError(from(ROUTER), udpPacket('10.2.0.10', '10.9.0.1', 20))],
      ['what another host sent', icmpError([ROUTER, '10.2.0.11'], quoted)],
      ['to a host that no selector names', icmpError([ROUTER, '172.16.0.2'], quoted)],
      ['a redirect', icmpError(from(ROUTER), quoted, [5, 1])],
      ['no error', icmpError(from(ROUTER), quoted, [8, 0])],
      ['an error', icmpError(from(ROUTER), icmpPacket(...BACK, 3))],
      [
        'a redirect of IPv6',
        icmpError([ROUTER_SIX, SIX_BACK[0]], udpPacket(...SIX_BACK, 8), [137, 0]),
      ],
      ['the other family', icmpError(from(ROUTER), udpPacket(...SIX_BACK, 20))],
      ['nothing', icmpError(from(ROUTER), new Uint8Array(0))],
    ] as const) {
      const b = arriving(packet);
      assert.deepEqual(b.drops(), MISMATCH, what);
      assert.equal(b.delivered.length, 0, what);
    }
  });

  it('shows its ports exchanged; where it shows none, only selectors without ports fit', () => {
    const options = {
      localTs: [selector('10.2.0.0/16', { protocol: 17 })],
      remoteTs: [selector('10.1.0.0/16', { protocol: 17, startPort: 53, endPort: 53 })],
    };
    // b's own selectors are the mirrored ones of these.
    const mirrored = { localTs: options.remoteTs, remoteTs: options.localTs };
    const sent = udpPacket(...BACK, 20);
    assert.equal(arriving(icmpError(from(ROUTER), sent), mirrored).delivered.length, 1);
    const other = sent.slice();
    other[23] = 54;
    assert.deepEqual(arriving(icmpError(from(ROUTER), other), mirrored).drops(), MISMATCH);
    const short = icmpError(from(ROUTER), sent.subarray(0, 22));
    assert.deepEqual(arriving(short, mirrored).drops(), MISMATCH);
    assert.equal(arriving(short).delivered.length, 1);
    const later = sent.slice();
    later[7] = 10;
    assert.deepEqual(arriving(icmpError(from(ROUTER), later), mirrored).drops(), MISMATCH);
    assert.equal(arriving(icmpError(from(ROUTER), later)).delivered.length, 1);
  });

  it('believes no length of the quote, and reads nothing behind the error', () => {
    const quoted = udpPacket(...BACK, 20);
    const claims = (change: (quote: Uint8Array) => void) => {
      const changed = quoted.slice();
      change(changed);
      return icmpError(from(ROUTER), changed);
    };
    const long = claims((quote) => quote.fill(0xff, 2, 4));
    assert.equal(arriving(long).delivered.length, 1, 'what it quotes is cut, as it may be');
    for (const [what, octet] of [
      ['a header of 16 octets', 0x44],
      ['a header of 60 octets, 48 present', 0x4f],
      ['no version', 0x05],
      ['version 6', 0x65],
    ] as const) {
      const packet = claims((quote) => quote.fill(octet, 0, 1));
      assert.deepEqual(arriving(packet).drops(), MISMATCH, what);
    }
    const chain = udpPacket(...SIX_BACK, 64);
    for (const [what, next, length] of [
      ['options that reach beyond it', 0, 0xff],
      ['options without an end', 60, 0],
    ] as const) {
      const changed = chain.slice();
      changed[6] = next;
      for (let at = 40; at < changed.length; at += 8) changed.set([next, length], at);
      const packet = icmpError([ROUTER_SIX, SIX_BACK[0]], changed);
      assert.deepEqual(arriving(packet).drops(), MISMATCH, what);
    }
  });

  it('is delivered to nobody but who sent what it is about, whatever it says', () => {
    const valid = icmpError(from(ROUTER), udpPacket(...BACK, 12));
    const inside = (octets: Uint8Array, at: number, net: string) =>
      octetsOf(net).every((octet, index) => octets[at + index] === octet);
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(valid.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(valid.length),
        (changes, length) => {
          const packet = valid.slice(0, Math.max(28, length));
          for (const [at, value] of changes) packet[at] = value;
          const flow = createFlow();
          if (readFlow(packet, 0, packet.length, flow) !== FlowFault.NONE) return;
          const quoted = new QuotedPacket();
          if (!quoted.read(packet, 0, flow)) return;
          // The plain version: from who to whom the quote is, by their places in it.
          const at = flow.headerLength + 8;
          assert.ok(inside(packet, at + 12, [...packet.subarray(16, 20)].join('.')));
          assert.equal(quoted.answer.destination[0], flow.destination[0]);
          assert.ok(quoted.answer.sourcePort >= OPAQUE && at + 20 <= packet.length);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('An ICMP error about the packets of an SA without them (icmp = no)', () => {
  it('fits it no more than any packet', () => {
    const { a } = espPair({ icmpErrors: false });
    a.fromTun(icmpError([ROUTER, BACK[0]], udpPacket(...BACK, 20)));
    assert.deepEqual(a.drops(), { 'no-policy': 1 });
    const error = icmpError([ROUTER, BACK[0]], udpPacket(...BACK, 20));
    assert.deepEqual(arriving(error, { icmpErrors: false }).drops(), MISMATCH);
  });
});

describe('Packets that their SA is not for (RFC 4301 §5.2)', () => {
  it('are told of at a bounded rate, with how many were not', () => {
    const { a } = espPair(ANYTHING);
    const { b } = espPair();
    const send = (...packets: readonly Uint8Array[]) => {
      a.fromTun(...packets);
      b.fromSocket(UDP, ...a.sent.splice(0));
    };
    const foreign = udpPacket('10.9.0.1', '10.2.0.10', 8);
    for (let packet = 0; packet < 10; packet++) send(foreign, udpPacket(...THERE, 8));
    const told = 'mismatch 1 10.9.0.1 10.2.0.10 17 40000 53';
    assert.deepEqual(b.reports, Array(5).fill(`${told} +0`));
    assert.deepEqual(b.drops(), { 'inbound-policy-mismatch': 10 });
    assert.equal(b.delivered.length, 10);
    b.reports.splice(0);
    b.now = instant(b.now + 1000);
    send(foreign, foreign);
    b.now = instant(b.now + 5000);
    send(icmpPacket('10.9.0.1', '10.2.0.10', 8));
    assert.deepEqual(b.reports, [`${told} +5`, 'mismatch 1 10.9.0.1 10.2.0.10 1 2048 2048 +1']);
  });
});
