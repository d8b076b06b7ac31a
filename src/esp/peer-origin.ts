/**
 * Where packets of an SA come from as long as neither end moves (RFC 7296 §2.23, RFC 4555 §3.5):
 * the peer's address and port, and the address of ours they were sent to.
 *
 * Kept the way the native layer writes origins, so that a packet is compared in a few words.
 */
import type { Endpoint, IpAddress } from '../wire/address.ts';
import { ipAddress } from '../wire/address.ts';
import { writeU16 } from '../wire/field.ts';
import { smallWords } from '../wire/small-words.ts';
import { type Batch, ORIGIN_OCTETS, Origin } from './batch.ts';

export const ORIGIN_WORDS = ORIGIN_OCTETS / 4;

const FIRST = Origin.FAMILY / 4;
const SOURCE = Origin.SOURCE / 4;
const DESTINATION = Origin.DESTINATION / 4;

export class PeerOrigin {
  readonly #words: Int32Array;
  /** Words of an address. */
  readonly #width: number;

  constructor(local: IpAddress, remote: Endpoint) {
    const { buffer, byteOffset } = smallWords(ORIGIN_WORDS);
    const octets = new Uint8Array(buffer, byteOffset, ORIGIN_OCTETS);
    writeOrigin(octets, 0, local, remote);
    this.#words = new Int32Array(buffer, byteOffset, ORIGIN_WORDS);
    this.#width = remote.address.octets.length / 4;
  }

  /** Whether the origin at `at` is another; one without a port is no UDP datagram's and never is. */
  differs(origins: Int32Array, at: number): boolean {
    const first = origins[at + FIRST]!;
    if (first >>> 16 === 0) return false;
    if (first !== this.#words[FIRST]) return true;
    for (let word = 0; word < this.#width; word++) {
      if (origins[at + SOURCE + word] !== this.#words[SOURCE + word]) return true;
      if (origins[at + DESTINATION + word] !== this.#words[DESTINATION + word]) return true;
    }
    return false;
  }
}

/** An origin as the native layer writes it, of no interface. */
export function writeOrigin(
  origins: Uint8Array,
  at: number,
  local: IpAddress,
  remote: Endpoint,
): void {
  origins.fill(0, at, at + ORIGIN_OCTETS);
  origins[at + Origin.FAMILY] = remote.address.family;
  writeU16(origins, at + Origin.PORT, remote.port);
  origins.set(remote.address.octets, at + Origin.SOURCE);
  origins.set(local.octets, at + Origin.DESTINATION);
}

/** The origins of a batch in words. */
export function originWords({ origins }: Batch): Int32Array {
  return new Int32Array(origins.buffer, origins.byteOffset, origins.length / 4);
}

/** Who sent the datagram of a row. */
export function originSource({ origins }: Batch, row: number): Endpoint {
  const at = row * ORIGIN_OCTETS;
  const port = (origins[at + Origin.PORT]! << 8) | origins[at + Origin.PORT + 1]!;
  return { address: addressAt(origins, at, Origin.SOURCE), port };
}

/** Which address of ours the datagram of a row was sent to. */
export function originDestination({ origins }: Batch, row: number): IpAddress {
  return addressAt(origins, row * ORIGIN_OCTETS, Origin.DESTINATION);
}

/** A copy in memory of its own: what is posted does not share the batch's. */
function addressAt(origins: Uint8Array, at: number, field: number): IpAddress {
  const octets = origins[at + Origin.FAMILY] === 4 ? 4 : 16;
  return ipAddress(Uint8Array.from(origins.subarray(at + field, at + field + octets)));
}
