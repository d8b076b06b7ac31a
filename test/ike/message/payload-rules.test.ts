/**
 * The table of payloads per message (RFC 7296 §1.2-1.5, appendix C).
 */
import { strict as assert } from 'node:assert';
import { ExchangeType, type Payload } from '../../../src/ike/message/message.ts';
import { NotifyType } from '../../../src/ike/message/notify-types.ts';
import {
  checkPayloads,
  exchangeName,
  payloadName,
} from '../../../src/ike/message/payload-rules.ts';

const EMPTY = new Uint8Array();
const IDENTITY = { type: 2, data: EMPTY };

function notify(type: number): Payload {
  return { kind: 'NOTIFY', protocol: 0, spi: EMPTY, type, data: EMPTY };
}

/** One payload for each word of a ladder. */
const PAYLOADS: Readonly<Record<string, Payload>> = {
  SA: { kind: 'SA', proposals: [] },
  KE: { kind: 'KE', method: 31, data: EMPTY },
  IDi: { kind: 'IDi', identity: IDENTITY },
  IDr: { kind: 'IDr', identity: IDENTITY },
  CERT: { kind: 'CERT', encoding: 4, data: EMPTY },
  CERTREQ: { kind: 'CERTREQ', encoding: 4, authorities: EMPTY },
  AUTH: { kind: 'AUTH', method: 2, data: EMPTY },
  No: { kind: 'NONCE', nonce: EMPTY },
  D: { kind: 'DELETE', protocol: 3, spiSize: 4, spis: [] },
  V: { kind: 'VENDOR', vendorId: EMPTY },
  TSi: { kind: 'TSi', entries: [] },
  TSr: { kind: 'TSr', entries: [] },
  SK: { kind: 'SK', firstPayload: 0, sealed: EMPTY },
  'EF(1/3)': {
    kind: 'SKF',
    firstPayload: 0,
    fragmentNumber: 1,
    totalFragments: 3,
    sealed: EMPTY,
  },
  CP: { kind: 'CP', type: 1, attributes: [] },
  EAP: { kind: 'EAP', message: EMPTY },
  'P(200)': { kind: 'unknown', type: 200, body: EMPTY },
  'P(201)': { kind: 'unknown', type: 201, critical: true, body: EMPTY },
};

/** The payloads a ladder writes, as `SA KE No N(COOKIE)`. */
function payloadsOf(ladder: string): readonly Payload[] {
  const words = ladder.split(' ').filter((word) => word !== '');
  return words.map((word) => {
    const payload = Object.entries(NotifyType)
      .filter(([name]) => word === `N(${name})`)
      .map(([, type]) => notify(type))[0];
    const found = payload ?? PAYLOADS[word];
    assert.ok(found, word);
    return found;
  });
}

type Place = 'request' | 'response' | 'sealed request' | 'sealed response';

function check(exchange: keyof typeof ExchangeType, place: Place, ladder: string) {
  return checkPayloads(
    ExchangeType[exchange],
    place.endsWith('response'),
    place.startsWith('sealed'),
    payloadsOf(ladder),
  );
}

type Case = readonly [exchange: keyof typeof ExchangeType, place: Place, ladder: string];

const FITTING: readonly Case[] = [
  ['IKE_SA_INIT', 'request', 'SA KE No'],
  ['IKE_SA_INIT', 'request', 'N(COOKIE) SA KE No V N(NAT_DETECTION_SOURCE_IP) V'],
  ['IKE_SA_INIT', 'request', 'No P(200) KE V SA'],
  ['IKE_SA_INIT', 'response', 'SA KE No CERTREQ CERTREQ N(NAT_DETECTION_SOURCE_IP)'],
  ['IKE_SA_INIT', 'response', 'N(COOKIE)'],
  ['IKE_SA_INIT', 'response', 'N(INVALID_KE_PAYLOAD)'],
  ['IKE_SA_INIT', 'response', 'N(NO_PROPOSAL_CHOSEN) V'],
  ['IKE_AUTH', 'request', 'SK'],
  ['IKE_AUTH', 'response', 'SK P(200)'],
  ['IKE_AUTH', 'request', 'EF(1/3)'],
  ['CREATE_CHILD_SA', 'response', 'EF(1/3)'],
  ['INFORMATIONAL', 'request', 'EF(1/3)'],
  ['IKE_AUTH', 'response', 'N(INVALID_IKE_SPI)'],
  ['IKE_AUTH', 'sealed request', 'IDi AUTH SA TSi TSr'],
  ['IKE_AUTH', 'sealed request', 'TSr TSi SA AUTH N(INITIAL_CONTACT) IDi'],
  ['IKE_AUTH', 'sealed request', 'IDi CERT CERT CERTREQ IDr AUTH CP SA TSi TSr V'],
  ['IKE_AUTH', 'sealed request', 'IDi SA TSi TSr'],
  ['IKE_AUTH', 'sealed request', 'EAP'],
  ['IKE_AUTH', 'sealed request', 'AUTH'],
  ['IKE_AUTH', 'sealed response', 'IDr CERT AUTH CP SA TSi TSr'],
  ['IKE_AUTH', 'sealed response', 'IDr CERT AUTH EAP'],
  ['IKE_AUTH', 'sealed response', 'AUTH SA TSi TSr'],
  ['IKE_AUTH', 'sealed response', 'IDr AUTH N(TS_UNACCEPTABLE)'],
  ['IKE_AUTH', 'sealed response', 'N(AUTHENTICATION_FAILED)'],
  ['CREATE_CHILD_SA', 'sealed request', 'SA No TSi TSr'],
  ['CREATE_CHILD_SA', 'sealed request', 'N(REKEY_SA) SA No KE TSi TSr'],
  ['CREATE_CHILD_SA', 'sealed request', 'SA No KE'],
  ['CREATE_CHILD_SA', 'sealed response', 'SA No KE'],
  ['CREATE_CHILD_SA', 'sealed response', 'N(NO_ADDITIONAL_SAS)'],
  ['INFORMATIONAL', 'sealed request', ''],
  ['INFORMATIONAL', 'sealed request', 'D D N(INITIAL_CONTACT)'],
  ['INFORMATIONAL', 'sealed response', ''],
  ['INFORMATIONAL', 'sealed response', 'D CP'],
  ['INFORMATIONAL', 'request', 'N(INVALID_SPI)'],
  ['INFORMATIONAL', 'response', 'SK'],
];

const MISFITS: readonly (readonly [...Case, what: string])[] = [
  ['IKE_SA_INIT', 'request', '', 'IKE_SA_INIT request: SA is missing'],
  ['IKE_SA_INIT', 'request', 'SA KE', 'IKE_SA_INIT request: NONCE is missing'],
  ['IKE_SA_INIT', 'request', 'SA KE KE No', 'IKE_SA_INIT request: KE appears 2 times'],
  ['IKE_SA_INIT', 'request', 'SA KE No SK', 'IKE_SA_INIT request: SK is not expected'],
  ['IKE_SA_INIT', 'request', 'EF(1/3)', 'IKE_SA_INIT request: EF(1/3) is not expected'],
  ['IKE_AUTH', 'request', 'SK EF(1/3)', 'IKE_AUTH request: EF(1/3) is not expected'],
  ['IKE_AUTH', 'request', 'EF(1/3) EF(1/3)', 'IKE_AUTH request: EF(1/3) is not expected'],
  ['IKE_AUTH', 'sealed request', 'EF(1/3)', 'IKE_AUTH request: EF(1/3) is not expected'],
  ['IKE_SA_INIT', 'request', 'SA KE No TSi', 'IKE_SA_INIT request: TSi is not expected'],
  ['IKE_SA_INIT', 'request', 'N(INVALID_KE_PAYLOAD)', 'IKE_SA_INIT request: SA is missing'],
  ['IKE_SA_INIT', 'sealed request', 'SA KE No', 'IKE_SA_INIT request: SK is not expected'],
  ['IKE_SA_INIT', 'response', 'N(INITIAL_CONTACT)', 'IKE_SA_INIT response: SA is missing'],
  [
    'CREATE_CHILD_SA',
    'sealed response',
    'N(INITIAL_CONTACT)',
    'CREATE_CHILD_SA response: SA is missing',
  ],
  ['IKE_SA_INIT', 'response', 'V', 'IKE_SA_INIT response: SA is missing'],
  ['IKE_AUTH', 'request', 'IDi AUTH SA TSi TSr', 'IKE_AUTH request: IDi is not expected'],
  [
    'IKE_AUTH',
    'request',
    'N(INVALID_SYNTAX)',
    'IKE_AUTH request: N(INVALID_SYNTAX) is not expected',
  ],
  ['IKE_AUTH', 'request', '', 'IKE_AUTH request: SK is missing'],
  ['IKE_AUTH', 'sealed request', 'SK', 'IKE_AUTH request: SK is not expected'],
  ['IKE_AUTH', 'sealed request', 'AUTH SA TSi TSr', 'IKE_AUTH request: IDi is missing'],
  ['IKE_AUTH', 'sealed request', 'IDi AUTH TSi TSr', 'IKE_AUTH request: SA is missing'],
  [
    'IKE_AUTH',
    'sealed request',
    'IDi IDi AUTH SA TSi TSr',
    'IKE_AUTH request: IDi appears 2 times',
  ],
  ['IKE_AUTH', 'sealed request', 'IDi AUTH SA TSi TSr D', 'IKE_AUTH request: D is not expected'],
  ['IKE_AUTH', 'sealed response', 'IDr AUTH SA TSi', 'IKE_AUTH response: TSr is missing'],
  [
    'IKE_AUTH',
    'sealed response',
    'AUTH AUTH N(TS_UNACCEPTABLE)',
    'IKE_AUTH response: AUTH appears 2 times',
  ],
  ['CREATE_CHILD_SA', 'sealed request', 'SA No', 'CREATE_CHILD_SA request: TSi is missing'],
  ['CREATE_CHILD_SA', 'sealed request', 'SA No TSi', 'CREATE_CHILD_SA request: TSr is missing'],
  ['INFORMATIONAL', 'sealed request', 'SA', 'INFORMATIONAL request: SA is not expected'],
  ['INFORMATIONAL', 'request', 'D', 'INFORMATIONAL request: D is not expected'],
];

describe('payload rules', () => {
  for (const [exchange, place, ladder] of FITTING) {
    it(`${exchange} ${place} {${ladder}} fits`, () => {
      assert.deepEqual(check(exchange, place, ladder), { kind: 'ok' });
    });
  }

  for (const [exchange, place, ladder, what] of MISFITS) {
    it(`${exchange} ${place} {${ladder}} does not: ${what}`, () => {
      assert.deepEqual(check(exchange, place, ladder), { kind: 'fault', what });
    });
  }

  it('names the type of an unknown critical payload, wherever it is', () => {
    const fault = { kind: 'fault', what: 'critical payload 201', unsupportedCritical: 201 };
    assert.deepEqual(check('IKE_SA_INIT', 'request', 'SA KE No P(201)'), fault);
    assert.deepEqual(check('IKE_AUTH', 'request', 'P(201) SK'), fault);
    assert.deepEqual(check('INFORMATIONAL', 'sealed request', 'P(201)'), fault);
  });

  it('does not look at the critical bit of a payload it knows', () => {
    const payloads = payloadsOf('SA KE No').map((payload) => ({ ...payload, critical: true }));
    const { IKE_SA_INIT } = ExchangeType;
    assert.deepEqual(checkPayloads(IKE_SA_INIT, false, false, payloads), { kind: 'ok' });
  });

  it('knows no other exchange', () => {
    assert.deepEqual(checkPayloads(33, false, false, payloadsOf('SA')), {
      kind: 'fault',
      what: 'exchange type 33',
    });
  });
});

describe('names for people', () => {
  it('payloads are called as in RFC 7296 §1.2', () => {
    const ladder =
      'SA KE No IDi IDr CERT CERTREQ AUTH N(COOKIE) D V TSi TSr SK EF(1/3) CP EAP P(200)';
    assert.equal(payloadsOf(ladder).map(payloadName).join(' '), ladder);
    assert.equal(payloadName(notify(40_000)), 'N(40000)');
  });

  it('exchanges by their name, or their number', () => {
    assert.equal(exchangeName(36), 'CREATE_CHILD_SA');
    assert.equal(exchangeName(99), '99');
  });
});
