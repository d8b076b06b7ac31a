/** Before, in, right after and long after IKE_AUTH: what counts when (RFC 7296 §2.15, §2.21.2). */
import assert from 'node:assert/strict';
import { ConfigurationType } from '../../src/ike/message/cp.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType, type Payload } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import { AttributeType } from '../../src/ipsec/configuration-attribute.ts';
import { ProtocolId } from '../../src/ipsec/proposal.ts';
import { baselineOf, SAMPLES } from '../support/bad-input-samples.ts';
import { world } from '../support/bad-input-worlds.ts';
import { child, connection, mirrored } from '../support/connections.ts';
import { assertEnded, HostilePeer, holdings, responses } from '../support/hostile-peer.ts';
import { endpoint, type Flight, type Pair } from '../support/pair.ts';
import { rekey, tunnel } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';

const { IKE_AUTH, CREATE_CHILD_SA, INFORMATIONAL } = ExchangeType;

const DELETE_IKE: Payload = { kind: 'DELETE', protocol: ProtocolId.IKE, spiSize: 0, spis: [] };
/** What would be done if a handler heard of it. */
const ASKED: readonly (readonly [exchangeType: number, payloads: readonly Payload[]])[] = [
  [INFORMATIONAL, []],
  [INFORMATIONAL, [DELETE_IKE]],
  [INFORMATIONAL, [SAMPLES.D]],
  [INFORMATIONAL, [SAMPLES.CP]],
  [INFORMATIONAL, [statusNotify(NotifyType.COOKIE2, new Uint8Array(16))]],
  [INFORMATIONAL, [statusNotify(NotifyType.UPDATE_SA_ADDRESSES)]],
  [INFORMATIONAL, [statusNotify(NotifyType.AUTHENTICATION_FAILED)]],
];

/** Every use of CREATE_CHILD_SA, well made. */
function creations(hostile: HostilePeer): typeof ASKED {
  return (['new Child SA', 'rekeyed Child SA', 'rekeyed IKE SA'] as const).map((use) => [
    CREATE_CHILD_SA,
    baselineOf(hostile, use, 'request'),
  ]);
}

describe('Before IKE_AUTH, sealed with the right keys (RFC 7296 §2.15)', () => {
  it('no request reaches a handler of a responder: INVALID_SYNTAX, and the IKE SA goes', () => {
    const { length } = [...ASKED, ...creations(world('half-open, responder'))];
    for (let index = 0; index < length; index++) {
      const hostile = world('half-open, responder');
      const [exchangeType, payloads] = [...ASKED, ...creations(hostile)][index] ?? [0, []];
      const { victim } = hostile;
      const reaction = hostile.request(exchangeType, payloads);
      assert.deepEqual(responses(reaction), ['[N(INVALID_SYNTAX)]']);
      assertEnded(hostile.pair, 'half-open');
      assert.deepEqual(
        reaction.events.map(({ kind }) => kind),
        ['peer-fault'],
      );
      assert.equal(victim.outbound.size + victim.virtual.size, 0);
    }
  });

  it('no request of a responder reaches a handler of the initiator, which goes on waiting', () => {
    const pair = sites();
    pair.translate = (flight) => (isAuthRequest(flight) ? undefined : flight);
    initiate(pair, pair.b);
    pair.run(100);
    const hostile = new HostilePeer(pair);
    const before = holdings(pair.b);
    for (const [exchangeType, payloads] of [...ASKED, ...creations(hostile)]) {
      const reaction = hostile.request(exchangeType, payloads);
      assert.deepEqual(reaction.answers, []);
      const [drop] = reaction.events;
      assert.ok(drop?.kind === 'ike-drop' && drop.reason === 'ike-request-before-auth');
      assert.deepEqual(holdings(pair.b), before);
    }
    pair.translate = (flight) => flight;
    pair.run(10_000);
    assert.equal(pair.b.outcomes.get(1)?.kind, 'done', 'the honest answer counts');
  });
});

describe('IKE_AUTH of an established IKE SA', () => {
  it('is no message of its state, whatever it proves: INVALID_SYNTAX', () => {
    const proofs: readonly (readonly Payload[])[] = [
      [SAMPLES.IDi, SAMPLES.AUTH, SAMPLES.SA, SAMPLES.TSi, SAMPLES.TSr],
      [SAMPLES.IDi, SAMPLES.AUTH],
      [SAMPLES.AUTH],
      [SAMPLES.EAP],
    ];
    for (const payloads of proofs) {
      for (const state of ['established, responder', 'established, initiator'] as const) {
        const hostile = world(state);
        assert.deepEqual(responses(hostile.request(IKE_AUTH, payloads)), ['[N(INVALID_SYNTAX)]']);
        assertEnded(hostile.pair, state);
      }
    }
  });

  it('repeated octet by octet gets the answer it had', () => {
    const pair = tunnel();
    const requests = pair.flights.filter(isAuthRequest);
    const before = [holdings(pair.b), pair.flights.length] as const;
    for (const flight of requests) pair.inject(flight);
    pair.run(pair.now + 100);
    assert.deepEqual(holdings(pair.b), before[0]);
    assert.equal(pair.flights.length, before[1] + 2 * requests.length);
  });
});

describe('Errors in INFORMATIONAL requests (RFC 7296 §2.21.2, §3.10.1)', () => {
  for (const type of [NotifyType.INVALID_SYNTAX, NotifyType.UNSUPPORTED_CRITICAL_PAYLOAD]) {
    it(`${type} right after IKE_AUTH says that the initiator has no IKE SA`, () => {
      const pair = tunnel(connection({ children: [child({ closeAction: 'start' })] }));
      const reaction = new HostilePeer(pair).request(INFORMATIONAL, [statusNotify(type)]);
      assert.deepEqual(responses(reaction), ['[]']);
      assertEnded(pair, `${type}`);
      assert.deepEqual(pair.b.reinitiated, ['peer/net']);
    });

    it(`${type} later, or of a responder, says nothing`, () => {
      const later = new HostilePeer(tunnel());
      later.request(INFORMATIONAL, []);
      const ofResponder = world('established, initiator');
      const rekeyed = tunnel();
      rekey(rekeyed, rekeyed.a, 'ike', 9);
      rekeyed.run(rekeyed.now + 1000);
      for (const hostile of [later, ofResponder, new HostilePeer(rekeyed)]) {
        const before = holdings(hostile.victim);
        const reaction = hostile.request(INFORMATIONAL, [statusNotify(type)]);
        assert.deepEqual(responses(reaction), ['[]']);
        assert.deepEqual(holdings(hostile.victim), before);
      }
    });
  }
});

describe('What IKE_AUTH asks for beside the proof', () => {
  /** Site a's IKE_AUTH with these payloads in place of those that ask for a Child SA. */
  function authenticated(pair: Pair, change: (payloads: readonly Payload[]) => readonly Payload[]) {
    pair.translate = (flight) => (isAuthRequest(flight) ? undefined : flight);
    initiate(pair);
    pair.run(100);
    const [sa] = pair.a.engine.ikeSas();
    const honest = sa?.window.inFlight?.payloads ?? [];
    const hostile = new HostilePeer(pair);
    return { hostile, reaction: hostile.send({ exchangeType: IKE_AUTH, id: 1 }, change(honest)) };
  }

  it('made badly is INVALID_SYNTAX: neither end keeps the IKE SA', () => {
    const pair = sites();
    const value = new Uint8Array(5);
    const attributes = [{ type: AttributeType.INTERNAL_IP4_ADDRESS, value }];
    const cp: Payload = { kind: 'CP', type: ConfigurationType.CFG_REQUEST, attributes };
    const { reaction } = authenticated(pair, (payloads) => [...payloads, cp]);
    assert.deepEqual(responses(reaction), ['[N(INVALID_SYNTAX)]']);
    assertEnded(pair, 'a malformed attribute');
  });

  it('nothing, where the connection must have a Child SA, is INVALID_SYNTAX (RFC 6023 §3)', () => {
    const one = connection();
    const pair = sites(one, { ...mirrored(one), childless: 'never' });
    const alone = (payloads: readonly Payload[]) =>
      payloads.filter(({ kind }) => kind !== 'SA' && kind !== 'TSi' && kind !== 'TSr');
    const { reaction } = authenticated(pair, alone);
    assert.deepEqual(responses(reaction), ['[N(INVALID_SYNTAX)]']);
    assertEnded(pair, 'childless');
    assert.equal(pair.b.seen('ike-sa-up').length, 0);
  });
});

describe('UPDATE_SA_ADDRESSES (RFC 4555 §3.7)', () => {
  it('from thousands of places asks one question at a time', () => {
    const pair = tunnel(connection({ mobike: true }));
    const hostile = new HostilePeer(pair);
    for (let round = 0; round < 2000; round++) {
      hostile.sa.local = endpoint(`198.51.${round >> 8}.${round & 0xff}`, 4500);
      hostile.request(INFORMATIONAL, [statusNotify(NotifyType.UPDATE_SA_ADDRESSES)]);
    }
    const { victimSa } = hostile;
    assert.equal(victimSa?.inFlight?.kind, 'check-routability');
    assert.ok((victimSa?.queued.length ?? 0) <= 1, `${victimSa?.queued.length} questions wait`);
  });
});

function isAuthRequest({ octets }: Flight): boolean {
  const header = decodeHeader(octets);
  return header.exchangeType === IKE_AUTH && !header.isResponse;
}
