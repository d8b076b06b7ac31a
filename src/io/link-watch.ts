/**
 * Whether interfaces are there and up, as soon as the kernel says so over rtnetlink.
 */
import { type Native, native } from './native.ts';
import type { Rtnetlink } from './rtnetlink.ts';

export interface LinkState {
  readonly device: string;
  /** Another number: the interface went, and one of the same name came. Undefined where there is none. */
  readonly index: number | undefined;
  /** It is set up and has a carrier. */
  readonly up: boolean;
}

export interface LinkWatchOptions {
  readonly rtnetlink: Rtnetlink;
  readonly devices: readonly string[];
  readonly changed: (state: LinkState) => void;
}

/** Multicast group, a bit: links (`linux/rtnetlink.h`). */
const LINKS = 0x001;

export class LinkWatch {
  readonly #options: LinkWatchOptions;
  readonly #addon: Native;
  readonly #fd: number;
  readonly #watch: number;
  readonly #known = new Map<string, LinkState>();

  constructor(options: LinkWatchOptions, addon: Native = native()) {
    this.#options = options;
    this.#addon = addon;
    this.#fd = addon.netlink(LINKS);
    // Looked at once changes are heard of, so that none falls between.
    for (const device of options.devices) this.#known.set(device, this.#look(device));
    this.#watch = addon.watch(this.#fd, () => this.#heard());
  }

  /** As last looked at. */
  get states(): readonly LinkState[] {
    return [...this.#known.values()];
  }

  close(): void {
    this.#addon.unwatch(this.#watch);
    this.#addon.close(this.#fd);
  }

  #heard(): void {
    this.#addon.netlinkDrain(this.#fd);
    for (const before of this.states) {
      const state = this.#look(before.device);
      if (state.index === before.index && state.up === before.up) continue;
      this.#known.set(state.device, state);
      this.#options.changed(state);
    }
  }

  #look(device: string): LinkState {
    const link = this.#options.rtnetlink.link({ name: device });
    return { device, index: link?.index, up: link?.running ?? false };
  }
}
