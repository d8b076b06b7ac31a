/**
 * The native layer, typed by hand: the only file that loads the addon.
 *
 * Functions take file descriptors, handles and row numbers, and throw `Error` with `code` (errno
 * name) and `syscall` when a call on the whole fails; a single packet's failure is a row's STATUS.
 * Handles (batch, context, path, watch) belong to the thread that made them.
 */
import { createRequire } from 'node:module';
import type { CipherName, DigestName } from '../crypto/algorithms.ts';

/** How the native layer names what makes an ICV; AES-XCBC and AES-CMAC are one to it. */
export type NativeMac = `hmac-${DigestName}` | 'aes-cbc-mac';

/** Libraries that cipher packets: OpenSSL as node carries it, and Intel's. */
export type BackEndName = 'evp' | 'ipsec-mb';

/** A library, or why it is not to be had. */
export type NativeBackEnd =
  | { readonly name: BackEndName; readonly version: string }
  | { readonly name: BackEndName; readonly missing: string };

export interface NativeContextOptions {
  /** `evp` where nothing is said; RangeError where the other is missing or has no such cipher. */
  readonly backEnd?: BackEndName;
  /** By OpenSSL's name. */
  readonly cipher: CipherName;
  readonly key: Uint8Array;
  /** AES-GCM only: authenticates the body and leaves it readable (GMAC, RFC 4543). */
  readonly authenticateOnly?: boolean;
  /** In front of the 8 octet IV: 3 octets with CCM, 4 with other AEADs and CTR, else empty. */
  readonly salt: Uint8Array;
  /** Where the cipher makes no ICV. */
  readonly mac?: NativeMac;
  /** Of `aes-cbc-mac`: the cipher's key and the masks of a full and of a padded last block. */
  readonly integrityKey?: Uint8Array;
  readonly icvLength: number;
  /** High sequence half takes part in the ICV. */
  readonly esn: boolean;
  readonly seal: boolean;
}

export interface NativeUdpSocketOptions {
  readonly family: 4 | 6;
  readonly port: number;
  /** Bind to this address; all addresses without it. */
  readonly address?: Uint8Array;
  /** Leave the UDP checksum of what we send zero (IPv4 only, RFC 3948 §2.2). */
  readonly noChecksum?: boolean;
  /** Octets, set with SO_*BUFFORCE where allowed. */
  readonly bufferOctets?: number;
  /** Datagrams of one sender and size may arrive merged: SEGMENT says where to cut. */
  readonly merged?: boolean;
  /** Other sockets of this user may have the port, too. */
  readonly shared?: boolean;
  /** SO_MARK of what leaves by this socket, for policy routing. */
  readonly mark?: number;
}

export type NativeRawSocketOptions = Pick<NativeUdpSocketOptions, 'bufferOctets' | 'mark'>;

export interface NativePacketSocketOptions {
  readonly interfaceIndex: number;
  readonly etherType: number;
  /** A classic BPF program, 8 octets an instruction, that says how much of a frame is kept. */
  readonly filter?: Uint8Array;
}

export interface NativeTunOptions {
  readonly vnetHeader: boolean;
  /** The device may have several queues; the kernel chooses one for each flow. */
  readonly multiQueue: boolean;
  /** One more queue of a device that is there; otherwise it must not be. */
  readonly further: boolean;
}

export interface NativePathOptions {
  readonly fd: number;
  readonly family: 4 | 6;
  /** Source address; undefined lets the kernel choose. */
  readonly local?: Uint8Array;
  readonly remote: Uint8Array;
  /** 0 on raw sockets. */
  readonly port: number;
}

export interface Native {
  /** Words and offsets as the addon was compiled with them: the same as in `esp/batch.ts`. */
  readonly layout: Readonly<Record<string, number>>;

  /** The calling thread goes before ordinary ones of the machine; those that it makes do not. Throws `EPERM`. */
  goFirst(): void;

  /**
   * Registers a batch's memory with this thread; rows are addressed by number from then on. The
   * memory must be shared memory, which can neither be detached nor shrink.
   */
  batch(arena: Uint8Array, words: Int32Array, origins: Uint8Array): number;
  freeBatch(batch: number): void;

  /** What there is to cipher packets with; the first is always there. Looks for it once. */
  backEnds(): readonly NativeBackEnd[];
  /** A keyed cipher context; the row's packet is header(8) | IV | body | ICV. */
  context(options: NativeContextOptions): number;
  freeContext(context: number): void;
  /**
   * Before sealing a row's SOURCE is copied to its place and the checksum over it made.
   * Seals or opens rows `first` .. `first+count-1`, skipping CONTEXT -1. OFFSET/LENGTH cover the
   * whole ESP packet from SPI to ICV. AEAD and CTR read the IV from the packet; CBC fills it with
   * random octets when sealing. A row that is not a packet for its context has STATUS -EINVAL. Answers how
   * many of the rows have STATUS 0 now.
   */
  seal(batch: number, first: number, count: number): number;
  open(batch: number, first: number, count: number): number;

  udpSocket(options: NativeUdpSocketOptions): number;
  /** A non-blocking raw socket for an IP protocol; IPv4 datagrams arrive with their IP header. */
  rawSocket(family: 4 | 6, protocol: number, options?: NativeRawSocketOptions): number;
  /**
   * Whole frames of one EtherType that come in by an interface, behind the filters of its ingress; `receive` takes
   * them. What the machine sends itself is not among them.
   */
  packetSocket(options: NativePacketSocketOptions): number;
  /** Frames to the hardware address come in too, or no longer; closing the socket ends it as well. */
  packetMembership(
    fd: number,
    interfaceIndex: number,
    hardwareAddress: Uint8Array,
    join: boolean,
  ): void;
  /**
   * Of the UDP sockets that share the port of this one, the one that was bound as number SPI modulo
   * `shares` has a datagram; the first has those that begin with zeros or end before.
   */
  shareBySpi(fd: number, shares: number): void;
  /** A raw socket of ESP keeps only packets whose SPI modulo `shares` is `share`. */
  keepBySpi(fd: number, family: 4 | 6, share: number, shares: number): void;
  /** A descriptor that is readable from a `signal`, of any thread, to the next `takeSignals`. */
  eventFd(): number;
  signal(fd: number): void;
  takeSignals(fd: number): void;
  /**
   * A TUN device without packet information; gone when its descriptors close. With `vnetHeader` it
   * gives and takes super-packets of TCP and, where the kernel has that, of UDP (`udpSegments`).
   */
  openTun(
    name: string,
    options: NativeTunOptions,
  ): { readonly fd: number; readonly name: string; readonly udpSegments: boolean };
  /** Ends this thread's watches of the descriptor, too. */
  close(fd: number): void;

  path(options: NativePathOptions): number;
  freePath(path: number): void;

  /**
   * recvmmsg until the rows are full or the socket is empty; answers the rows filled. STATUS 0, or
   * -EMSGSIZE for a datagram that was cut to the row's room, or -EINVAL for a row outside the arena.
   */
  receive(fd: number, batch: number, first: number, count: number): number;
  /** sendmmsg of all rows with a PATH; never blocks. STATUS per row: 0, -EAGAIN, -EMSGSIZE, ... Answers rows sent. */
  send(batch: number, first: number, count: number): number;
  /**
   * Sends rows with PATH_OF_ORIGIN whose origin names a destination of the family, as they are, by a
   * raw socket that takes IP headers (protocol 255). STATUS and answer as with `send`.
   */
  sendTo(fd: number, family: 4 | 6, batch: number, first: number, count: number): number;
  /** Sends all rows as frames by a packet socket; never blocks. STATUS and answer as with `send`. */
  sendFrames(fd: number, batch: number, first: number, count: number): number;
  /**
   * One packet per read until the rows are full, the device is empty or more than `octets` were read;
   * LENGTH and STATUS as with `receive`. `header` octets stand in front of each packet: 0, or 10 for
   * the virtio-net header.
   */
  readTun(
    fd: number,
    batch: number,
    first: number,
    count: number,
    header: number,
    octets: number,
  ): number;
  /**
   * One write for each row with DROP 0: its packet with `header` octets in front, then the octets of
   * the rows it names NEXT. Answers the writes that went well, STATUS per row with DROP 0.
   */
  writeTun(fd: number, batch: number, first: number, count: number, header: number): number;

  /**
   * Calls `readable` on this thread's loop while the descriptor has something to read; `bare` if it leaves
   * no promise reactions and no nextTick, which would wait for another callback then.
   */
  watch(fd: number, readable: () => void, bare?: boolean): number;
  unwatch(watch: number): void;

  /** A netlink socket, of NETLINK_ROUTE unless said; with groups (a bit each) it hears of changes, too. */
  netlink(groups?: number, protocol?: number): number;
  /** Sends one request, or a batch of one sequence number, and collects the answers until ACK, DONE or error (blocking at most a second). */
  netlinkRequest(fd: number, request: Uint8Array): Uint8Array;
  /** Takes off, unread, what was heard of; answers how many messages. */
  netlinkDrain(fd: number): number;

  /** RFC 1071 sum of octets folded with `initial`, not complemented. */
  checksum(octets: Uint8Array, offset: number, length: number, initial: number): number;
}

let loaded: Native | undefined;

/** The addon; throws with what to do when it was not built. */
export function native(): Native {
  if (loaded !== undefined) return loaded;
  const require = createRequire(import.meta.url);
  try {
    loaded = require('../../../native/build/Release/tsgw.node');
  } catch (error) {
    throw new Error(
      'the native addon is not built: run `npm rebuild` on a machine with a C compiler',
      { cause: error },
    );
  }
  if (loaded === undefined) throw new Error('the native addon is empty');
  return loaded;
}
