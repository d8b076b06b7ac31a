/** The halves of a lane by themselves: bounds, and what an authenticated but faulty peer may do. */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  type Acknowledgement,
  decodeFrames,
  encodeAcknowledgement,
  encodeFragment,
  encodeOvertaking,
  encodePiece,
  encodeSeen,
  Lane,
  type Piece,
} from '../../../src/cluster/bus/frame.ts';
import { LaneReceiver } from '../../../src/cluster/bus/lane-receiver.ts';
import { LaneSender } from '../../../src/cluster/bus/lane-sender.ts';
import { Attributes, AttributeWriter } from '../../../src/cluster/bus/message.ts';
import { RoundTrip } from '../../../src/cluster/bus/round-trip.ts';
import { instant } from '../../../src/wire/instant.ts';
import { concatOctets, MalformedError } from '../../../src/wire/octets.ts';

const NOW = instant(0);
const CREDIT = 8;

function piece(number: number, over: Partial<Piece> = {}): Piece {
  return {
    kind: 'piece',
    lane: Lane.URGENT,
    number,
    opens: { type: 1, length: 2 },
    isLast: true,
    octets: Uint8Array.of(number, 7),
    ...over,
  };
}

describe('The receiving half of a lane', () => {
  it('takes nothing beyond its credit, and nothing twice, and keeps neither', () => {
    const receiver = new LaneReceiver(Lane.URGENT, CREDIT);
    const refused = (number: number) => receiver.receive(piece(number), NOW).refused;
    assert.deepEqual(refused(CREDIT), ['beyond-credit']);
    for (let number = CREDIT - 1; number > 0; number--) assert.deepEqual(refused(number), []);
    assert.deepEqual(refused(3), ['repeated-piece']);
    assert.deepEqual(receiver.waiting, { pieces: CREDIT - 1, octets: 2 * (CREDIT - 1) });
    assert.equal(receiver.receive(piece(0), NOW).messages.length, CREDIT);
    for (let number = 0; number < CREDIT; number++) {
      assert.deepEqual(refused(number), ['repeated-piece']);
    }
    assert.deepEqual(receiver.waiting, { pieces: 0, octets: 0 });
    assert.deepEqual(refused(CREDIT), []);
  });

  it('says that nothing is delivered while a gap is open, and what need not be repeated', () => {
    const receiver = new LaneReceiver(Lane.URGENT, CREDIT);
    for (const number of [1, 2, 5]) receiver.receive(piece(number), NOW);
    const [ack] = decodeFrames(receiver.answer(NOW) ?? new Uint8Array(0)).frames;
    assert.deepEqual(ack, {
      kind: 'acknowledgement',
      lane: Lane.URGENT,
      next: 0,
      limit: CREDIT,
      ranges: [
        { first: 1, length: 2 },
        { first: 5, length: 1 },
      ],
    });
    assert.equal(receiver.answer(NOW), undefined);
  });

  it('passes over a message that is not what its first piece said, and delivers the next', () => {
    const faults: readonly (readonly Partial<Piece>[])[] = [
      [{ opens: { type: 1, length: 3 } }],
      [{ opens: { type: 1, length: 1 } }],
      [{ opens: { type: 1, length: 9 }, isLast: false }, {}],
      [{ opens: { type: 1, length: 2 }, isLast: false }],
      [{ opens: { type: 1, length: 70_000 }, isLast: false }, { opens: undefined }],
      [{ opens: undefined }],
    ];
    for (const fault of faults) {
      const receiver = new LaneReceiver(Lane.URGENT, 100);
      const pieces = [...fault, {}];
      const delivered = pieces.flatMap(
        (over, number) => receiver.receive(piece(number, over), NOW).messages,
      );
      assert.deepEqual(delivered.at(-1)?.body, Uint8Array.of(pieces.length - 1, 7));
      assert.equal(receiver.waiting.octets, 0);
    }
  });
});

describe('The sending half of a lane', () => {
  const message = (length: number) => ({ type: 1, body: new Uint8Array(length) });
  const ack = (over: Partial<Acknowledgement>): Acknowledgement => ({
    kind: 'acknowledgement',
    lane: Lane.BULK,
    next: 0,
    limit: 100,
    ranges: [],
    ...over,
  });

  it('refuses what is more than its limits, in messages and in octets', () => {
    const sender = new LaneSender<number>(Lane.BULK, { messages: 3, octets: 10 }, new RoundTrip());
    const queue = (length: number) => sender.queue({ message: message(length), tag: 0 });
    assert.deepEqual([queue(11), queue(4), queue(6), queue(1)], [false, true, true, false]);
    assert.deepEqual([queue(0), queue(0)], [true, false]);
  });

  it('believes no acknowledgement of what it never sent', () => {
    const sender = new LaneSender<string>(Lane.BULK, { messages: 9, octets: 99 }, new RoundTrip());
    sender.queue({ message: message(1), tag: 'never sent' });
    assert.deepEqual(sender.acknowledge(ack({ next: 50, limit: 0 }), NOW), []);
    assert.ok(sender.next(1000, NOW));
    assert.deepEqual(sender.acknowledge(ack({ ranges: [{ first: 0, length: 1 }] }), NOW), []);
    assert.deepEqual(sender.acknowledge(ack({ next: 1 }), NOW), ['never sent']);
  });

  it('sends nothing beyond the credit of its peer', () => {
    const sender = new LaneSender<number>(
      Lane.BULK,
      { messages: 999, octets: 99 },
      new RoundTrip(),
    );
    for (let tag = 0; tag < 600; tag++) sender.queue({ message: message(0), tag });
    let sent = 0;
    while (sender.next(1000, NOW)) sent++;
    assert.equal(sent, 512);
    sender.acknowledge(ack({ limit: 515 }), NOW);
    while (sender.next(1000, NOW)) sent++;
    assert.equal(sent, 515);
  });

  it('takes nothing for lost because of a repetition whose first time may have arrived, late', () => {
    const limits = { messages: 99, octets: 99 };
    const sender = new LaneSender<number>(Lane.URGENT, limits, new RoundTrip());
    for (let tag = 0; tag < 20; tag++) {
      sender.queue({ message: message(1), tag });
      assert.equal(sender.next(1000, NOW)?.repeated, false);
    }
    let repeated = 0;
    while (sender.next(1000, instant(30))) repeated++;
    assert.equal(repeated, 16);
    sender.acknowledge(ack({ lane: Lane.URGENT, next: 1 }), instant(33));
    assert.equal(sender.next(1000, instant(33)), undefined);
  });
});

const FIRST_FRAGMENT = {
  number: 2 ** 40,
  place: 0,
  type: 20,
  isLast: false,
  octets: Uint8Array.of(1, 2),
};
const LAST_FRAGMENT = {
  number: 2 ** 40 + 1,
  place: 1,
  type: undefined,
  isLast: true,
  octets: Uint8Array.of(3),
};

describe('Frames', () => {
  const frames = concatOctets(
    encodePiece(piece(5)),
    encodePiece(piece(6, { opens: undefined, isLast: false, lane: Lane.BULK })),
    encodeOvertaking({ type: 9, body: Uint8Array.of(1, 2, 3) }),
    encodeAcknowledgement({
      lane: Lane.BULK,
      next: 2 ** 40,
      limit: 2 ** 40 + 5,
      ranges: [{ first: 2 ** 40 + 1, length: 2 }],
    }),
    encodeFragment(FIRST_FRAGMENT),
    encodeFragment(LAST_FRAGMENT),
    encodeSeen({ next: 2 ** 40 }),
  );

  it('come back as they were', () => {
    const { frames: decoded, unknown, malformed } = decodeFrames(frames);
    assert.deepEqual([unknown, malformed, decoded.length], [0, 0, 7]);
    assert.deepEqual(decoded.slice(4), [
      { kind: 'fragment', ...FIRST_FRAGMENT },
      { kind: 'fragment', ...LAST_FRAGMENT },
      { kind: 'seen', next: 2 ** 40 },
    ]);
    assert.deepEqual(decoded[0], piece(5));
    assert.deepEqual(decoded[2], {
      kind: 'overtaking',
      message: { type: 9, body: Uint8Array.of(1, 2, 3) },
    });
    assert.deepEqual(decoded[3], {
      kind: 'acknowledgement',
      lane: Lane.BULK,
      next: 2 ** 40,
      limit: 2 ** 40 + 5,
      ranges: [{ first: 2 ** 40 + 1, length: 2 }],
    });
  });

  it('of unknown types are passed over, and the rest is read', () => {
    const later = concatOctets(Uint8Array.of(200, 0, 2, 1, 1), encodePiece(piece(5)));
    assert.deepEqual(decodeFrames(later), { frames: [piece(5)], unknown: 1, malformed: 0 });
  });

  it('that are cut or damaged never throw, and those before them are read', () => {
    for (let length = 0; length < frames.length; length++) {
      const { frames: decoded, malformed } = decodeFrames(frames.subarray(0, length));
      assert.ok(decoded.length < 7 && malformed <= 1);
    }
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(200), (octets, at) => {
        const mixed = frames.slice();
        mixed.set(octets.subarray(0, Math.max(0, mixed.length - at)), Math.min(at, mixed.length));
        decodeFrames(octets);
        decodeFrames(mixed);
      }),
      { seed: 1, numRuns: 2000 },
    );
  });
});

describe('Attributes of a message', () => {
  it('are found by type, unknown ones are passed over, missing ones are named', () => {
    const body = new AttributeWriter()
      .number(1, 2 ** 53 - 1)
      .octets(999, Uint8Array.of(1))
      .octets(2, Uint8Array.of(5, 6))
      .octets(2, Uint8Array.of(7))
      .finish();
    const attributes = new Attributes(body);
    assert.equal(attributes.number(1, 'one'), 2 ** 53 - 1);
    assert.deepEqual(attributes.all(2), [Uint8Array.of(5, 6), Uint8Array.of(7)]);
    assert.throws(() => attributes.number(3, 'three'), /three: attribute 3 is missing/);
    assert.throws(() => attributes.number(2, 'two'), MalformedError);
    for (let length = 0; length < body.length; length++) {
      try {
        new Attributes(body.subarray(0, length));
      } catch (error) {
        assert.ok(error instanceof MalformedError);
      }
    }
  });
});
