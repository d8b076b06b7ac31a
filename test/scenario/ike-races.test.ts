import assert from 'node:assert/strict';
import { childOffer, policyProposal } from '../../src/ike/child-negotiation.ts';
import { decodeMessage, encodeMessage } from '../../src/ike/message/codec.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType, type Payload } from '../../src/ike/message/message.ts';
import { spi } from '../../src/ipsec/spi.ts';
import {
  AES_CBC_256,
  child,
  connection,
  ECP_256,
  ikeProposal,
  mirrored,
  PRF_SHA2_256,
  SHA2_256,
} from '../support/connections.ts';
import { A, B, endpoint, type Flight, type Pair } from '../support/pair.ts';
import { initiate, sealed, sites, terminate } from '../support/sites.ts';

const ECP_ONLY = mirrored(
  connection({ proposals: [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, ECP_256)] }),
);

function isAuth({ octets }: Flight): boolean {
  return decodeHeader(octets).exchangeType === ExchangeType.IKE_AUTH;
}

function requests(pair: Pair, exchangeType: number): readonly Flight[] {
  return pair.flights.filter(({ octets }) => {
    const header = decodeHeader(octets);
    return header.exchangeType === exchangeType && !header.isResponse;
  });
}

describe('IKE_SA_INIT that starts over (RFC 7296 §2.6, §1.2)', () => {
  it('takes a repeated COOKIE or INVALID_KE_PAYLOAD for what it is', () => {
    for (let seed = 1; seed <= 100; seed++) {
      const wire = { loss: 0.1, duplicate: 0.7, delayMs: 5, jitterMs: 3000 };
      const pair = sites(connection(), ECP_ONLY, { seed, wire, b: { cookieThreshold: 0 } });
      initiate(pair);
      pair.run(400_000, () => pair.a.outcomes.has(1));
      assert.equal(pair.a.outcomes.get(1)?.kind, 'done', `seed ${seed}`);
    }
  });

  it('keeps its nonce and thereby its cookie when the method changes (§2.6.1)', () => {
    const pair = sites(connection(), ECP_ONLY, { b: { cookieThreshold: 0 } });
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.a.established, 1);
    assert.equal(requests(pair, ExchangeType.IKE_SA_INIT).length, 3);
  });
});

describe('keyingtries', () => {
  it('starts over with another SPI, so that nothing of the earlier attempt is met', () => {
    const pair = sites(connection({ keyingTries: 2 }));
    initiate(pair);
    // The responder is up, the initiator never hears of it.
    pair.translate = (flight) =>
      isAuth(flight) && decodeHeader(flight.octets).isResponse ? undefined : flight;
    pair.run(60_000);
    assert.equal(pair.b.established, 1);
    pair.run(170_000, () => requests(pair, ExchangeType.IKE_SA_INIT).length === 2);
    pair.translate = (flight) => flight;
    pair.run(180_000);
    assert.equal(pair.a.established, 1);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
    const [first, second] = requests(pair, ExchangeType.IKE_SA_INIT);
    assert.ok(first && second);
    assert.notEqual(
      decodeHeader(first.octets).initiatorSpi,
      decodeHeader(second.octets).initiatorSpi,
    );
  });

  it('starts over from the port it began with, though a NAT had moved it', () => {
    const pair = sites(connection({ keyingTries: 2, encap: true }));
    pair.translate = (flight) => (isAuth(flight) ? undefined : flight);
    initiate(pair);
    pair.run(200_000);
    assert.deepEqual(
      requests(pair, ExchangeType.IKE_SA_INIT).map(({ from, to }) => [from.port, to.port]),
      [
        [500, 500],
        [500, 500],
      ],
    );
  });

  it('ends when the connection is unloaded', () => {
    const pair = sites(connection({ keyingTries: 0 }), undefined, { wire: { loss: 1 } });
    initiate(pair);
    pair.run(400_000);
    assert.equal(pair.a.outcomes.size, 0);
    pair.a.pad.unload('peer');
    pair.run(600_000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'timeout');
    assert.equal(pair.a.engine.ikeSas().length, 0);
  });

  it('waits with the operator: a terminate in a later attempt answers both', () => {
    const pair = sites(connection({ keyingTries: 0 }), undefined, { wire: { loss: 1 } });
    initiate(pair);
    pair.run(400_000);
    terminate(pair, pair.a, 2);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'failed');
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
  });
});

describe('An SPI that an initiator uses again (RFC 7296 §2.1, §2.2)', () => {
  it('is another request unless every octet is the same', () => {
    const pair = sites();
    initiate(pair);
    pair.run(1000);
    const [first] = pair.flights;
    assert.ok(first);
    const before = pair.flights.length;
    pair.inject(first);
    pair.run(2000);
    assert.equal(pair.flights.length, before + 1, 'a repetition long after');
    const { header, payloads } = decodeMessage(first.octets);
    const fresh = payloads.map((one) =>
      one.kind === 'NONCE' ? { ...one, nonce: new Uint8Array(32) } : one,
    );
    for (let repeats = 0; repeats < 2; repeats++) {
      pair.inject({ ...first, octets: encodeMessage({ header, payloads: fresh }) });
      pair.run(pair.now + 10);
    }
    assert.equal(pair.b.engine.halfOpen, 1);
    assert.equal(pair.b.established, 1);
    assert.deepEqual(pair.flights.at(-1)?.octets, pair.flights.at(-3)?.octets);
    pair.run(pair.now + 60_000);
    assert.equal(pair.b.engine.halfOpen, 0);
  });
});

describe('An initiate meets an IKE SA that is there', () => {
  it('that is up: nothing to do', () => {
    const pair = sites();
    initiate(pair);
    pair.run(1000);
    initiate(pair, pair.a, { request: 2 });
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    assert.equal(requests(pair, ExchangeType.IKE_SA_INIT).length, 1);
  });

  it('that comes up: waits for it', () => {
    const pair = sites();
    initiate(pair);
    initiate(pair, pair.a, { request: 2 });
    pair.run(1000);
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    assert.equal(requests(pair, ExchangeType.IKE_SA_INIT).length, 1);
  });

  it('that is being deleted: makes another', () => {
    const pair = sites();
    initiate(pair);
    pair.run(1000);
    terminate(pair, pair.a, 2);
    initiate(pair, pair.a, { request: 3 });
    assert.equal(pair.a.outcomes.has(3), false);
    pair.run(2000);
    assert.equal(pair.a.outcomes.get(3)?.kind, 'done');
    assert.equal(pair.a.established, 1);
    assert.equal(pair.a.children.size, 1);
  });

  it('whose Child SA is being deleted: makes another', () => {
    const pair = sites();
    initiate(pair);
    pair.run(1000);
    pair.handle(pair.a, {
      kind: 'terminate',
      request: 2,
      selector: { child: 'net' },
      force: false,
    });
    initiate(pair, pair.a, { request: 3 });
    pair.run(2000);
    assert.equal(pair.a.outcomes.get(3)?.kind, 'done');
    assert.equal(pair.a.children.size, 1);
  });
});

describe('Both sides at once', () => {
  it('initiate: both are answered, and every SA of one side is one of the other', () => {
    for (let seed = 1; seed <= 50; seed++) {
      const wire = { loss: 0.2, delayMs: 5, jitterMs: 500 };
      const one = connection({ dpdDelaySeconds: 10 });
      const pair = sites(one, undefined, { seed, wire });
      initiate(pair, pair.a);
      initiate(pair, pair.b);
      pair.run(400_000, () => pair.a.outcomes.has(1) && pair.b.outcomes.has(1));
      pair.wire = {};
      pair.run(pair.now + 200_000);
      assert.ok(pair.a.outcomes.has(1) && pair.b.outcomes.has(1), `seed ${seed}`);
      const pairs = (side: typeof pair.a, from: 'spiIn' | 'spiOut') =>
        [...side.children.values()].map((childSa) => childSa[from]).sort();
      assert.deepEqual(pairs(pair.a, 'spiIn'), pairs(pair.b, 'spiOut'), `seed ${seed}`);
    }
  });
});

/** What CREATE_CHILD_SA may ask for (§1.3.1, §1.3.2). */
const OFFERS = {
  childSa: [
    ...childOffer(policyProposal(child(), { local: [], remote: [] }), spi(0xc000_0001)),
    { kind: 'NONCE', nonce: new Uint8Array(32) },
  ],
  ikeSa: [
    {
      kind: 'SA',
      proposals: connection().proposals.map((one) => ({
        ...one,
        number: 1,
        spi: new Uint8Array(8).fill(7),
      })),
    },
    { kind: 'NONCE', nonce: new Uint8Array(32) },
    { kind: 'KE', method: 31, data: new Uint8Array(32).fill(9) },
  ],
} as const satisfies Record<string, readonly Payload[]>;

/** Side a's request, put into side b's hands. */
function createChildSa(pair: Pair, payloads: readonly Payload[]): void {
  const [sa] = pair.a.engine.ikeSas();
  assert.ok(sa);
  const about = { exchangeType: ExchangeType.CREATE_CHILD_SA, id: 2 };
  const octets = sealed(sa, about, payloads);
  pair.handle(pair.b, { kind: 'datagram', local: endpoint(B), remote: endpoint(A), octets });
}

describe('Deletes (RFC 7296 §1.4.1, §2.25)', () => {
  it('asked for twice go out once', () => {
    const pair = sites();
    initiate(pair);
    pair.run(1000);
    for (const request of [2, 3]) {
      const selector = { child: 'net' };
      pair.handle(pair.a, { kind: 'terminate', request, selector, force: false });
    }
    pair.run(2000);
    assert.equal(requests(pair, ExchangeType.INFORMATIONAL).length, 1);
    assert.deepEqual(
      [2, 3].map((one) => pair.a.outcomes.get(one)?.kind),
      ['done', 'done'],
    );
  });

  it('of the IKE SA leave no room for another SA (§2.25.1, §2.25.2)', () => {
    for (const [what, offer] of Object.entries(OFFERS)) {
      const pair = sites();
      initiate(pair);
      pair.run(1000);
      pair.translate = () => undefined;
      terminate(pair, pair.b, 2);
      createChildSa(pair, offer);
      const answer = '<- CREATE_CHILD_SA response 2 [N(TEMPORARY_FAILURE)]';
      assert.equal(pair.ladder.at(-1), answer, what);
      assert.equal(pair.b.children.size, 1, what);
    }
  });

  it('of the IKE SA wait for nothing else: without one there is room as configured', () => {
    for (const [maxChildren, answer] of [
      [1, '[N(NO_ADDITIONAL_SAS)]'],
      [2, '[SA No TSi TSr]'],
    ] as const) {
      const pair = sites(connection(), undefined, { b: { maxChildren } });
      initiate(pair);
      pair.run(1000);
      pair.translate = () => undefined;
      createChildSa(pair, OFFERS.childSa);
      assert.equal(pair.ladder.at(-1), `<- CREATE_CHILD_SA response 2 ${answer}`);
      assert.equal(pair.b.children.size, maxChildren);
    }
  });

  it('leave no key behind once nothing is answered any more (§2.12)', () => {
    const pair = sites();
    initiate(pair);
    pair.run(1000);
    const keys = [pair.a, pair.b].flatMap(({ engine }) =>
      Object.values(engine.ikeSas()[0]?.secured?.keys ?? {}),
    );
    assert.equal(keys.length, 14);
    terminate(pair, pair.a, 2);
    pair.run(60_000);
    for (const key of keys) assert.ok(key.reveal().every((octet: number) => octet === 0));
  });
});

describe('A peer that is known by name', () => {
  it('is looked up again for each attempt that goes on for ever, and the operator waits on', () => {
    const named = connection({
      keyingTries: 0,
      remoteAddresses: [{ kind: 'name', name: 'gw.example.org' }],
    });
    const pair = sites(named, undefined, { wire: { loss: 1 } });
    initiate(pair);
    pair.run(170_000);
    assert.deepEqual(pair.a.reinitiated, ['peer/net']);
    assert.equal(pair.a.outcomes.size, 0);
    assert.equal(pair.a.engine.ikeSas().length, 0);
  });
});
