/**
 * Pools that cannot answer at once: a request for addresses waits until it is decided what it gets, and is
 * answered once (RFC 7296 §2.1, §2.19, §3.15.4).
 */
import assert from 'node:assert/strict';
import type { LeaseHolder, LeaseRequest } from '../../src/ipsec/address-pool.ts';
import { type Acquired, AddressPools, type LeasePools } from '../../src/ipsec/address-pools.ts';
import type { IpAddress } from '../../src/wire/address.ts';
import { child, connection, fqdn, loadSecret, network } from '../support/connections.ts';
import { Pair } from '../support/pair.ts';
import { address, listed, poolOf } from '../support/pools.ts';
import { initiate, terminate } from '../support/sites.ts';

const DYNAMIC = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65_535 } as const;

/** Decides nothing until it is told to. */
class SlowPools implements LeasePools {
  readonly inner = new AddressPools();
  readonly asked: LeaseHolder[] = [];
  isOpen = false;
  /** Nothing is had. */
  isEmpty = false;

  isDecided(_: readonly string[], requests: readonly LeaseRequest[]): boolean {
    const holder = requests[0]?.holder;
    if (!this.isOpen && holder) this.asked.push(holder);
    return this.isOpen;
  }

  acquire(names: readonly string[], request: LeaseRequest): Acquired | undefined {
    return this.isEmpty ? undefined : this.inner.acquire(names, request);
  }

  claim(names: readonly string[], request: LeaseRequest): Acquired | undefined {
    return this.inner.claim(names, request);
  }

  release(holder: LeaseHolder, addresses?: readonly IpAddress[]): void {
    this.inner.release(holder, addresses);
  }

  handOver(from: LeaseHolder, to: LeaseHolder): void {
    this.inner.handOver(from, to);
  }
}

function waiting(seed = 1, unique: 'no' | 'replace' = 'no') {
  const pools = new SlowPools();
  pools.inner.load(poolOf('four', '10.3.0.0/29'));
  const pair = new Pair({ seed, nodes: { b: { sid: 1, skewMs: 0, pools } } });
  const local = { method: 'psk', id: { text: 'b.lab', identity: fqdn('b.lab') } } as const;
  pair.a.pad.load(
    connection({
      vips: [address('0.0.0.0')],
      children: [child({ localTs: [DYNAMIC], remoteTs: [network('0.0.0.0/0')] })],
    }),
  );
  pair.b.pad.load(
    connection({
      local,
      remote: { method: 'psk' },
      pools: ['four'],
      unique,
      children: [child({ localTs: [network('10.2.0.0/16')], remoteTs: [DYNAMIC] })],
    }),
  );
  for (const side of [pair.a, pair.b]) loadSecret(side.pad, 'secret');
  return { pair, pools };
}

type Waiting = ReturnType<typeof waiting>;

function decide({ pair, pools }: Waiting): void {
  pools.isOpen = true;
  const spi = pair.b.engine.ikeSas().at(-1)?.ownSpi;
  assert.ok(spi);
  pair.handle(pair.b, { kind: 'addresses-decided', spi });
}

/** Responses of IKE_AUTH that left. */
function answers({ pair }: Waiting): readonly string[] {
  return pair.ladder.filter((line) => line.startsWith('<- IKE_AUTH'));
}

describe('A request whose addresses are not decided upon', () => {
  it('is answered when they are', () => {
    const held = waiting();
    const { pair, pools } = held;
    initiate(pair);
    pair.run(1000);
    assert.deepEqual([answers(held), pools.asked.length], [[], 1]);
    assert.equal(pair.b.engine.halfOpen, 1);
    decide(held);
    pair.run(1100);
    assert.equal(pair.a.outcomes.get(1)?.kind, 'done');
    assert.deepEqual(answers(held), ['<- IKE_AUTH response 1 [IDr AUTH CP SA TSi TSr]']);
    assert.deepEqual(listed(pools.inner.views('four')[0]), ['10.3.0.1 a.lab online']);
  });

  it('is not asked for twice when the peer repeats it, and answered once', () => {
    const held = waiting();
    const { pair, pools } = held;
    initiate(pair);
    pair.run(12_000);
    const drops = pair.b.seen('ike-drop').map(({ reason }) => reason);
    assert.deepEqual(drops, ['ike-request-held', 'ike-request-held']);
    assert.equal(pools.asked.length, 1);
    decide(held);
    decide(held);
    pair.run(13_000);
    assert.equal(answers(held).length, 1);
    assert.deepEqual([pair.a.established, pair.b.established], [1, 1]);
  });

  it('is told that there are none', () => {
    const held = waiting();
    const { pair, pools } = held;
    initiate(pair);
    pair.run(500);
    pools.isEmpty = true;
    decide(held);
    pair.run(600);
    assert.deepEqual(answers(held), [
      '<- IKE_AUTH response 1 [IDr AUTH N(INTERNAL_ADDRESS_FAILURE)]',
    ]);
    // The same in CREATE_CHILD_SA, which is held as well.
    pools.isOpen = false;
    initiate(pair, pair.a, { request: 2 });
    pair.run(1000);
    assert.equal(pair.ladder.at(-1), '-> CREATE_CHILD_SA request 2 [SA No CP TSi TSr]');
    pools.isEmpty = false;
    decide(held);
    pair.run(1100);
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    assert.deepEqual(listed(pools.inner.views('four')[0]), ['10.3.0.1 a.lab online']);
  });

  it('of a peer that is gone by then is answered by nobody', () => {
    const held = waiting();
    const { pair, pools } = held;
    initiate(pair);
    pair.run(500);
    const spi = pair.b.engine.ikeSas()[0]?.ownSpi;
    assert.ok(spi);
    pair.skip(40_000);
    pair.run(41_000);
    assert.equal(pair.b.engine.halfOpen, 0);
    pools.isOpen = true;
    pair.handle(pair.b, { kind: 'addresses-decided', spi });
    pair.run(42_000);
    assert.deepEqual(answers(held), []);
    assert.deepEqual(listed(pools.inner.views('four')[0]), []);
  });

  it('takes the place of an older IKE SA once', () => {
    const held = waiting(3, 'replace');
    const { pair, pools } = held;
    pools.isOpen = true;
    initiate(pair);
    pair.run(500);
    assert.equal(pair.b.established, 1);
    pools.isOpen = false;
    pair.a.engine.handle({ kind: 'terminate', request: 9, selector: {}, force: true }, pair.now);
    initiate(pair, pair.a, { request: 2 });
    pair.run(1000);
    decide(held);
    pair.run(30_000);
    assert.equal(pair.b.established, 1);
    assert.equal(pair.a.outcomes.get(2)?.kind, 'done');
    terminate(pair, pair.a, 3);
    pair.run(31_000);
    assert.equal(pair.b.established, 0);
  });

  it('is not what another node gets: there the peer asks again', () => {
    const held = waiting();
    const { pair } = held;
    initiate(pair);
    pair.run(500);
    const [sa] = pair.b.engine.ikeSas();
    assert.ok(sa?.heldRequest);
    const bundle = pair.b.engine.snapshots(pair.now);
    const other = waiting(2);
    const [snapshot] = bundle.snapshots;
    assert.ok(snapshot);
    other.pair.handle(other.pair.b, { kind: 'install-snapshots', bundle });
    other.pair.handle(other.pair.b, { kind: 'activate', spis: [sa.ownSpi] });
    assert.equal(other.pair.b.engine.ikeSas()[0]?.heldRequest, undefined);
    const request = pair.flights.filter(({ from }) => from.address.octets[3] === 1).at(-1);
    assert.ok(request);
    other.pools.isOpen = true;
    const { from: remote, to: local, octets } = request;
    other.pair.handle(other.pair.b, { kind: 'datagram', local, remote, octets });
    assert.equal(other.pair.b.established, 1);
  });
});
