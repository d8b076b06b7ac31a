/**
 * A capture of packets as it is asked for and as it is told: plain values, as everything in `Control`.
 */

/** The streams of a capture: packets, and keys. */
export const CAPTURED_EVENT = 'tsgw-captured';
export const CAPTURE_KEY_EVENT = 'tsgw-capture-key';

/** Octets of a packet that are kept where nobody says how many, and the fewest and most. */
export const SNAP_LENGTH = { usual: 65_535, least: 20, most: 65_535 } as const;

/** Whose packets, and how much of them; unset = any. */
export interface CaptureSelection {
  readonly ike?: string;
  readonly child?: string;
  readonly spi?: number;
  readonly dropsOnly: boolean;
  /** Octets of a packet that are kept. */
  readonly snapLength: number;
  /** The keys of these SAs, too, now and as they come. */
  readonly keys: boolean;
}

export interface CapturedPacketView {
  /** Microseconds since 1970. */
  readonly time: number;
  readonly side: 'inner' | 'outer';
  /** From the peer, or to it. */
  readonly direction: 'in' | 'out';
  /** As much of the packet as was kept. */
  readonly octets: Uint8Array;
  /** Octets it had. */
  readonly length: number;
  readonly ike?: string;
  readonly child?: string;
  readonly childSa?: number;
  readonly spiIn?: string;
  readonly spiOut?: string;
  /** Outside: that of the packet. */
  readonly spi?: string;
  /** Why it was dropped. */
  readonly drop?: string;
  /**
   * It waits for its SA, leaves without protection, has nothing inside, is an ICMP error of the
   * gateway's own, or an IKE message.
   */
  readonly note?: 'held' | 'bypass' | 'dummy' | 'answer' | 'ike';
}

/** A line of Wireshark's table of ESP SAs. */
export interface CaptureKeyView {
  readonly ike: string;
  readonly child: string;
  readonly childSa: number;
  /** Unset = Wireshark does not know the algorithms. */
  readonly line?: string;
}

export interface CaptureSink {
  /** False where it has no room: the packet is lost to the capture and counted. */
  packet(view: CapturedPacketView): boolean;
  /** Of an SA that came after the capture began. */
  key(view: CaptureKeyView): void;
}

export interface CaptureTotals {
  readonly packets: number;
  /** Packets that nobody had room for. */
  readonly missed: number;
}

export interface CaptureHandle {
  /** Of the SAs there were when it began; nothing where keys were not asked for. */
  keys(): Iterable<CaptureKeyView>;
  /** Resolves when the last packet was given. */
  stop(): Promise<CaptureTotals>;
}
