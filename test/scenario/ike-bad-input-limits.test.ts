import assert from 'node:assert/strict';
import { spiOctets } from '../../src/ike/child-negotiation.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType } from '../../src/ike/message/message.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { ProtocolId } from '../../src/ipsec/proposal.ts';
import { child, connection, mirrored } from '../support/connections.ts';
import {
  childRequest,
  ikeProposalWith,
  ikeRekeyRequest,
  rekeySa,
} from '../support/hostile-offers.ts';
import { HostilePeer, holdings, responses } from '../support/hostile-peer.ts';
import { endpoint, type Flight, type Pair } from '../support/pair.ts';
import { rekey, tunnel } from '../support/rekeying.ts';
import { firstRequest, initiate, sites } from '../support/sites.ts';

const { CREATE_CHILD_SA, INFORMATIONAL } = ExchangeType;

describe('gateway.max_children', () => {
  const maxChildren = 4;

  function crowded(): {
    pair: Pair;
    hostile: HostilePeer;
    ask: (spi: number) => readonly string[];
  } {
    const pair = tunnel(connection(), { b: { maxChildren } });
    const hostile = new HostilePeer(pair);
    const ask = (spi: number) => responses(hostile.request(CREATE_CHILD_SA, childRequest(spi)));
    for (let count = 1; count < maxChildren; count++) {
      assert.deepEqual(ask(0xc000_0000 + count), ['[SA No TSi TSr]']);
    }
    return { pair, hostile, ask };
  }

  it('refuses one more with NO_ADDITIONAL_SAS; those there are can be rekeyed and deleted', () => {
    const { pair, hostile, ask } = crowded();
    const before = holdings(pair.b);
    for (let spi = 0xc100_0000; spi < 0xc100_0020; spi++) {
      assert.deepEqual(ask(spi), ['[N(NO_ADDITIONAL_SAS)]']);
    }
    assert.deepEqual(holdings(pair.b), before);
    const old = spiOctets(inboundSpi(hostile.sa));
    const again = hostile.request(CREATE_CHILD_SA, [rekeySa(old), ...childRequest(0xc200_0000)]);
    assert.deepEqual(responses(again), ['[SA No TSi TSr]']);
    assert.deepEqual(ask(0xc100_0000), ['[N(NO_ADDITIONAL_SAS)]'], 'the old one makes no room');
    const spis = [Uint8Array.of(0xc0, 0, 0, 1)];
    hostile.request(INFORMATIONAL, [
      { kind: 'DELETE', protocol: ProtocolId.ESP, spiSize: 4, spis },
    ]);
    assert.deepEqual(ask(0xc100_0000), ['[SA No TSi TSr]']);
  });

  it('counts on when the IKE SA is rekeyed', () => {
    const pair = tunnel(connection(), { b: { maxChildren: 1 } });
    rekey(pair, pair.a, 'ike', 9);
    pair.run(pair.now + 1000);
    const hostile = new HostilePeer(pair, pair.a.engine.ikeSas()[0]);
    const reaction = hostile.request(CREATE_CHILD_SA, childRequest());
    assert.deepEqual(responses(reaction), ['[N(NO_ADDITIONAL_SAS)]']);
  });

  it('does not count what drains: whoever rekeys all can have one more where there is room', () => {
    const pair = tunnel(connection(), { b: { maxChildren: 2 } });
    for (let round = 0; round < 3; round++) {
      rekey(pair, pair.a, 'child', 9 + round);
      pair.run(pair.now + 500);
    }
    assert.ok(pair.b.children.size > 2, 'replaced ones drain');
    const hostile = new HostilePeer(pair);
    const reaction = hostile.request(CREATE_CHILD_SA, childRequest());
    assert.deepEqual(responses(reaction), ['[SA No TSi TSr]']);
  });

  it('bounds Child SAs that are replaced and never deleted', () => {
    const { pair, hostile } = crowded();
    let last = spiOctets(inboundSpi(hostile.sa));
    const answers = Array.from({ length: 100 }, (_, index) => {
      const spi = 0xc200_0000 + index;
      const rekeyed = hostile.request(CREATE_CHILD_SA, [rekeySa(last), ...childRequest(spi)]);
      const [answer = ''] = responses(rekeyed);
      if (answer.startsWith('[SA')) last = Uint8Array.of(0xc2, 0, index >> 8, index & 0xff);
      return answer;
    });
    assert.equal(answers.at(-1), '[N(TEMPORARY_FAILURE)]');
    assert.ok(pair.b.children.size <= 3 * maxChildren + 16, `${pair.b.children.size} Child SAs`);
    // The peer's share of a minute is over: they are deleted, and all is as before.
    pair.translate = (flight) => flight;
    pair.run(pair.now + 300_000);
    assert.ok(pair.b.children.size <= maxChildren, `${pair.b.children.size} Child SAs`);
  });
});

describe('IKE SAs that one peer makes by rekeying', () => {
  it('are bounded where it deletes none of those it replaced', () => {
    const pair = tunnel();
    const isDelete = ({ octets }: Flight) =>
      decodeHeader(octets).exchangeType === INFORMATIONAL && !decodeHeader(octets).isResponse;
    pair.translate = (flight) => (isDelete(flight) ? undefined : flight);
    for (let round = 0; round < 300; round++) {
      rekey(pair, pair.a, 'ike', 9 + round);
      pair.run(pair.now + 10);
    }
    const puttingOff = pair.ladder.filter((line) => line.includes('TEMPORARY_FAILURE'));
    assert.ok(puttingOff.length > 0, 'it has to wait');
    const { length } = pair.b.engine.ikeSas();
    assert.ok(length > 64 && length <= 129, `${length} IKE SAs`);
  });

  it('compete one at a time with ours', () => {
    const pair = tunnel();
    const hostile = new HostilePeer(pair);
    rekey(pair, pair.b, 'ike', 9);
    const ask = (octet: number) => {
      const offer = ikeProposalWith(new Uint8Array(8).fill(octet));
      return responses(hostile.request(CREATE_CHILD_SA, ikeRekeyRequest([offer])));
    };
    assert.deepEqual(ask(1), ['[SA No KE]']);
    for (let octet = 2; octet < 20; octet++)
      assert.deepEqual(ask(octet), ['[N(TEMPORARY_FAILURE)]']);
    assert.equal(pair.b.established, 2);
  });

  it('count among gateway.max_ike_sas, and are not refused for it', () => {
    const pair = tunnel(connection(), { b: { maxIkeSas: 2 } });
    rekey(pair, pair.a, 'ike', 9);
    pair.run(pair.now + 100);
    assert.equal(pair.a.outcomes.get(9)?.kind, 'done');
    rekey(pair, pair.a, 'ike', 10);
    pair.run(pair.now + 100);
    assert.equal(pair.b.seen('ike-sa-rekeyed').length, 2);
    const stranger = { ...firstRequest(3), from: endpoint('198.51.100.1') };
    pair.inject(stranger);
    pair.run(pair.now + 100);
    assert.equal(pair.b.seen('ike-drop').at(-1)?.reason, 'too-many-ike-sas');
    pair.run(pair.now + 60_000);
    pair.inject(stranger);
    pair.run(pair.now + 100);
    assert.equal(pair.b.engine.halfOpen, 1, 'those that were replaced are gone');
  });
});

describe('gateway.max_ike_sas_per_identity (RFC 7296 §2.21.2)', () => {
  const most = 3;

  /** Site a has as many connections under one identity as `count` says. */
  function clients(count: number, changes: Partial<Connection>, limit = most): Pair {
    const one = connection({ children: [child()], ...changes });
    const pair = sites(one, mirrored(one), { b: { maxIkeSasPerIdentity: limit } });
    for (let index = 1; index < count; index++) pair.a.pad.load({ ...one, name: `peer-${index}` });
    return pair;
  }

  function up(pair: Pair, index: number): string | undefined {
    initiate(pair, pair.a, { request: index + 1, name: index === 0 ? 'peer' : `peer-${index}` });
    pair.run(pair.now + 1000);
    return pair.a.outcomes.get(index + 1)?.kind;
  }

  it('refuses one more with AUTHENTICATION_FAILED, without side effect', () => {
    const pair = clients(6, { unique: 'never' });
    for (let index = 0; index < most; index++) assert.equal(up(pair, index), 'done');
    const before = holdings(pair.b);
    for (let index = most; index < 6; index++) {
      assert.equal(up(pair, index), 'authentication-failed');
      assert.deepEqual(holdings(pair.b), before);
    }
    const last = pair.b.seen('authentication-failed').at(-1);
    assert.equal(last?.cause, 'not-admitted');
    assert.match(last?.what ?? '', /has 3 IKE SAs, gateway.max_ike_sas_per_identity is 3/);
  });

  it('leaves room again when one goes', () => {
    const pair = clients(4, { unique: 'never' });
    for (let index = 0; index < most; index++) assert.equal(up(pair, index), 'done');
    pair.handle(pair.a, {
      kind: 'terminate',
      request: 9,
      selector: { ike: 'peer-1' },
      force: false,
    });
    pair.run(pair.now + 1000);
    assert.equal(up(pair, 3), 'done');
  });

  it('of 0 is none', () => {
    const pair = clients(6, { unique: 'never' }, 0);
    for (let index = 0; index < 6; index++) assert.equal(up(pair, index), 'done');
  });

  it('comes after what makes room: unique = replace', () => {
    const pair = clients(6, { unique: 'replace' });
    for (let index = 0; index < 6; index++) assert.equal(up(pair, index), 'done');
    assert.equal(pair.b.established, 1);
  });

  it('comes after what makes room: INITIAL_CONTACT', () => {
    const pair = clients(most + 1, { unique: 'no' });
    for (let index = 0; index < most; index++) assert.equal(up(pair, index), 'done');
    // The machine of site a starts afresh: it knows of no IKE SA any more.
    pair.translate = () => undefined;
    pair.handle(pair.a, { kind: 'terminate', request: 9, selector: {}, force: true });
    pair.translate = (flight) => flight;
    assert.equal(up(pair, most), 'done');
    assert.equal(pair.b.established, 1);
  });
});

function inboundSpi(sa: IkeSa | undefined) {
  const [held] = sa?.children.values() ?? [];
  assert.ok(held);
  return held.childSa.spiIn;
}
