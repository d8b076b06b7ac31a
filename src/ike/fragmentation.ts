/**
 * Whether an IKE SA sends fragments, and how large its datagrams may be (RFC 7383 §2.3-§2.5).
 *
 * The size starts with what the administrator set and only goes down: to what the peer's own
 * fragments have, and, where nobody answers, to sizes that every path carries. A new path starts
 * anew.
 */
import type { Connection } from '../ipsec/connection.ts';
import { formatAddress } from '../wire/address.ts';
import { NotifyType } from './message/notify-types.ts';
import type { Path } from './path.ts';
import type { IkeSettings } from './settings.ts';

/** Times a message of one size is sent before it goes out in smaller fragments. */
export const TRANSMISSIONS_PER_SIZE = 3;

/** RFC 7383 §2.3: whoever takes fragments says so in IKE_SA_INIT. */
export function takesFragments({ fragmentation }: Connection): boolean {
  return fragmentation !== 'no';
}

// RFC 7383 §2.4: only to a peer that said it takes them.
/** May our messages to this peer go in fragments? `announced` is what its IKE_SA_INIT said. */
export function sendsFragments({
  connection,
  announced,
}: {
  readonly connection: Connection;
  readonly announced: readonly number[];
}): boolean {
  const { fragmentation } = connection;
  const ours = fragmentation === 'yes' || fragmentation === 'force';
  return ours && announced.includes(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED);
}

/** Octets of a packet that the path is believed to carry. */
interface KnownSize {
  readonly path: Path;
  readonly packetOctets: number;
}

export class PathSize {
  readonly #settings: IkeSettings;
  #path = '';
  /** Octets of an IP packet. */
  #packetOctets = 0;

  constructor(settings: IkeSettings, known?: KnownSize) {
    this.#settings = settings;
    if (!known) return;
    this.#path = pathKey(known.path);
    this.#packetOctets = known.packetOctets;
  }

  /** What was found out about this path; undefined for another one. */
  knownOf(path: Path): number | undefined {
    return this.#path === pathKey(path) ? this.#packetOctets : undefined;
  }

  /** Octets that an IKE message may have on this path without being fragmented. */
  messageOctets(path: Path): number {
    return this.#turnTo(path) - octetsAround(path, this.#settings.portNatT);
  }

  /**
   * Nobody answers datagrams of at most `largest` octets: true where smaller ones can be tried.
   *
   * RFC 7383 §2.5.2: the search goes downward and stops at what every path carries.
   */
  shrink(path: Path, largest: number): boolean {
    this.#turnTo(path);
    const least = LEAST_PACKET[path.remote.address.family];
    const tried = largest + octetsAround(path, this.#settings.portNatT);
    const next = STEPS.find((size) => size < tried && size >= least);
    if (next === undefined) return false;
    this.#packetOctets = Math.min(this.#packetOctets, next);
    return true;
  }

  // RFC 7383 §2.5.1: the size of a fragment that arrived is a good one for those that go back.
  /** The largest fragment of a message from the peer had so many octets. */
  heard(path: Path, octets: number): void {
    const size = this.#turnTo(path);
    const least = LEAST_PACKET[path.remote.address.family];
    const heard = octets + octetsAround(path, this.#settings.portNatT);
    this.#packetOctets = Math.min(size, Math.max(least, heard));
  }

  #turnTo(at: Path): number {
    const path = pathKey(at);
    if (path !== this.#path) {
      this.#path = path;
      this.#packetOctets = this.#settings.fragmentSize;
    }
    return this.#packetOctets;
  }
}

function pathKey({ local, remote }: Path): string {
  return `${formatAddress(local.address)} ${formatAddress(remote.address)}`;
}

/** Octets of a packet that are not the IKE message. */
export function octetsAround({ local, remote }: Path, portNatT: number): number {
  // RFC 3948 §2.2: the NAT traversal port has a marker in front of IKE.
  const marker = local.port === portNatT ? NON_ESP_MARKER : 0;
  return IP_HEADER[remote.address.family] + UDP_HEADER + marker;
}

const IP_HEADER = { 4: 20, 6: 40 } as const;
const UDP_HEADER = 8;
const NON_ESP_MARKER = 4;

// RFC 7383 §2.5.1: 1280 octets for IPv6; 576 for IPv4, which few paths fragment.
const LEAST_PACKET = { 4: 576, 6: 1280 } as const;
const STEPS: readonly number[] = [1280, 576];
