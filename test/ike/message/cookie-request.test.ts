import assert from 'node:assert/strict';
import fc from 'fast-check';
import { decodeMessage, encodeMessage } from '../../../src/ike/message/codec.ts';
import { peekCookieRequest } from '../../../src/ike/message/cookie-request.ts';
import { NotifyType } from '../../../src/ike/message/notify-types.ts';
import { notifiesOf, payloadOf, statusNotify } from '../../../src/ike/payload-access.ts';
import { MalformedError } from '../../../src/wire/octets.ts';
import { message as messages } from './arbitrary-payload.ts';

const octets = (length: number) =>
  fc
    .uint8Array({ minLength: length, maxLength: 64 })
    .map((value): Uint8Array => Uint8Array.from(value));

/** Any message, with a COOKIE and a nonce somewhere in it, or without. */
const requests = fc
  .record({
    message: messages,
    nonce: fc.option(octets(16), { nil: undefined }),
    cookie: fc.option(octets(1), { nil: undefined }),
    at: fc.nat(8),
  })
  .map(({ message: { header, payloads }, nonce, cookie, at }) => {
    // An encrypted payload is the last of a message: nothing can stand behind it.
    const others = payloads.filter(({ kind }) => kind !== 'SK' && kind !== 'SKF');
    const more = [
      ...(cookie ? [statusNotify(NotifyType.COOKIE, cookie)] : []),
      ...(nonce ? [{ kind: 'NONCE', nonce } as const] : []),
    ];
    return encodeMessage({ header, payloads: others.toSpliced(at, 0, ...more) });
  });

describe('A request peeked into for a cookie (RFC 7296 §2.6)', () => {
  it('has the nonce and the cookie that decoding it finds', () => {
    let found = 0;
    fc.assert(
      fc.property(requests, (request) => {
        const { payloads } = decodeMessage(request);
        const nonce = payloadOf(payloads, 'NONCE')?.nonce;
        if (!nonce) {
          assert.throws(() => peekCookieRequest(request), /without a nonce/);
          return;
        }
        found += 1;
        const [notify] = notifiesOf(payloads, NotifyType.COOKIE);
        assert.deepEqual(peekCookieRequest(request), { nonce, cookie: notify?.data });
      }),
    );
    assert.ok(found > 20, `${found} requests had a nonce`);
  });

  it('is malformed wherever it is cut, and whatever else it is', () => {
    fc.assert(
      fc.property(requests, fc.nat(), fc.nat(255), (request, drawn, octet) => {
        const at = drawn % request.length;
        mayBeMalformed(request.slice(0, at));
        mayBeMalformed(request.with(at, octet));
      }),
    );
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), mayBeMalformed));
  });
});

function mayBeMalformed(request: Uint8Array): void {
  try {
    peekCookieRequest(request);
  } catch (error) {
    assert.ok(error instanceof MalformedError, String(error));
  }
}
