/**
 * Addresses of ours that datagrams arrive at: few, and each one object for all SAs that have it.
 */
import { equalAddresses, type IpAddress } from '../wire/address.ts';

/** More than a gateway has; beyond them addresses are merely not shared. */
const MOST_ADDRESSES = 64;

export class OwnAddresses {
  readonly #known: IpAddress[] = [];

  /** The address that was seen first of all that are equal to this one. */
  shared(address: IpAddress): IpAddress {
    const known = this.#known.find((one) => equalAddresses(one, address));
    if (known !== undefined) return known;
    if (this.#known.length < MOST_ADDRESSES) this.#known.push(address);
    return address;
  }
}
