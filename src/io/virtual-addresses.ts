/**
 * What gateways gave us as their client: addresses on the TUN device, and name servers.
 *
 * Two IKE SAs may hold the same address while one replaces the other; it goes with the last. With
 * the device go its addresses, however the process ends.
 */
import { formatAddress, type IpAddress } from '../wire/address.ts';
import type { NameServers } from './name-servers.ts';
import type { Rtnetlink } from './rtnetlink.ts';

export interface GivenAddresses {
  readonly addresses: readonly IpAddress[];
  readonly nameServers: readonly IpAddress[];
}

export class VirtualAddresses {
  readonly #rtnetlink: Rtnetlink;
  readonly #interfaceIndex: number;
  readonly #nameServers: NameServers | undefined;
  readonly #warn: (what: string) => void;
  readonly #byOwner = new Map<number, readonly IpAddress[]>();

  constructor(options: {
    readonly rtnetlink: Rtnetlink;
    readonly interfaceIndex: number;
    /** Undefined: the resolver is left alone. */
    readonly nameServers: NameServers | undefined;
    readonly warn: (what: string) => void;
  }) {
    this.#rtnetlink = options.rtnetlink;
    this.#interfaceIndex = options.interfaceIndex;
    this.#nameServers = options.nameServers;
    this.#warn = options.warn;
  }

  install(ikeSa: number, { addresses, nameServers }: GivenAddresses): void {
    for (const address of addresses.filter((one) => !this.#isHeld(one))) {
      this.#try(`virtual address ${formatAddress(address)} is not installed`, () =>
        this.#rtnetlink.addAddress(this.#onDevice(address)),
      );
    }
    this.#byOwner.set(ikeSa, addresses);
    const list = nameServers.map(formatAddress).join(', ');
    this.#try(`name servers ${list} are not used`, () =>
      this.#nameServers?.set(ikeSa, nameServers),
    );
  }

  remove(ikeSa: number): void {
    const addresses = this.#byOwner.get(ikeSa) ?? [];
    this.#byOwner.delete(ikeSa);
    for (const address of addresses.filter((one) => !this.#isHeld(one))) {
      this.#try(`virtual address ${formatAddress(address)} is not removed`, () =>
        this.#rtnetlink.deleteAddress(this.#onDevice(address)),
      );
    }
    this.#try('name servers are not removed', () => this.#nameServers?.remove(ikeSa));
  }

  #isHeld(address: IpAddress): boolean {
    const text = formatAddress(address);
    return [...this.#byOwner.values()].flat().some((one) => formatAddress(one) === text);
  }

  #onDevice(address: IpAddress): Parameters<Rtnetlink['addAddress']>[0] {
    const prefixLength = address.octets.length * 8;
    return { interfaceIndex: this.#interfaceIndex, address, prefixLength };
  }

  /** The machine may refuse; the tunnel stands all the same, and an operator must know. */
  #try(otherwise: string, act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#warn(`${otherwise}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }
}
