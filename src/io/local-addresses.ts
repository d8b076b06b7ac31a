/**
 * Shared addresses on this machine: on `lo`, so that the kernel takes packets for them and lets sockets have
 * them, and says nothing about them on any link; or on the link's own device, where the kernel is to answer for them and
 * the packet filter gives its answers the hardware address.
 *
 * They carry our mark, where the kernel keeps one (Linux 5.18): what a killed process left is swept away at the next start.
 */
import { equalAddresses, formatAddress, type IpAddress } from '../wire/address.ts';
import type { Rtnetlink } from './rtnetlink.ts';
import { type InterfaceAddress, PROTOCOL_TSGW } from './rtnetlink-message.ts';

export class LocalAddresses {
  readonly #rtnetlink: Rtnetlink;
  readonly #device: number;
  readonly #here: IpAddress[] = [];

  /** Removes what an earlier process left. */
  constructor(rtnetlink: Rtnetlink, device = 'lo') {
    const link = rtnetlink.link({ name: device });
    if (link === undefined) throw new Error(`interface ${device}: there is none of that name`);
    this.#rtnetlink = rtnetlink;
    this.#device = link.index;
    for (const one of rtnetlink.addresses()) {
      if (one.interfaceIndex === link.index && one.protocol === PROTOCOL_TSGW) {
        rtnetlink.deleteAddress(one);
      }
    }
  }

  /** From now the machine has exactly these. */
  have(addresses: readonly IpAddress[]): void {
    const has = (list: readonly IpAddress[], address: IpAddress) =>
      list.some((one) => equalAddresses(one, address));
    for (const address of this.#here.filter((one) => !has(addresses, one))) this.#remove(address);
    for (const address of addresses.filter((one) => !has(this.#here, one))) {
      this.#rtnetlink.addAddress(this.#onDevice(address));
      this.#here.push(address);
    }
  }

  /** Leaves the machine without them; what is gone already is no error. */
  close(): void {
    for (const address of [...this.#here]) {
      try {
        this.#remove(address);
      } catch {
        // An operator took it away: that is what was wanted.
      }
    }
  }

  /** For messages: which there are. */
  toString(): string {
    return this.#here.map(formatAddress).join(', ');
  }

  #remove(address: IpAddress): void {
    const at = this.#here.indexOf(address);
    if (at >= 0) this.#here.splice(at, 1);
    this.#rtnetlink.deleteAddress(this.#onDevice(address));
  }

  #onDevice(address: IpAddress): InterfaceAddress {
    return {
      interfaceIndex: this.#device,
      address,
      prefixLength: address.octets.length * 8,
      protocol: PROTOCOL_TSGW,
    };
  }
}
