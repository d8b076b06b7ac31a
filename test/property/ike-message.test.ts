/**
 * The IKE codec on everything: what is encoded decodes to the same, and of what is broken only
 * `MalformedError` escapes.
 */
import { strict as assert } from 'node:assert';
import fc from 'fast-check';
import {
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
} from '../../src/ike/message/codec.ts';
import type { IkeMessage, Payload } from '../../src/ike/message/message.ts';
import { MalformedError } from '../../src/wire/octets.ts';
import { message, payloadOfKind } from '../ike/message/arbitrary-payload.ts';

const RUNS = { numRuns: 150 };
const PAYLOAD_HEADER_OCTETS = 4;

/** What `decode` answers, or undefined where the octets are malformed. */
function unlessMalformed<T>(decode: () => T): T | undefined {
  try {
    return decode();
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}

/** The chain of one payload, its body cut or grown to `length`. */
function resized(chain: Uint8Array, length: number): Uint8Array {
  const octets = new Uint8Array(PAYLOAD_HEADER_OCTETS + length);
  octets.set(chain.subarray(0, octets.length));
  new DataView(octets.buffer).setUint16(2, octets.length);
  return octets;
}

function assertSame(decoded: readonly Payload[], expected: readonly Payload[]): void {
  assert.deepEqual(decoded, expected);
}

describe('IKE message codec, on every input', () => {
  for (const [name, arbitrary] of Object.entries(payloadOfKind)) {
    it(`${name}: what is encoded decodes to the same value`, () => {
      fc.assert(
        fc.property<[Payload]>(arbitrary, (payload) => {
          const { first, octets } = encodePayloads([payload]);
          assertSame(decodePayloads(first, octets), [payload]);
        }),
        RUNS,
      );
    });

    it(`${name}: a body of any shorter length is malformed or a value of its own`, () => {
      fc.assert(
        fc.property<[Payload]>(arbitrary, (payload) => {
          const { first, octets } = encodePayloads([payload]);
          const bodyLength = octets.length - PAYLOAD_HEADER_OCTETS;
          for (let length = 0; length <= bodyLength + 1; length++) {
            const chain = resized(octets, length);
            const decoded = unlessMalformed(() => decodePayloads(first, chain));
            if (decoded) assert.deepEqual(encodePayloads(decoded), { first, octets: chain });
          }
        }),
        { numRuns: 40 },
      );
    });
  }

  it('a message decodes to what was encoded, and back to the same octets', () => {
    fc.assert(
      fc.property(message, (value) => {
        const octets = encodeMessage(value);
        const decoded = decodeMessage(octets);
        assert.deepEqual(decoded, value);
        assert.deepEqual(encodeMessage(decoded), octets);
      }),
      RUNS,
    );
  });

  it('a message cut at any octet is malformed', () => {
    fc.assert(
      fc.property(message, (value) => {
        const octets = encodeMessage(value);
        for (let length = 0; length < octets.length; length++) {
          const cut = octets.slice(0, length);
          assert.throws(() => decodeMessage(cut), MalformedError);
          if (length < 28) continue;
          // With a header that agrees, the chain of payloads must notice.
          new DataView(cut.buffer).setUint32(24, length);
          assert.throws(() => decodeMessage(cut), MalformedError);
        }
      }),
      { numRuns: 40 },
    );
  });

  it('a mutated message is malformed or decodes to what encodes and decodes again', () => {
    const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 1, max: 0xff })), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(message, flips, (value, mutations) => {
        const octets = encodeMessage(value);
        for (const [at, bits] of mutations) {
          const index = at % octets.length;
          octets[index] = (octets[index] ?? 0) ^ bits;
        }
        assertDecodesTwice(unlessMalformed(() => decodeMessage(octets)));
      }),
      { numRuns: 300 },
    );
  });

  it('octets at random are malformed or a message', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 60 }),
        fc.uint8Array({ maxLength: 120 }),
        (first, octets) => {
          unlessMalformed(() => decodeMessage(octets));
          unlessMalformed(() => decodePayloads(first, octets));
        },
      ),
      { numRuns: 300 },
    );
  });
});

function assertDecodesTwice(decoded: IkeMessage | undefined): void {
  if (decoded) assert.deepEqual(decodeMessage(encodeMessage(decoded)), decoded);
}
