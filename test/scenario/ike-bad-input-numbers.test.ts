import assert from 'node:assert/strict';
import { spiOctets } from '../../src/ike/child-negotiation.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { ExchangeType, type Payload } from '../../src/ike/message/message.ts';
import { type Proposal, ProtocolId } from '../../src/ipsec/proposal.ts';
import type { Spi } from '../../src/ipsec/spi.ts';
import { formatSelector } from '../../src/ipsec/traffic-selector.ts';
import { fromHex } from '../../src/wire/octets.ts';
import {
  AES_GCM_256,
  child,
  connection,
  ECP_256,
  espProposal,
  NO_ESN,
  network,
} from '../support/connections.ts';
import {
  childRequest,
  ikeProposalWith,
  ikeRekeyRequest,
  rekeySa,
} from '../support/hostile-offers.ts';
import { assertEnded, HostilePeer, holdings, responses } from '../support/hostile-peer.ts';
import { rekey, tunnel } from '../support/rekeying.ts';

const { CREATE_CHILD_SA } = ExchangeType;
const NEW_SPI = new Uint8Array(8).fill(7);

describe('A rekey of the IKE SA with an SPI that cannot be (RFC 7296 §1.3.2)', () => {
  const good = ikeProposalWith(NEW_SPI, 2);

  /** What the peer gives as SPI of its new IKE SA, from the IKE SA there is. */
  const SPIS: Readonly<Record<string, (sa: IkeSa) => Uint8Array>> = {
    zero: () => new Uint8Array(8),
    'unchanged, of the initiator': ({ spiI }) => fromHex(spiI),
    'unchanged, of the responder': ({ spiR }) => fromHex(spiR),
    empty: () => new Uint8Array(),
    'of 4 octets': () => new Uint8Array(4).fill(7),
    'of 7 octets': () => new Uint8Array(7).fill(7),
    'of 9 octets': () => new Uint8Array(9).fill(7),
    'of 255 octets': () => new Uint8Array(255).fill(7),
  };

  for (const [what, spiOf] of Object.entries(SPIS)) {
    it(`${what}: NO_PROPOSAL_CHOSEN, or the next proposal`, () => {
      const pair = tunnel();
      const hostile = new HostilePeer(pair);
      const before = holdings(pair.b);
      const bad = ikeProposalWith(spiOf(hostile.sa));
      const reaction = hostile.request(CREATE_CHILD_SA, ikeRekeyRequest([bad]));
      assert.deepEqual(responses(reaction), ['[N(NO_PROPOSAL_CHOSEN)]']);
      assert.deepEqual(holdings(pair.b), before);
      const { answers } = hostile.request(CREATE_CHILD_SA, ikeRekeyRequest([bad, good]));
      const [sa] = answers[0]?.payloads ?? [];
      assert.ok(sa?.kind === 'SA');
      assert.equal(sa.proposals[0]?.number, 2);
      assert.equal(pair.b.established, 1);
    });
  }

  it('in use by another IKE SA of the peer: NO_PROPOSAL_CHOSEN', () => {
    const pair = tunnel();
    const [old] = pair.a.engine.ikeSas();
    rekey(pair, pair.a, 'ike', 9);
    const heirOf = () => pair.a.engine.ikeSas().find(({ id }) => id !== old?.id);
    pair.run(pair.now + 1000, () => heirOf() !== undefined);
    // The Delete of the old one has not arrived yet.
    const hostile = new HostilePeer(pair, heirOf());
    assert.ok(old);
    const before = holdings(pair.b);
    for (const spi of [old.spiI, old.spiR]) {
      const bad = ikeProposalWith(fromHex(spi));
      const reaction = hostile.request(CREATE_CHILD_SA, ikeRekeyRequest([bad]));
      const theirs: boolean = spi === old.spiI;
      assert.deepEqual(responses(reaction), [theirs ? '[N(NO_PROPOSAL_CHOSEN)]' : '[SA No KE]']);
      if (theirs) assert.deepEqual(holdings(pair.b), before);
    }
  });

  it('an answer with such an SPI ends the IKE SA', () => {
    for (const [what, spiOf] of Object.entries(SPIS)) {
      const pair = tunnel(connection({ children: [child({ closeAction: 'start' })] }));
      const hostile = new HostilePeer(pair);
      rekey(pair, pair.b, 'ike', 9);
      const { transforms, ...bad } = ikeProposalWith(spiOf(hostile.sa));
      const single = { ...bad, transforms: transforms.filter(({ id }) => id !== ECP_256.id) };
      const about = { exchangeType: CREATE_CHILD_SA, id: 0, isResponse: true };
      hostile.send(about, ikeRekeyRequest([single]));
      assert.equal(pair.b.engine.ikeSas().length, 1, what);
      assert.equal(pair.b.established, single.spi.length === 8 ? 0 : 1, what);
    }
  });
});

describe('A request for a Child SA with an SPI that cannot be (RFC 4303 §2.1)', () => {
  function offer(spi: Uint8Array, number = 1): Proposal {
    return { ...espProposal(AES_GCM_256, NO_ESN), number, spi };
  }
  function asking(...proposals: readonly Proposal[]): readonly Payload[] {
    return childRequest().map((one) => (one.kind === 'SA' ? { ...one, proposals } : one));
  }
  const good = offer(Uint8Array.of(0xc1, 0, 0, 1), 2);
  const SPIS: Readonly<Record<string, (sa: IkeSa) => Uint8Array>> = {
    zero: () => new Uint8Array(4),
    reserved: () => Uint8Array.of(0, 0, 0, 255),
    empty: () => new Uint8Array(),
    'of 3 octets': () => new Uint8Array(3).fill(7),
    'of 8 octets': () => new Uint8Array(8).fill(7),
    'in use for another Child SA': (sa) => spiOctets(inboundSpi(sa)),
  };

  for (const [what, spiOf] of Object.entries(SPIS)) {
    it(`${what}: NO_PROPOSAL_CHOSEN, or the next proposal`, () => {
      const pair = tunnel();
      const hostile = new HostilePeer(pair);
      const before = holdings(pair.b);
      const bad = offer(spiOf(hostile.sa));
      const own = spiOctets(inboundSpi(hostile.sa));
      for (const rekeyed of [[], [rekeySa(own)]]) {
        const reaction = hostile.request(CREATE_CHILD_SA, [...rekeyed, ...asking(bad)]);
        assert.deepEqual(responses(reaction), ['[N(NO_PROPOSAL_CHOSEN)]']);
        assert.deepEqual(holdings(pair.b), before);
      }
      const { answers } = hostile.request(CREATE_CHILD_SA, asking(bad, good));
      const [sa] = answers[0]?.payloads ?? [];
      assert.ok(sa?.kind === 'SA');
      assert.equal(sa.proposals[0]?.number, 2);
      assert.equal(pair.b.children.size, 2);
    });
  }
});

describe('REKEY_SA (RFC 7296 §1.3.3, §2.25)', () => {
  const ESP_SPI = Uint8Array.of(0xc0, 0, 0, 9);

  it('that names no Child SA: CHILD_SA_NOT_FOUND with what it named', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    const own = spiOctets(inboundSpi(hostile.sa));
    const theirs = spiOctets(inboundSpi(pair.b.engine.ikeSas()[0]));
    const before = holdings(pair.b);
    for (const [spi, protocol] of [
      [ESP_SPI, ProtocolId.ESP],
      [theirs, ProtocolId.ESP],
      [own, ProtocolId.AH],
      [own, ProtocolId.IKE],
      [own, ProtocolId.NONE],
      [own, 99],
      [new Uint8Array(4), ProtocolId.ESP],
      [Uint8Array.of(0, 0, 0, 255), ProtocolId.ESP],
      [own.slice(1), ProtocolId.ESP],
      [Uint8Array.of(...own, 0), ProtocolId.ESP],
      [new Uint8Array(), ProtocolId.ESP],
      [new Uint8Array(255), ProtocolId.ESP],
    ] as const) {
      const reaction = hostile.request(CREATE_CHILD_SA, [
        rekeySa(spi, protocol),
        ...childRequest(),
      ]);
      assert.deepEqual(responses(reaction), ['[N(CHILD_SA_NOT_FOUND)]']);
      const [notify] = reaction.answers[0]?.payloads ?? [];
      assert.ok(notify?.kind === 'NOTIFY');
      assert.deepEqual([notify.protocol, notify.spi], [protocol, spi]);
      assert.deepEqual(holdings(pair.b), before);
    }
  });

  it('that names another protocol is denied, not put off, while a Child SA is being made', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    rekey(pair, pair.b, 'child', 9);
    const request = (spi: Uint8Array, protocol: number) =>
      responses(hostile.request(CREATE_CHILD_SA, [rekeySa(spi, protocol), ...childRequest()]));
    assert.deepEqual(request(ESP_SPI, ProtocolId.ESP), ['[N(TEMPORARY_FAILURE)]']);
    assert.deepEqual(request(ESP_SPI, ProtocolId.AH), ['[N(CHILD_SA_NOT_FOUND)]']);
    assert.deepEqual(request(new Uint8Array(8), ProtocolId.ESP), ['[N(CHILD_SA_NOT_FOUND)]']);
  });

  it('twice in one request: INVALID_SYNTAX', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    const own = rekeySa(spiOctets(inboundSpi(hostile.sa)));
    const reaction = hostile.request(CREATE_CHILD_SA, [own, own, ...childRequest()]);
    assert.deepEqual(responses(reaction), ['[N(INVALID_SYNTAX)]']);
    assertEnded(pair, 'two REKEY_SA');
  });

  it('of a Child SA that both rekey is answered once', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    rekey(pair, pair.b, 'child', 9);
    const own = rekeySa(spiOctets(inboundSpi(hostile.sa)));
    const ask = (spi: number) =>
      responses(hostile.request(CREATE_CHILD_SA, [own, ...childRequest(spi)]));
    assert.deepEqual(ask(0xc000_0001), ['[SA No TSi TSr]']);
    for (let spi = 0xc000_0002; spi < 0xc000_0010; spi++) {
      assert.deepEqual(ask(spi), ['[N(TEMPORARY_FAILURE)]']);
    }
    assert.equal(pair.b.children.size, 2);
  });

  it('with other selectors leaves of them what the old SA had, or nothing', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    const own = rekeySa(spiOctets(inboundSpi(hostile.sa)));
    const wider = child({ localTs: [network('0.0.0.0/0')], remoteTs: [network('0.0.0.0/0')] });
    const elsewhere = child({ localTs: [network('10.7.0.0/16')] });
    const before = holdings(pair.b);
    const refused = hostile.request(CREATE_CHILD_SA, [
      own,
      ...childRequest(0xc000_0001, elsewhere),
    ]);
    assert.deepEqual(responses(refused), ['[N(TS_UNACCEPTABLE)]']);
    assert.deepEqual(holdings(pair.b), before);
    const granted = hostile.request(CREATE_CHILD_SA, [own, ...childRequest(0xc000_0001, wider)]);
    assert.deepEqual(responses(granted), ['[SA No TSi TSr]']);
    const made = [...pair.b.children.values()].at(-1);
    assert.deepEqual(made?.remoteTs.map(formatSelector), ['10.1.0.0/16']);
    assert.deepEqual(made?.localTs.map(formatSelector), ['10.2.0.0/16']);
  });
});

function inboundSpi(sa: IkeSa | undefined): Spi {
  const [held] = sa?.children.values() ?? [];
  assert.ok(held);
  return held.childSa.spiIn;
}
