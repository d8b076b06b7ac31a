/**
 * The TUN device that the inside sees.
 *
 * It belongs to its descriptors: when the process ends, however it ends, the device is gone and with
 * it every route over it.
 */
import { type Native, type NativeTunOptions, native } from './native.ts';
import type { Rtnetlink } from './rtnetlink.ts';

export interface TunDevice {
  readonly fd: number;
  /** Further queues, for the second worker and all behind it. */
  readonly further: readonly number[];
  readonly name: string;
  readonly index: number;
  /** What it does with super-packets; undefined = none come or go. */
  readonly offload: { readonly udp: boolean } | undefined;
}

export interface TunOptions {
  readonly name: string;
  readonly mtu: number;
  /** `auto`: super-packets where the kernel has them (`gateway.offload`). */
  readonly offload: 'auto' | 'off';
  /** Workers that read it, 1 where nothing is said; the kernel keeps a flow with one of them. */
  readonly queues?: number;
}

/** Opens the device, sets its MTU and brings it up. Refuses a device that exists. */
export function openTunDevice(
  rtnetlink: Rtnetlink,
  options: TunOptions,
  addon: Native = native(),
): TunDevice {
  const { fd, further, name, offload } = open(options, addon);
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
    return { fd, further, name, index: link.index, offload };
  } catch (error) {
    for (const queue of [fd, ...further]) addon.close(queue);
    throw error;
  }
}

/**
 * Packets that wait while the packet loop has its turn elsewhere: the kernel's 500 overflow whenever
 * another process keeps the core for a few milliseconds, and a ping waits behind more than these.
 */
const QUEUE_PACKETS = 1000;

/**
 * With super-packets where they are wanted and the kernel has them, else without.
 *
 * Their size stays the kernel's own. A smaller one (IFLA_GSO_MAX_SIZE) would let each fit into one UDP
 * message when sealed, but a forwarded super-packet that is larger is then cut into single packets
 * before we read it, which costs far more than a second message.
 */
function open(options: TunOptions, addon: Native): Omit<TunDevice, 'index'> {
  if (options.offload === 'off')
    return { ...openQueues(options, false, addon), offload: undefined };
  try {
    const { udpSegments, ...device } = openQueues(options, true, addon);
    return { ...device, offload: { udp: udpSegments } };
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return { ...openQueues(options, false, addon), offload: undefined };
  }
}

function openQueues({ name, queues = 1 }: TunOptions, vnetHeader: boolean, addon: Native) {
  const multiQueue = queues > 1;
  const first = openExclusive(name, { vnetHeader, multiQueue, further: false }, addon);
  const further: number[] = [];
  try {
    while (further.length < queues - 1) {
      further.push(addon.openTun(first.name, { vnetHeader, multiQueue, further: true }).fd);
    }
  } catch (error) {
    for (const fd of [first.fd, ...further]) addon.close(fd);
    throw error;
  }
  return { ...first, further };
}

/** The kernel knows the device, but not its offloads. */
function isRefusal(error: unknown): boolean {
  const { cause } = error instanceof Error ? error : {};
  return cause instanceof Error && 'syscall' in cause && cause.syscall === 'TUNSETOFFLOAD';
}

function openExclusive(name: string, options: NativeTunOptions, addon: Native) {
  try {
    return addon.openTun(name, options);
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
