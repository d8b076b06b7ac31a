/**
 * Reassembly of IKE messages (RFC 7383 §2.6): whatever order, loss and repetition; and what a peer
 * with the keys cannot do to us.
 */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import {
  ExchangeType,
  type IkeHeader,
  type IkeSpi,
  ikeSpi,
  messageId,
} from '../../src/ike/message/message.ts';
import type { OpenedFragment } from '../../src/ike/protection.ts';
import {
  type Added,
  REASSEMBLY_LIMIT,
  type ReassembledMessage,
  Reassembly,
} from '../../src/ike/reassembly.ts';
import { ipAddress } from '../../src/wire/address.ts';
import { instant } from '../../src/wire/instant.ts';
import { concatOctets } from '../../src/wire/octets.ts';

const OWN = spi(1);
const FROM = { address: ipAddress(Uint8Array.of(192, 0, 2, 2)), port: 500 };
const NOW = instant(1000);

function spi(last: number): IkeSpi {
  return ikeSpi(Uint8Array.of(0, 0, 0, 0, 0, last >> 16, (last >> 8) & 0xff, last & 0xff));
}

const HEADER: IkeHeader = {
  initiatorSpi: OWN,
  responderSpi: spi(2),
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: ExchangeType.IKE_AUTH,
  fromInitiator: true,
  higherVersion: false,
  isResponse: false,
  messageId: messageId(1),
};

/** `content` in so many fragments. */
function cut(content: Uint8Array, totalFragments: number): readonly OpenedFragment[] {
  const room = Math.ceil(content.length / totalFragments);
  return Array.from({ length: totalFragments }, (_, index) => ({
    firstPayload: index === 0 ? 35 : 0,
    fragmentNumber: index + 1,
    totalFragments,
    content: content.slice(index * room, (index + 1) * room),
  }));
}

function counting(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index * 7);
}

function fragment(fragmentNumber: number, totalFragments: number, octets = 10): OpenedFragment {
  const content = new Uint8Array(octets).fill(fragmentNumber);
  return { firstPayload: fragmentNumber === 1 ? 35 : 0, fragmentNumber, totalFragments, content };
}

/** As the endpoint does: checked, then added. */
function arrive(
  reassembly: Reassembly,
  opened: OpenedFragment,
  { own = OWN, header = HEADER, now = NOW } = {},
): Added | string {
  const drop = reassembly.check(own, header, opened);
  if (drop) return drop;
  const datagramOctets = opened.content.length + 61;
  return reassembly.add(own, header, { opened, datagramOctets, from: FROM }, now);
}

function whole(added: Added | string): ReassembledMessage {
  assert.ok(typeof added === 'object' && added.message, String(added));
  return added.message;
}

const WAITING: Added = { discarded: [] };

describe('Reassembly (RFC 7383 §2.6)', () => {
  it('joins fragments that come in any order, some of them twice', () => {
    const sent = fc.tuple(fc.integer({ min: 1, max: 40 }), fc.uint8Array({ maxLength: 600 }));
    const order = fc.array(fc.nat(), { maxLength: 120 });
    fc.assert(
      fc.property(sent, order, ([total, octets], picks) => {
        const fragments = cut(Uint8Array.from(octets), total);
        const reassembly = new Reassembly();
        const missing = new Set(fragments);
        const arriving = [...picks.map((pick) => fragments[pick % total]), ...fragments];
        for (const one of arriving) {
          assert.ok(one);
          const added = arrive(reassembly, one);
          if (!missing.delete(one)) {
            assert.equal(added, 'ike-fragment-repeated');
            continue;
          }
          if (missing.size > 0) {
            assert.deepEqual(added, WAITING);
            continue;
          }
          const { firstPayload, content, datagrams } = whole(added);
          assert.equal(firstPayload, 35);
          assert.deepEqual(content, concatOctets(...fragments.map((each) => each.content)));
          assert.equal(datagrams.length, total);
          assert.equal(reassembly.deadline, undefined);
          return;
        }
        assert.fail('never whole');
      }),
    );
  });

  it('takes more than 64 fragments', () => {
    const reassembly = new Reassembly();
    const fragments = cut(counting(20_000), REASSEMBLY_LIMIT.FRAGMENTS);
    const added = fragments.map((one) => arrive(reassembly, one));
    assert.deepEqual(whole(added.at(-1) ?? '').content, counting(20_000));
  });

  it('tells the octets of the datagrams', () => {
    const reassembly = new Reassembly();
    const [first, second] = cut(counting(30), 2);
    assert.ok(first && second);
    arrive(reassembly, second);
    assert.deepEqual(whole(arrive(reassembly, first)).datagrams, [76, 76]);
  });

  it('takes a message of one fragment', () => {
    assert.equal(whole(arrive(new Reassembly(), fragment(1, 1))).content.length, 10);
  });

  it('starts over when there are more fragments in all', () => {
    const reassembly = new Reassembly();
    arrive(reassembly, fragment(1, 3));
    arrive(reassembly, fragment(2, 3));
    assert.deepEqual(arrive(reassembly, fragment(3, 5)), {
      discarded: [{ reason: 'ike-fragment-outdated', from: FROM, fragments: 2 }],
    });
    for (const number of [1, 2, 4]) arrive(reassembly, fragment(number, 5));
    assert.equal(whole(arrive(reassembly, fragment(5, 5))).content.length, 50);
  });

  it('discards fragments of fewer in all', () => {
    const reassembly = new Reassembly();
    arrive(reassembly, fragment(1, 5));
    assert.equal(arrive(reassembly, fragment(3, 3)), 'ike-fragment-outdated');
    assert.equal(arrive(reassembly, fragment(1, 1)), 'ike-fragment-outdated');
  });

  it('discards fragments of another exchange under the same message id', () => {
    const reassembly = new Reassembly();
    arrive(reassembly, fragment(1, 3));
    const header = { ...HEADER, exchangeType: ExchangeType.INFORMATIONAL };
    assert.equal(arrive(reassembly, fragment(2, 3), { header }), 'ike-fragment-inconsistent');
  });

  it('keeps requests and responses, and IKE SAs, apart', () => {
    const reassembly = new Reassembly();
    arrive(reassembly, fragment(1, 2));
    const response = { ...HEADER, isResponse: true };
    assert.deepEqual(arrive(reassembly, fragment(2, 2), { header: response }), WAITING);
    assert.deepEqual(arrive(reassembly, fragment(2, 2), { own: spi(9) }), WAITING);
    whole(arrive(reassembly, fragment(2, 2)));
  });

  it('keeps one message per direction: the next one takes its place', () => {
    const reassembly = new Reassembly();
    arrive(reassembly, fragment(1, 2));
    const header = { ...HEADER, messageId: messageId(2) };
    assert.deepEqual(arrive(reassembly, fragment(1, 2), { header }), {
      discarded: [{ reason: 'ike-fragment-outdated', from: FROM, fragments: 1 }],
    });
    assert.equal(whole(arrive(reassembly, fragment(2, 2), { header })).content.length, 20);
  });
});

describe('Fragments that are never good (RFC 7383 §2.5, §2.6)', () => {
  it('have the number 0, or one beyond their total', () => {
    for (const [number, total] of [
      [0, 0],
      [0, 1],
      [1, 0],
      [2, 1],
      [0xffff, 0xfffe],
    ] as const) {
      const found = arrive(new Reassembly(), fragment(number, total));
      assert.equal(found, 'ike-fragment-number', `${number} of ${total}`);
    }
  });

  it('are too many', () => {
    const most = REASSEMBLY_LIMIT.FRAGMENTS;
    assert.deepEqual(arrive(new Reassembly(), fragment(1, most)), WAITING);
    assert.equal(arrive(new Reassembly(), fragment(1, most + 1)), 'ike-fragments-too-many');
    assert.equal(arrive(new Reassembly(), fragment(1, 0xffff)), 'ike-fragments-too-many');
  });

  it('hold more than SK could', () => {
    const reassembly = new Reassembly();
    const half = Math.ceil(REASSEMBLY_LIMIT.MESSAGE_OCTETS / 2);
    arrive(reassembly, fragment(1, 3, half));
    assert.deepEqual(arrive(reassembly, fragment(2, 3, half)), {
      discarded: [{ reason: 'ike-fragments-too-large', from: FROM, fragments: 2 }],
    });
    assert.equal(reassembly.deadline, undefined, 'nothing of it is kept');
    const exact = new Reassembly();
    arrive(exact, fragment(1, 2, half));
    const content = whole(arrive(exact, fragment(2, 2, half - 1))).content;
    assert.equal(content.length, REASSEMBLY_LIMIT.MESSAGE_OCTETS);
  });
});

describe('Messages that never become whole', () => {
  it('are given up when their time is over', () => {
    const reassembly = new Reassembly();
    assert.equal(reassembly.deadline, undefined);
    const until = instant(NOW + REASSEMBLY_LIMIT.MILLISECONDS);
    arrive(reassembly, fragment(1, 3));
    const later = instant(NOW + 20_000);
    arrive(reassembly, fragment(2, 3), { now: later });
    arrive(reassembly, fragment(1, 3), { own: spi(7), now: later });
    assert.equal(reassembly.deadline, until, 'a second fragment does not put it off');
    assert.deepEqual(reassembly.expire(instant(until - 1)), []);
    assert.deepEqual(reassembly.expire(until), [
      { reason: 'ike-reassembly-timeout', from: FROM, fragments: 2 },
    ]);
    assert.equal(reassembly.deadline, instant(later + REASSEMBLY_LIMIT.MILLISECONDS));
    assert.deepEqual(arrive(reassembly, fragment(3, 3), { now: until }), WAITING);
  });

  it('have bounded room in all: the oldest goes first', () => {
    const reassembly = new Reassembly();
    const octets = 60_000;
    const cost = octets + REASSEMBLY_LIMIT.FRAGMENT_OVERHEAD;
    const most = Math.floor(REASSEMBLY_LIMIT.TOTAL_OCTETS / cost);
    for (let own = 1; own <= most; own++) {
      const added = arrive(reassembly, fragment(1, 2, octets), { own: spi(own) });
      assert.deepEqual(added, WAITING, `IKE SA ${own}`);
    }
    for (let own = most + 1; own <= 2 * most; own++) {
      assert.deepEqual(arrive(reassembly, fragment(1, 2, octets), { own: spi(own) }), {
        discarded: [{ reason: 'ike-reassembly-crowded', from: FROM, fragments: 1 }],
      });
    }
    const survivor = { own: spi(2 * most) };
    assert.equal(whole(arrive(reassembly, fragment(2, 2), survivor)).content.length, octets + 10);
    assert.deepEqual(arrive(reassembly, fragment(2, 2), { own: spi(1) }), WAITING, 'it was gone');
  });

  it('give their room back, however they end', () => {
    const reassembly = new Reassembly();
    const rounds = Math.ceil((2 * REASSEMBLY_LIMIT.TOTAL_OCTETS) / 60_000);
    for (let round = 0; round < rounds; round++) {
      arrive(reassembly, fragment(1, 2, 60_000));
      if (round % 3 === 0) whole(arrive(reassembly, fragment(2, 2, 100)));
      else if (round % 3 === 1) arrive(reassembly, fragment(2, 2, 60_000));
      else reassembly.expire(instant(NOW + REASSEMBLY_LIMIT.MILLISECONDS));
    }
    const witness = { own: spi(77) };
    arrive(reassembly, fragment(1, 2), witness);
    assert.equal(whole(arrive(reassembly, fragment(2, 2), witness)).content.length, 20);
    for (let own = 1; own <= 200; own++) {
      assert.deepEqual(arrive(reassembly, fragment(1, 2, 60_000), { own: spi(own) }), WAITING);
    }
  });

  it('cost nothing by fragments without content either', () => {
    const reassembly = new Reassembly();
    const each = REASSEMBLY_LIMIT.FRAGMENTS - 1;
    const most = REASSEMBLY_LIMIT.TOTAL_OCTETS / (each * REASSEMBLY_LIMIT.FRAGMENT_OVERHEAD);
    const crowded = [];
    for (let own = 1; own <= most + 1; own++) {
      for (let number = 1; number <= each; number++) {
        const added = arrive(reassembly, fragment(number, each + 1, 0), { own: spi(own) });
        assert.ok(typeof added === 'object');
        crowded.push(...added.discarded);
      }
    }
    assert.deepEqual(crowded, [{ reason: 'ike-reassembly-crowded', from: FROM, fragments: each }]);
  });
});
