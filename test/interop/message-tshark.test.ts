/**
 * Messages of ours as tshark reads them: the codec and the sealing against a decoder that is not
 * ours. Needs tshark, no root and no network.
 */
import { strict as assert } from 'node:assert';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { run } from '../../lab/command.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { wiresharkIkeEncryption, wiresharkIkeIntegrity } from '../../src/crypto/wireshark.ts';
import { encodeMessage } from '../../src/ike/message/codec.ts';
import {
  ExchangeType,
  type IkeHeader,
  ikeSpi,
  messageId,
  type Payload,
} from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { MessageKey, sealDatagrams } from '../../src/ike/protection.ts';
import type { Proposal, Transform } from '../../src/ipsec/proposal.ts';
import { parseAddress } from '../../src/wire/address.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';
import { pcapFile } from '../support/pcap.ts';
import { seededRandom } from '../support/seeded-random.ts';

const random = seededRandom(7296);
const NO_OCTETS = new Uint8Array();
const INITIATOR = Uint8Array.of(192, 0, 2, 1);
const RESPONDER = Uint8Array.of(192, 0, 2, 2);

interface Suite {
  readonly encr: Transform;
  readonly integ?: Transform;
  readonly encryptionOctets: number;
  readonly integrityOctets: number;
}

function cbc(keyLength: number, integ: number, integrityOctets: number): Suite {
  return {
    encr: { type: 1, id: 12, keyLength },
    integ: { type: 3, id: integ },
    encryptionOctets: keyLength / 8,
    integrityOctets,
  };
}

function gcm(keyLength: number): Suite {
  const encr = { type: 1, id: 20, keyLength };
  return { encr, encryptionOctets: keyLength / 8 + 4, integrityOctets: 0 };
}

/** What tshark 4.0 can open: it has no ChaCha20-Poly1305 for IKEv2. */
const SUITES: readonly Suite[] = [
  cbc(128, 2, 20),
  cbc(192, 12, 32),
  cbc(256, 13, 48),
  cbc(256, 14, 64),
  gcm(128),
  gcm(192),
  gcm(256),
];

/** One IKE SA with keys at random. */
class SealedSa {
  readonly spiI = ikeSpi(random(8));
  readonly spiR = ikeSpi(random(8));
  readonly suite: Suite;
  readonly #keys: readonly Uint8Array[];

  constructor(suite: Suite) {
    this.suite = suite;
    const { encryptionOctets, integrityOctets } = suite;
    const lengths = [encryptionOctets, encryptionOctets, integrityOctets, integrityOctets];
    this.#keys = lengths.map((length) => random(length));
  }

  get name(): string {
    return [this.#encryptionName, this.#integrityName].join(', ');
  }

  /** A line of `ikev2_decryption_table`. */
  get tableLine(): string {
    const [skEi, skEr, skAi, skAr] = this.#keys.map(toHex);
    const ends = [this.spiI, this.spiR, skEi, skEr, `"${this.#encryptionName}"`];
    return [...ends, skAi, skAr, `"${this.#integrityName}"`].join(',');
  }

  seal(fields: Partial<IkeHeader>, payloads: readonly Payload[]): Uint8Array {
    const [whole] = this.sealDatagrams(fields, payloads, 65_535);
    assert.ok(whole);
    return whole;
  }

  sealDatagrams(
    fields: Partial<IkeHeader>,
    payloads: readonly Payload[],
    maxOctets: number,
  ): readonly Uint8Array[] {
    const [skEi = NO_OCTETS, skEr = NO_OCTETS, skAi = NO_OCTETS, skAr = NO_OCTETS] = this.#keys;
    const sent = header({ initiatorSpi: this.spiI, responderSpi: this.spiR, ...fields });
    const [encryption, integrity] = sent.fromInitiator ? [skEi, skAi] : [skEr, skAr];
    const { encr, integ } = this.suite;
    const secrets = [new SecretBytes(encryption), new SecretBytes(integrity)] as const;
    const key = new MessageKey(encr, integ, ...secrets);
    return sealDatagrams({ header: sent, payloads }, key, random, maxOctets);
  }

  get #encryptionName(): string {
    const { id, keyLength } = this.suite.encr;
    return wiresharkIkeEncryption(id, keyLength ?? 0) ?? '';
  }

  get #integrityName(): string {
    return wiresharkIkeIntegrity(this.suite.integ?.id) ?? '';
  }
}

function header(fields: Partial<IkeHeader>): IkeHeader {
  return {
    initiatorSpi: ikeSpi(fromHex('0102030405060708')),
    responderSpi: ikeSpi(fromHex('1112131415161718')),
    majorVersion: 2,
    minorVersion: 0,
    exchangeType: ExchangeType.IKE_AUTH,
    fromInitiator: true,
    higherVersion: false,
    isResponse: false,
    messageId: messageId(1),
    ...fields,
  };
}

function selector(
  first: string,
  last: string,
  protocol: number,
  startPort: number,
  endPort: number,
) {
  const [start, end] = [first, last].map(parseAddress);
  assert.ok(start && end);
  const range = { first: start, last: end };
  return { kind: 'range', selector: { range, protocol, startPort, endPort } } as const;
}

const ESP_PROPOSAL: Proposal = {
  number: 1,
  protocol: 3,
  spi: fromHex('c0ffee01'),
  transforms: [
    { type: 1, id: 20, keyLength: 256 },
    { type: 5, id: 0 },
  ],
};

const AUTH_REQUEST: readonly Payload[] = [
  { kind: 'IDi', identity: { type: 2, data: Uint8Array.from('a.lab', (c) => c.charCodeAt(0)) } },
  { kind: 'IDr', identity: { type: 1, data: RESPONDER } },
  { kind: 'AUTH', method: 2, data: fromHex('0badcafe') },
  {
    kind: 'CP',
    type: 1,
    attributes: [
      { type: 1, value: NO_OCTETS },
      { type: 3, value: fromHex('0a020035') },
    ],
  },
  { kind: 'SA', proposals: [ESP_PROPOSAL] },
  { kind: 'TSi', entries: [selector('10.1.0.0', '10.1.255.255', 6, 80, 443)] },
  {
    kind: 'TSr',
    entries: [
      selector('10.2.0.0', '10.2.255.255', 0, 0, 65535),
      selector('2001:db8::', '2001:db8::ffff', 58, 0, 65535),
    ],
  },
  {
    kind: 'NOTIFY',
    protocol: 0,
    spi: NO_OCTETS,
    type: NotifyType.INITIAL_CONTACT,
    data: NO_OCTETS,
  },
];

const AUTH_REQUEST_FIELDS = {
  'isakmp.flag_i': ['1'],
  'isakmp.flag_r': ['0'],
  'isakmp.exchangetype': ['35'],
  'isakmp.messageid': ['0x00000001'],
  // Proposals are 2 and transforms 3 in this list.
  'isakmp.typepayload': ['46', '35', '36', '39', '47', '33', '2', '3', '3', '44', '45', '41'],
  'isakmp.id.data.fqdn': ['a.lab'],
  'isakmp.id.data.ipv4_addr': ['192.0.2.2'],
  'isakmp.auth.method': ['2'],
  'isakmp.auth.data': ['0badcafe'],
  'isakmp.cfg.attr.internal_ip4_dns': ['10.2.0.53'],
  // Of the proposal and of the notify.
  'isakmp.spisize': ['4', '0'],
  'isakmp.spi': ['c0ffee01'],
  'isakmp.tf.id.encr': ['20'],
  'isakmp.ike2.attr.key_length': ['256'],
  'isakmp.tf.id.esn': ['0'],
  'isakmp.ts.protoid': ['6', '0', '58'],
  'isakmp.ts.start_port': ['80', '0', '0'],
  'isakmp.ts.end_port': ['443', '65535', '65535'],
  'isakmp.ts.start_ipv4': ['10.1.0.0', '10.2.0.0'],
  'isakmp.ts.end_ipv4': ['10.1.255.255', '10.2.255.255'],
  'isakmp.ts.start_ipv6': ['2001:db8::'],
  'isakmp.ts.end_ipv6': ['2001:db8::ffff'],
  'isakmp.notify.msgtype': ['16384'],
};

const DELETE_RESPONSE: readonly Payload[] = [
  { kind: 'DELETE', protocol: 3, spiSize: 4, spis: [fromHex('c0ffee01'), fromHex('c0ffee02')] },
];

const DELETE_RESPONSE_FIELDS = {
  'isakmp.flag_i': ['0'],
  'isakmp.flag_r': ['1'],
  'isakmp.exchangetype': ['37'],
  'isakmp.messageid': ['0x00000009'],
  'isakmp.typepayload': ['46', '42'],
  'isakmp.spisize': ['4'],
  'isakmp.spinum': ['2'],
  'isakmp.delete.spi': ['c0ffee01', 'c0ffee02'],
};

const INIT_REQUEST: readonly Payload[] = [
  { kind: 'NOTIFY', protocol: 0, spi: NO_OCTETS, type: NotifyType.COOKIE, data: fromHex('aabb') },
  {
    kind: 'SA',
    proposals: [
      {
        number: 1,
        protocol: 1,
        spi: NO_OCTETS,
        transforms: [
          { type: 1, id: 12, keyLength: 256 },
          { type: 1, id: 12, keyLength: 128 },
          { type: 2, id: 5 },
          { type: 3, id: 12 },
          { type: 4, id: 31 },
        ],
      },
      {
        number: 2,
        protocol: 1,
        spi: NO_OCTETS,
        transforms: [
          { type: 1, id: 28 },
          { type: 2, id: 7 },
          { type: 4, id: 14 },
        ],
      },
    ],
  },
  { kind: 'KE', method: 31, data: random(32) },
  { kind: 'NONCE', nonce: fromHex('000102030405060708090a0b0c0d0e0f') },
  { kind: 'VENDOR', vendorId: fromHex('afcad71368a1f1c96b8696fc77570100') },
  { kind: 'CERTREQ', encoding: 4, authorities: random(20) },
  { kind: 'unknown', type: 200, critical: true, body: fromHex('0102') },
];

const INIT_REQUEST_FIELDS = {
  'isakmp.flag_i': ['1'],
  'isakmp.flag_r': ['0'],
  'isakmp.exchangetype': ['34'],
  'isakmp.messageid': ['0x00000000'],
  'isakmp.typepayload': [
    ...['41', '33', '2', '3', '3', '3', '3', '3', '2', '3', '3', '3'],
    ...['34', '40', '43', '38', '200'],
  ],
  'isakmp.prop.number': ['1', '2'],
  'isakmp.prop.transforms': ['5', '3'],
  'isakmp.tf.id.encr': ['12', '12', '28'],
  'isakmp.ike2.attr.key_length': ['256', '128'],
  'isakmp.tf.id.prf': ['5', '7'],
  'isakmp.tf.id.integ': ['12'],
  'isakmp.tf.id.dh': ['31', '14'],
  'isakmp.key_exchange.dh_group': ['31'],
  'isakmp.nonce': ['000102030405060708090a0b0c0d0e0f'],
  'isakmp.notify.msgtype': ['16390'],
};

const COMPLAINTS = ['_ws.malformed', '_ws.expert.message'];

/** What tshark says about one message: the fields asked for that it has, each with its values. */
type Dissection = Readonly<Record<string, unknown>>;

/** tshark's reading of messages, given the keys. */
async function dissect(
  messages: readonly Uint8Array[],
  tableLines: readonly string[],
  fields: readonly string[],
): Promise<readonly Dissection[]> {
  const folder = mkdtempSync(join(tmpdir(), 'tsgw-tshark-'));
  try {
    const capture = join(folder, 'messages.pcap');
    const ends = { source: INITIATOR, destination: RESPONDER, port: 500 };
    writeFileSync(capture, pcapFile(messages.map((payload) => ({ ...ends, payload }))));
    writeFileSync(join(folder, 'ikev2_decryption_table'), `${tableLines.join('\n')}\n`);
    const asked = [...fields, ...COMPLAINTS].flatMap((field) => ['-e', field]);
    const { stdout } = await run(['tshark', '-r', capture, '-T', 'json', ...asked], {
      env: { WIRESHARK_CONFIG_DIR: folder },
    });
    return dissections(JSON.parse(stdout));
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function dissections(packets: unknown): readonly Dissection[] {
  assert.ok(Array.isArray(packets));
  return packets.map((packet: unknown) => {
    const { _source } = { _source: {}, ...Object(packet) };
    const { layers } = { layers: {}, ...Object(_source) };
    return { ...Object(layers) };
  });
}

describe('messages of ours, read by tshark', () => {
  it('IKE_SA_INIT with the payloads that stand in the clear', async () => {
    const octets = encodeMessage({
      header: header({ exchangeType: ExchangeType.IKE_SA_INIT, messageId: messageId(0) }),
      payloads: INIT_REQUEST,
    });
    const [dissection] = await dissect([octets], [], Object.keys(INIT_REQUEST_FIELDS));
    assert.deepEqual(dissection, INIT_REQUEST_FIELDS);
  });

  for (const sa of SUITES.map((suite) => new SealedSa(suite))) {
    it(`${sa.name}: opens a request and a response`, async () => {
      const request = sa.seal({}, AUTH_REQUEST);
      const response = sa.seal(
        {
          exchangeType: ExchangeType.INFORMATIONAL,
          fromInitiator: false,
          isResponse: true,
          messageId: messageId(9),
        },
        DELETE_RESPONSE,
      );
      const fields = [...Object.keys(AUTH_REQUEST_FIELDS), ...Object.keys(DELETE_RESPONSE_FIELDS)];
      const [first, second] = await dissect([request, response], [sa.tableLine], fields);
      assert.deepEqual(first, AUTH_REQUEST_FIELDS);
      assert.deepEqual(second, DELETE_RESPONSE_FIELDS);
    });

    it(`${sa.name}: puts a request in fragments together (RFC 7383)`, async () => {
      const datagrams = sa.sealDatagrams({}, AUTH_REQUEST, 130);
      const total = datagrams.length;
      assert.ok(total >= 3, `${total} fragments`);
      const inside = Object.keys(AUTH_REQUEST_FIELDS);
      const numbers = ['isakmp.frag.number', 'isakmp.frag.total', 'isakmp.fragment.count'];
      const fragments = await dissect(datagrams, [sa.tableLine], [...numbers, ...inside]);
      for (const [index, fragment] of fragments.entries()) {
        assert.deepEqual(fragment['isakmp.frag.number'], [String(index + 1)]);
        assert.deepEqual(fragment['isakmp.frag.total'], [String(total)]);
        for (const complaint of COMPLAINTS) assert.equal(fragment[complaint], undefined);
      }
      const whole = fragments.at(-1);
      assert.deepEqual(whole?.['isakmp.fragment.count'], [String(total)]);
      for (const [field, values] of Object.entries(AUTH_REQUEST_FIELDS)) {
        const expected = field === 'isakmp.typepayload' ? ['53', ...values.slice(1)] : values;
        assert.deepEqual(whole?.[field], expected, field);
      }
    });

    it(`${sa.name}: complains about a wrong ICV`, async () => {
      const octets = sa.seal({}, AUTH_REQUEST);
      const last = octets.length - 1;
      octets[last] = (octets[last] ?? 0) ^ 1;
      const [dissection] = await dissect([octets], [sa.tableLine], ['isakmp.exchangetype']);
      assert.ok(COMPLAINTS.some((field) => dissection?.[field] !== undefined));
    });
  }
});
