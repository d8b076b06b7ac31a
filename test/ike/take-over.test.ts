import assert from 'node:assert/strict';
import type { Action } from '../../src/ike/action.ts';
import type { IkeSpi } from '../../src/ike/message/message.ts';
import { ownSpiOf, type SnapshotBundle } from '../../src/ike/snapshot.ts';
import { decodeBundle, encodeBundle } from '../../src/ike/snapshot-codec.ts';
import type { Connection, SelectorTemplate } from '../../src/ipsec/connection.ts';
import { equalAddresses, formatAddress } from '../../src/wire/address.ts';
import { child, connection, loadSecret, mirrored, network } from '../support/connections.ts';
import { A, B, endpoint, type Pair, Side } from '../support/pair.ts';
import { address, lease, poolOf } from '../support/pools.ts';
import { rekey } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';
import { followedPair, GCM, snapshotsOf } from '../support/snapshots.ts';

/** A further node for a side, with the side's configuration. */
function standbyOf(side: Side, sid = 9): Side {
  const node = new Side(`${side.name}'`, sid * 100, {}, { sid, skewMs: 0 });
  for (const one of side.pad.connections()) node.pad.load(one);
  loadSecret(node.pad, 'secret');
  return node;
}

/** What a node that follows hears of a side. */
function follow(pair: Pair, from: Side, to: Side): readonly Action[] {
  const bundle = decodeBundle(encodeBundle(snapshotsOf(pair, from)));
  return install(pair, to, bundle);
}

function install(pair: Pair, to: Side, bundle: SnapshotBundle): readonly Action[] {
  return to.engine.handle({ kind: 'install-snapshots', bundle }, pair.clock(to));
}

function spisOf({ engine }: Side, pair: Pair): readonly IkeSpi[] {
  return engine.passiveSas(pair.clock(pair.a)).map(({ ownSpi }) => ownSpi);
}

function activate(pair: Pair, node: Side): readonly Action[] {
  const spis = spisOf(node, pair);
  return node.engine.handle({ kind: 'activate', spis }, pair.clock(node));
}

function up(one: Connection = GCM): Pair {
  const pair = followedPair(one);
  initiate(pair);
  pair.run(1000);
  assert.equal(pair.a.established, 1);
  return pair;
}

const kinds = (actions: readonly Action[]) => actions.map(({ kind }) => kind);

describe('A PASSIVE IKE SA', () => {
  it('is seen, has its Child SA, and wants nothing', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    assert.deepEqual(kinds(follow(pair, pair.b, node)), ['install-passive-child-sa']);
    assert.equal(node.engine.ikeSas().length, 0);
    assert.equal(node.engine.passive, 1);
    const [view] = node.engine.passiveSas(pair.now);
    const [real] = pair.b.engine.ikeSas();
    assert.ok(view && real);
    assert.deepEqual([view.spiI, view.spiR], [real.spiI, real.spiR]);
    assert.equal(view.rekeyAt, real.rekeyAt);
    assert.deepEqual(
      view.secured?.keys.skD.reveal(),
      real.secured?.keys.skD.reveal(),
      'the same keys',
    );
    assert.equal(node.engine.nextDeadline(), undefined);
  });

  it('answers nothing: what comes for it is counted', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    follow(pair, pair.b, node);
    rekey(pair, pair.a, 'child', 2);
    const { from, to, octets } = pair.flights.at(-1)!;
    const input = { kind: 'datagram', local: to, remote: from, octets } as const;
    const actions = node.engine.handle(input, pair.now);
    assert.deepEqual(kinds(actions), ['emit']);
    const [drop] = actions;
    assert.ok(drop?.kind === 'emit' && drop.event.kind === 'ike-drop');
    assert.equal(drop.event.reason, 'passive-ike-sa');
  });

  it('is not begun a second time: a repeated first request is counted', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    const [{ from, to, octets } = pair.flights[1]!] = pair.flights;
    const first = { kind: 'datagram', local: to, remote: from, octets } as const;
    follow(pair, pair.b, node);
    const [drop, ...more] = node.engine.handle(first, pair.now);
    assert.ok(drop?.kind === 'emit' && drop.event.kind === 'ike-drop' && more.length === 0);
    assert.equal(drop.event.reason, 'passive-ike-sa');
    const [spi] = spisOf(node, pair);
    assert.ok(spi);
    install(pair, node, { snapshots: [], gone: [{ spi, epoch: 1, order: 1 }] });
    assert.ok(kinds(node.engine.handle(first, pair.now)).includes('send'), 'it is gone');
  });

  it('at its end is listed nowhere, and answers repetitions after a take-over', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    pair.handle(pair.a, { kind: 'terminate', request: 2, selector: {}, force: false });
    const request = pair.flights.at(-1)!;
    pair.run(pair.now + 1);
    const response = pair.flights.at(-1)!;
    follow(pair, pair.b, node);
    assert.deepEqual(node.engine.passiveSas(pair.now), []);
    const spis = node.engine.passiveSpis();
    assert.equal(spis.length, 1);
    node.engine.handle({ kind: 'activate', spis }, pair.now);
    const { from, to, octets } = request;
    const again = { kind: 'datagram', local: to, remote: from, octets } as const;
    const [sent] = node.engine.handle(again, pair.now).filter(({ kind }) => kind === 'send');
    assert.ok(sent?.kind === 'send');
    assert.deepEqual(sent.octets, response.octets);
  });

  it('follows newer snapshots whole, and no older ones', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    const old = decodeBundle(encodeBundle(snapshotsOf(pair, pair.b)));
    follow(pair, pair.b, node);
    const before = node.engine.passiveSas(pair.now)[0];
    rekey(pair, pair.a, 'child', 2);
    pair.run(2000);
    // The successor is installed; the one that is gone at both ends still drains.
    assert.deepEqual(kinds(follow(pair, pair.b, node)), ['install-passive-child-sa']);
    pair.run(60_000);
    assert.deepEqual(kinds(follow(pair, pair.b, node)), ['remove-child-sa']);
    const after = node.engine.passiveSas(pair.now)[0];
    assert.equal(after?.id, before?.id);
    assert.deepEqual(
      [...(after?.children.values() ?? [])].map(({ childSa }) => childSa.spiIn),
      [...pair.b.children.values()].map(({ spiIn }) => spiIn),
    );
    assert.deepEqual(kinds(install(pair, node, old)), []);
    assert.deepEqual(node.engine.passiveSas(pair.now)[0], after);
  });

  it('does not come back once it is gone', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    const old = decodeBundle(encodeBundle(snapshotsOf(pair, pair.b)));
    follow(pair, pair.b, node);
    const [spi] = spisOf(node, pair);
    assert.ok(spi);
    const gone = [{ spi, epoch: 0, order: 1e6 }];
    assert.deepEqual(kinds(install(pair, node, { snapshots: [], gone })), ['remove-child-sa']);
    assert.equal(node.engine.passive, 0);
    assert.equal(node.engine.inboundSpis, 0);
    install(pair, node, old);
    assert.equal(node.engine.passive, 0);
  });

  it('of an IKE SA that is active here changes nothing', () => {
    const pair = up();
    const [before] = pair.b.engine.ikeSas();
    const { snapshots } = decodeBundle(encodeBundle(snapshotsOf(pair, pair.b)));
    const forged = snapshots.map((one) => ({ ...one, epoch: 99 }));
    assert.deepEqual(kinds(install(pair, pair.b, { snapshots: forged, gone: [] })), []);
    assert.deepEqual(pair.b.engine.ikeSas(), [before]);
    assert.equal(pair.b.engine.passive, 0);
  });

  it('waits for a connection of its name, and says so when it is to go on without', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    node.pad.unload('peer');
    assert.deepEqual(kinds(follow(pair, pair.b, node)), []);
    const spis = pair.b.engine.ikeSas().map(({ ownSpi }) => ownSpi);
    const [said] = node.engine.handle({ kind: 'activate', spis }, pair.now);
    assert.ok(said?.kind === 'emit' && said.event.kind === 'daemon');
    assert.match(said.event.what, /cannot go on here: there is no connection peer/);
    assert.equal(node.engine.passive, 1);
    node.pad.load(mirrored(GCM));
    node.engine.handle({ kind: 'activate', spis }, pair.now);
    assert.equal(node.engine.ikeSas().length, 1);
  });

  it('goes on under a child that is configured no more', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    node.pad.load({ ...mirrored(GCM), children: [] });
    follow(pair, pair.b, node);
    activate(pair, node);
    const [sa] = node.engine.ikeSas();
    assert.deepEqual(
      sa?.childrenUp.map(({ childSa }) => childSa.spiIn),
      [...pair.b.children.values()].map(({ spiIn }) => spiIn),
    );
  });
});

describe('A take-over', () => {
  it('sends the request that is out again, octet for octet', () => {
    const pair = up();
    const node = standbyOf(pair.a);
    rekey(pair, pair.a, 'ike', 2);
    const sent = pair.flights.at(-1)?.octets;
    follow(pair, pair.a, node);
    const sends = activate(pair, node).filter((action) => action.kind === 'send');
    assert.equal(sends.length, 1);
    assert.deepEqual(sends[0]?.octets, sent);
  });

  it('repeats a response octet for octet to who asks again', () => {
    const pair = up();
    const node = standbyOf(pair.b);
    rekey(pair, pair.a, 'child', 2);
    const request = pair.flights.at(-1)!;
    pair.run(pair.now + 1);
    const response = pair.flights.at(-1)!;
    assert.deepEqual(response.to, request.from);
    follow(pair, pair.b, node);
    activate(pair, node);
    const { from, to, octets } = request;
    const again = { kind: 'datagram', local: to, remote: from, octets } as const;
    const sends = node.engine.handle(again, pair.now).filter(({ kind }) => kind === 'send');
    assert.deepEqual(
      sends.map((one) => one.kind === 'send' && one.octets),
      [response.octets],
    );
  });

  it('lets what came due meanwhile wait half a minute, and nothing else', () => {
    const lifetime = { rekey: 100, reauth: 0, over: 1000, random: 0 };
    for (const late of [false, true]) {
      const pair = up(connection({ ...GCM, lifetime }));
      const node = standbyOf(pair.a);
      follow(pair, pair.a, node);
      pair.skip(late ? 150_000 : 0);
      activate(pair, node);
      const deadline = node.engine.nextDeadline();
      const created = pair.a.engine.ikeSas()[0]?.rekeyAt;
      assert.equal(deadline, late ? pair.now + 30_000 : created);
    }
  });

  it('ends at once what has lived too long', () => {
    const lifetime = { rekey: 100, reauth: 0, over: 10, random: 0 };
    const pair = up(connection({ ...GCM, lifetime }));
    const node = standbyOf(pair.a);
    follow(pair, pair.a, node);
    pair.skip(150_000);
    activate(pair, node);
    node.engine.handle({ kind: 'deadline' }, pair.now);
    assert.equal(node.engine.ikeSas()[0]?.state.name, 'AwaitingDeleteResponse');
  });

  it('asks a peer that was silent meanwhile only after dpd_delay', () => {
    const pair = up(connection({ ...GCM, dpdDelaySeconds: 60 }));
    const node = standbyOf(pair.a);
    follow(pair, pair.a, node);
    pair.skip(500_000);
    activate(pair, node);
    assert.equal(node.engine.nextDeadline(), pair.now + 60_000);
    node.engine.handle({ kind: 'deadline' }, pair.now);
    assert.equal(node.engine.ikeSas()[0]?.inFlight, undefined);
  });

  it('sends nothing under keys of which nobody knows how far they went, and replaces them', () => {
    const pair = up();
    pair.a.sequences = undefined;
    const node = standbyOf(pair.a);
    follow(pair, pair.a, node);
    const spis = spisOf(node, pair);
    const [old] = [...pair.b.children.values()];
    pair.a = node;
    pair.handle(node, { kind: 'activate', spis });
    assert.deepEqual([...node.outbound.values()], ['never']);
    pair.run(pair.now + 10_000);
    assert.deepEqual([...node.outbound.values()], ['now']);
    assert.equal(pair.b.children.size, 1);
    assert.notDeepEqual([...pair.b.children.values()], [old]);
  });

  it('goes on behind the newest numbers that anybody said', () => {
    const pair = up();
    const node = standbyOf(pair.a);
    follow(pair, pair.a, node);
    assert.ok(pair.a.sequences);
    node.heard = { ...pair.a.sequences, outboundReserved: { high: 1, low: 5 } };
    const [activated] = activate(pair, node).filter(({ kind }) => kind === 'activate-child-sa');
    assert.ok(activated?.kind === 'activate-child-sa');
    assert.deepEqual(activated.sequences, node.heard);
    assert.equal(activated.childSa.outbound, 'now');
  });

  it('there and back leaves everything as it was, keys too', () => {
    const pair = up();
    const spis = pair.a.engine.ikeSas().map(({ ownSpi }) => ownSpi);
    const [child] = pair.a.children.values();
    pair.handle(pair.a, { kind: 'terminate', request: 7, selector: { ike: 'peer' }, force: false });
    pair.handle(pair.a, { kind: 'deactivate', spis });
    assert.match(JSON.stringify(pair.a.outcomes.get(7)), /goes on at another node/);
    assert.equal(pair.a.engine.ikeSas().length, 0);
    assert.equal(pair.a.engine.passive, 1);
    assert.equal(pair.a.engine.nextDeadline(), undefined);
    assert.deepEqual([...pair.a.passive.values()], [child]);
    assert.ok(child?.keysIn.encryption.reveal().some((octet) => octet !== 0));
    pair.handle(pair.a, { kind: 'activate', spis });
    assert.deepEqual([...pair.a.children.values()], [child]);
    // What was asked for goes on: the peer hears of the end.
    pair.run(pair.now + 1000);
    assert.equal(pair.b.engine.ikeSas().length, 0);
  });

  it('hands an IKE SA from node to node, and the last one is the newest', () => {
    const pair = up();
    const [two, three] = [standbyOf(pair.b, 2), standbyOf(pair.b, 3)];
    const stale = decodeBundle(encodeBundle(snapshotsOf(pair, pair.b)));
    follow(pair, pair.b, two);
    activate(pair, two);
    follow(pair, two, three);
    const [held] = three.engine.passiveSas(pair.now);
    assert.ok(held);
    install(pair, three, stale);
    activate(pair, three);
    pair.b = three;
    rekey(pair, pair.a, 'child', 2);
    pair.run(60_000);
    assert.equal(three.engine.ikeSas()[0]?.children.size, 1);
    assert.deepEqual(pair.a.seen('peer-unreachable'), []);
  });
});

const DYNAMIC: SelectorTemplate = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65_535 };

describe('Virtual addresses of PASSIVE IKE SAs (RFC 7296 §2.19)', () => {
  const POOL = '10.3.0.0/29';
  const client = connection({
    vips: [address('0.0.0.0')],
    children: [child({ localTs: [DYNAMIC], remoteTs: [network('10.2.0.0/16')] })],
  });
  const gateway = connection({
    local: client.remote,
    remote: { method: 'psk' },
    pools: ['four'],
    children: [child({ localTs: [network('10.2.0.0/16')], remoteTs: [DYNAMIC] })],
  });
  const other = endpoint('198.51.100.7');

  function leased(): { readonly pair: Pair; readonly node: Side; readonly vip: string } {
    const pair = sites(client, gateway, { nodes: { b: { sid: 1, skewMs: 0 } } });
    const node = standbyOf(pair.b);
    for (const side of [pair.b, node]) side.pools.load(poolOf('four', POOL));
    initiate(pair);
    pair.run(1000);
    const [vip] = pair.b.engine.ikeSas()[0]?.remoteVips ?? [];
    assert.ok(vip);
    follow(pair, pair.b, node);
    return { pair, node, vip: formatAddress(vip) };
  }

  it('are leased to nobody else, before and after a take-over', () => {
    const { pair, node, vip } = leased();
    const ask = (name: string) => lease(node.pools, ['four'], name, { requested: vip });
    assert.notEqual(ask('stranger'), vip);
    activate(pair, node);
    assert.notEqual(ask('another'), vip);
    const held = node.pools.views('four')[0]?.leases.filter(({ online }) => online);
    assert.equal(
      held?.some((one) => formatAddress(one.address) === vip),
      true,
    );
    assert.notDeepEqual(other, endpoint(A));
  });

  it('are free again when their IKE SA is gone', () => {
    const { pair, node, vip } = leased();
    const [spi] = spisOf(node, pair);
    assert.ok(spi);
    install(pair, node, { snapshots: [], gone: [{ spi, epoch: 1, order: 1 }] });
    const views = node.pools.views('four')[0];
    assert.equal(views?.online, 0);
    assert.deepEqual(
      views?.leases.map((one) => formatAddress(one.address)),
      [vip],
    );
  });

  it('go with a client that takes its own IKE SA away', () => {
    const { pair, node } = leased();
    activate(pair, node);
    pair.b = node;
    pair.handle(pair.a, { kind: 'terminate', request: 5, selector: {}, force: false });
    pair.run(pair.now + 40_000);
    assert.equal(node.pools.views('four')[0]?.online, 0);
  });
});

describe('What other nodes are told', () => {
  it('is nothing where there are none', () => {
    const pair = sites(GCM);
    initiate(pair);
    pair.run(1000);
    assert.equal(pair.a.engine.takeChanges(pair.now), undefined);
    const sends = pair.a.engine.handle({ kind: 'shutdown', request: 3 }, pair.now);
    assert.ok(sends.every((one) => one.kind !== 'send' || one.after === undefined));
  });

  it('names the IKE SA that a message depends on; keepalives and refusals depend on none', () => {
    const pair = followedPair();
    const seen: Action[] = [];
    pair.settle = (_, actions) => {
      seen.push(...actions);
      return actions;
    };
    initiate(pair);
    pair.run(1000);
    const own = new Set(
      [pair.a, pair.b].flatMap(({ engine }) => engine.ikeSas().map(({ ownSpi }) => ownSpi)),
    );
    const sends = seen.filter((action) => action.kind === 'send');
    assert.equal(sends.length, 4);
    for (const { after } of sends) assert.ok(after && own.has(after));
    const junk = { kind: 'datagram', local: endpoint(B), remote: endpoint(A) } as const;
    const first = pair.flights[0]!.octets.slice();
    // Another major version: the answer keeps nothing.
    first[17] = 0x30;
    first[0] = 1;
    const [answer] = pair.b.engine
      .handle({ ...junk, octets: first }, pair.now)
      .filter((action) => action.kind === 'send');
    assert.ok(answer && answer.after === undefined);
  });

  it('is one bundle a turn: what one IKE SA hands to another comes together', () => {
    const pair = up();
    pair.b.engine.takeChanges(pair.now);
    rekey(pair, pair.a, 'ike', 2);
    pair.run(pair.now + 1);
    const bundle = pair.b.engine.takeChanges(pair.now);
    assert.equal(bundle?.snapshots.length, 2);
    assert.deepEqual(
      bundle?.snapshots.map(({ children, replaced }) => [children.length, replaced]).sort(),
      [
        [0, true],
        [1, false],
      ],
    );
  });

  it('is that an IKE SA is gone, once it is', () => {
    const pair = up();
    pair.handle(pair.a, { kind: 'terminate', request: 2, selector: {}, force: false });
    pair.run(1500);
    const spis = pair.a.engine.takeChanges(pair.now)?.snapshots.map(ownSpiOf) ?? [];
    pair.run(pair.now + 60_000);
    const bundle = pair.a.engine.takeChanges(pair.now);
    assert.deepEqual(
      bundle?.gone.map(({ spi }) => spi),
      spis,
    );
    assert.deepEqual(bundle?.snapshots, []);
  });

  it('is nothing for a keepalive or a deadline that changes nothing', () => {
    const pair = followedPair();
    // A NAT in front of a.
    const [outside, inside] = ['198.51.100.9', A].map((text) => endpoint(text).address);
    assert.ok(outside && inside);
    pair.translate = ({ from, to, ...rest }) => ({
      ...rest,
      from: equalAddresses(from.address, inside) ? { ...from, address: outside } : from,
      to: equalAddresses(to.address, outside) ? { ...to, address: inside } : to,
    });
    initiate(pair);
    pair.run(1000);
    const sides = [pair.a, pair.b];
    for (const { engine } of sides) engine.takeChanges(pair.now);
    pair.run(600_000);
    assert.ok(sides.some(({ keepalives }) => keepalives > 20));
    for (const { engine } of sides) assert.equal(engine.takeChanges(pair.now), undefined);
  });
});
