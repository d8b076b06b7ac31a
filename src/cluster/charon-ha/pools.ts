/**
 * The pools of `ha { pools { } }` beside those of this gateway alone, as the IKE engine asks for addresses:
 * new ones are of segments that this node serves, and what charon gave is taken, whoever serves it.
 *
 * An address is free when no IKE SA has it any more; nobody remembers whose it was.
 */
import type { LeaseHolder, LeaseRequest, PoolPolicy } from '../../ipsec/address-pool.ts';
import type {
  Acquired,
  AddressPools,
  LeasePools,
  LeaseView,
  ManagedPools,
  PoolView,
} from '../../ipsec/address-pools.ts';
import type { Identity } from '../../ipsec/identity.ts';
import {
  compareAddresses,
  equalAddresses,
  formatAddress,
  type IpAddress,
  type Prefix,
  prefixRange,
} from '../../wire/address.ts';
import { HaPool } from './pool.ts';

interface Shared {
  readonly pool: HaPool;
  readonly policy: PoolPolicy;
  /** Addresses that are taken, by their text. */
  readonly taken: Map<string, Taken>;
}

interface Taken {
  readonly address: IpAddress;
  readonly identity: Identity;
  /** IKE SAs that have it: two while one replaces the other. */
  readonly holders: Set<LeaseHolder>;
}

/** An address of an IKE SA, with the pool it is of. */
interface Held extends Shared {
  readonly lease: Taken;
}

export interface HaPoolsSettings {
  readonly pools: readonly { readonly name: string; readonly prefix: Prefix }[];
  readonly segmentCount: number;
}

export class HaPools implements LeasePools, ManagedPools {
  readonly #others: AddressPools;
  readonly #shared: ReadonlyMap<string, Shared>;
  readonly #active: () => readonly number[];
  readonly #held = new Map<LeaseHolder, Held[]>();

  /** `others`: pools of this gateway alone. `active`: the segments that it serves. */
  constructor(settings: HaPoolsSettings, others: AddressPools, active: () => readonly number[]) {
    this.#others = others;
    this.#active = active;
    this.#shared = new Map(
      settings.pools.map(({ name, prefix }) => {
        const pool = new HaPool(name, prefix, settings.segmentCount);
        const range = prefixRange(prefix);
        const policy = { name, base: range.first, range, attributes: [] };
        return [name, { pool, policy, taken: new Map<string, Taken>() }];
      }),
    );
  }

  /** One of this gateway alone; the pools of both nodes are those of the configuration. */
  load(policy: PoolPolicy): 'loaded' | 'online' {
    return this.#others.load(policy);
  }

  unload(name: string): 'unloaded' | 'unknown' | 'online' {
    return this.#others.unload(name);
  }

  /** Nobody else is asked. */
  isDecided(): boolean {
    return true;
  }

  acquire(names: readonly string[], request: LeaseRequest): Acquired | undefined {
    for (const shared of this.#named(names, request)) {
      const address = shared.pool.acquire(this.#active());
      if (address !== undefined) return this.#hold(shared, address, request);
    }
    return this.#others.acquire(this.#notShared(names), request);
  }

  claim(names: readonly string[], request: LeaseRequest): Acquired | undefined {
    const { requested } = request;
    for (const shared of this.#named(names, request)) {
      if (shared.pool.reserve(requested)) return this.#hold(shared, requested, request);
    }
    return this.#others.claim(this.#notShared(names), request);
  }

  release(holder: LeaseHolder, addresses?: readonly IpAddress[]): void {
    const kept: Held[] = [];
    for (const held of this.#held.get(holder) ?? []) {
      const { pool, taken, lease } = held;
      const given = addresses?.some((one) => equalAddresses(one, lease.address)) ?? true;
      if (!given) kept.push(held);
      else if (lease.holders.delete(holder) && lease.holders.size === 0) {
        taken.delete(formatAddress(lease.address));
        pool.release(lease.address);
      }
    }
    if (kept.length > 0) this.#held.set(holder, kept);
    else this.#held.delete(holder);
    this.#others.release(holder, addresses);
  }

  // RFC 7296 §2.8: a rekeyed IKE SA inherits what the old one had, virtual addresses among it.
  handOver(from: LeaseHolder, to: LeaseHolder): void {
    const held = this.#held.get(from);
    if (held) {
      for (const { lease } of held) {
        lease.holders.delete(from);
        lease.holders.add(to);
      }
      this.#held.delete(from);
      this.#held.set(to, [...(this.#held.get(to) ?? []), ...held]);
    }
    this.#others.handOver(from, to);
  }

  views(name?: string, withLeases = true): readonly PoolView[] {
    const shared = [...this.#shared.values()]
      .filter(({ policy }) => name === undefined || policy.name === name)
      .map(({ pool, policy, taken }) => ({
        name: policy.name,
        base: policy.base,
        size: pool.size,
        online: taken.size,
        offline: 0,
        leases: withLeases ? leases(taken) : [],
      }));
    return [...shared, ...this.#others.views(name, withLeases)];
  }

  #named(names: readonly string[], { requested }: LeaseRequest): readonly Shared[] {
    return names
      .map((name) => this.#shared.get(name))
      .filter((shared) => shared !== undefined)
      .filter(({ policy }) => policy.base.family === requested.family);
  }

  #hold(shared: Shared, address: IpAddress, { identity, holder }: LeaseRequest): Acquired {
    const key = formatAddress(address);
    const lease = shared.taken.get(key) ?? { address, identity, holders: new Set() };
    shared.taken.set(key, lease);
    lease.holders.add(holder);
    this.#held.set(holder, [...(this.#held.get(holder) ?? []), { ...shared, lease }]);
    return { address, pool: shared.policy };
  }

  #notShared(names: readonly string[]): readonly string[] {
    return names.filter((name) => !this.#shared.has(name));
  }
}

/** In the order of the addresses. */
function leases(taken: ReadonlyMap<string, Taken>): readonly LeaseView[] {
  return [...taken.values()]
    .map(({ address, identity }) => ({ address, identity, online: true }))
    .sort((one, other) => compareAddresses(one.address, other.address));
}
