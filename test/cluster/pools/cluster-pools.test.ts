/** The pools of a node of a cluster, as its engine asks them and other nodes talk to them. */
import assert from 'node:assert/strict';
import { ClusterPools } from '../../../src/cluster/pools/cluster-pools.ts';
import { segmentHash, segmentOfIkeSpi } from '../../../src/cluster/segment-hash.ts';
import type { LeaseHolder, LeaseRequest } from '../../../src/ipsec/address-pool.ts';
import { formatAddress } from '../../../src/wire/address.ts';
import { after, type Instant, instant } from '../../../src/wire/instant.ts';
import { fromHex, MalformedError } from '../../../src/wire/octets.ts';
import { fqdn } from '../../support/connections.ts';
import { endpoint } from '../../support/pair.ts';
import { address, listed, poolOf } from '../../support/pools.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const HASH = segmentHash(8, 0x5eed);
const SEGMENT = 3;

/** Nodes that hear one another as far as a test lets them. */
class Nodes {
  readonly pools: readonly ClusterPools[];
  readonly decided: string[] = [];
  readonly running: Set<number>;
  now: Instant = instant(10_000);
  /** Whether what one node says comes to another. */
  passes: (from: number, to: number) => boolean = () => true;

  constructor(count: number, addrs = '10.3.0.0/24') {
    const nodes = Array.from({ length: count }, (_, index) => index + 1);
    this.running = new Set(nodes);
    this.pools = nodes.map((self) => {
      const random = seededRandom(self);
      const pools = new ClusterPools({ hash: HASH, self, nodes, sid: 100 * self + 1, random });
      pools.load(poolOf('rw', addrs));
      return pools;
    });
    this.run(3000);
  }

  of(node: number): ClusterPools {
    const pools = this.pools[node - 1];
    if (!pools) throw new RangeError(`node ${node}`);
    return pools;
  }

  take(node: number, segments: readonly number[]): void {
    this.of(node).take(segments, this.now);
  }

  run(milliseconds: number): void {
    const end = after(this.now, milliseconds);
    for (; this.now < end; this.now = after(this.now, 5)) {
      for (const node of this.running) this.#drain(node);
    }
  }

  #drain(node: number): void {
    const pools = this.of(node);
    pools.connect(
      [...this.running].filter((other) => other !== node),
      this.now,
    );
    for (const action of pools.drain(this.now)) {
      if (action.kind === 'decided') this.decided.push(action.spi);
      else if (this.running.has(action.to) && this.passes(node, action.to)) {
        this.of(action.to).received(node, action.message, this.now);
      }
    }
  }
}

/** An IKE SA of the segment, of somebody at that place. */
function holder(place: number, segment = SEGMENT): LeaseHolder {
  for (let low = place * 1000; ; low++) {
    const ownSpi = low.toString(16).padStart(16, '0');
    if (segmentOfIkeSpi(fromHex(ownSpi), HASH) !== segment) continue;
    return { ownSpi, remote: endpoint(`198.51.100.${place}`), isClosing: false };
  }
}

function request(name: string, who: LeaseHolder): LeaseRequest {
  return { identity: fqdn(name), requested: address('0.0.0.0'), holder: who };
}

/** What it gives once it is decided; undefined while it is not. */
function given(pools: ClusterPools, asked: LeaseRequest): string | undefined | 'none' {
  if (!pools.isDecided(['rw'], [asked])) return undefined;
  const acquired = pools.acquire(['rw'], asked);
  return acquired ? formatAddress(acquired.address) : 'none';
}

describe('Pools of a node of a cluster', () => {
  it('give an address when a majority has the record, and not before', () => {
    const nodes = new Nodes(3);
    nodes.take(1, [SEGMENT]);
    nodes.run(1500);
    nodes.passes = (from) => from !== 1;
    const asked = request('alice.lab', holder(1));
    assert.equal(given(nodes.of(1), asked), undefined);
    nodes.run(500);
    assert.equal(given(nodes.of(1), asked), undefined);
    assert.deepEqual(nodes.decided, []);
    const other = request('bob.lab', holder(2));
    nodes.passes = (from, to) => from !== 1 || to === 2;
    assert.equal(given(nodes.of(1), other), undefined);
    nodes.run(500);
    assert.deepEqual(nodes.decided, [other.holder.ownSpi]);
    assert.match(given(nodes.of(1), other) ?? '', /^10\.3\.0\./);
  });

  it('give nothing of a segment before all that a majority knows of it is here', () => {
    const nodes = new Nodes(3);
    nodes.take(1, [SEGMENT]);
    nodes.run(1500);
    // The third one hears nothing of it.
    nodes.passes = (_, to) => to !== 3;
    const asked = request('alice.lab', holder(1));
    given(nodes.of(1), asked);
    nodes.run(200);
    const first = given(nodes.of(1), asked);
    assert.match(first ?? '', /^10\.3\.0\./);
    nodes.running.delete(1);
    nodes.take(3, [SEGMENT]);
    const next = request('bob.lab', holder(2));
    assert.equal(given(nodes.of(3), next), undefined);
    nodes.run(300);
    assert.equal(given(nodes.of(3), next), undefined, 'it has not heard the second node');
    nodes.passes = () => true;
    nodes.run(2000);
    const second = given(nodes.of(3), next);
    assert.match(second ?? '', /^10\.3\.0\./);
    assert.notEqual(second, first);
    assert.deepEqual(listed(nodes.of(3).views('rw')[0]).length, 2);
  });

  it('give nobody what an IKE SA here has, whatever the records say', () => {
    const nodes = new Nodes(1, '10.3.0.1-10.3.0.2');
    nodes.take(1, [0, 1, 2, 3, 4, 5, 6, 7]);
    nodes.run(1500);
    const [pools] = nodes.pools;
    assert.ok(pools);
    const claimed = { ...request('alice.lab', holder(1)), requested: address('10.3.0.1') };
    assert.ok(pools.claim(['rw'], claimed));
    const asked = ['bob.lab', 'carol.lab'].map((name, index) => request(name, holder(2 + index)));
    for (const one of asked) given(pools, one);
    nodes.run(12_000);
    assert.deepEqual(
      asked.map((one) => given(pools, one)),
      ['10.3.0.2', 'none'],
    );
    pools.release(claimed.holder);
    const again = request('dave.lab', holder(4));
    given(pools, again);
    nodes.run(500);
    assert.equal(given(pools, again), '10.3.0.1');
  });

  it('give back what was decided and not taken, or came too late', () => {
    const nodes = new Nodes(1, '10.3.0.1');
    nodes.take(1, [0, 1, 2, 3, 4, 5, 6, 7]);
    nodes.run(1500);
    const [pools] = nodes.pools;
    assert.ok(pools);
    const first = request('alice.lab', holder(1));
    given(pools, first);
    nodes.run(500);
    pools.settle(first.holder.ownSpi);
    const second = request('bob.lab', holder(2));
    given(pools, second);
    pools.release(second.holder);
    const third = request('carol.lab', holder(3));
    given(pools, third);
    nodes.run(1000);
    assert.equal(given(pools, third), '10.3.0.1');
    assert.deepEqual(listed(pools.views('rw')[0]), ['10.3.0.1 carol.lab online']);
  });

  it('end leases whose IKE SAs are lost', () => {
    const nodes = new Nodes(2, '10.3.0.1');
    nodes.take(1, [0, 1, 2, 3, 4, 5, 6, 7]);
    nodes.run(1500);
    const asked = request('alice.lab', holder(1));
    given(nodes.of(1), asked);
    nodes.run(500);
    assert.equal(given(nodes.of(1), asked), '10.3.0.1');
    nodes.running.delete(1);
    nodes.take(2, [0, 1, 2, 3, 4, 5, 6, 7]);
    nodes.run(1000);
    assert.deepEqual(listed(nodes.of(2).views('rw')[0]), ['10.3.0.1 alice.lab online']);
    nodes.run(8000);
    assert.deepEqual(listed(nodes.of(2).views('rw')[0]), ['10.3.0.1 alice.lab offline']);
  });

  it('answer at most so many requests at a time, and take in nothing that is malformed', () => {
    const nodes = new Nodes(2);
    const [pools] = nodes.pools;
    assert.ok(pools);
    const spis = Array.from({ length: 4097 }, (_, index) => index.toString(16).padStart(16, '0'));
    const waiting = spis.filter((ownSpi) => {
      const who = { ownSpi, remote: endpoint('198.51.100.1'), isClosing: false };
      return !pools.isDecided(['rw'], [request('many.lab', who)]);
    });
    assert.equal(waiting.length, 4096);
    const body = Uint8Array.of(0, 1, 0, 0, 0, 9, 1);
    assert.throws(() => pools.received(2, { type: 21, body }, nodes.now), MalformedError);
    assert.throws(() => pools.restore(Uint8Array.of(1, 2, 3)), MalformedError);
  });
});
