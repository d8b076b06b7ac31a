/**
 * Payloads and headers at random, of every kind the codec knows and some it does not.
 */
import fc from 'fast-check';
import {
  type IkeHeader,
  type IkeMessage,
  ikeSpi,
  messageId,
  type Payload,
  PayloadType,
  type TsEntry,
} from '../../../src/ike/message/message.ts';
import type { Proposal, Transform } from '../../../src/ipsec/proposal.ts';
import { type IpAddress, ipAddress } from '../../../src/wire/address.ts';
import { concatOctets } from '../../../src/wire/octets.ts';

/** Decoded values have the usual prototype, and so do these. */
const PLAIN = { noNullPrototype: true } as const;

const u8 = fc.integer({ min: 0, max: 0xff });
const u16 = fc.integer({ min: 0, max: 0xffff });

function octets(minLength: number, maxLength: number): fc.Arbitrary<Uint8Array> {
  // A plain Uint8Array over its own buffer, as decoders make them.
  return fc.uint8Array({ minLength, maxLength }).map((value) => Uint8Array.from(value));
}

const knownTypes: ReadonlySet<number> = new Set(Object.values(PayloadType));

/** Attributes other than a leading key length: type-length-value, or type-value of another type. */
const unknownAttribute = fc.oneof(
  fc
    .tuple(fc.integer({ min: 0, max: 0x7fff }), octets(0, 9))
    .map(([type, value]) =>
      concatOctets(Uint8Array.of(type >> 8, type & 0xff, 0, value.length), value),
    ),
  fc
    .tuple(fc.integer({ min: 15, max: 0x7fff }), u8)
    .map(([type, value]) => Uint8Array.of(0x80 | (type >> 8), type & 0xff, 0, value)),
);

const transform: fc.Arbitrary<Transform> = fc.record(
  {
    type: u8,
    id: u16,
    keyLength: u16,
    unknownAttributes: fc.array(unknownAttribute, { minLength: 1, maxLength: 3 }),
  },
  { ...PLAIN, requiredKeys: ['type', 'id'] },
);

const proposal: fc.Arbitrary<Proposal> = fc.record(
  {
    number: u8,
    protocol: u8,
    spi: octets(0, 9),
    transforms: fc.array(transform, { maxLength: 5 }),
  },
  PLAIN,
);

const ipv4: fc.Arbitrary<IpAddress> = octets(4, 4).map(ipAddress);
const ipv6: fc.Arbitrary<IpAddress> = octets(16, 16).map(ipAddress);

function rangeEntry(address: fc.Arbitrary<IpAddress>): fc.Arbitrary<TsEntry> {
  return fc.record(
    {
      kind: fc.constant('range' as const),
      selector: fc.record(
        {
          range: fc.record({ first: address, last: address }, PLAIN),
          protocol: u8,
          startPort: u16,
          endPort: u16,
        },
        PLAIN,
      ),
    },
    PLAIN,
  );
}

const unknownEntry: fc.Arbitrary<TsEntry> = fc.record(
  {
    kind: fc.constant('unknown' as const),
    type: u8.filter((type) => type !== 7 && type !== 8),
    protocol: u8,
    body: octets(0, 20),
  },
  PLAIN,
);

const eapMessage = fc
  .tuple(u8, u8, octets(0, 30))
  .map(([code, id, rest]) => concatOctets(Uint8Array.of(code, id, 0, 4 + rest.length), rest));

const identity = fc.oneof(
  fc.record({ type: fc.constant(1), data: octets(4, 4) }, PLAIN),
  fc.record({ type: fc.constant(5), data: octets(16, 16) }, PLAIN),
  fc.record({ type: u8.filter((type) => type !== 1 && type !== 5), data: octets(0, 30) }, PLAIN),
);

const deleted = fc.integer({ min: 1, max: 9 }).chain((spiSize) =>
  fc.record(
    {
      kind: fc.constant('DELETE' as const),
      protocol: u8,
      spiSize: fc.constant(spiSize),
      spis: fc.array(octets(spiSize, spiSize), { maxLength: 5 }),
    },
    PLAIN,
  ),
);

/** One generator for each kind of payload. */
export const payloadOfKind = {
  SA: fc.record(
    {
      kind: fc.constant('SA' as const),
      proposals: fc.array(proposal, { minLength: 1, maxLength: 4 }),
    },
    PLAIN,
  ),
  KE: fc.record({ kind: fc.constant('KE' as const), method: u16, data: octets(0, 70) }, PLAIN),
  ID: fc.record(
    {
      kind: fc.constantFrom('IDi' as const, 'IDr' as const),
      identity,
      reserved: fc.integer({ min: 1, max: 0xffffff }),
    },
    { ...PLAIN, requiredKeys: ['kind', 'identity'] },
  ),
  CERT: fc.record({ kind: fc.constant('CERT' as const), encoding: u8, data: octets(0, 70) }, PLAIN),
  CERTREQ: fc.record(
    {
      kind: fc.constant('CERTREQ' as const),
      encoding: u8,
      authorities: octets(0, 70),
    },
    PLAIN,
  ),
  AUTH: fc.record({ kind: fc.constant('AUTH' as const), method: u8, data: octets(0, 70) }, PLAIN),
  NONCE: fc.record({ kind: fc.constant('NONCE' as const), nonce: octets(16, 256) }, PLAIN),
  NOTIFY: fc.record(
    {
      kind: fc.constant('NOTIFY' as const),
      protocol: u8,
      spi: octets(0, 9),
      type: u16,
      data: octets(0, 30),
    },
    PLAIN,
  ),
  DELETE: deleted,
  VENDOR: fc.record({ kind: fc.constant('VENDOR' as const), vendorId: octets(0, 30) }, PLAIN),
  TS: fc.record(
    {
      kind: fc.constantFrom('TSi' as const, 'TSr' as const),
      entries: fc.array(fc.oneof(rangeEntry(ipv4), rangeEntry(ipv6), unknownEntry), {
        maxLength: 5,
      }),
    },
    PLAIN,
  ),
  CP: fc.record(
    {
      kind: fc.constant('CP' as const),
      type: u8,
      attributes: fc.array(
        fc.record({ type: fc.integer({ min: 0, max: 0x7fff }), value: octets(0, 20) }, PLAIN),
        { maxLength: 5 },
      ),
    },
    PLAIN,
  ),
  EAP: fc.record({ kind: fc.constant('EAP' as const), message: eapMessage }, PLAIN),
  unknown: fc.record(
    {
      kind: fc.constant('unknown' as const),
      type: u8.filter((type) => !knownTypes.has(type)),
      body: octets(0, 30),
    },
    PLAIN,
  ),
} as const satisfies Readonly<Record<string, fc.Arbitrary<Payload>>>;

const anyPayload: fc.Arbitrary<Payload> = fc.oneof(...Object.values(payloadOfKind));

const sealedPayload: fc.Arbitrary<Payload> = fc.oneof(
  fc.record({ kind: fc.constant('SK' as const), firstPayload: u8, sealed: octets(0, 70) }, PLAIN),
  fc.record(
    {
      kind: fc.constant('SKF' as const),
      firstPayload: u8,
      fragmentNumber: u16,
      totalFragments: u16,
      sealed: octets(0, 70),
    },
    PLAIN,
  ),
);

/** Payloads in any order, some critical; SK or SKF, where there is one, last. */
export const payloads: fc.Arbitrary<readonly Payload[]> = fc
  .tuple(
    fc.array(fc.tuple(anyPayload, fc.boolean()), { maxLength: 6 }),
    fc.option(sealedPayload, { nil: undefined }),
  )
  .map(([some, last]) => [
    ...some.map(([payload, critical]) => (critical ? { ...payload, critical } : payload)),
    ...(last ? [last] : []),
  ]);

export const header: fc.Arbitrary<IkeHeader> = fc.record(
  {
    initiatorSpi: octets(8, 8).map(ikeSpi),
    responderSpi: octets(8, 8).map(ikeSpi),
    majorVersion: fc.constant(2),
    minorVersion: fc.integer({ min: 0, max: 15 }),
    exchangeType: u8,
    fromInitiator: fc.boolean(),
    higherVersion: fc.boolean(),
    isResponse: fc.boolean(),
    messageId: fc.integer({ min: 0, max: 0xffffffff }).map(messageId),
  },
  PLAIN,
);

export const message: fc.Arbitrary<IkeMessage> = fc.record({ header, payloads }, PLAIN);
