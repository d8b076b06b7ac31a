import assert from 'node:assert/strict';
import { ConfigurationType } from '../../src/ike/message/cp.ts';
import { type ConfigurationPayload, ExchangeType } from '../../src/ike/message/message.ts';
import { AttributeType } from '../../src/ipsec/configuration-attribute.ts';
import type { Connection, SelectorTemplate } from '../../src/ipsec/connection.ts';
import { formatSelector } from '../../src/ipsec/traffic-selector.ts';
import { formatAddress } from '../../src/wire/address.ts';
import { child, connection, fqdn, network } from '../support/connections.ts';
import { A, B, endpoint, type Pair, type Side } from '../support/pair.ts';
import { address, listed, poolOf } from '../support/pools.ts';
import { initiate, type PairOptions, sealed, sites, terminate } from '../support/sites.ts';

const DYNAMIC: SelectorTemplate = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65_535 };
const ANY_IP4 = network('0.0.0.0/0');
const ANY_IP6 = network('::/0');
const { CFG_REQUEST, CFG_REPLY, CFG_SET } = ConfigurationType;

/** Site a is a client that wants addresses; what it may reach is all behind b. */
function client(vips: readonly string[], changes: Partial<Connection> = {}): Connection {
  return connection({
    vips: vips.map(address),
    children: [child({ localTs: [DYNAMIC], remoteTs: [ANY_IP4, ANY_IP6] })],
    ...changes,
  });
}

/** Site b has addresses to give, from pools `four` and `six` unless told. */
function gateway(pools: readonly string[] = ['four', 'six'], changes: Partial<Connection> = {}) {
  return connection({
    local: { method: 'psk', id: { text: 'b.lab', identity: fqdn('b.lab') } },
    remote: { method: 'psk' },
    pools,
    children: [child({ localTs: [network('10.2.0.0/16'), ANY_IP6], remoteTs: [DYNAMIC] })],
    ...changes,
  });
}

function roadwarrior(
  one: Connection,
  other: Connection = gateway(),
  options: PairOptions = {},
): Pair {
  const pair = sites(one, other, options);
  pair.b.pools.load(poolOf('four', '10.3.0.0/29', 'dns = 10.2.0.53\n25 = lab'));
  pair.b.pools.load(poolOf('six', '2001:db8:3::/64', 'dns = 2001:db8:2::53'));
  return pair;
}

function up(pair: Pair, request = 1): void {
  initiate(pair, pair.a, { request });
  pair.run(pair.now + 1000);
  const outcome = pair.a.outcomes.get(request);
  assert.equal(outcome?.kind, 'done', outcome && 'what' in outcome ? outcome.what : 'no outcome');
}

/** `local === remote` of each Child SA. */
function selectors({ children }: Side): readonly string[] {
  return [...children.values()].map(
    ({ localTs, remoteTs }) =>
      `${localTs.map(formatSelector).join(' ')} === ${remoteTs.map(formatSelector).join(' ')}`,
  );
}

/** Virtual addresses of the established IKE SAs: ours, the peer's. */
function vips({ engine }: Side): readonly string[] {
  return engine
    .ikeSas()
    .filter(({ state }) => state.name === 'Established')
    .map((sa) =>
      [sa.localVips, sa.remoteVips].map((list) => list.map(formatAddress).join(' ')).join(' | '),
    );
}

/** What is installed at a client, by IKE SA. */
function installed({ virtual }: Side): readonly string[] {
  return [...virtual.values()].map(({ addresses }) => addresses.map(formatAddress).join(' '));
}

function leases(pair: Pair, name = 'four'): readonly string[] {
  return listed(pair.b.pools.views(name)[0]);
}

describe('A client that wants virtual addresses (RFC 7296 §2.19)', () => {
  it('gets one of each family with its Child SA, and both ends narrow to it', () => {
    const pair = roadwarrior(client(['0.0.0.0', '::']));
    up(pair);
    assert.deepEqual(pair.ladder.slice(2), [
      '-> IKE_AUTH request 1 [IDi N(INITIAL_CONTACT) IDr AUTH CP SA TSi TSr]',
      '<- IKE_AUTH response 1 [IDr AUTH CP SA TSi TSr]',
    ]);
    const given = '10.3.0.1/32 2001:db8:3::1/128';
    assert.deepEqual(selectors(pair.a), [`${given} === 10.2.0.0/16 ::/0`]);
    assert.deepEqual(selectors(pair.b), [`10.2.0.0/16 ::/0 === ${given}`]);
    assert.deepEqual(vips(pair.a), ['10.3.0.1 2001:db8:3::1 | ']);
    assert.deepEqual(vips(pair.b), [' | 10.3.0.1 2001:db8:3::1']);
    assert.deepEqual(leases(pair), ['10.3.0.1 a.lab online']);
    assert.deepEqual(leases(pair, 'six'), ['2001:db8:3::1 a.lab online']);
    for (const [side, to] of [
      [pair.a, 'us'],
      [pair.b, 'peer'],
    ] as const) {
      const [event] = side.seen('virtual-addresses');
      assert.deepEqual([event?.to, event?.addresses], [to, '10.3.0.1 2001:db8:3::1']);
    }
  });

  it('installs what it got, and removes it at the end', () => {
    const pair = roadwarrior(client(['0.0.0.0']));
    up(pair);
    const [virtual] = pair.a.virtual.values();
    assert.deepEqual(virtual?.nameServers.map(formatAddress), ['10.2.0.53']);
    assert.deepEqual(
      virtual.attributes.map(({ type }) => type),
      [25],
    );
    assert.deepEqual(installed(pair.a), ['10.3.0.1']);
    terminate(pair, pair.a, 2);
    pair.run(pair.now + 1000);
    assert.deepEqual(installed(pair.a), []);
    assert.deepEqual(leases(pair), ['10.3.0.1 a.lab offline']);
  });

  it('gets the address it asks for, and the same one when it comes back', () => {
    const pair = roadwarrior(client(['10.3.0.4']));
    up(pair);
    terminate(pair, pair.a, 2);
    pair.run(pair.now + 1000);
    pair.a.pad.load(client(['0.0.0.0']));
    up(pair, 3);
    assert.deepEqual(leases(pair), ['10.3.0.4 a.lab online']);
    assert.deepEqual(vips(pair.a), ['10.3.0.4 | ']);
  });

  for (const unique of ['no', 'replace'] as const) {
    it(`keeps its address when it starts afresh without a goodbye (unique = ${unique})`, () => {
      // Without INITIAL_CONTACT only the gateway's policy ends the old IKE SA.
      const one = client(['0.0.0.0'], { unique: unique === 'no' ? 'no' : 'never' });
      const pair = roadwarrior(one, gateway(undefined, { unique }));
      up(pair);
      pair.translate = () => undefined;
      terminate(pair, pair.a, 2, true);
      pair.run(pair.now + 1000);
      pair.translate = (flight) => flight;
      assert.deepEqual([installed(pair.a), leases(pair)], [[], ['10.3.0.1 a.lab online']]);
      up(pair, 3);
      assert.deepEqual(vips(pair.b), [' | 10.3.0.1']);
      pair.run(pair.now + 300_000);
      assert.equal(pair.b.engine.ikeSas().length, 1);
      assert.deepEqual(leases(pair), ['10.3.0.1 a.lab online']);
    });
  }

  it('has its address once, however often the messages come', () => {
    const wire = { duplicate: 1, loss: 0.2, jitterMs: 400 };
    for (let seed = 1; seed <= 20; seed++) {
      const pair = roadwarrior(client(['0.0.0.0']), gateway(), { seed, wire });
      initiate(pair);
      pair.run(200_000, () => pair.a.outcomes.has(1));
      assert.deepEqual(leases(pair), ['10.3.0.1 a.lab online'], `seed ${seed}`);
    }
  });

  it('asks for nothing without vips, and is refused where it must ask', () => {
    const pair = roadwarrior(client([]));
    initiate(pair);
    pair.run(1000);
    assert.deepEqual(pair.ladder.slice(2), [
      '-> IKE_AUTH request 1 [IDi N(INITIAL_CONTACT) IDr AUTH SA TSi TSr]',
      '<- IKE_AUTH response 1 [IDr AUTH N(FAILED_CP_REQUIRED)]',
    ]);
    const outcome = pair.a.outcomes.get(1);
    assert.ok(outcome?.kind === 'refused');
    assert.match(outcome.what, /FAILED_CP_REQUIRED.*the IKE SA stays/);
    assert.equal(pair.b.seen('refused')[0]?.what, 'a.lab asks for no address');
    assert.deepEqual([pair.a.established, pair.b.established], [1, 1]);
    assert.deepEqual([pair.a.children.size, pair.b.children.size], [0, 0]);
  });

  it('is refused when no address is left; the IKE SA stays and may ask again (§3.15.4)', () => {
    const pair = roadwarrior(client(['0.0.0.0']), gateway(['one']));
    pair.b.pools.load(poolOf('one', '10.3.9.1'));
    const other = { ownSpi: '', remote: endpoint('198.51.100.9'), isClosing: false };
    const taken = { identity: fqdn('other.lab'), requested: address('0.0.0.0'), holder: other };
    assert.ok(pair.b.pools.acquire(['one'], taken));
    initiate(pair);
    pair.run(1000);
    assert.equal(
      pair.ladder.at(-1),
      '<- IKE_AUTH response 1 [IDr AUTH N(INTERNAL_ADDRESS_FAILURE)]',
    );
    assert.equal(pair.a.outcomes.get(1)?.kind, 'refused');
    assert.equal(pair.b.seen('refused')[0]?.what, 'no IPv4 address for a.lab in one');
    assert.deepEqual(installed(pair.a), []);
    initiate(pair, pair.a, { request: 2 });
    pair.run(pair.now + 1000);
    assert.equal(pair.ladder.at(-1), '<- CREATE_CHILD_SA response 2 [N(INTERNAL_ADDRESS_FAILURE)]');
    pair.b.pools.release(other);
    up(pair, 3);
    assert.deepEqual(pair.ladder.slice(-2), [
      '-> CREATE_CHILD_SA request 3 [SA No CP TSi TSr]',
      '<- CREATE_CHILD_SA response 3 [CP SA No TSi TSr]',
    ]);
    assert.deepEqual(selectors(pair.b), ['10.2.0.0/16 ::/0 === 10.3.9.1/32']);
    assert.deepEqual(installed(pair.a), ['10.3.9.1']);
  });

  it('deletes the IKE SA of a gateway whose address it cannot have', () => {
    const pair = roadwarrior(client(['0.0.0.0']));
    const loopback = { first: address('127.0.0.1'), last: address('127.0.0.1') };
    pair.b.pools.load({ ...poolOf('four', '10.3.0.1'), range: loopback });
    initiate(pair);
    pair.run(1000);
    const outcome = pair.a.outcomes.get(1);
    assert.ok(outcome?.kind === 'failed');
    assert.equal(outcome.what, "virtual address 127.0.0.1: no host's");
    assert.deepEqual([pair.a.established, pair.b.established], [0, 0]);
    assert.deepEqual([pair.a.children.size, pair.b.children.size], [0, 0]);
    assert.deepEqual(leases(pair), ['127.0.0.1 a.lab offline']);
    assert.deepEqual(installed(pair.a), []);
  });

  it('takes of a grant for everybody only what is for its address', () => {
    const pair = roadwarrior(
      client(['0.0.0.0']),
      gateway(undefined, { children: [child({ localTs: [ANY_IP4], remoteTs: [ANY_IP4] })] }),
    );
    up(pair);
    assert.deepEqual(selectors(pair.b), ['0.0.0.0/0 === 0.0.0.0/0']);
    assert.deepEqual(selectors(pair.a), ['10.3.0.1/32 === 0.0.0.0/0']);
    // The next Child SA is asked for with the address that is known by then.
    pair.handle(pair.a, {
      kind: 'terminate',
      request: 2,
      selector: { child: 'net' },
      force: false,
    });
    pair.run(pair.now + 1000);
    up(pair, 3);
    assert.deepEqual(selectors(pair.b), ['0.0.0.0/0 === 10.3.0.1/32']);
  });

  it('deletes the IKE SA of a gateway whose grant is not for its address', () => {
    const pair = roadwarrior(
      client(['0.0.0.0']),
      gateway(undefined, {
        children: [child({ localTs: [ANY_IP4], remoteTs: [network('10.9.0.0/16')] })],
      }),
    );
    initiate(pair);
    pair.run(1000);
    const outcome = pair.a.outcomes.get(1);
    assert.ok(outcome?.kind === 'failed');
    assert.equal(
      outcome.what,
      'child net: the peer granted 10.9.0.0/16 === 0.0.0.0/0, nothing of it for 10.3.0.1',
    );
    assert.deepEqual([installed(pair.a), leases(pair)], [[], ['10.3.0.1 a.lab offline']]);
  });
});

describe('An IKE SA without a Child SA (RFC 6023) with a gateway that has pools', () => {
  const ends = { local: endpoint(A), remote: endpoint(B) };
  const alone = { kind: 'initiate', request: 1, connection: 'peer', ...ends } as const;

  it('needs no address, and its Child SAs do', () => {
    const pair = roadwarrior(client([]));
    pair.handle(pair.a, alone);
    pair.run(1000);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
    assert.equal(pair.ladder.at(-1), '<- IKE_AUTH response 1 [IDr AUTH]');
    initiate(pair, pair.a, { request: 2 });
    pair.run(pair.now + 1000);
    assert.equal(pair.ladder.at(-1), '<- CREATE_CHILD_SA response 2 [N(FAILED_CP_REQUIRED)]');
  });

  it('has its addresses before its first Child SA', () => {
    const pair = roadwarrior(client(['0.0.0.0']));
    pair.handle(pair.a, alone);
    pair.run(1000);
    assert.equal(pair.ladder.at(-1), '<- IKE_AUTH response 1 [IDr AUTH CP]');
    assert.deepEqual(installed(pair.a), ['10.3.0.1']);
    up(pair, 2);
    assert.deepEqual(selectors(pair.b), ['10.2.0.0/16 ::/0 === 10.3.0.1/32']);
  });
});

describe('Virtual addresses as long as the client is there', () => {
  const rekey = { kind: 'rekey', request: 2, selector: { ike: 'peer' } } as const;

  for (const side of ['a', 'b'] as const) {
    it(`go over to the IKE SA that replaces another, rekeyed by ${side}`, () => {
      const pair = roadwarrior(client(['0.0.0.0', '::']));
      up(pair);
      pair.handle(pair[side], { ...rekey, reauthenticate: false });
      pair.run(pair.now + 1000);
      assert.equal(pair[side].seen('ike-sa-rekeyed').length, 1);
      pair.run(pair.now + 100_000);
      assert.deepEqual(vips(pair.a), ['10.3.0.1 2001:db8:3::1 | ']);
      assert.deepEqual(vips(pair.b), [' | 10.3.0.1 2001:db8:3::1']);
      assert.deepEqual(installed(pair.a), ['10.3.0.1 2001:db8:3::1']);
      assert.deepEqual(leases(pair), ['10.3.0.1 a.lab online']);
      terminate(pair, pair.b, 3);
      pair.run(pair.now + 1000);
      assert.deepEqual(installed(pair.a), []);
      assert.deepEqual(leases(pair), ['10.3.0.1 a.lab offline']);
    });
  }

  it('stay through reauthentication, whatever the client was configured to ask for', () => {
    const pair = roadwarrior(client(['0.0.0.0', '::']));
    up(pair);
    pair.handle(pair.a, { ...rekey, reauthenticate: true });
    pair.run(pair.now + 10_000);
    assert.equal(pair.a.seen('ike-sa-up').length, 2);
    assert.equal(pair.a.established, 1);
    assert.deepEqual(vips(pair.b), [' | 10.3.0.1 2001:db8:3::1']);
    assert.deepEqual(installed(pair.a), ['10.3.0.1 2001:db8:3::1']);
    assert.deepEqual(leases(pair), ['10.3.0.1 a.lab online']);
  });

  it('are what further Child SAs are for, without being asked for again', () => {
    const net = child({ localTs: [DYNAMIC], remoteTs: [network('10.2.1.0/24')] });
    const other = { ...net, name: 'other', remoteTs: [network('10.2.2.0/24')] };
    const pair = roadwarrior(client(['0.0.0.0'], { children: [net, other] }));
    up(pair);
    const ends = { local: endpoint(A), remote: endpoint(B) };
    const wish = { kind: 'initiate', request: 2, connection: 'peer', child: 'other' } as const;
    pair.handle(pair.a, { ...wish, ...ends });
    pair.run(pair.now + 1000);
    assert.deepEqual(pair.ladder.slice(-2), [
      '-> CREATE_CHILD_SA request 2 [SA No TSi TSr]',
      '<- CREATE_CHILD_SA response 2 [SA No TSi TSr]',
    ]);
    assert.deepEqual(selectors(pair.a), [
      '10.3.0.1/32 === 10.2.1.0/24',
      '10.3.0.1/32 === 10.2.2.0/24',
    ]);
    pair.handle(pair.a, {
      kind: 'rekey',
      request: 3,
      selector: { child: 'other' },
      reauthenticate: false,
    });
    pair.run(pair.now + 100_000);
    assert.deepEqual(selectors(pair.a), [
      '10.3.0.1/32 === 10.2.1.0/24',
      '10.3.0.1/32 === 10.2.2.0/24',
    ]);
    assert.ok(!pair.ladder.slice(4).some((line) => line.includes(' CP')));
    assert.equal(pair.b.seen('virtual-addresses').length, 1);
  });

  it('are as little changed by INFORMATIONAL as anything (§3.15)', () => {
    const pair = roadwarrior(client(['0.0.0.0']));
    up(pair);
    const [sa] = pair.a.engine.ikeSas();
    assert.ok(sa);
    const any = { type: AttributeType.INTERNAL_IP4_ADDRESS, value: new Uint8Array() };
    const answers = [CFG_REQUEST, CFG_SET, CFG_REPLY].map((type, index) => {
      const payload: ConfigurationPayload = { kind: 'CP', type, attributes: [any] };
      const about = { exchangeType: ExchangeType.INFORMATIONAL, id: 2 + index };
      const octets = sealed(sa, about, [payload]);
      pair.inject({ from: endpoint(A), to: endpoint(B), octets });
      pair.run(pair.now + 100);
      return pair.ladder.at(-1);
    });
    assert.deepEqual(answers, [
      '<- INFORMATIONAL response 2 [CP]',
      '<- INFORMATIONAL response 3 [CP]',
      '<- INFORMATIONAL response 4 []',
    ]);
    assert.deepEqual(leases(pair), ['10.3.0.1 a.lab online']);
  });
});
