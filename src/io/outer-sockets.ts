/**
 * The sockets of the outside: UDP 500 for IKE, UDP 4500 for IKE and ESP (RFC 3948), IP protocol 50
 * for ESP (RFC 4303 §2), and raw ones for packets of the inside that a policy lets pass as they are.
 *
 * All carry OUTER_MARK, so that what the gateway itself sends never enters its own tunnels
 * (`routes.ts`).
 */
import { type Native, type NativeUdpSocketOptions, native } from './native.ts';

/** SO_MARK of everything the gateway sends outside. */
export const OUTER_MARK = 0x220;

/**
 * Room for about 1300 packets; see `native/socket.c` for why the system's default is too little. With four times
 * as much a ping beside a flood waits three times as long, and no more packets arrive.
 */
const BUFFER_OCTETS = 2 << 20;

const ESP_PROTOCOL = 50;
/** A raw socket of this protocol receives nothing and takes packets with their IP header. */
const RAW_PROTOCOL = 255;

/** Port numbers, 500 and 4500 unless a test or an operator chose others. */
export interface OuterPorts {
  readonly ikePort: number;
  readonly nattPort: number;
}

export interface OuterSocketOptions extends OuterPorts {
  /** Datagrams of one size and peer leave and arrive many at a time. */
  readonly merged: boolean;
  /** Workers that receive, each from sockets of its own; 1 where nothing is said. */
  readonly workers?: number;
}

/** What one worker receives and sends by, undefined where the machine does not have the family. */
export interface DataSockets {
  readonly natt4: number | undefined;
  readonly natt6: number | undefined;
  readonly esp4: number | undefined;
  readonly esp6: number | undefined;
  readonly plain4: number | undefined;
  readonly plain6: number | undefined;
}

/** A descriptor is undefined where the machine does not have the address family. */
export interface OuterSockets extends OuterPorts, DataSockets {
  readonly ike4: number | undefined;
  readonly ike6: number | undefined;
  /** Those of the second worker and of all behind it. */
  readonly further: readonly DataSockets[];
}

/** Opens all of them, or none: a port that is taken is the operator's to free. */
export function openOuterSockets(
  { merged, workers = 1, ...ports }: OuterSocketOptions,
  addon: Native = native(),
): OuterSockets {
  const opened: number[] = [];
  const keep = (fd: number | undefined): number | undefined => {
    if (fd !== undefined) opened.push(fd);
    return fd;
  };
  const openData = (worker: number): DataSockets => {
    const shared = workers > 1;
    const udp = { merged, shared };
    const sockets = {
      // RFC 3948 §2.1: over IPv4 the UDP checksum of ESP is better sent as zero. Linux sends many
      // datagrams at a time only with a checksum, which costs less than one call for each.
      natt4: keep(openUdp(addon, 4, ports.nattPort, { ...udp, noChecksum: !merged })),
      natt6: keep(openUdp(addon, 6, ports.nattPort, udp)),
      esp4: keep(openRaw(addon, 4, ESP_PROTOCOL)),
      esp6: keep(openRaw(addon, 6, ESP_PROTOCOL)),
      plain4: keep(openRaw(addon, 4, RAW_PROTOCOL)),
      plain6: keep(openRaw(addon, 6, RAW_PROTOCOL)),
    };
    if (shared) share(addon, sockets, worker, workers);
    return sockets;
  };
  try {
    return {
      ...ports,
      ike4: keep(openUdp(addon, 4, ports.ikePort)),
      ike6: keep(openUdp(addon, 6, ports.ikePort)),
      ...openData(0),
      further: Array.from({ length: workers - 1 }, (_, index) => openData(index + 1)),
    };
  } catch (error) {
    for (const fd of opened) addon.close(fd);
    throw error;
  }
}

/** Each worker has the packets of its SPIs: `workerOfSpi`, said to the kernel. */
function share(addon: Native, sockets: DataSockets, worker: number, workers: number): void {
  const { natt4, natt6, esp4, esp6 } = sockets;
  // One program is for all sockets of a port.
  for (const fd of worker === 0 ? [natt4, natt6] : []) {
    if (fd !== undefined) addon.shareBySpi(fd, workers);
  }
  if (esp4 !== undefined) addon.keepBySpi(esp4, 4, worker, workers);
  if (esp6 !== undefined) addon.keepBySpi(esp6, 6, worker, workers);
}

export function closeOuterSockets(sockets: OuterSockets, addon: Native = native()): void {
  const { ike4, ike6, further } = sockets;
  const data = [sockets, ...further].flatMap(({ natt4, natt6, esp4, esp6, plain4, plain6 }) => [
    natt4,
    natt6,
    esp4,
    esp6,
    plain4,
    plain6,
  ]);
  for (const fd of [ike4, ike6, ...data]) if (fd !== undefined) addon.close(fd);
}

function openUdp(
  addon: Native,
  family: 4 | 6,
  port: number,
  more: Pick<NativeUdpSocketOptions, 'merged' | 'noChecksum' | 'shared'> = {},
): number | undefined {
  const options = { bufferOctets: BUFFER_OCTETS, mark: OUTER_MARK, ...more };
  return openFamily(`UDP port ${port} of IPv${family}`, () =>
    addon.udpSocket({ family, port, ...options }),
  );
}

function openRaw(addon: Native, family: 4 | 6, protocol: number): number | undefined {
  return openFamily(`IP protocol ${protocol} of IPv${family}`, () =>
    addon.rawSocket(family, protocol, { bufferOctets: BUFFER_OCTETS, mark: OUTER_MARK }),
  );
}

function openFamily(what: string, open: () => number): number | undefined {
  try {
    return open();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EAFNOSUPPORT') return undefined;
    const why =
      code === 'EADDRINUSE'
        ? 'taken, does another IKE daemon run?'
        : code === 'EPERM'
          ? 'not permitted, root or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE needed'
          : String(error);
    throw new Error(`${what}: ${why}`, { cause: error });
  }
}
