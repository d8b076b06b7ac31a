/**
 * Messages of charon's HA plugin: every attribute of every version, both ways, and hostile octets.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  attributeOfCode,
  codeOfAttribute,
  HA_VERSIONS,
  type HaAttribute,
  type HaAttributeKey,
  type HaVersion,
} from '../../../src/cluster/charon-ha/attribute.ts';
import {
  decodeHaMessage,
  encodeHaMessage,
  HaMessageType,
  haMessage,
  haMessageTypeName,
} from '../../../src/cluster/charon-ha/message.ts';
import { ipAddress } from '../../../src/wire/address.ts';
import { fromHex, MalformedError, toHex } from '../../../src/wire/octets.ts';
import { readHaRecording, understood } from '../../support/ha-frames.ts';

describe('Codes of HA attributes', () => {
  const expected: readonly (readonly [string, number | undefined, number])[] = [
    ...[
      'IKE_ID IKE_REKEY_ID LOCAL_ID REMOTE_ID REMOTE_EAP_ID LOCAL_ADDR REMOTE_ADDR CONFIG_NAME',
      'CONDITIONS EXTENSIONS LOCAL_VIP REMOTE_VIP PEER_ADDR INITIATOR NONCE_I NONCE_R SECRET',
    ]
      .join(' ')
      .split(' ')
      .map((name, index) => [name, index + 1, index + 1] as const),
    ['ADD_SECRET', undefined, 18],
    ['OLD_SKD', 18, 19],
    ['ALG_PRF', 19, 20],
    ['ALG_OLD_PRF', 20, 21],
    ['ALG_ENCR', 21, 22],
    ['ALG_ENCR_LEN', 22, 23],
    ['ALG_INTEG', 23, 24],
    ['ALG_KE', 24, 25],
    ['ADD_KES', undefined, 26],
    ['IPSEC_MODE', 25, 27],
    ['IPCOMP', 26, 28],
    ['INBOUND_SPI', 27, 29],
    ['OUTBOUND_SPI', 28, 30],
    ['INBOUND_CPI', 29, 31],
    ['OUTBOUND_CPI', 30, 32],
    ['LOCAL_TS', 31, 33],
    ['REMOTE_TS', 32, 34],
    ['MID', 33, 35],
    ['SEGMENT', 34, 36],
    ['ESN', 35, 37],
    ['IKE_VERSION', 36, 38],
    ['LOCAL_DH', 37, 39],
    ['REMOTE_DH', 38, 40],
    ['PSK', 39, 41],
    ['IV', 40, 42],
    ['AUTH_METHOD', 41, 43],
  ];

  for (const version of HA_VERSIONS) {
    it(`of version ${version} are strongSwan's`, () => {
      const codes = new Map<number, string>();
      for (let code = 0; code <= 0xff; code++) {
        const key = attributeOfCode(version, code);
        if (key === undefined) continue;
        codes.set(code, key.name);
        assert.equal(codeOfAttribute(version, key.name), code);
      }
      const wanted = expected.flatMap(([name, three, later]) => {
        const code = version === 3 ? three : later;
        return code === undefined ? [] : [[code, name] as const];
      });
      assert.deepEqual([...codes], wanted);
    });
  }
});

describe('HA messages', () => {
  it('are a version, a type and attributes, big-endian but for SPIs of ESP', () => {
    const message = haMessage(3, HaMessageType.CHILD_DELETE, [
      {
        shape: 'ike-sa-id',
        name: 'IKE_ID',
        value: {
          ikeVersion: 2,
          initiatorSpi: '0102030405060708',
          responderSpi: '1112131415161718',
          initiator: true,
        },
      },
      { shape: 'spi', name: 'INBOUND_SPI', value: 0xba2628de },
    ]);
    const octets = fromHex('03 07 01 02 0102030405060708 1112131415161718 01 1b de2826ba');
    assert.equal(toHex(encodeHaMessage(message)), toHex(octets));
    assert.deepEqual(decodeHaMessage(octets), message);
  });

  it('that two charons sent come back as they were', () => {
    const { frames } = readHaRecording();
    const types = frames.map((frame) => haMessageTypeName(understood(frame).type));
    assert.equal(types.length, 57);
    assert.equal(types.filter((each) => each === 'IKE_ADD').length, 3);
    assert.equal(types.filter((each) => each === 'CHILD_ADD').length, 5);
  });

  it('of STATUS name the segments that are served', () => {
    const message = haMessage(4, HaMessageType.STATUS, [
      { shape: 'u16', name: 'SEGMENT', value: 1 },
      { shape: 'u16', name: 'SEGMENT', value: 16 },
    ]);
    assert.equal(toHex(encodeHaMessage(message)), '040a24000124' + '0010');
    assert.equal(encodeHaMessage(haMessage(3, HaMessageType.STATUS, [])).length, 2);
  });

  it('keep what follows an unknown code', () => {
    const octets = fromHex('03 0a 22 0001 ff 22 0002');
    const message = decodeHaMessage(octets);
    assert.equal(message.attributes.length, 1);
    assert.equal(toHex(message.rest), 'ff220002');
    assert.equal(toHex(encodeHaMessage(message)), toHex(octets));
  });

  it('of an unknown type still decode', () => {
    const message = decodeHaMessage(fromHex('05 0d 24 0001'));
    assert.equal(message.type, 13);
    assert.equal(haMessageTypeName(message.type), 'type 13');
    assert.equal(haMessageTypeName(HaMessageType.RESYNC), 'RESYNC');
  });

  for (const version of HA_VERSIONS) {
    it(`come back as they were (version ${version})`, () => {
      fc.assert(
        fc.property(fc.array(attribute(version), { maxLength: 12 }), type, (attributes, kind) => {
          const message = haMessage(version, kind, attributes);
          const octets = encodeHaMessage(message);
          assert.deepEqual(decodeHaMessage(octets), message);
        }),
        { numRuns: 500 },
      );
    });
  }

  it('cut short anywhere inside an attribute are malformed', () => {
    for (const version of HA_VERSIONS) {
      for (const each of fc.sample(attribute(version), { numRuns: 200, seed: 7 })) {
        const whole = encodeHaMessage(haMessage(version, HaMessageType.IKE_UPDATE, [each]));
        for (let length = 3; length < whole.length; length++) {
          assert.throws(
            () => decodeHaMessage(whole.subarray(0, length)),
            MalformedError,
            each.name,
          );
        }
      }
    }
    assert.throws(() => decodeHaMessage(new Uint8Array(0)), MalformedError);
    assert.throws(() => decodeHaMessage(Uint8Array.of(3)), MalformedError);
  });

  it('of hostile octets are malformed or come back octet by octet', () => {
    const octets = fc.tuple(
      fc.constantFrom(...HA_VERSIONS),
      fc.uint8Array({ minLength: 1, maxLength: 120 }),
    );
    let decoded = 0;
    fc.assert(
      fc.property(octets, ([version, body]) => {
        const datagram = Uint8Array.of(version, ...body);
        try {
          assert.equal(toHex(encodeHaMessage(decodeHaMessage(datagram))), toHex(datagram));
          decoded++;
        } catch (error) {
          if (!(error instanceof MalformedError)) throw error;
        }
      }),
      { numRuns: 5000 },
    );
    assert.ok(decoded > 100, `${decoded} of them were messages`);
  });

  const malformed: readonly (readonly [string, string, RegExp])[] = [
    ['of another version', '02 0a', /^version 2, not 3, 4, 5/],
    ['with a flag that is none', '03 07 0e 02', /^INITIATOR: 2 is neither 0 nor 1/],
    ['with an address family that is none', '03 02 06 0000 03 c0000201', /address family 3/],
    ['with a selector of another type', '03 06 1f 09 00 0000 ffff 00', /LOCAL_TS: type 9/],
    ['with a name that does not end', '03 02 08 6e6574', /CONFIG_NAME: 1 octets needed, 0 present/],
    ['with a name that is no text', '03 02 08 ff00', /CONFIG_NAME: the 1 octets .* not UTF-8/],
    ['with a list of half a number', '04 01 1a 0003 0001ff', /ADD_KES: 2 octets needed/],
  ];
  for (const [what, hex, message] of malformed) {
    it(`${what} are malformed`, () => {
      assert.throws(
        () => decodeHaMessage(fromHex(hex)),
        (error: unknown) => error instanceof MalformedError && message.test(error.message),
      );
    });
  }

  it('cannot say what their version has no code for', () => {
    const attributes = [{ shape: 'octets', name: 'ADD_SECRET', value: fromHex('01') }] as const;
    assert.throws(
      () => encodeHaMessage(haMessage(3, HaMessageType.IKE_ADD, attributes)),
      RangeError,
    );
    assert.equal(
      toHex(encodeHaMessage(haMessage(4, HaMessageType.IKE_ADD, attributes))),
      '0401' + '12000101',
    );
  });

  it('cannot hold an identity longer than its length says', () => {
    const attributes = [
      { shape: 'identity', name: 'LOCAL_ID', value: { type: 11, data: new Uint8Array(256) } },
    ] as const;
    assert.throws(() => encodeHaMessage(haMessage(3, HaMessageType.IKE_UPDATE, attributes)), {
      message: 'LOCAL_ID: 256 octets, 255 at most',
    });
  });
});

const plain = { noNullPrototype: true } as const;
const type = fc.constantFrom(...Object.values(HaMessageType));

/** Any attribute the version has a code for. */
function attribute(version: HaVersion): fc.Arbitrary<HaAttribute> {
  const keys: HaAttributeKey[] = [];
  for (let code = 1; code <= 0xff; code++) {
    const key = attributeOfCode(version, code);
    if (key !== undefined) keys.push(key);
  }
  return fc.constantFrom(...keys).chain(valued);
}

function valued(key: HaAttributeKey): fc.Arbitrary<HaAttribute> {
  const number = (most: number) => fc.integer({ min: 0, max: most });
  const some = (most: number) => fc.uint8Array({ maxLength: most });
  const exactly = (length: number) => fc.uint8Array({ minLength: length, maxLength: length });
  const address = fc.oneof(exactly(4), exactly(16)).map((octets) => ipAddress(octets));
  switch (key.shape) {
    case 'ike-sa-id':
      return fc
        .record(
          {
            ikeVersion: number(0xff),
            initiatorSpi: exactly(8).map(toHex),
            responderSpi: exactly(8).map(toHex),
            initiator: fc.boolean(),
          },
          plain,
        )
        .map((value) => ({ ...key, value }));
    case 'identity':
      return fc
        .record({ type: number(0xff), data: some(255) }, plain)
        .map((value) => ({ ...key, value }));
    case 'endpoint':
      return fc
        .record({ port: number(0xffff), address }, plain)
        .map((value) => ({ ...key, value }));
    case 'text':
      return fc
        .string({ unit: 'grapheme' })
        .map((text) => ({ ...key, value: text.replaceAll('\0', '') }));
    case 'flag':
      return fc.boolean().map((value) => ({ ...key, value }));
    case 'u8':
      return number(0xff).map((value) => ({ ...key, value }));
    case 'u16':
      return number(0xffff).map((value) => ({ ...key, value }));
    case 'u32':
      return number(0xffff_ffff).map((value) => ({ ...key, value }));
    case 'spi':
      return number(0xffff_ffff).map((value) => ({ ...key, value }));
    case 'octets':
      return some(300).map((value) => ({ ...key, value }));
    case 'u16-list':
      return fc.array(number(0xffff), { maxLength: 7 }).map((value) => ({ ...key, value }));
    case 'selector':
      return fc
        .constantFrom(4, 16)
        .chain((length) => {
          const end = exactly(length).map((octets) => ipAddress(octets));
          const range = fc.record({ first: end, last: end }, plain);
          const ports = { startPort: number(0xffff), endPort: number(0xffff) };
          const selector = fc.record({ range, protocol: number(0xff), ...ports }, plain);
          return fc.record({ selector, dynamic: fc.boolean() }, plain);
        })
        .map((value) => ({ ...key, value }));
  }
}
