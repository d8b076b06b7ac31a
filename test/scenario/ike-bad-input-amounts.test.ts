import assert from 'node:assert/strict';
import { TransformType } from '../../src/crypto/transform.ts';
import { spiOctets } from '../../src/ike/child-negotiation.ts';
import { MAX_VIRTUAL_ADDRESSES } from '../../src/ike/configuration.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { ConfigurationType } from '../../src/ike/message/cp.ts';
import {
  type DeletePayload,
  ExchangeType,
  type Payload,
  PayloadType,
} from '../../src/ike/message/message.ts';
import { AttributeType } from '../../src/ipsec/configuration-attribute.ts';
import type { SelectorTemplate } from '../../src/ipsec/connection.ts';
import { type Proposal, ProtocolId, type Transform } from '../../src/ipsec/proposal.ts';
import type { TrafficSelector } from '../../src/ipsec/traffic-selector.ts';
import {
  AES_GCM_256,
  child,
  connection,
  espProposal,
  mirrored,
  NO_ESN,
  network,
} from '../support/connections.ts';
import { childAnswer, childRequest } from '../support/hostile-offers.ts';
import { assertEnded, HostilePeer, holdings, responses } from '../support/hostile-peer.ts';
import type { Pair } from '../support/pair.ts';
import { address, poolOf } from '../support/pools.ts';
import { rekey, tunnel } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';

const { CREATE_CHILD_SA, INFORMATIONAL } = ExchangeType;
const { CFG_REQUEST, CFG_SET } = ConfigurationType;

/** `childRequest` with other payloads of the same kinds. */
function asking(...others: readonly Payload[]): readonly Payload[] {
  return childRequest().map((one) => others.find(({ kind }) => kind === one.kind) ?? one);
}

function times<T>(count: number, make: (index: number) => T): readonly T[] {
  return Array.from({ length: count }, (_, index) => make(index));
}

describe('An SA payload as large as can be (RFC 7296 §3.3)', () => {
  const spi = Uint8Array.of(0xc1, 0, 0, 1);
  /** As many transforms as a message holds: 255 proposals of 29, or 28 of 255. */
  function offer(count: number, each: number, last: readonly Transform[] = []): Payload {
    const proposals: readonly Proposal[] = times(count, (index) => ({
      ...espProposal(...times(each, (id) => ({ type: 1 + (id % 3), id: 1000 + id }))),
      number: index + 1,
      spi,
    }));
    const more = last.length > 0 ? [{ ...espProposal(...last), number: count + 1, spi }] : [];
    return { kind: 'SA', proposals: [...proposals, ...more] };
  }

  for (const [count, each] of [
    [254, 29],
    [28, 255],
  ] as const) {
    it(`of ${count} proposals of ${each} transforms is answered as any other`, () => {
      const pair = tunnel();
      const hostile = new HostilePeer(pair);
      const before = holdings(pair.b);
      const refused = hostile.request(CREATE_CHILD_SA, asking(offer(count, each)));
      assert.deepEqual(responses(refused), ['[N(NO_PROPOSAL_CHOSEN)]']);
      assert.deepEqual(holdings(pair.b), before);
      const [told] = pair.b.seen('refused');
      const octets = JSON.stringify(told).length;
      assert.ok(octets < 20_000, `${octets} octets are told of a refused offer`);
      const chosen = [AES_GCM_256, NO_ESN];
      const granted = hostile.request(CREATE_CHILD_SA, asking(offer(count, each, chosen)));
      assert.deepEqual(responses(granted), ['[SA No TSi TSr]']);
    });
  }

  it('of more proposals than there can be is INVALID_SYNTAX', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    const header = (more: number) => [more, 0, 0, 8, 1, 3, 0, 0];
    const body = Uint8Array.from(times(257, (index) => header(index < 256 ? 2 : 0)).flat());
    const sa: Payload = { kind: 'unknown', type: PayloadType.SA, body };
    const reaction = hostile.request(CREATE_CHILD_SA, [sa, ...childRequest().slice(1)]);
    assert.deepEqual(responses(reaction), ['[N(INVALID_SYNTAX)]']);
    assertEnded(pair, 'more than 255 proposals');
  });
});

describe('Selectors as many as can be (RFC 7296 §2.9, §3.13)', () => {
  const nets = times(64, (net) => network(`10.1.${net}.0/24`));
  const many = connection({ children: [child({ localTs: nets })] });

  function ports(kind: 'TSi' | 'TSr', template: SelectorTemplate): Payload {
    assert.ok(template.kind === 'fixed');
    const { selector } = template;
    const entries = times(255, (port) => ({
      kind: 'range' as const,
      selector: { ...selector, protocol: 6, startPort: port + 1, endPort: port + 1 },
    }));
    return { kind, entries };
  }
  const offer = asking(ports('TSi', network('10.1.0.0/16')), ports('TSr', network('10.2.0.0/16')));

  function pairs({
    localTs,
    remoteTs,
  }: Record<'localTs' | 'remoteTs', readonly TrafficSelector[]>) {
    return localTs.length * remoteTs.length;
  }

  it('make a Child SA of a bounded number of pairs', () => {
    for (const one of [connection(), many]) {
      const pair = tunnel(one);
      const hostile = new HostilePeer(pair);
      const reaction = hostile.request(CREATE_CHILD_SA, offer);
      assert.deepEqual(responses(reaction), ['[SA No TSi TSr]']);
      const made = [...pair.b.children.values()].at(-1);
      assert.ok(made);
      assert.ok(pairs(made) > 500 && pairs(made) <= 1024, `${pairs(made)} pairs`);
    }
  });

  it('are all there where they are configured', () => {
    const both = child({
      localTs: nets,
      remoteTs: times(32, (net) => network(`10.2.${net}.0/24`)),
    });
    const pair = tunnel(connection({ children: [both] }));
    assert.deepEqual([...pair.b.children.values()].map(pairs), [64 * 32]);
  });

  it('granted to us are more than we asked for', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    rekey(pair, pair.b, 'child', 9);
    const granted = childAnswer().map((one) => {
      if (one.kind === 'TSi') return ports('TSi', network('10.2.0.0/16'));
      return one.kind === 'TSr' ? ports('TSr', network('10.1.0.0/16')) : one;
    });
    const about = { exchangeType: CREATE_CHILD_SA, id: 0, isResponse: true };
    const { answers } = hostile.send(about, granted);
    assert.deepEqual(
      answers[0]?.payloads.map(({ kind }) => kind),
      ['DELETE'],
      'withdrawn',
    );
    assert.equal(pair.b.children.size, 1);
    assert.equal(pair.b.established, 1);
  });
});

describe('A Delete (RFC 7296 §1.4.1, §3.11)', () => {
  function deletion(protocol: number, spis: readonly Uint8Array[]): DeletePayload {
    return { kind: 'DELETE', protocol, spiSize: spis[0]?.length ?? 0, spis };
  }

  /** Two IKE SAs between the two sites, each with a Child SA. */
  function two(): Pair {
    const other = connection({ name: 'other', children: [child({ name: 'second' })] });
    const pair = sites();
    pair.a.pad.load(other);
    initiate(pair);
    initiate(pair, pair.a, { request: 2, name: 'other', child: 'second' });
    pair.run(1000);
    assert.equal(pair.b.children.size, 2);
    return pair;
  }

  it('of SPIs of another IKE SA, unknown, repeated, reserved or of another size ends nothing', () => {
    const pair = two();
    const hostile = new HostilePeer(pair);
    const [, other] = pair.a.engine.ikeSas();
    const before = holdings(pair.b);
    const foreign = spiOctets(inboundSpi(other));
    const own = spiOctets(inboundSpi(hostile.sa));
    const ours = [...pair.b.children.values()].map(({ spiIn }) => spiOctets(spiIn));
    const unknown = times(255, (index) => Uint8Array.of(0xd0, 0, 0, index));
    for (const [protocol, spis] of [
      [ProtocolId.ESP, [foreign]],
      [ProtocolId.ESP, ours],
      [ProtocolId.ESP, unknown],
      [ProtocolId.ESP, times(255, () => new Uint8Array(4))],
      [ProtocolId.ESP, times(255, (index) => Uint8Array.of(0, 0, 0, index))],
      [ProtocolId.ESP, [own.slice(1)]],
      [ProtocolId.ESP, [Uint8Array.of(...own, 0)]],
      [ProtocolId.ESP, []],
      [ProtocolId.AH, [own]],
      [ProtocolId.NONE, [own]],
      [99, [own]],
    ] as const) {
      const reaction = hostile.request(INFORMATIONAL, [deletion(protocol, spis)]);
      assert.deepEqual(responses(reaction), ['[]'], `protocol ${protocol}`);
      assert.deepEqual(holdings(pair.b), before);
    }
  });

  it('names a Child SA as often as it likes: it ends once', () => {
    const pair = two();
    const hostile = new HostilePeer(pair);
    const own = spiOctets(inboundSpi(hostile.sa));
    const often = deletion(
      ProtocolId.ESP,
      times(255, () => own),
    );
    const reaction = hostile.request(
      INFORMATIONAL,
      times(20, () => often),
    );
    assert.deepEqual(responses(reaction), ['[D]']);
    const [answer] = reaction.answers[0]?.payloads ?? [];
    assert.ok(answer?.kind === 'DELETE');
    assert.equal(answer.spis.length, 1);
    assert.equal(pair.b.children.size, 1);
    assert.equal(pair.b.engine.inboundSpis, 1);
    assert.equal(pair.b.seen('child-sa-down').length, 1);
  });

  it('of IKE SAs by SPI ends the one it came over and no other', () => {
    const pair = two();
    const hostile = new HostilePeer(pair);
    const [, other] = pair.a.engine.ikeSas();
    const spis = [other?.spiI ?? '', other?.spiR ?? ''].map((hex) => Buffer.from(hex, 'hex'));
    const reaction = hostile.request(INFORMATIONAL, [deletion(ProtocolId.IKE, spis)]);
    assert.deepEqual(responses(reaction), ['[]']);
    assert.deepEqual(
      pair.b.engine.ikeSas().map(({ spiI }) => spiI),
      [other?.spiI],
    );
  });

  it('of thousands of SPIs while our request is out keeps few of them', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    rekey(pair, pair.b, 'child', 9);
    for (let round = 0; round < 20; round++) {
      const spis = times(8192, (index) => Uint8Array.of(0xd0, round, index >> 8, index & 0xff));
      hostile.request(INFORMATIONAL, [deletion(ProtocolId.ESP, spis)]);
    }
    const { inFlight } = hostile.victimSa ?? {};
    assert.ok(inFlight?.kind === 'create-child');
    assert.ok((inFlight.attempt?.revoked?.length ?? 0) <= 256);
  });
});

describe('A configuration payload (RFC 7296 §2.19, §3.15)', () => {
  const DYNAMIC: SelectorTemplate = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65_535 };
  const client = connection({
    vips: [address('0.0.0.0')],
    children: [child({ localTs: [DYNAMIC], remoteTs: [network('10.2.0.0/16')] })],
  });

  function roadwarrior(): Pair {
    const gateway = mirrored({ ...client, vips: [] });
    return tunnelOf(client, { ...gateway, pools: ['four'] });
  }
  function tunnelOf(...ends: readonly [typeof client, typeof client]): Pair {
    const pair = sites(...ends);
    pair.b.pools.load(poolOf('four', '10.3.0.0/24'));
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
    return pair;
  }
  function request(count: number, type: number = CFG_REQUEST): Payload {
    const attribute = { type: AttributeType.INTERNAL_IP4_ADDRESS, value: new Uint8Array() };
    return { kind: 'CP', type, attributes: times(count, () => attribute) };
  }

  it('of a thousand attributes gets the addresses one IKE SA may have', () => {
    const pair = roadwarrior();
    const hostile = new HostilePeer(pair);
    hostile.request(CREATE_CHILD_SA, [request(1024), ...childRequest()]);
    hostile.request(CREATE_CHILD_SA, [request(1024), ...childRequest()]);
    const [held] = pair.b.engine.ikeSas();
    assert.ok((held?.remoteVips.length ?? 0) <= MAX_VIRTUAL_ADDRESSES);
    assert.equal(pair.b.pools.views()[0]?.online, held?.remoteVips.length);
    const asked = hostile.request(INFORMATIONAL, [request(1024)]);
    assert.deepEqual(responses(asked), ['[CP]']);
    assert.deepEqual(responses(hostile.request(INFORMATIONAL, [request(1024, CFG_SET)])), ['[CP]']);
  });

  it('of thousands is INVALID_SYNTAX', () => {
    const pair = roadwarrior();
    const body = new Uint8Array(4 + 4 * 5000);
    body[0] = CFG_REQUEST;
    const cp: Payload = { kind: 'unknown', type: PayloadType.CP, body };
    const reaction = new HostilePeer(pair).request(INFORMATIONAL, [cp]);
    assert.deepEqual(responses(reaction), ['[N(INVALID_SYNTAX)]']);
    assert.equal(pair.b.pools.views()[0]?.online, 0);
  });

  it('with a request that is refused leases nothing', () => {
    const pair = roadwarrior();
    const hostile = new HostilePeer(pair);
    const before = holdings(pair.b);
    const transform = { type: TransformType.ENCR, id: 1000 };
    const none = { ...espProposal(transform), number: 1, spi: Uint8Array.of(0xc1, 0, 0, 1) };
    const anywhere = child({ localTs: [network('0.0.0.0/0')] });
    const spoilt: Readonly<Record<string, Payload>> = {
      'N(NO_PROPOSAL_CHOSEN)': { kind: 'SA', proposals: [none] },
      'N(TS_UNACCEPTABLE)': { kind: 'TSr', entries: [] },
    };
    for (const [answer, payload] of Object.entries(spoilt)) {
      const asked = childRequest(0xc000_0001, anywhere).map((one) =>
        one.kind === payload.kind ? payload : one,
      );
      const reaction = hostile.request(CREATE_CHILD_SA, [request(3), ...asked]);
      assert.deepEqual(responses(reaction), [`[${answer}]`]);
      assert.deepEqual(holdings(pair.b), before, answer);
      assert.equal(pair.b.seen('virtual-addresses').length, 1, 'one is told of: the first');
    }
  });
});

function inboundSpi(sa: IkeSa | undefined) {
  const [held] = sa?.children.values() ?? [];
  assert.ok(held);
  return held.childSa.spiIn;
}
