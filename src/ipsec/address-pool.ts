/**
 * The leases of one address pool (`pools.NAME`, RFC 7296 §2.19): who has which virtual address.
 *
 * An identity keeps its address while it is away, until every other address is taken. Addresses are
 * counted, never listed: a pool of a /64 costs what its leases cost. Holds no clock.
 */
import {
  type AddressRange,
  addressAfter,
  addressDistance,
  type Endpoint,
  equalAddresses,
  equalEndpoints,
  formatAddress,
  type IpAddress,
  rangeContains,
} from '../wire/address.ts';
import type { PoolAttribute } from './configuration-attribute.ts';
import { type Identity, identityKey } from './identity.ts';

/** `pools.NAME`. */
export interface PoolPolicy {
  readonly name: string;
  /** The address it was configured by, for listings. */
  readonly base: IpAddress;
  /** What may be leased: at most `MAX_POOL_SIZE` addresses. */
  readonly range: AddressRange;
  /** What a client gets beside an address. */
  readonly attributes: readonly PoolAttribute[];
}

/** An IKE SA: as long as it is there, the address is taken. */
export interface LeaseHolder {
  /** Our SPI of it, in hex. */
  readonly ownSpi: string;
  /** Where its peer is now. */
  readonly remote: Endpoint;
  /** It is on its way out: its client may have the address again. */
  readonly isClosing: boolean;
}

export interface Lease {
  readonly address: IpAddress;
  readonly identity: Identity;
  /** More than one while a client replaces its IKE SA; none when it is away. */
  readonly holders: ReadonlySet<LeaseHolder>;
}

export interface LeaseRequest {
  readonly identity: Identity;
  /** 0.0.0.0 and :: leave the choice to the pool. */
  readonly requested: IpAddress;
  readonly holder: LeaseHolder;
}

/** Of a larger range only the first are leased, as strongSwan does. */
export const MAX_POOL_SIZE = 2 ** 31 - 2;

/** Identities that are away and whose address one pool remembers, at most. */
const MAX_OFFLINE_LEASES = 65_536;

interface OwnedLease extends Lease {
  identity: Identity;
  readonly holders: Set<LeaseHolder>;
}

export class AddressPool {
  /** Addresses, leased or not. */
  readonly size: number;
  readonly #maxOffline: number;
  #policy: PoolPolicy;
  readonly #byAddress = new Map<string, OwnedLease>();
  readonly #byIdentity = new Map<string, Set<OwnedLease>>();
  /** In the order in which they went away. */
  readonly #offline = new Set<OwnedLease>();
  /** No address from here on is leased, except where somebody asked for it. */
  #unused = 0;

  constructor(policy: PoolPolicy, maxOffline = MAX_OFFLINE_LEASES) {
    this.#maxOffline = maxOffline;
    this.#policy = policy;
    this.size = Number(addressDistance(policy.range.first, policy.range.last)) + 1;
  }

  get policy(): PoolPolicy {
    return this.#policy;
  }

  get online(): number {
    return this.#byAddress.size - this.#offline.size;
  }

  get offline(): number {
    return this.#offline.size;
  }

  leases(): Iterable<Lease> {
    return this.#byAddress.values();
  }

  /** The very address that was asked for, if it is this identity's or nobody's. */
  acquireRequested(request: LeaseRequest): Lease | undefined {
    const { identity, requested, holder } = request;
    if (!rangeContains(this.#policy.range, requested)) return undefined;
    const lease = this.#byAddress.get(formatAddress(requested));
    if (!lease) return this.#full ? undefined : this.#create(requested, request);
    if (identityKey(lease.identity) !== identityKey(identity)) return undefined;
    const free = isFree(lease) || replacesItself(lease, holder);
    return free ? this.#take(lease, holder) : undefined;
  }

  /** The address this identity had before. */
  acquireFormer({ identity, holder }: LeaseRequest): Lease | undefined {
    const leases = this.#byIdentity.get(identityKey(identity)) ?? [];
    for (const lease of leases) {
      if (isFree(lease)) return this.#take(lease, holder);
    }
    return undefined;
  }

  /** An address nobody had before. */
  acquireUnused(request: LeaseRequest): Lease | undefined {
    if (this.#full) return undefined;
    for (; this.#unused < this.size; this.#unused++) {
      const address = addressAfter(this.#policy.range.first, this.#unused);
      if (!this.#byAddress.has(formatAddress(address))) return this.#create(address, request);
    }
    return undefined;
  }

  /** The address of whoever is away longest. */
  acquireAbandoned({ identity, holder }: LeaseRequest): Lease | undefined {
    const [lease] = this.#offline;
    if (!lease) return undefined;
    this.#disown(lease);
    lease.identity = identity;
    this.#own(lease);
    return this.#take(lease, holder);
  }

  /** This very address, which another node leased to this identity; undefined where it is taken. */
  claim({ identity, requested, holder }: LeaseRequest): Lease | undefined {
    if (!rangeContains(this.#policy.range, requested)) return undefined;
    const lease = this.#byAddress.get(formatAddress(requested));
    if (!lease) return this.#create(requested, { identity, requested, holder });
    if (identityKey(lease.identity) !== identityKey(identity)) {
      if (lease.holders.size > 0) return undefined;
      this.#disown(lease);
      lease.identity = identity;
      this.#own(lease);
    }
    return this.#take(lease, holder);
  }

  /** The address stays with its identity until another needs it. */
  release(lease: Lease, holder: LeaseHolder): void {
    const own = this.#byAddress.get(formatAddress(lease.address));
    if (!own?.holders.delete(holder) || own.holders.size > 0) return;
    this.#offline.add(own);
  }

  handOver(lease: Lease, from: LeaseHolder, to: LeaseHolder): void {
    const own = this.#byAddress.get(formatAddress(lease.address));
    if (own?.holders.delete(from)) own.holders.add(to);
  }

  /** Other attributes for the same addresses. */
  update(policy: PoolPolicy): void {
    this.#policy = policy;
  }

  /** Do both lease the same addresses? Then the leases of one are good in the other. */
  sameAddresses({ base, range }: PoolPolicy): boolean {
    const policy = this.#policy;
    return (
      equalAddresses(policy.base, base) &&
      equalAddresses(policy.range.first, range.first) &&
      equalAddresses(policy.range.last, range.last)
    );
  }

  /** What is remembered has a bound: beyond it, those who are away longest are forgotten first. */
  get #full(): boolean {
    return this.#offline.size >= this.#maxOffline;
  }

  #create(address: IpAddress, { identity, holder }: LeaseRequest): Lease {
    const lease: OwnedLease = { address, identity, holders: new Set([holder]) };
    this.#byAddress.set(formatAddress(address), lease);
    this.#own(lease);
    return lease;
  }

  #take(lease: OwnedLease, holder: LeaseHolder): Lease {
    this.#offline.delete(lease);
    lease.holders.add(holder);
    return lease;
  }

  #own(lease: OwnedLease): void {
    const key = identityKey(lease.identity);
    const siblings = this.#byIdentity.get(key);
    if (siblings) siblings.add(lease);
    else this.#byIdentity.set(key, new Set([lease]));
  }

  #disown(lease: OwnedLease): void {
    const key = identityKey(lease.identity);
    const siblings = this.#byIdentity.get(key);
    siblings?.delete(lease);
    if (siblings?.size === 0) this.#byIdentity.delete(key);
  }
}

/** For its own identity; another waits until nobody holds it. */
function isFree({ holders }: Lease): boolean {
  return [...holders].every(({ isClosing }) => isClosing);
}

/** The same client on a new IKE SA (reauthentication), told from another device of its user. */
function replacesItself(lease: Lease, holder: LeaseHolder): boolean {
  return [...lease.holders].some(
    (one) => one !== holder && equalEndpoints(one.remote, holder.remote),
  );
}
