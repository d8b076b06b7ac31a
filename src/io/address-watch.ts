/**
 * The machine's own outer addresses, and word of their change (RFC 4555 §3.3 wants to know).
 *
 * The kernel says over rtnetlink that an address or a link changed; what it says is not read. A
 * change comes in several messages: a little after the first, the addresses are listed anew.
 */
import { formatAddress, type IpAddress } from '../wire/address.ts';
import { outerAddresses } from './addresses.ts';
import { type Native, native } from './native.ts';
import type { Rtnetlink } from './rtnetlink.ts';

export interface AddressWatchOptions {
  readonly rtnetlink: Rtnetlink;
  /** The TUN device: what is on it is no way to the outside. */
  readonly except: number;
  /** Some address or link of the machine changed. */
  readonly stirred: () => void;
  /** The outer addresses are others now. */
  readonly changed: (addresses: readonly IpAddress[]) => void;
}

/** Multicast groups, a bit each: links, IPv4 addresses, IPv6 addresses (`linux/rtnetlink.h`). */
const GROUPS = 0x001 | 0x010 | 0x100;
const PAUSE_MS = 100;

export class AddressWatch {
  readonly #options: AddressWatchOptions;
  readonly #addon: Native;
  readonly #fd: number;
  readonly #watch: number;
  #known: readonly IpAddress[];
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AddressWatchOptions, addon: Native = native()) {
    this.#options = options;
    this.#addon = addon;
    this.#fd = addon.netlink(GROUPS);
    // Listed once changes are heard of, so that none falls between.
    this.#known = this.#list();
    this.#watch = addon.watch(this.#fd, () => this.#heard());
  }

  /** As last listed. */
  get addresses(): readonly IpAddress[] {
    return this.#known;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#addon.unwatch(this.#watch);
    this.#addon.close(this.#fd);
  }

  #heard(): void {
    this.#addon.netlinkDrain(this.#fd);
    // Not put off by what comes after: some machine's links never rest.
    this.#timer ??= setTimeout(() => this.#look(), PAUSE_MS);
  }

  #look(): void {
    this.#timer = undefined;
    this.#options.stirred();
    const addresses = this.#list();
    if (textOf(addresses) === textOf(this.#known)) return;
    this.#known = addresses;
    this.#options.changed(addresses);
  }

  #list(): readonly IpAddress[] {
    return outerAddresses(this.#options.rtnetlink, this.#options.except);
  }
}

function textOf(addresses: readonly IpAddress[]): string {
  return addresses.map(formatAddress).join();
}
