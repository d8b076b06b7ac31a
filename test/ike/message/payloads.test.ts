/**
 * Each payload against octets written down by hand from the tables of RFC 7296 §3.
 */
import { strict as assert } from 'node:assert';
import { decodePayloads, encodePayloads } from '../../../src/ike/message/codec.ts';
import { restOfIdPayload } from '../../../src/ike/message/id.ts';
import { type Payload, PayloadType } from '../../../src/ike/message/message.ts';
import { NotifyType } from '../../../src/ike/message/notify-types.ts';
import { parseAddress } from '../../../src/wire/address.ts';
import { fromHex, MalformedError, toHex } from '../../../src/wire/octets.ts';

const NO_OCTETS = new Uint8Array();

/** The chain of one payload with this body. */
function chain(body: string): Uint8Array {
  const octets = fromHex(body);
  return Uint8Array.of(0, 0, (octets.length + 4) >> 8, (octets.length + 4) & 0xff, ...octets);
}

function decodeOne(type: number, body: string): Payload | undefined {
  return decodePayloads(type, chain(body))[0];
}

function assertMalformed(type: number, body: string, what: RegExp): void {
  assert.throws(
    () => decodePayloads(type, chain(body)),
    (error) => error instanceof MalformedError && what.test(error.message),
  );
}

function address(text: string) {
  const parsed = parseAddress(text);
  assert.ok(parsed);
  return parsed;
}

const ipv4Selector = {
  range: { first: address('10.1.0.0'), last: address('10.1.255.255') },
  protocol: 6,
  startPort: 80,
  endPort: 443,
};

const ipv6Selector = {
  range: { first: address('2001:db8::'), last: address('2001:db8::ffff') },
  protocol: 0,
  startPort: 0,
  endPort: 65535,
};

const KNOWN: readonly (readonly [payload: Payload, body: string])[] = [
  [
    {
      kind: 'SA',
      proposals: [
        {
          number: 1,
          protocol: 1,
          spi: NO_OCTETS,
          transforms: [
            { type: 1, id: 12, keyLength: 256 },
            { type: 2, id: 5 },
            { type: 3, id: 12 },
            { type: 4, id: 31 },
          ],
        },
        {
          number: 2,
          protocol: 3,
          spi: fromHex('c0ffee01'),
          transforms: [
            { type: 1, id: 20, keyLength: 128 },
            { type: 5, id: 0 },
          ],
        },
      ],
    },
    `02 00 002c 01 01 00 04
       03 00 000c 01 00 000c 800e 0100
       03 00 0008 02 00 0005
       03 00 0008 03 00 000c
       00 00 0008 04 00 001f
     00 00 0020 02 03 04 02 c0ffee01
       03 00 000c 01 00 0014 800e 0080
       00 00 0008 05 00 0000`,
  ],
  [{ kind: 'KE', method: 31, data: fromHex('0102030405') }, '001f 0000 0102030405'],
  [{ kind: 'IDi', identity: { type: 2, data: fromHex('612e6c6162') } }, '02 000000 612e6c6162'],
  [{ kind: 'IDr', identity: { type: 1, data: fromHex('c0000202') } }, '01 000000 c0000202'],
  [{ kind: 'CERT', encoding: 4, data: fromHex('3082') }, '04 3082'],
  [{ kind: 'CERTREQ', encoding: 4, authorities: fromHex('aabb') }, '04 aabb'],
  [{ kind: 'AUTH', method: 2, data: fromHex('0badcafe') }, '02 000000 0badcafe'],
  [
    { kind: 'NONCE', nonce: fromHex('000102030405060708090a0b0c0d0e0f') },
    '000102030405060708090a0b0c0d0e0f',
  ],
  [
    {
      kind: 'NOTIFY',
      protocol: 3,
      spi: fromHex('c0ffee01'),
      type: NotifyType.REKEY_SA,
      data: NO_OCTETS,
    },
    '03 04 4009 c0ffee01',
  ],
  [
    {
      kind: 'NOTIFY',
      protocol: 0,
      spi: NO_OCTETS,
      type: NotifyType.INVALID_KE_PAYLOAD,
      data: fromHex('001f'),
    },
    '00 00 0011 001f',
  ],
  [
    { kind: 'DELETE', protocol: 3, spiSize: 4, spis: [fromHex('c0ffee01'), fromHex('c0ffee02')] },
    '03 04 0002 c0ffee01 c0ffee02',
  ],
  [{ kind: 'DELETE', protocol: 1, spiSize: 0, spis: [] }, '01 00 0000'],
  [{ kind: 'VENDOR', vendorId: fromHex('afcad713') }, 'afcad713'],
  [
    {
      kind: 'TSi',
      entries: [
        { kind: 'range', selector: ipv4Selector },
        { kind: 'range', selector: ipv6Selector },
      ],
    },
    `02 000000
     07 06 0010 0050 01bb 0a010000 0a01ffff
     08 00 0028 0000 ffff 20010db8000000000000000000000000 20010db800000000000000000000ffff`,
  ],
  [
    {
      kind: 'TSr',
      entries: [{ kind: 'unknown', type: 10, protocol: 0, body: fromHex('6c61626c') }],
    },
    '01 000000 0a 00 0008 6c61626c',
  ],
  [
    {
      kind: 'CP',
      type: 1,
      attributes: [
        { type: 1, value: NO_OCTETS },
        { type: 3, value: fromHex('0a000001') },
      ],
    },
    '01 000000 0001 0000 0003 0004 0a000001',
  ],
  [{ kind: 'EAP', message: fromHex('0101000501') }, '01 01 0005 01'],
  [{ kind: 'SK', firstPayload: 0, sealed: fromHex('0011223344') }, '0011223344'],
  [
    {
      kind: 'SKF',
      firstPayload: 0,
      fragmentNumber: 3,
      totalFragments: 0x104,
      sealed: fromHex('0011223344'),
    },
    '0003 0104 0011223344',
  ],
  [{ kind: 'unknown', type: 200, body: fromHex('0011') }, '0011'],
];

describe('IKE payloads', () => {
  for (const [payload, body] of KNOWN) {
    it(`${payload.kind} ${body.slice(0, 24)}: the octets of the RFC, both ways`, () => {
      const { first, octets } = encodePayloads([payload]);
      assert.equal(toHex(octets), toHex(chain(body)));
      assert.deepEqual(decodePayloads(first, octets), [payload]);
    });
  }

  it('what is RESERVED is not looked at', () => {
    const sa = '00 ff 0014 01 01 00 01 00 ff 000c 01 ff 000c 800e 0100';
    const decoded = decodeOne(PayloadType.SA, sa);
    const transforms = [{ type: 1, id: 12, keyLength: 256 }];
    assert.deepEqual(decoded, {
      kind: 'SA',
      proposals: [{ number: 1, protocol: 1, spi: NO_OCTETS, transforms }],
    });
    assert.deepEqual(decodeOne(PayloadType.KE, '001f ffff 01'), {
      kind: 'KE',
      method: 31,
      data: Uint8Array.of(1),
    });
    assert.deepEqual(decodeOne(PayloadType.CP, '01 ffffff 8003 0000'), {
      kind: 'CP',
      type: 1,
      attributes: [{ type: 3, value: NO_OCTETS }],
    });
    assert.deepEqual(decodeOne(PayloadType.TSi, '00 ffffff'), { kind: 'TSi', entries: [] });
  });

  it('RESERVED octets of an identity stay, for AUTH covers them', () => {
    const payload = decodeOne(PayloadType.IDi, '0b 0a0b0c 6b');
    assert.ok(payload?.kind === 'IDi');
    assert.equal(toHex(restOfIdPayload(payload)), '0b0a0b0c6b');
  });
});

describe('transform attributes', () => {
  const KEY_LENGTH = '800e 0100';
  const cases: readonly (readonly [
    what: string,
    attributes: string,
    unknown: readonly string[],
  ])[] = [
    ['an unknown short attribute', '8011 0001', ['80110001']],
    ['an unknown long attribute', '0011 0003 aabbcc', ['00110003aabbcc']],
    ['a key length in the long format', '000e 0002 0100', ['000e00020100']],
    [
      'an unknown attribute before the key length',
      `8011 0001 ${KEY_LENGTH}`,
      ['80110001', '800e0100'],
    ],
  ];
  for (const [what, attributes, unknown] of cases) {
    it(`${what} stays as it came`, () => {
      const octets = fromHex(attributes);
      const length = 8 + octets.length;
      const body = `00 00 00${(8 + length).toString(16)} 01 01 00 01
        00 00 00${length.toString(16).padStart(2, '0')} 01 00 000c ${attributes}`;
      const payload = decodeOne(PayloadType.SA, body);
      assert.ok(payload?.kind === 'SA');
      const [transform] = payload.proposals[0]?.transforms ?? [];
      assert.deepEqual(transform?.unknownAttributes?.map(toHex), unknown);
      assert.equal(transform?.keyLength, undefined);
      assert.equal(toHex(encodePayloads([payload]).octets), toHex(chain(body)));
    });
  }

  it('a second key length makes the transform unusable', () => {
    const body = `00 00 0018 01 01 00 01 00 00 0010 01 00 000c ${KEY_LENGTH} 800e 0080`;
    const payload = decodeOne(PayloadType.SA, body);
    assert.ok(payload?.kind === 'SA');
    const [transform] = payload.proposals[0]?.transforms ?? [];
    assert.equal(transform?.keyLength, 256);
    assert.equal(transform?.unknownAttributes?.length, 1);
  });
});

describe('malformed payloads', () => {
  const cases: readonly (readonly [type: keyof typeof PayloadType, body: string, what: RegExp])[] =
    [
      ['SA', '', /last substruc of a proposal/],
      ['SA', '01 00 0008 01 01 00 00', /last substruc 1/],
      ['SA', '02 00 0008 01 01 00 00', /last substruc of a proposal: 1 octets needed/],
      ['SA', '00 00 0008 01 01 00 00 00', /1 octets left over/],
      ['SA', '00 00 0007 01 01 00 00', /proposal of 7 octets/],
      ['SA', '00 00 0008 01 01 04 00', /SPI of proposal 1/],
      ['SA', '00 00 0010 01 01 00 00 00 00 0008 01 00 000c', /0 transforms announced/],
      ['SA', '00 00 0010 01 01 00 02 00 00 0008 01 00 000c', /transform 1 of 2: last substruc 0/],
      ['SA', '00 00 0010 01 01 00 01 03 00 0008 01 00 000c', /transform 1 of 1: last substruc 3/],
      ['SA', '00 00 0010 01 01 00 01 00 00 0007 01 00 000c', /transform of 7 octets/],
      ['SA', '00 00 0012 01 01 00 01 00 00 000a 01 00 000c 800e', /transform attribute/],
      ['KE', '001f', /RESERVED/],
      ['IDi', '01 000000 0a0000', /3 octets in an address of 4/],
      ['IDr', '05 000000 0a000001', /4 octets in an address of 16/],
      ['NONCE', '000102030405060708090a0b0c0d0e', /nonce of 15 octets/],
      ['NONCE', '00'.repeat(257), /nonce of 257 octets/],
      ['NOTIFY', '03 04 4009 c0ffee', /SPI of a notify/],
      ['DELETE', '03 04 0002 c0ffee01', /SPI 2 of 2/],
      ['DELETE', '03 04 0001 c0ffee01 00', /1 octets left over/],
      ['DELETE', '01 00 ffff', /65535 SPIs of no octets/],
      [
        'TSi',
        '03 000000 07 00 0010 0000 ffff 0a000000 0a0000ff',
        /3 selectors announced, 1 present/,
      ],
      ['TSi', '00 000000 00', /1 octets left over/],
      ['TSr', '01 000000 07 00 0010 0000 ffff 0a000000 0a0000ff ff', /1 octets left over/],
      [
        'TSr',
        '01 000000 07 00 0011 0000 ffff 0a000000 0a0000ff ff',
        /traffic selector: 1 octets left/,
      ],
      ['TSr', '01 000000 07 00 000c 0000 ffff 0a000000', /ending address/],
      ['TSr', '01 000000 08 00 0010 0000 ffff 0a000000 0a0000ff', /starting address/],
      ['TSr', '01 000000 07 00 0003', /selector of 3 octets/],
      ['CP', '01 000000 0003 0005 0a000001', /value of attribute 3/],
      ['EAP', '01 01 0006 01', /EAP message of 6 octets, 5 present/],
      ['EAP', '01 01 00', /EAP length/],
    ];
  for (const [type, body, what] of cases) {
    it(`${type} ${body.slice(0, 60)}: ${what.source}`, () => {
      assertMalformed(PayloadType[type], body, what);
    });
  }
});

describe('payloads that hold too much', () => {
  it('are refused, whatever their length fields allow', () => {
    assertMalformed(PayloadType.DELETE, `03 01 2001 ${'aa'.repeat(8193)}`, /8193 SPIs/);
    assertMalformed(PayloadType.CP, `01 000000 ${'00010000'.repeat(1025)}`, /more than 1024/);
    const attributes = '80110001'.repeat(17);
    const transform = `00 00 004c 01 00 000c ${attributes}`;
    assertMalformed(PayloadType.SA, `00 00 0054 01 01 00 01 ${transform}`, /more than 16/);
    assertMalformed(PayloadType.SA, '02 00 0008 01 01 00 00'.repeat(256), /more than 255/);
  });
});

describe('limits of an encoder', () => {
  it('what does not fit into its field is our own mistake', () => {
    const data = new Uint8Array(65_532);
    assert.throws(() => encodePayloads([{ kind: 'VENDOR', vendorId: data }]), RangeError);
    assert.throws(() => encodePayloads([{ kind: 'SA', proposals: [] }]), RangeError);
    assert.throws(() => encodePayloads([{ kind: 'NONCE', nonce: new Uint8Array(8) }]), RangeError);
    const spis = [new Uint8Array(8)];
    assert.throws(
      () => encodePayloads([{ kind: 'DELETE', protocol: 3, spiSize: 4, spis }]),
      RangeError,
    );
    const spi = new Uint8Array(256);
    assert.throws(
      () => encodePayloads([{ kind: 'NOTIFY', protocol: 3, spi, type: 1, data: NO_OCTETS }]),
      RangeError,
    );
  });
});
