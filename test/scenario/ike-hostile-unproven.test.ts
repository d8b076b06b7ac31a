/** What peers can have that proved nothing: answers no larger than their requests, bounded state. */
import assert from 'node:assert/strict';
import { decodeMessage, encodeMessage } from '../../src/ike/message/codec.ts';
import { Limit } from '../../src/ike/message/limits.ts';
import {
  ExchangeType,
  type IkeHeader,
  ikeSpi,
  messageId,
  NO_IKE_SPI,
  type Payload,
  PayloadType,
} from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { payloadName } from '../../src/ike/message/payload-rules.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { sealDatagrams } from '../../src/ike/protection.ts';
import { REASSEMBLY_LIMIT } from '../../src/ike/reassembly.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import { readRecordings } from '../ike/recording.ts';
import {
  AES_GCM_256,
  connection,
  ECP_256,
  ikeProposal,
  mirrored,
  PRF_SHA2_256,
  X25519,
} from '../support/connections.ts';
import { keyExchange } from '../support/hostile-offers.ts';
import { HostilePeer } from '../support/hostile-peer.ts';
import { B, endpoint, type Pair } from '../support/pair.ts';
import { seededNumbers, seededRandom } from '../support/seeded-random.ts';
import { initiate, sites } from '../support/sites.ts';

const HEADER: IkeHeader = {
  initiatorSpi: ikeSpi(new Uint8Array(8).fill(0x51)),
  responderSpi: NO_IKE_SPI,
  majorVersion: 2,
  minorVersion: 0,
  exchangeType: ExchangeType.IKE_SA_INIT,
  fromInitiator: true,
  higherVersion: false,
  isResponse: false,
  messageId: messageId(0),
};
const gcm = connection({ proposals: [ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519, ECP_256)] });
const empty = (type: number) => statusNotify(type);

/** The smallest request there is, and what makes our answer to it larger. */
const SA: Payload = {
  kind: 'SA',
  proposals: [{ ...ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519), number: 1 }],
};
const MINIMAL: readonly Payload[] = [
  SA,
  keyExchange(X25519.id),
  { kind: 'NONCE', nonce: new Uint8Array(16).fill(1) },
];
const GREEDY: readonly Payload[] = [
  ...MINIMAL,
  empty(NotifyType.NAT_DETECTION_SOURCE_IP),
  empty(NotifyType.NAT_DETECTION_DESTINATION_IP),
  empty(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
];

interface Answered {
  readonly names: readonly string[];
  readonly payloads: readonly Payload[];
  readonly ratio: number;
}

/** What a request from somewhere is answered with. */
function ask(
  pair: Pair,
  octets: Uint8Array,
  from = endpoint('198.51.100.1'),
): Answered | undefined {
  const sent = pair.flights.length;
  pair.handle(pair.b, { kind: 'datagram', local: endpoint(B), remote: from, octets });
  const [answer, ...others] = pair.flights.slice(sent);
  assert.equal(others.length, 0, 'one answer at most');
  if (!answer) return undefined;
  const { payloads } = decodeMessage(answer.octets);
  const ratio = answer.octets.length / octets.length;
  return { names: payloads.map(payloadName), payloads, ratio };
}

function request(payloads: readonly Payload[], header: Partial<IkeHeader> = {}): Uint8Array {
  return encodeMessage({ header: { ...HEADER, ...header }, payloads });
}

function responder(settings: ConstructorParameters<typeof Pair>[0] = {}): Pair {
  return sites(gcm, mirrored({ ...gcm, fragmentation: 'accept' }), settings);
}

describe('An answer to an address that proved nothing (RFC 7296 §2.6)', () => {
  it('is no larger than its request: a larger one waits for the cookie', () => {
    for (const payloads of [MINIMAL, GREEDY]) {
      const pair = responder();
      const first = ask(pair, request(payloads));
      assert.deepEqual(first?.names, ['N(COOKIE)']);
      assert.ok(first.ratio <= 1, `${first.ratio}`);
      assert.equal(pair.b.engine.halfOpen, 0, 'nothing is kept');
      const shown = request([...first.payloads, ...payloads]);
      const second = ask(pair, shown);
      assert.equal(second?.names[0], 'SA');
      assert.equal(pair.b.engine.halfOpen, 1);
      // Repeated it is answered alike; another address may have to show a cookie of its own.
      assert.deepEqual(ask(pair, shown)?.names, second.names);
      const elsewhere = ask(pair, shown, endpoint('198.51.100.2'));
      assert.ok(elsewhere && elsewhere.ratio <= 1);
      if (payloads === GREEDY) assert.deepEqual(elsewhere.names, ['N(COOKIE)']);
    }
  });

  it('is no larger, of whatever size the request is', () => {
    let [largest, answers] = [0, 0];
    for (let more = 0; more < 200; more++) {
      const vendor: Payload = { kind: 'VENDOR', vendorId: new Uint8Array(more) };
      for (const payloads of [MINIMAL, GREEDY]) {
        const pair = responder();
        const answered = ask(pair, request([...payloads, vendor]));
        assert.ok(answered && answered.ratio <= 1, `${answered?.ratio} with ${more} octets more`);
        largest = Math.max(largest, answered.ratio);
        if (answered.names[0] === 'SA') answers++;
      }
    }
    assert.ok(largest > 0.99, `the bound is reached: ${largest}`);
    assert.ok(answers > 100, `${answers} are answered at once`);
  });

  it('is no larger, whatever is wrong', () => {
    const nonce: Payload = { kind: 'unknown', type: PayloadType.NONCE, body: new Uint8Array(3) };
    const zeros: Payload = { kind: 'KE', method: X25519.id, data: new Uint8Array(32) };
    const critical: Payload = {
      kind: 'unknown',
      type: 200,
      critical: true,
      body: new Uint8Array(),
    };
    const none: Payload = { kind: 'SA', proposals: [{ ...ikeProposal(), number: 1 }] };
    const [sa, ke, no] = MINIMAL;
    assert.ok(sa && ke && no);
    const expected: readonly (readonly [string, Uint8Array])[] = [
      ['N(NO_PROPOSAL_CHOSEN)', request([none, ke, no])],
      [
        'N(INVALID_KE_PAYLOAD)',
        request([sa, { kind: 'KE', method: 14, data: new Uint8Array(256) }, no]),
      ],
      ['N(INVALID_SYNTAX)', request([sa, ke])],
      ['N(INVALID_SYNTAX)', request([...MINIMAL, sa])],
      ['N(UNSUPPORTED_CRITICAL_PAYLOAD)', request([critical, ...MINIMAL])],
      ['N(COOKIE)', request([sa, zeros, no])],
    ];
    for (const [name, octets] of expected) {
      const answered = ask(responder(), octets);
      assert.deepEqual(answered?.names, [name]);
      assert.ok(answered.ratio <= 1, `${name}: ${answered.ratio}`);
    }
    const [version] = request(MINIMAL).subarray(17);
    assert.equal(version, 0x20);
    const later = request(MINIMAL);
    later[17] = 0x30;
    const refused = ask(responder(), later);
    assert.deepEqual(refused?.names, ['N(INVALID_MAJOR_VERSION)']);
    assert.ok(refused.ratio <= 1);
    // What does not decode, and what is too small to be answered without amplifying: silence.
    assert.equal(ask(responder(), request([sa, ke, nonce])), undefined);
    assert.equal(ask(responder(), request([critical])), undefined);
  });

  it('is no larger for thousands of requests with octets changed', () => {
    const chance = seededNumbers(21);
    const pair = responder({ b: { cookieThreshold: 1e9, cookieThresholdPerAddress: 1e9 } });
    const padded = [...GREEDY, { kind: 'VENDOR', vendorId: new Uint8Array(70) } as const];
    let answers = 0;
    for (let round = 0; round < 3000; round++) {
      const octets = request(round % 2 === 0 ? GREEDY : padded).slice();
      for (let flips = 1 + Math.floor(chance() * 3); flips > 0; flips--) {
        const at = Math.floor(chance() * octets.length);
        octets[at] = (octets[at] ?? 0) ^ (1 << Math.floor(chance() * 8));
      }
      const answered = ask(pair, octets, endpoint(`198.51.${round >> 8}.${round & 0xff}`));
      if (!answered) continue;
      answers++;
      assert.ok(answered.ratio <= 1, `round ${round}: ${answered.names} ${answered.ratio}`);
    }
    assert.ok(answers > 500, `${answers} of 3000 were answered`);
  });

  it('is at once what strongSwan and we ourselves ask for', () => {
    for (const { file, messages } of readRecordings()) {
      const [first] = messages;
      assert.ok(first);
      const { payloads } = decodeMessage(first.octets);
      const sa = payloads.find(({ kind }) => kind === 'SA');
      assert.ok(sa?.kind === 'SA');
      const proposals = sa.proposals.map((one) => ({ ...one, number: 0 }));
      const one = connection({ proposals, fragmentation: 'yes' });
      const pair = sites(one);
      const answered = ask(pair, first.octets);
      assert.equal(answered?.names[0], 'SA', file);
      assert.ok(answered.ratio <= 1, file);
    }
    const pair = sites(connection({ fragmentation: 'yes' }));
    initiate(pair);
    pair.run(1000);
    assert.equal(
      pair.ladder.some((line) => line.includes('COOKIE')),
      false,
    );
  });
});

describe('State of peers that proved nothing', () => {
  it('holds no first request larger than any honest one', () => {
    const pair = responder();
    const filled = (length: number) => {
      const vendor: Payload = { kind: 'VENDOR', vendorId: new Uint8Array(length) };
      return request([...MINIMAL, vendor]);
    };
    const around = filled(0).length;
    const largest = filled(Limit.FIRST_REQUEST_OCTETS - around);
    assert.equal(largest.length, Limit.FIRST_REQUEST_OCTETS);
    assert.equal(ask(pair, largest)?.names[0], 'SA');
    assert.equal(ask(pair, filled(Limit.FIRST_REQUEST_OCTETS - around + 1)), undefined);
    assert.equal(pair.b.seen('ike-drop').at(-1)?.reason, 'ike-sa-init-too-large');
    assert.equal(pair.b.engine.halfOpen, 1);
  });

  it('is bounded in number and time, whatever it shows', () => {
    const most = 40;
    const pair = responder({ b: { maxHalfOpen: most, cookieThreshold: 4 } });
    for (let round = 0; round < 400; round++) {
      const header = { initiatorSpi: ikeSpi(Uint8Array.of(round >> 8, round, 1, 1, 1, 1, 1, 1)) };
      const from = endpoint(`198.51.${round >> 8}.${round & 0xff}`);
      const first = ask(pair, request(GREEDY, header), from);
      const cookie = first?.payloads ?? [];
      ask(pair, request([...cookie, ...GREEDY], header), from);
    }
    assert.equal(pair.b.engine.halfOpen, most);
    assert.ok(pair.b.seen('ike-drop').every(({ reason }) => reason === 'too-many-ike-sas'));
    pair.run(pair.now + 30_000 + 1);
    assert.equal(pair.b.engine.halfOpen, 0);
    assert.equal(pair.b.engine.nextDeadline(), undefined);
  });

  it('cannot push out fragments of a peer that proved itself', () => {
    const one = connection({ fragmentation: 'yes' });
    const strangers = Math.ceil(REASSEMBLY_LIMIT.UNPROVEN_OCTETS / 60_000) + 8;
    const settings = { maxHalfOpen: 1e6, cookieThreshold: 1e9, cookieThresholdPerAddress: 1e9 };
    const pair = sites(one, undefined, { b: { ...DEFAULT_IKE_SETTINGS, ...settings } });
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.b.established, 1);
    const proven = new HostilePeer(pair);
    const [early, ...rest] = inFragments(proven, ExchangeType.INFORMATIONAL, 2, 1000);
    assert.ok(early && rest.length > 0);
    proven.deliver({ exchangeType: ExchangeType.INFORMATIONAL }, () => early);
    for (let index = 0; index < strangers; index++) {
      pair.a.pad.load({ ...one, name: `peer-${index}` });
      pair.translate = ({ octets, ...flight }) =>
        octets[18] === ExchangeType.IKE_SA_INIT ? { ...flight, octets } : undefined;
      initiate(pair, pair.a, { request: 100 + index, name: `peer-${index}` });
      pair.run(pair.now + 5);
      const sa = pair.a.engine
        .ikeSas()
        .find(({ connection: { name } }) => name === `peer-${index}`);
      const stranger = new HostilePeer(pair, sa);
      const fragments = inFragments(stranger, ExchangeType.IKE_AUTH, 1, 60_000);
      for (const octets of fragments.slice(1)) {
        stranger.deliver({ exchangeType: ExchangeType.IKE_AUTH }, () => octets);
      }
    }
    const crowded = pair.b.seen('ike-drop').filter(({ reason }) => reason.includes('crowded'));
    assert.ok(crowded.length > 0, 'the room of those that proved nothing is full');
    const last = rest.map((octets) =>
      proven.deliver({ exchangeType: ExchangeType.INFORMATIONAL }, () => octets),
    );
    assert.equal(last.flatMap(({ answers }) => answers).length, 1, 'the message is whole');
  });
});

/** A message of so many octets in fragments, as the holder of the keys seals it. */
function inFragments(
  { sa }: HostilePeer,
  exchangeType: number,
  id: number,
  octets: number,
): readonly Uint8Array[] {
  assert.ok(sa.secured);
  const header: IkeHeader = {
    ...HEADER,
    initiatorSpi: sa.spiI,
    responderSpi: sa.spiR,
    exchangeType,
    messageId: messageId(id),
  };
  const payloads: readonly Payload[] = [{ kind: 'VENDOR', vendorId: new Uint8Array(octets) }];
  return sealDatagrams({ header, payloads }, sa.secured.sealing, seededRandom(5), 600);
}
