/**
 * The TUN device that the inside sees.
 *
 * It belongs to its descriptor: when the process ends, however it ends, the device is gone and with
 * it every route over it.
 */
import { type Native, native } from './native.ts';
import type { Rtnetlink } from './rtnetlink.ts';

export class TunDevice {
  readonly fd: number;
  readonly name: string;
  readonly index: number;
  readonly #rtnetlink: Rtnetlink;
  readonly #addon: Native;

  private constructor(
    fd: number,
    name: string,
    index: number,
    rtnetlink: Rtnetlink,
    addon: Native,
  ) {
    this.fd = fd;
    this.name = name;
    this.index = index;
    this.#rtnetlink = rtnetlink;
    this.#addon = addon;
  }

  /** Opens the device, sets its MTU and brings it up. Refuses a device that exists. */
  static open(rtnetlink: Rtnetlink, wanted: string, mtu: number, addon: Native = native()) {
    const { fd, name } = openExclusive(wanted, addon);
    try {
      const link = rtnetlink.link({ name });
      if (link === undefined) throw new Error(`device ${name} is gone`);
      // What the kernel sends by itself on a new device (router solicitations, listener reports)
      // no policy of ours covers: without a link-local address it sends nothing.
      rtnetlink.changeLink(link.index, { noAddressGeneration: true });
      rtnetlink.changeLink(link.index, { mtu, up: true });
      return new TunDevice(fd, name, link.index, rtnetlink, addon);
    } catch (error) {
      addon.close(fd);
      throw error;
    }
  }

  setMtu(mtu: number): void {
    this.#rtnetlink.changeLink(this.index, { mtu });
  }

  close(): void {
    this.#addon.close(this.fd);
  }
}

function openExclusive(
  name: string,
  addon: Native,
): { readonly fd: number; readonly name: string } {
  try {
    return addon.openTun(name, { vnetHeader: false, multiQueue: false });
  } catch (error) {
    const busy = error instanceof Error && 'code' in error && error.code === 'EBUSY';
    throw new Error(
      busy
        ? `device ${name} exists: another tsgw runs, or remove it with \`ip link del ${name}\``
        : `device ${name}: ${String(error)}`,
      { cause: error },
    );
  }
}
