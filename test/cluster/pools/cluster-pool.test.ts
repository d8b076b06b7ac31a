/**
 * One node of a pool by itself, on a bus that answers at once, and the octets of its records.
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { BusEvent } from '../../../src/cluster/bus/bus.ts';
import {
  ClusterPool,
  type ClusterPoolSettings,
  type PoolAction,
  type PoolInput,
} from '../../../src/cluster/pools/cluster-pool.ts';
import { decodePoolLease, encodePoolLease } from '../../../src/cluster/pools/pool-lease.ts';
import { decodeShare, encodeShare } from '../../../src/cluster/pools/share.ts';
import { segmentHash } from '../../../src/cluster/segment-hash.ts';
import { type Identity, identityKey } from '../../../src/ipsec/identity.ts';
import {
  addressAfter,
  formatAddress,
  type IpAddress,
  parseAddress,
} from '../../../src/wire/address.ts';

const first = addressOf('10.0.0.1');
const any = addressOf('0.0.0.0');

describe('A pool on one node', () => {
  it('keeps the address of a client that is away, in whatever segment it comes back', () => {
    const pool = poolOf({ size: 40 });
    const mine = pool.acquire(1, 0);
    pool.leave(mine, 1);
    assert.notEqual(pool.acquire(2, 0), mine);
    assert.equal(pool.acquire(1, 3), mine);
  });

  it('says at once that it has none', () => {
    const pool = poolOf({ size: 1 });
    const only = pool.acquire(1, 2);
    assert.equal(only, '10.0.0.1');
    assert.equal(pool.acquire(2, 0), undefined);
    pool.leave(only, 1);
    assert.equal(pool.acquire(2, 0), only);
  });

  it('leases each of its addresses, whatever the segments of its clients', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 30 }),
        fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 31, maxLength: 31 }),
        (size, segments) => {
          const pool = poolOf({ size });
          const had = new Set<string | undefined>();
          for (let one = 0; one < size; one++) had.add(pool.acquire(one, segments[one] ?? 0));
          assert.equal(had.size, size);
          assert.ok(!had.has(undefined));
          assert.equal(pool.acquire(99, segments[size] ?? 0), undefined);
        },
      ),
      { numRuns: 50 },
    );
  });

  it('gives a static address to its identity and to nobody else', () => {
    const statics = new Map([[identityKey(identityOf(7)), addressAfter(first, 1)]]);
    const pool = poolOf({ size: 2, statics });
    assert.equal(pool.acquire(1, 0), '10.0.0.1');
    assert.equal(pool.acquire(2, 1), undefined);
    assert.equal(pool.acquire(7, 2), '10.0.0.2');
    pool.leave('10.0.0.2', 7);
    assert.equal(pool.acquire(2, 1), undefined);
    assert.equal(pool.acquire(7, 3), '10.0.0.2');
  });

  it('leases without a round trip what is at home in the segment', () => {
    const pool = poolOf({ size: 400 });
    const actions = pool.only({
      kind: 'acquire',
      id: 5,
      segment: 1,
      identity: identityOf(1),
      requested: any,
    });
    assert.ok(actions.some(({ kind }) => kind === 'leased'));
  });
});

describe('Records of pools', () => {
  const places = fc.uniqueArray(fc.integer({ min: 0, max: 0xffff_ffff }), { maxLength: 20 });
  const u16 = fc.integer({ min: 0, max: 0xffff });

  it('of shares come back, and nothing else is one', () => {
    fc.assert(
      fc.property(places, places, u16, fc.uint8Array(), (offered, lent, sid, more) => {
        const share = {
          holder: sid,
          offered,
          loans: lent.map((place) => ({ place, segment: 3, sid })),
        };
        const octets = encodeShare(share);
        assert.deepEqual(decodeShare(octets), share);
        for (let end = 0; end < octets.length; end++) {
          assert.equal(decodeShare(octets.subarray(0, end)), undefined);
        }
        decodeShare(more);
      }),
    );
  });

  it('of leases come back, and fewer octets are none', () => {
    fc.assert(
      fc.property(
        fc.boolean(),
        fc.boolean(),
        u16,
        fc.uint8Array(),
        (isOnline, isBorrowed, lessor, data) => {
          const identity = { type: 2, data };
          const lease = { place: 9, identity, segment: 1, lessor, isOnline, isBorrowed, epoch: 4 };
          const octets = encodePoolLease(lease);
          assert.deepEqual(decodePoolLease(octets, 9, 4), lease);
          for (let end = 0; end < 8; end++) {
            assert.equal(decodePoolLease(octets.subarray(0, end), 9, 4), undefined);
          }
          decodePoolLease(data, 9, 4);
        },
      ),
    );
  });
});

/** The only node of its cluster, with all of four segments. */
function poolOf({ size, ...more }: { readonly size: number } & Partial<ClusterPoolSettings>) {
  const range = { first, last: addressAfter(first, size - 1) };
  const hash = segmentHash(4, 1);
  const pool = new ClusterPool({ name: 'rw', range, hash, sid: 1, nodes: 1, ...more });
  let [lastRevision, lastId] = [0, 0];
  const handle = (input: PoolInput): readonly PoolAction[] => {
    const actions = pool.handle(input);
    const later = actions.flatMap((action) => {
      if (action.kind !== 'request') return [];
      const revision = { number: ++lastRevision, writer: 1, incarnation: 1 };
      const { id } = action.request;
      const event: BusEvent = { kind: 'written', id, revision, awaited: [] };
      return handle({ kind: 'event', event });
    });
    return [...actions, ...later];
  };
  for (let segment = 0; segment < 4; segment++) handle({ kind: 'owned', segment });
  return {
    only: (input: PoolInput) => pool.handle(input),
    acquire(client: number, segment: number): string | undefined {
      const id = ++lastId;
      const identity = identityOf(client);
      const actions = handle({ kind: 'acquire', id, segment, identity, requested: any });
      const answers = actions.filter((action) => action.kind !== 'request');
      assert.equal(answers.length, 1);
      const [answer] = answers;
      return answer?.kind === 'leased' ? formatAddress(answer.address) : undefined;
    },
    leave(address: string | undefined, client: number) {
      handle({ kind: 'leave', address: addressOf(address ?? ''), identity: identityOf(client) });
    },
  };
}

function identityOf(client: number): Identity {
  return { type: 11, data: Uint8Array.of(client) };
}

function addressOf(text: string): IpAddress {
  const address = parseAddress(text);
  assert.ok(address);
  return address;
}
