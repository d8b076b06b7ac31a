/**
 * All address pools of the gateway, and which IKE SA holds which of their leases.
 *
 * Pools come and go by name, as `pools { }` and vici's `load-pool` and `unload-pool` say.
 */
import { compareAddresses, equalAddresses, type IpAddress } from '../wire/address.ts';
import {
  AddressPool,
  type Lease,
  type LeaseHolder,
  type LeaseRequest,
  type PoolPolicy,
} from './address-pool.ts';
import type { Identity } from './identity.ts';

/** A virtual address with the pool it came from. */
export interface Acquired {
  readonly address: IpAddress;
  readonly pool: PoolPolicy;
}

export interface LeaseView {
  readonly address: IpAddress;
  readonly identity: Identity;
  readonly online: boolean;
}

/** One pool as `get-pools` lists it. */
export interface PoolView {
  readonly name: string;
  readonly base: IpAddress;
  readonly size: number;
  readonly online: number;
  readonly offline: number;
  readonly leases: readonly LeaseView[];
}

/** What the IKE engine asks of pools, whoever keeps them. */
export interface LeasePools {
  /**
   * Whether it is decided what `acquire` gives for these requests of one holder. Where it is not, the engine
   * hears of it (`addresses-decided`), whatever comes of it.
   */
  isDecided(names: readonly string[], requests: readonly LeaseRequest[]): boolean;
  /** An address of the family of `requested` from the first pool that has the best to give. */
  acquire(names: readonly string[], request: LeaseRequest): Acquired | undefined;
  /** The very address that was asked for, leased elsewhere: undefined where nobody could have. */
  claim(names: readonly string[], request: LeaseRequest): Acquired | undefined;
  /** The IKE SA is gone, or never heard of these addresses: they are free. */
  release(holder: LeaseHolder, addresses?: readonly IpAddress[]): void;
  /** Another IKE SA has its addresses from now on. */
  handOver(from: LeaseHolder, to: LeaseHolder): void;
}

/** What operators ask of them. */
export interface ManagedPools {
  /**
   * Adds the pool or replaces the one of its name. Refused while addresses are taken that the new
   * one might not lease.
   */
  load(policy: PoolPolicy): 'loaded' | 'online';
  /** Forgets the pool and who had its addresses; not while one of them is taken. */
  unload(name: string): 'unloaded' | 'unknown' | 'online';
  /** Every pool, or the one of a name; what its clients have only where it is asked for. */
  views(name?: string, withLeases?: boolean): readonly PoolView[];
}

interface Holding {
  readonly pool: AddressPool;
  readonly lease: Lease;
}

export class AddressPools implements LeasePools, ManagedPools {
  readonly #pools = new Map<string, AddressPool>();
  readonly #held = new Map<LeaseHolder, Holding[]>();
  readonly #maxOffline: number | undefined;

  /** `maxOffline`: how many clients that went away each pool remembers. */
  constructor(maxOffline?: number) {
    this.#maxOffline = maxOffline;
  }

  load(policy: PoolPolicy): 'loaded' | 'online' {
    const pool = this.#pools.get(policy.name);
    if (pool?.sameAddresses(policy)) {
      pool.update(policy);
      return 'loaded';
    }
    if (pool && pool.online > 0) return 'online';
    this.#pools.set(policy.name, new AddressPool(policy, this.#maxOffline));
    return 'loaded';
  }

  unload(name: string): 'unloaded' | 'unknown' | 'online' {
    const pool = this.#pools.get(name);
    if (!pool) return 'unknown';
    if (pool.online > 0) return 'online';
    this.#pools.delete(name);
    return 'unloaded';
  }

  /** Nobody else is asked. */
  isDecided(): boolean {
    return true;
  }

  acquire(names: readonly string[], request: LeaseRequest): Acquired | undefined {
    const { family } = request.requested;
    const pools = names
      .map((name) => this.#pools.get(name))
      .filter((pool) => pool?.policy.base.family === family)
      .filter((pool) => pool !== undefined);
    for (const acquire of PREFERENCES) {
      for (const pool of pools) {
        const lease = acquire(pool, request);
        if (lease) return this.#hold(request.holder, pool, lease);
      }
    }
    return undefined;
  }

  claim(names: readonly string[], request: LeaseRequest): Acquired | undefined {
    for (const name of names) {
      const pool = this.#pools.get(name);
      if (pool?.policy.base.family !== request.requested.family) continue;
      const lease = pool.claim(request);
      if (lease) return this.#hold(request.holder, pool, lease);
    }
    return undefined;
  }

  release(holder: LeaseHolder, addresses?: readonly IpAddress[]): void {
    const kept: Holding[] = [];
    for (const holding of this.#held.get(holder) ?? []) {
      const { pool, lease } = holding;
      const given = addresses?.some((address) => equalAddresses(address, lease.address)) ?? true;
      if (given) pool.release(lease, holder);
      else kept.push(holding);
    }
    if (kept.length > 0) this.#held.set(holder, kept);
    else this.#held.delete(holder);
  }

  // RFC 7296 §2.8: a rekeyed IKE SA inherits what the old one had, virtual addresses among it.
  handOver(from: LeaseHolder, to: LeaseHolder): void {
    const holdings = this.#held.get(from);
    if (!holdings) return;
    for (const { pool, lease } of holdings) pool.handOver(lease, from, to);
    this.#held.delete(from);
    this.#held.set(to, [...(this.#held.get(to) ?? []), ...holdings]);
  }

  views(name?: string, withLeases = true): readonly PoolView[] {
    return [...this.#pools.values()]
      .filter(({ policy }) => name === undefined || policy.name === name)
      .map((pool) => ({
        name: pool.policy.name,
        base: pool.policy.base,
        size: pool.size,
        online: pool.online,
        offline: pool.offline,
        leases: withLeases ? leaseViews(pool) : [],
      }));
  }

  #hold(holder: LeaseHolder, pool: AddressPool, lease: Lease): Acquired {
    const holdings = this.#held.get(holder);
    if (holdings) holdings.push({ pool, lease });
    else this.#held.set(holder, [{ pool, lease }]);
    return { address: lease.address, pool: pool.policy };
  }
}

/** In the order of the addresses. */
function leaseViews(pool: AddressPool): readonly LeaseView[] {
  return [...pool.leases()]
    .map(({ address, identity, holders }) => ({ address, identity, online: holders.size > 0 }))
    .sort((a, b) => compareAddresses(a.address, b.address));
}

type Acquire = (pool: AddressPool, request: LeaseRequest) => Lease | undefined;

/** Over all pools, what a client had before goes before what is new to it. */
const PREFERENCES: readonly Acquire[] = [
  (pool, request) => pool.acquireRequested(request),
  (pool, request) => pool.acquireFormer(request),
  (pool, request) => pool.acquireUnused(request),
  (pool, request) => pool.acquireAbandoned(request),
];
