/**
 * All leases of a pool that this node knows of: by place, by identity, and those of clients that went away in
 * the order in which they went.
 */
import { type Identity, identityKey } from '../../ipsec/identity.ts';
import type { Segment } from '../ballot.ts';
import type { PoolLease } from './pool-lease.ts';

export class LeaseTable {
  readonly #home: (place: number) => Segment;
  readonly #leases = new Map<number, PoolLease>();
  readonly #byIdentity = new Map<string, Set<number>>();
  /** By the home segments of their addresses. */
  readonly #away = new Map<Segment, Set<number>>();
  #awayCount = 0;

  constructor(home: (place: number) => Segment) {
    this.#home = home;
  }

  /** Leases whose clients are away. */
  get awayCount(): number {
    return this.#awayCount;
  }

  /** Leases whose clients are here. */
  get onlineCount(): number {
    return this.#leases.size - this.#awayCount;
  }

  get(place: number): PoolLease | undefined {
    return this.#leases.get(place);
  }

  all(): Iterable<PoolLease> {
    return this.#leases.values();
  }

  /** Takes the place of what was there, unless that is of a later lessor. */
  put(lease: PoolLease): void {
    const before = this.#leases.get(lease.place);
    if (before && before.epoch > lease.epoch) return;
    this.remove(lease.place);
    this.#leases.set(lease.place, lease);
    added(this.#byIdentity, identityKey(lease.identity), lease.place);
    if (lease.isOnline) return;
    added(this.#away, this.#home(lease.place), lease.place);
    this.#awayCount++;
  }

  remove(place: number): void {
    const lease = this.#leases.get(place);
    if (!lease) return;
    this.#leases.delete(place);
    taken(this.#byIdentity, identityKey(lease.identity), place);
    if (lease.isOnline) return;
    taken(this.#away, this.#home(place), place);
    this.#awayCount--;
  }

  /** Places this identity has or had. */
  placesOf(identity: Identity): Iterable<number> {
    return this.#byIdentity.get(identityKey(identity)) ?? [];
  }

  /** Places at home in the segment whose clients are away, who is away longest first. */
  away(home: Segment): Iterable<number> {
    return this.#away.get(home) ?? [];
  }
}

function added<K>(sets: Map<K, Set<number>>, key: K, place: number): void {
  const set = sets.get(key);
  if (set) set.add(place);
  else sets.set(key, new Set([place]));
}

function taken<K>(sets: Map<K, Set<number>>, key: K, place: number): void {
  const set = sets.get(key);
  set?.delete(place);
  if (set?.size === 0) sets.delete(key);
}
