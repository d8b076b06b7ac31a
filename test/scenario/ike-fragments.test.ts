/**
 * Large IKE messages in fragments (RFC 7383): who sends them, on wires that lose, reorder and
 * repeat, on paths that carry only small packets, and what strangers and bad peers get out of it.
 */
import assert from 'node:assert/strict';
import { TransformType } from '../../src/crypto/transform.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { decodeMessage, encodeMessage } from '../../src/ike/message/codec.ts';
import { ExchangeType, messageId, type Payload } from '../../src/ike/message/message.ts';
import { sealDatagrams } from '../../src/ike/protection.ts';
import { REASSEMBLY_LIMIT } from '../../src/ike/reassembly.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import {
  AES_CBC_256,
  child,
  connection,
  ikeProposal,
  mirrored,
  network,
  PRF_SHA2_256,
  SHA2_256,
} from '../support/connections.ts';
import { A, B, endpoint, type Flight, type Pair, type Side } from '../support/pair.ts';
import { seededNumbers, seededRandom } from '../support/seeded-random.ts';
import { initiate, type PairOptions, sealed, sites } from '../support/sites.ts';

const UDP_AND_IPV4 = 28;
const SMALL = { fragmentSize: 576 };
const MODP_4096 = { type: TransformType.KE, id: 16 };

type Fragmentation = Connection['fragmentation'];

/** Many selectors at a: a large request and a response that is large as well. */
function large(fragmentation: Fragmentation = 'yes', selectors = 60): Connection {
  const localTs = Array.from({ length: selectors }, (_, index) => network(`10.${index}.0.0/16`));
  return connection({ fragmentation, children: [child({ localTs })] });
}

/** Too large for 1280 octets. */
const HUGE = large('yes', 100);

function largeSites(ours: Fragmentation, theirs: Fragmentation, options: PairOptions = {}): Pair {
  return sites(large(ours), mirrored(large(theirs)), options);
}

function assertUp(pair: Pair, about = ''): void {
  assert.equal(pair.a.established + pair.b.established, 2, `${about} IKE SAs`);
  assert.equal(pair.a.children.size, 1, `${about} Child SA at a`);
  assert.equal(pair.b.children.size, 1, `${about} Child SA at b`);
}

interface FragmentFlight {
  readonly from: string;
  readonly number: number;
  readonly total: number;
  readonly packet: number;
}

/** The fragments put on the wire, and how large their packets are. */
function fragmentsOf({ flights }: Pair): readonly FragmentFlight[] {
  return flights.flatMap(({ from, octets }) => {
    const last = decodeMessage(octets).payloads.at(-1);
    if (last?.kind !== 'SKF') return [];
    const { fragmentNumber: number, totalFragments: total } = last;
    const side = from.address.octets[3] === 1 ? 'a' : 'b';
    return [{ from: side, number, total, packet: octets.length + UDP_AND_IPV4 }];
  });
}

function largestOf(pair: Pair, from: string): number {
  return Math.max(...fragmentsOf(pair).map((one) => (one.from === from ? one.packet : 0)));
}

function dropped(side: Side, reason: string): number {
  return side.seen('ike-drop').filter((event) => event.reason === reason).length;
}

/** Loses every packet larger than `octets` on its way to `to`, or both ways. */
function narrow(pair: Pair, octets: number, to?: string): void {
  pair.translate = (flight) => {
    const tooLarge = flight.octets.length + UDP_AND_IPV4 > octets;
    const concerned = to === undefined || flight.to.address.octets[3] === (to === 'a' ? 1 : 2);
    return tooLarge && concerned ? undefined : flight;
  };
}

describe('IKE_AUTH that does not fit into one packet (RFC 7383 §2.3, §2.4)', () => {
  it('goes in fragments where both ends announced them', () => {
    const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
    initiate(pair);
    pair.run(1000);
    assertUp(pair);
    const [request, response] = pair.ladder;
    assert.match(request ?? '', /N\(IKEV2_FRAGMENTATION_SUPPORTED\)/);
    assert.match(response ?? '', /N\(IKEV2_FRAGMENTATION_SUPPORTED\)/);
    const numbers = fragmentsOf(pair).map(
      ({ from, number, total }) => `${from} ${number}/${total}`,
    );
    assert.deepEqual(numbers, ['a 1/3', 'a 2/3', 'a 3/3', 'b 1/3', 'b 2/3', 'b 3/3']);
    assert.ok(fragmentsOf(pair).every(({ packet }) => packet <= 576));
    assert.equal(pair.flights.length, 8);
  });

  it('is one message to those who watch, with all its octets', () => {
    const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
    initiate(pair);
    pair.run(1000);
    const octets = fragmentsOf(pair)
      .filter(({ from }) => from === 'a')
      .reduce((sum, { packet }) => sum + packet - UDP_AND_IPV4, 0);
    for (const side of [pair.a, pair.b]) {
      const direction = side === pair.a ? 'sent' : 'received';
      const requests = side
        .seen('message')
        .filter((event) => event.direction === direction && event.exchange === 'IKE_AUTH');
      const [event, ...others] = requests;
      assert.equal(others.length, 0);
      assert.equal(event?.octets, octets);
      assert.equal(event?.fragments, 3);
      assert.ok(event?.payloads.includes('AUTH'));
    }
    const init = pair.a.seen('message').find(({ exchange }) => exchange === 'IKE_SA_INIT');
    assert.equal(init?.fragments, undefined);
  });

  const cases: readonly (readonly [Fragmentation, Fragmentation, string])[] = [
    ['yes', 'yes', 'ab'],
    ['force', 'yes', 'ab'],
    ['yes', 'accept', 'a'],
    ['accept', 'yes', 'b'],
    ['accept', 'accept', ''],
    ['no', 'yes', ''],
    ['yes', 'no', ''],
    ['no', 'no', ''],
  ];
  for (const [ours, theirs, senders] of cases) {
    it(`fragmentation = ${ours} and ${theirs}: fragments of ${senders || 'nobody'}`, () => {
      const pair = largeSites(ours, theirs, { a: SMALL, b: SMALL });
      initiate(pair);
      pair.run(1000);
      assertUp(pair);
      assert.equal([...new Set(fragmentsOf(pair).map(({ from }) => from))].join(''), senders);
    });
  }

  it('stays whole where it fits', () => {
    const one = connection({ fragmentation: 'force' });
    const pair = sites(one, mirrored(one), { a: SMALL, b: SMALL });
    initiate(pair);
    pair.run(1000);
    assertUp(pair);
    assert.deepEqual(fragmentsOf(pair), []);
  });

  it('is announced where one of the connections that may be chosen takes fragments', () => {
    const pair = largeSites('yes', 'no', { a: SMALL, b: SMALL });
    pair.b.pad.load({ ...mirrored(large('yes')), name: 'another' });
    initiate(pair);
    pair.run(1000);
    assertUp(pair);
    assert.match(pair.ladder[1] ?? '', /N\(IKEV2_FRAGMENTATION_SUPPORTED\)/);
  });

  it('is not announced to a peer that did not (RFC 7383 §2.3)', () => {
    const pair = largeSites('no', 'yes', { a: SMALL, b: SMALL });
    initiate(pair);
    pair.run(1000);
    assert.doesNotMatch(pair.ladder[1] ?? '', /IKEV2_FRAGMENTATION_SUPPORTED/);
  });

  it('goes on over an IKE SA that replaces the first', () => {
    const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
    initiate(pair);
    pair.run(1000);
    const rekey = { selector: { ike: 'peer' }, reauthenticate: false };
    pair.handle(pair.a, { kind: 'rekey', request: 2, ...rekey });
    pair.run(2000);
    const before = fragmentsOf(pair).length;
    pair.handle(pair.a, { kind: 'rekey', request: 3, ...rekey, selector: { child: 'net' } });
    pair.run(20_000);
    assertUp(pair);
    assert.ok(fragmentsOf(pair).length > before, 'CREATE_CHILD_SA went in fragments');
  });

  it('takes more than 64 fragments', () => {
    const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
    initiate(pair);
    pair.run(1000);
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    const octets = new Uint8Array(50_000);
    const sent = inform(sa, 2, [{ kind: 'VENDOR', vendorId: octets }], 548);
    assert.ok(sent.length > 64, `${sent.length} fragments`);
    for (const datagram of sent) pair.inject(towardsB(datagram));
    pair.run(2000);
    const received = pair.b.seen('message').at(-2);
    assert.equal(received?.fragments, sent.length);
    assert.ok((received?.octets ?? 0) > 50_000);
  });
});

describe('Fragments on a bad wire (RFC 7383 §2.6, §2.6.1)', () => {
  it('arrive in the end, whatever is lost, repeated and reordered', () => {
    for (let seed = 1; seed <= 60; seed++) {
      const wire = { loss: 0.15, duplicate: 0.2, delayMs: 20, jitterMs: 200 };
      const pair = largeSites('yes', 'yes', { seed, wire, a: SMALL, b: SMALL });
      initiate(pair);
      pair.run(160_000, () => pair.a.children.size + pair.b.children.size === 2);
      assertUp(pair, `seed ${seed}`);
    }
  });

  it('each one lost once costs one repetition', () => {
    for (let lost = 2; lost < 8; lost++) {
      const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
      let count = 0;
      pair.translate = (flight) => (count++ === lost ? undefined : flight);
      initiate(pair);
      pair.run(4500);
      assertUp(pair, `datagram ${lost} lost`);
      assert.equal(pair.a.seen('retransmit').length, 1);
    }
  });

  it('of an answered request only the first has the response sent again', () => {
    const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
    initiate(pair);
    pair.run(1000);
    const request = pair.flights.slice(2, 5);
    assert.equal(request.length, 3);
    const answers = () => fragmentsOf(pair).filter(({ from }) => from === 'b').length;
    for (const [index, expected] of [3, 0, 0].entries()) {
      const before = answers();
      const flight = request[index];
      assert.ok(flight);
      pair.inject(flight);
      pair.run(pair.now + 10);
      assert.equal(answers() - before, expected, `fragment ${index + 1}`);
    }
    assert.equal(dropped(pair.b, 'ike-fragment-repeated'), 2);
  });

  it('are repeated octet by octet while their size is good (RFC 7296 §2.1)', () => {
    const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
    narrow(pair, 100);
    initiate(pair);
    pair.translate = (flight) => (flight.octets.length > 500 ? undefined : flight);
    pair.run(12_000);
    const sent = pair.flights.filter(({ octets }) => octets.length > 500);
    assert.ok(sent.length >= 4);
    assert.deepEqual(sent[0]?.octets, sent[2]?.octets);
  });
});

describe('A path that carries only small packets (RFC 7383 §2.5.2)', () => {
  it('is found out after three transmissions of the request', () => {
    const pair = sites(HUGE);
    narrow(pair, 600);
    initiate(pair);
    pair.run(23_000);
    assert.equal(pair.b.established, 0);
    assert.ok(largestOf(pair, 'a') > 1000);
    pair.run(25_000);
    assertUp(pair);
    const totals = fragmentsOf(pair).filter(({ from, number }) => from === 'a' && number === 1);
    assert.deepEqual(
      totals.map(({ total }) => total),
      [2, 2, 2, 4],
    );
  });

  it('is known to the responder from the fragments of the request', () => {
    const pair = sites(HUGE);
    narrow(pair, 600);
    initiate(pair);
    pair.run(25_000);
    assert.ok(largestOf(pair, 'b') <= 576);
  });

  it('is found out by the responder alone where only its way is narrow', () => {
    const pair = sites({ ...HUGE, fragmentation: 'accept' }, mirrored(HUGE));
    narrow(pair, 600, 'a');
    initiate(pair);
    pair.run(50_000);
    assertUp(pair);
    const totals = fragmentsOf(pair).filter(({ number }) => number === 1);
    assert.deepEqual(
      totals.map(({ total }) => total),
      [2, 2, 2, 4],
      'the response starts over in more fragments',
    );
  });

  it('stays known for what follows', () => {
    const pair = sites(HUGE);
    narrow(pair, 600);
    initiate(pair);
    pair.run(25_000);
    const before = pair.flights.length;
    pair.handle(pair.a, {
      kind: 'rekey',
      request: 2,
      selector: { child: 'net' },
      reauthenticate: false,
    });
    pair.run(26_000);
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    const later = pair.flights.slice(before);
    assert.ok(later.every(({ octets }) => octets.length + UDP_AND_IPV4 <= 576));
  });

  it('a whole message goes on in fragments', () => {
    const pair = sites(large('yes', 30));
    narrow(pair, 600);
    initiate(pair);
    pair.run(23_000);
    assert.deepEqual(fragmentsOf(pair), [], 'it fits into 1280 octets');
    pair.run(25_000);
    assertUp(pair);
    assert.ok(fragmentsOf(pair).length > 0);
  });

  it('leaves IKE_SA_INIT whole, however large and often repeated', () => {
    const proposals = [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, MODP_4096)];
    const pair = sites(connection({ proposals, fragmentation: 'yes' }), undefined, {
      a: SMALL,
      b: SMALL,
    });
    pair.translate = (flight) => (flight.to.address.octets[3] === 1 ? undefined : flight);
    initiate(pair);
    pair.run(60_000);
    const answers = pair.flights.filter(({ from }) => from.address.octets[3] === 2);
    assert.ok(answers.length >= 4, `${answers.length} answers`);
    assert.ok(answers.every(({ octets }) => octets.length > 548));
    assert.deepEqual(fragmentsOf(pair), []);
  });

  it('is not looked for with a peer that takes no fragments', () => {
    const pair = sites(HUGE, mirrored({ ...HUGE, fragmentation: 'no' }));
    narrow(pair, 600);
    initiate(pair);
    pair.run(170_000);
    assert.deepEqual(fragmentsOf(pair), []);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'timeout');
  });
});

describe('Fragments of strangers and of bad peers (RFC 7383 §2.5, §2.6, §5)', () => {
  function up(): { readonly pair: Pair; readonly sa: IkeSa } {
    const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
    initiate(pair);
    pair.run(1000);
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    return { pair, sa };
  }

  /** What b counts and answers when these datagrams come from a. */
  function fate(datagrams: (sa: IkeSa) => readonly Uint8Array[]) {
    const { pair, sa } = up();
    const before = pair.b.seen('ike-drop').length;
    const flights = pair.flights.length;
    const sent = datagrams(sa);
    for (const octets of sent) pair.inject(towardsB(octets));
    pair.run(pair.now + 10);
    return {
      pair,
      reasons: pair.b
        .seen('ike-drop')
        .slice(before)
        .map(({ reason }) => reason),
      answers: pair.flights.length - flights - sent.length,
    };
  }

  const BIG: readonly Payload[] = [{ kind: 'VENDOR', vendorId: new Uint8Array(900) }];

  it('are taken even where we did not announce it, as strongSwan does', () => {
    const pair = largeSites('no', 'no');
    initiate(pair);
    pair.run(1000);
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    for (const octets of inform(sa, 2, BIG, 548)) pair.inject(towardsB(octets));
    pair.run(2000);
    assert.equal(pair.b.seen('message').at(-2)?.fragments, 2);
  });

  it('with a number that makes no sense', () => {
    for (const [number, total] of [
      [0, 0],
      [0, 2],
      [1, 0],
      [3, 2],
    ] as const) {
      const { reasons, answers } = fate((sa) => [
        renumbered(inform(sa, 2, BIG, 548)[0], number, total),
      ]);
      assert.deepEqual([reasons, answers], [['ike-fragment-number'], 0], `${number} of ${total}`);
    }
  });

  it('with numbers other than those that were sealed', () => {
    const { reasons } = fate((sa) => [renumbered(inform(sa, 2, BIG, 548)[0], 2, 2)]);
    assert.deepEqual(reasons, ['bad-ike-icv']);
  });

  it('more of them than are kept', () => {
    const { reasons } = fate((sa) => [renumbered(inform(sa, 2, BIG, 548)[0], 1, 257)]);
    assert.deepEqual(reasons, ['ike-fragments-too-many']);
  });

  it('a forged one does not spoil the good ones', () => {
    const { reasons, answers } = fate((sa) => {
      const [first, second] = inform(sa, 2, BIG, 548);
      assert.ok(first && second);
      const forged = second.slice();
      forged[60] = (forged[60] ?? 0) ^ 1;
      return [first, forged, second];
    });
    assert.deepEqual([reasons, answers], [['bad-ike-icv'], 1]);
  });

  it('of a message id that is not expected', () => {
    for (const id of [0, 3, 9, 0xffff_ffff]) {
      const { reasons, answers } = fate((sa) => inform(sa, id, BIG, 548));
      const reason = 'message-id-out-of-window';
      assert.deepEqual([reasons, answers], [[reason, reason], 0], `id ${id}`);
    }
  });

  it('of a response that nobody awaits', () => {
    const { reasons } = fate((sa) => inform(sa, 0, BIG, 548, true));
    assert.deepEqual(reasons, ['ike-response-not-awaited', 'ike-response-not-awaited']);
  });

  it('of an IKE SA that is closed', () => {
    const { pair, sa } = up();
    pair.handle(pair.b, { kind: 'terminate', request: 9, selector: {}, force: true });
    assert.equal(pair.b.established, 0);
    const [first] = inform(sa, 2, BIG, 548);
    assert.ok(first);
    pair.handle(pair.b, arriving(first));
    assert.equal(dropped(pair.b, 'ike-sa-closed'), 1);
    pair.run(pair.now + 100_000);
    assert.equal(dropped(pair.b, 'ike-reassembly-timeout'), 0, 'nothing of it was kept');
  });

  it('mixed with the whole message', () => {
    const { reasons, answers, pair } = fate((sa) => {
      const [first, second] = inform(sa, 2, BIG, 548);
      assert.ok(first && second);
      const about = { exchangeType: ExchangeType.INFORMATIONAL, id: 2 };
      return [first, sealed(sa, about, BIG), second];
    });
    assert.deepEqual([reasons, answers], [['ike-fragment-repeated'], 1]);
    pair.run(pair.now + REASSEMBLY_LIMIT.MILLISECONDS);
    assert.equal(dropped(pair.b, 'ike-reassembly-timeout'), 1, 'the first is not kept for good');
  });

  it('of two exchanges under one message id', () => {
    const { reasons, answers } = fate((sa) => {
      const [first] = inform(sa, 2, BIG, 548);
      const [, second] = inFragments(sa, ExchangeType.CREATE_CHILD_SA, 2, BIG, 548);
      assert.ok(first && second);
      return [first, second];
    });
    assert.deepEqual([reasons, answers], [['ike-fragment-inconsistent'], 0]);
  });

  it('that are no payloads when put together end the IKE SA as a whole message would', () => {
    const { answers, pair } = fate((sa) => {
      const [first] = inform(sa, 2, BIG, 548);
      const others: readonly Payload[] = [{ kind: 'VENDOR', vendorId: new Uint8Array(2) }];
      const [, second] = inform(sa, 2, [...others, ...BIG], 548);
      assert.ok(first && second);
      return [first, second];
    });
    assert.equal(answers, 1);
    assert.equal(pair.b.seen('peer-fault').length, 1);
    assert.equal(pair.b.established, 0);
  });

  it('of IKE_SA_INIT, in either direction', () => {
    const { pair, sa } = up();
    const [fragment] = inFragments(sa, ExchangeType.IKE_SA_INIT, 0, BIG, 548);
    assert.ok(fragment);
    const { header, payloads } = decodeMessage(fragment);
    for (const responderSpi of [
      header.responderSpi,
      decodeMessage(firstOf(pair)).header.responderSpi,
    ]) {
      const octets = encodeMessage({ header: { ...header, responderSpi }, payloads });
      pair.inject(towardsB(octets));
    }
    pair.run(pair.now + 10);
    assert.equal(dropped(pair.b, 'invalid-syntax') + dropped(pair.b, 'ike-sa-init-not-awaited'), 2);
    assert.equal(pair.b.engine.ikeSas().length, 1);
  });

  it('before the peer has authenticated are kept within bounds and time', () => {
    const pair = largeSites('yes', 'yes', { a: SMALL, b: SMALL });
    let count = 0;
    pair.translate = (flight) => (count++ === 4 ? undefined : flight);
    initiate(pair);
    pair.run(100);
    assert.equal(pair.b.engine.halfOpen, 1);
    assert.equal(fragmentsOf(pair).length, 3);
    pair.translate = () => undefined;
    pair.run(40_000);
    assert.equal(pair.b.engine.halfOpen, 0);
    assert.equal(dropped(pair.b, 'ike-reassembly-timeout'), 2);
    assert.equal(pair.b.engine.nextDeadline(), undefined, 'nothing is left to wait for');
  });

  it('without an end hold no more than their room', () => {
    const { pair, sa } = up();
    const random = seededRandom(1);
    for (let round = 0; round < 20; round++) {
      const total = 200 + round;
      const content: readonly Payload[] = [{ kind: 'VENDOR', vendorId: random(200 * total) }];
      const sent = inform(sa, 2, content, 270);
      for (const octets of sent.slice(1)) pair.inject(towardsB(octets));
      pair.run(pair.now + 5);
    }
    assert.ok(dropped(pair.b, 'ike-fragment-outdated') > 200 * 18, 'each round replaces the last');
    assert.equal(pair.b.seen('peer-fault').length, 0);
    pair.run(pair.now + REASSEMBLY_LIMIT.MILLISECONDS);
    assert.ok(dropped(pair.b, 'ike-reassembly-timeout') > 200);
    assertUp(pair);
  });

  it('cut and altered at any octet throw nothing and change nothing', () => {
    const { pair, sa } = up();
    const [first] = inform(sa, 2, BIG, 548);
    assert.ok(first);
    const chance = seededNumbers(3);
    for (let length = 0; length < first.length; length++) {
      pair.handle(pair.b, arriving(first.slice(0, length)));
    }
    for (let round = 0; round < 3000; round++) {
      const octets = first.slice();
      const at = Math.floor(chance() * octets.length);
      octets[at] = (octets[at] ?? 0) ^ (1 + Math.floor(chance() * 255));
      pair.handle(pair.b, arriving(octets));
    }
    assert.equal(pair.b.seen('ike-drop').length, first.length + 3000);
    assertUp(pair);
  });
});

function arriving(octets: Uint8Array) {
  return { kind: 'datagram', local: endpoint(B), remote: endpoint(A), octets } as const;
}

function towardsB(octets: Uint8Array): Flight {
  return { from: endpoint(A), to: endpoint(B), octets };
}

function firstOf({ flights }: Pair): Uint8Array {
  assert.ok(flights[0]);
  return flights[0].octets;
}

/** INFORMATIONAL in fragments, sealed with the keys of an IKE SA. */
function inform(
  sa: IkeSa,
  id: number,
  payloads: readonly Payload[],
  most: number,
  isResponse = false,
): readonly Uint8Array[] {
  return inFragments(sa, ExchangeType.INFORMATIONAL, id, payloads, most, isResponse);
}

function inFragments(
  sa: IkeSa,
  exchangeType: number,
  id: number,
  payloads: readonly Payload[],
  most: number,
  isResponse = false,
): readonly Uint8Array[] {
  assert.ok(sa.secured);
  const header = {
    initiatorSpi: sa.spiI,
    responderSpi: sa.spiR,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType,
    fromInitiator: sa.initiator,
    higherVersion: false,
    isResponse,
    messageId: messageId(id),
  };
  return sealDatagrams({ header, payloads }, sa.secured.sealing, seededRandom(id + 1), most);
}

/** The fragment with other numbers in the clear. */
function renumbered(octets: Uint8Array | undefined, number: number, total: number): Uint8Array {
  assert.ok(octets);
  const changed = octets.slice();
  const view = new DataView(changed.buffer);
  view.setUint16(32, number);
  view.setUint16(34, total);
  return changed;
}
