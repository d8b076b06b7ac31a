/**
 * Header and payload chain (RFC 7296 §3.1, §3.2).
 */
import { strict as assert } from 'node:assert';
import {
  decodeMessage,
  decodePayloads,
  encodeMessage,
  encodePayloads,
} from '../../../src/ike/message/codec.ts';
import { decodeHeader } from '../../../src/ike/message/header.ts';
import {
  ExchangeType,
  type IkeHeader,
  ikeSpi,
  messageId,
  NO_IKE_SPI,
  type Payload,
  PayloadType,
} from '../../../src/ike/message/message.ts';
import { fromHex, MalformedError, toHex } from '../../../src/wire/octets.ts';

const HEADER: IkeHeader = {
  initiatorSpi: ikeSpi(fromHex('0102030405060708')),
  responderSpi: NO_IKE_SPI,
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: ExchangeType.IKE_SA_INIT,
  fromInitiator: true,
  higherVersion: false,
  isResponse: false,
  messageId: messageId(0),
};

const HEADER_HEX = '0102030405060708 0000000000000000';

function decode(hex: string) {
  return decodeMessage(fromHex(hex));
}

function malformed(what: RegExp) {
  return (error: unknown) => error instanceof MalformedError && what.test(error.message);
}

describe('IKE header', () => {
  it('has the octets of §3.1', () => {
    const payloads: readonly Payload[] = [{ kind: 'VENDOR', vendorId: fromHex('aabb') }];
    const octets = encodeMessage({ header: HEADER, payloads });
    assert.equal(
      toHex(octets),
      `${HEADER_HEX} 2b 20 22 08 00000000 00000022 00 00 0006 aabb`.replaceAll(' ', ''),
    );
    assert.deepEqual(decodeMessage(octets), { header: HEADER, payloads });
  });

  it('holds each flag in its bit', () => {
    const flags = (more: Partial<IkeHeader>) =>
      encodeMessage({ header: { ...HEADER, fromInitiator: false, ...more }, payloads: [] })[19];
    assert.equal(flags({ fromInitiator: true }), 0x08);
    assert.equal(flags({ higherVersion: true }), 0x10);
    assert.equal(flags({ isResponse: true }), 0x20);
  });

  it('ignores the flags that mean nothing', () => {
    const { header } = decode(`${HEADER_HEX} 00 20 22 cf 00000000 0000001c`);
    assert.deepEqual(header, HEADER);
  });

  it('of another major version still decodes alone', () => {
    const octets = fromHex(`${HEADER_HEX} 01 31 02 08 00000007 ffffffff`);
    const header = decodeHeader(octets);
    assert.equal(header.majorVersion, 3);
    assert.equal(header.minorVersion, 1);
    assert.equal(header.messageId, 7);
    assert.throws(() => decodeMessage(octets), malformed(/major version 3/));
  });

  it('accepts a higher minor version', () => {
    assert.equal(decode(`${HEADER_HEX} 00 21 22 08 00000000 0000001c`).header.minorVersion, 1);
  });

  it('must tell the length of the message', () => {
    const shorter = `${HEADER_HEX} 00 20 22 08 00000000 0000001b`;
    assert.throws(() => decode(shorter), malformed(/length 27, 28 octets present/));
    const longer = `${HEADER_HEX} 00 20 22 08 00000000 0000001d`;
    assert.throws(() => decode(longer), malformed(/length 29, 28 octets present/));
    assert.throws(() => decodeHeader(new Uint8Array(27)), MalformedError);
  });
});

describe('payload chain', () => {
  it('keeps the critical bit and drops the bits beside it', () => {
    const [payload] = decodePayloads(200, fromHex('00 ff 0005 01'));
    assert.deepEqual(payload, {
      kind: 'unknown',
      type: 200,
      body: Uint8Array.of(1),
      critical: true,
    });
    assert.ok(payload);
    assert.equal(toHex(encodePayloads([payload]).octets), '0080000501');
  });

  it('keeps payloads of unknown types between known ones', () => {
    const octets = fromHex('29 00 0006 aabb 2b 00 0008 00 00 4000 00 00 0005 01');
    const payloads = decodePayloads(200, octets);
    assert.deepEqual(
      payloads.map(({ kind }) => kind),
      ['unknown', 'NOTIFY', 'VENDOR'],
    );
    assert.deepEqual(encodePayloads(payloads), { first: 200, octets });
  });

  it('has nothing behind its last payload', () => {
    assert.throws(() => decodePayloads(43, fromHex('00 00 0004 00')), malformed(/1 octets left/));
    assert.throws(() => decodePayloads(0, fromHex('00')), malformed(/1 octets left over/));
  });

  it('has payloads of four octets and more', () => {
    assert.throws(() => decodePayloads(43, fromHex('2b 00 0003')), malformed(/of 3 octets/));
    assert.throws(() => decodePayloads(43, fromHex('2b 00 0000')), malformed(/of 0 octets/));
  });

  it('ends with SK, whose next payload is the first inside', () => {
    const sealed = fromHex('23 00 0006 aabb');
    assert.deepEqual(decodePayloads(PayloadType.SK, sealed), [
      { kind: 'SK', firstPayload: PayloadType.IDi, sealed: fromHex('aabb') },
    ]);
    const followed = fromHex('2b 00 0006 aabb 00 00 0005 01');
    assert.throws(() => decodePayloads(PayloadType.SK, followed), malformed(/5 octets left over/));
  });

  it('ends with SKF, whose next payload is the first inside (RFC 7383 §2.5)', () => {
    const octets = fromHex('23 00 000a 0001 0102 aabb');
    const payloads = decodePayloads(PayloadType.SKF, octets);
    assert.deepEqual(payloads, [
      {
        kind: 'SKF',
        firstPayload: PayloadType.IDi,
        fragmentNumber: 1,
        totalFragments: 0x102,
        sealed: fromHex('aabb'),
      },
    ]);
    assert.deepEqual(encodePayloads(payloads), { first: PayloadType.SKF, octets });
    const followed = fromHex('2b 00 0008 0001 0002 00 00 0005 01');
    assert.throws(() => decodePayloads(PayloadType.SKF, followed), malformed(/5 octets left over/));
  });

  it('holds both fragment numbers in SKF, whatever they are', () => {
    const chain = (body: string) => decodePayloads(PayloadType.SKF, fromHex(body));
    assert.throws(() => chain('00 00 0007 000100'), malformed(/SKF: total fragments/));
    const [payload] = chain('00 00 0008 0000 0000');
    assert.ok(payload?.kind === 'SKF' && payload.totalFragments === 0);
  });

  it('does not encode anything behind SK or SKF', () => {
    const sealed = new Uint8Array();
    const sk: Payload = { kind: 'SK', firstPayload: 0, sealed };
    assert.throws(() => encodePayloads([sk, sk]), RangeError);
    const numbers = { fragmentNumber: 1, totalFragments: 1 };
    const skf: Payload = { kind: 'SKF', firstPayload: 0, ...numbers, sealed };
    assert.throws(() => encodePayloads([skf, sk]), RangeError);
  });

  it('is refused when it is too long, before it is decoded', () => {
    const vendor: Payload = { kind: 'VENDOR', vendorId: new Uint8Array() };
    const most = Array.from({ length: 64 }, () => vendor);
    const { first, octets } = encodePayloads(most);
    assert.equal(decodePayloads(first, octets).length, 64);
    const longer = new Uint8Array(octets.length + 4);
    longer.set(fromHex('2b000004'));
    longer.set(octets, 4);
    assert.throws(() => decodePayloads(first, longer), malformed(/more than 64 payloads/));
    assert.throws(() => encodePayloads([...most, vendor]), RangeError);
  });

  it('names the offset in the message', () => {
    const octets = `${HEADER_HEX} 2b 20 22 08 00000000 00000022 28 00 0006 aabb`;
    assert.throws(
      () => decode(octets),
      (error) => error instanceof MalformedError && error.at === 34,
    );
  });
});
