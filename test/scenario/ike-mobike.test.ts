import assert from 'node:assert/strict';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType } from '../../src/ike/message/message.ts';
import type { IpAddress } from '../../src/wire/address.ts';
import { connection } from '../support/connections.ts';
import { endpoint, type Flight, type Pair, type Side } from '../support/pair.ts';
import { assertAgreement, tunnel } from '../support/rekeying.ts';
import { sealed } from '../support/sites.ts';

const MOBILE = connection({ mobike: true, dpdDelaySeconds: 10 });
const OTHER = '192.0.2.77';
const SIX = '2001:db8::77';

function addresses(...texts: readonly string[]): readonly IpAddress[] {
  return texts.map((text) => endpoint(text).address);
}

function moveTo(pair: Pair, side: Side, ...texts: readonly string[]): void {
  side.places.push(...texts);
  pair.handle(side, { kind: 'local-addresses', addresses: addresses(...texts) });
}

/** Where the Child SAs of a side believe both ends to be. */
function paths(side: Side): readonly string[] {
  return [...side.children.values()].map(
    ({ local, remote }) =>
      `${local.address.octets.join('.')}:${local.port} ${remote.address.octets.join('.')}:${remote.port}`,
  );
}

describe('MOBIKE (RFC 4555)', () => {
  it('goes on from port 4500 and says so in IKE_AUTH (§3.3)', () => {
    const pair = tunnel(MOBILE);
    assert.ok(pair.ladder[2]?.includes('N(MOBIKE_SUPPORTED) N(NO_ADDITIONAL_ADDRESSES)'));
    assert.ok(pair.ladder[3]?.includes('N(MOBIKE_SUPPORTED)'));
    assert.deepEqual(paths(pair.a), ['192.0.2.1:4500 192.0.2.2:4500']);
  });

  it('follows the initiator to another address; ESP at once, no packet lost (§3.5)', () => {
    const pair = tunnel(MOBILE);
    pair.trafficEveryMs = 10;
    pair.run(2000);
    moveTo(pair, pair.a, OTHER);
    pair.run(4000);
    assert.deepEqual(paths(pair.a), ['192.0.2.77:4500 192.0.2.2:4500']);
    assert.deepEqual(paths(pair.b), ['192.0.2.2:4500 192.0.2.77:4500']);
    assert.equal(pair.a.packetsLost + pair.b.packetsLost, 0);
    const [moved] = pair.b.seen('ike-sa-moved');
    assert.equal(moved?.why, 'UPDATE_SA_ADDRESSES');
    // §3.7: the responder makes sure that the initiator is there.
    assert.ok(pair.ladder.some((line) => line.startsWith('<- INFORMATIONAL request')));
    assertAgreement(pair, 1, 'after the move');
  });

  it('goes by the address that a route leads out of, though others come first', () => {
    const pair = tunnel(MOBILE);
    const [inside, outside] = addresses('10.1.0.1', OTHER);
    pair.a.sourceFor = () => outside;
    pair.handle(pair.a, { kind: 'local-addresses', addresses: [inside!, outside!] });
    pair.a.places.push(OTHER);
    pair.run(pair.now + 200);
    assert.deepEqual(paths(pair.b), ['192.0.2.2:4500 192.0.2.77:4500']);
    assertAgreement(pair, 1, 'after the move');
  });

  it('goes on as soon as there is a way, when for a while there was none', () => {
    const pair = tunnel(MOBILE);
    const [inside, outside] = addresses('10.1.0.1', OTHER);
    pair.handle(pair.a, { kind: 'local-addresses', addresses: [inside!] });
    pair.run(pair.now + 1000);
    pair.a.sourceFor = () => outside;
    pair.a.places.push(OTHER);
    pair.handle(pair.a, { kind: 'local-addresses', addresses: [inside!, outside!] });
    pair.run(pair.now + 200);
    assert.deepEqual(paths(pair.b), ['192.0.2.2:4500 192.0.2.77:4500']);
    assertAgreement(pair, 1, 'after the move');
  });

  it('finds another way when the one in use goes dark (§3.10)', () => {
    const pair = tunnel(MOBILE);
    pair.a.places.push(OTHER);
    pair.handle(pair.a, { kind: 'local-addresses', addresses: addresses('192.0.2.1', OTHER) });
    pair.run(2000);
    const dark = ({ from, to }: Flight) =>
      [from, to].some(({ address }) => address.octets.join('.') === '192.0.2.1');
    pair.translate = (flight) => (dark(flight) ? undefined : flight);
    pair.run(120_000);
    assert.deepEqual(paths(pair.b), ['192.0.2.2:4500 192.0.2.77:4500']);
    assertAgreement(pair, 1, 'after the probe');
  });

  it('moves between address families', () => {
    const pair = tunnel(MOBILE);
    pair.b.places.push('2001:db8::2');
    pair.handle(pair.b, {
      kind: 'local-addresses',
      addresses: addresses('192.0.2.2', '2001:db8::2'),
    });
    pair.run(2000);
    moveTo(pair, pair.a, SIX);
    pair.run(4000);
    assert.equal(pair.b.engine.ikeSas()[0]?.remote.address.family, 6);
    assertAgreement(pair, 1, 'after the move');
  });

  it('says the last address when several changes follow one another', () => {
    const pair = tunnel(MOBILE);
    moveTo(pair, pair.a, OTHER);
    moveTo(pair, pair.a, '192.0.2.78');
    pair.run(8000);
    assert.deepEqual(paths(pair.b), ['192.0.2.2:4500 192.0.2.78:4500']);
  });

  it('closes an IKE SA whose peer answers without the cookie (§3.7)', () => {
    const pair = tunnel(MOBILE);
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    const isAnswer = ({ octets }: Flight) => {
      const { isResponse, exchangeType, fromInitiator } = decodeHeader(octets);
      return isResponse && fromInitiator && exchangeType === ExchangeType.INFORMATIONAL;
    };
    pair.translate = (flight) => {
      if (!isAnswer(flight)) return flight;
      const { exchangeType, messageId: id } = decodeHeader(flight.octets);
      return { ...flight, octets: sealed(sa, { exchangeType, id, isResponse: true }, []) };
    };
    moveTo(pair, pair.a, OTHER);
    pair.run(4000);
    assert.equal(pair.b.established, 0);
  });
});

describe('A NAT with a new mapping (RFC 7296 §2.23, RFC 4555 §3.8)', () => {
  /** Site a behind a NAT that maps its port 4500 to `port`. */
  function behindNat(pair: Pair, port: () => number): void {
    pair.translate = (flight) => {
      const { from, to, octets } = flight;
      if (from.address.octets[3] === 1) {
        return { from: { address: from.address, port: from.port + port() }, to, octets };
      }
      // The NAT knows its own mappings and no others.
      if (![500, 4500].includes(to.port - port())) return undefined;
      return { from, to: { address: to.address, port: to.port - port() }, octets };
    };
  }

  it('is followed by ESP without MOBIKE when a packet shows it', () => {
    let offset = 1000;
    const pair = tunnel(connection({ mobike: false }), {}, (made) => behindNat(made, () => offset));
    assert.deepEqual(paths(pair.b), ['192.0.2.2:4500 192.0.2.1:5500']);
    offset = 2000;
    const [child] = pair.b.children.values();
    assert.ok(child);
    pair.handle(pair.b, {
      kind: 'peer-moved',
      childSaId: child.id,
      local: child.local,
      remote: endpoint('192.0.2.1', 6500),
    });
    assert.deepEqual(paths(pair.b), ['192.0.2.2:4500 192.0.2.1:6500']);
  });

  it('is told by the initiator once its liveness check shows it', () => {
    let offset = 1000;
    const pair = tunnel(MOBILE, {}, (made) => behindNat(made, () => offset));
    pair.run(15_000);
    offset = 2000;
    pair.run(60_000);
    assert.deepEqual(paths(pair.b), ['192.0.2.2:4500 192.0.2.1:6500']);
    assertAgreement(pair, 1, 'after the new mapping');
  });

  it('is not believed of a peer that is behind none', () => {
    const pair = tunnel();
    const [child] = pair.b.children.values();
    assert.ok(child);
    const before = paths(pair.b);
    pair.handle(pair.b, {
      kind: 'peer-moved',
      childSaId: child.id,
      local: child.local,
      remote: endpoint('192.0.2.66', 4500),
    });
    assert.deepEqual(paths(pair.b), before);
  });
});

describe('The addresses that peers are told (RFC 4555 §3.4, §3.6)', () => {
  const list = (pair: Pair) =>
    pair.ladder.filter((line) => line.includes('ADDITIONAL_IP4_ADDRESS')).length;

  it('are those the connection may be used from, each change once', () => {
    const pair = tunnel(MOBILE);
    pair.handle(pair.a, { kind: 'local-addresses', addresses: addresses('192.0.2.1', OTHER) });
    pair.run(2000);
    assert.equal(list(pair), 1);
    pair.handle(pair.a, { kind: 'local-addresses', addresses: addresses('192.0.2.1', OTHER) });
    pair.run(4000);
    assert.equal(list(pair), 1);
    assert.equal(pair.b.engine.ikeSas()[0]?.mobility.peerAddresses.length, 1);
  });

  it('are none where local_addrs names the one in use', () => {
    const { address } = endpoint('192.0.2.1');
    const bound = { ...MOBILE, localAddresses: [{ kind: 'address', address } as const] };
    const pair = tunnel(MOBILE);
    for (const sa of pair.a.engine.ikeSas()) sa.connection = bound;
    pair.handle(pair.a, { kind: 'local-addresses', addresses: addresses('192.0.2.1', OTHER) });
    pair.run(2000);
    assert.equal(list(pair), 0);
  });
});
