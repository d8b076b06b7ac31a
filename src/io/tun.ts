/**
 * The TUN device that the inside sees.
 *
 * It belongs to its descriptor: when the process ends, however it ends, the device is gone and with
 * it every route over it.
 */
import { type Native, native } from './native.ts';
import type { Rtnetlink } from './rtnetlink.ts';

export interface TunDevice {
  readonly fd: number;
  readonly name: string;
  readonly index: number;
}

export interface TunOptions {
  readonly name: string;
  readonly mtu: number;
}

/** Opens the device, sets its MTU and brings it up. Refuses a device that exists. */
export function openTunDevice(
  rtnetlink: Rtnetlink,
  options: TunOptions,
  addon: Native = native(),
): TunDevice {
  const { fd, name } = openExclusive(options.name, addon);
  try {
    const link = rtnetlink.link({ name });
    if (link === undefined) throw new Error(`device ${name} is gone`);
    // What the kernel sends by itself on a new device (router solicitations, listener reports) no
    // policy of ours covers: without a link-local address it sends nothing.
    rtnetlink.changeLink(link.index, { noAddressGeneration: true });
    rtnetlink.changeLink(link.index, {
      mtu: options.mtu,
      queueLength: QUEUE_PACKETS,
      up: true,
    });
    return { fd, name, index: link.index };
  } catch (error) {
    addon.close(fd);
    throw error;
  }
}

/**
 * Packets that wait while the packet loop has its turn elsewhere: the kernel's 500 overflow whenever
 * another process keeps the core for a few milliseconds.
 */
const QUEUE_PACKETS = 2000;

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
        : `device ${name}: ${error instanceof Error ? error.message : String(error)}`,
      { cause: error },
    );
  }
}
