/**
 * Which IKE SAs of this node have which addresses of one pool: active ones, and PASSIVE ones of other nodes.
 */
import type { LeaseHolder } from '../../ipsec/address-pool.ts';
import { type Identity, identityKey } from '../../ipsec/identity.ts';
import { formatAddress, type IpAddress } from '../../wire/address.ts';

export interface HeldAddress {
  readonly address: IpAddress;
  readonly identity: Identity;
  readonly holders: ReadonlySet<LeaseHolder>;
}

interface Held extends HeldAddress {
  readonly holders: Set<LeaseHolder>;
}

export class HeldAddresses {
  readonly #byAddress = new Map<string, Held>();
  readonly #byIdentity = new Map<string, Set<Held>>();

  get size(): number {
    return this.#byAddress.size;
  }

  all(): Iterable<HeldAddress> {
    return this.#byAddress.values();
  }

  get(address: IpAddress): HeldAddress | undefined {
    return this.#byAddress.get(formatAddress(address));
  }

  of(identity: Identity): readonly HeldAddress[] {
    return [...(this.#byIdentity.get(identityKey(identity)) ?? [])];
  }

  /** Of an address that somebody has the identity stays. */
  add(address: IpAddress, identity: Identity, holder: LeaseHolder): void {
    const there = this.#byAddress.get(formatAddress(address));
    if (there) {
      there.holders.add(holder);
      return;
    }
    const held = { address, identity, holders: new Set([holder]) };
    this.#byAddress.set(formatAddress(address), held);
    const key = identityKey(identity);
    const siblings = this.#byIdentity.get(key);
    if (siblings) siblings.add(held);
    else this.#byIdentity.set(key, new Set([held]));
  }

  /** Whether nobody has it any more. */
  remove(address: IpAddress, holder: LeaseHolder): boolean {
    const held = this.#byAddress.get(formatAddress(address));
    if (!held?.holders.delete(holder) || held.holders.size > 0) return false;
    this.#byAddress.delete(formatAddress(address));
    const key = identityKey(held.identity);
    const siblings = this.#byIdentity.get(key);
    siblings?.delete(held);
    if (siblings?.size === 0) this.#byIdentity.delete(key);
    return true;
  }
}
