/**
 * A pool of virtual addresses that two nodes of a strongSwan HA cluster share: each gives only addresses
 * of the segments that it serves, the lowest first, and hears from the other which are taken.
 *
 * The first and the last address are not given. Who had an address before is not remembered.
 */
import {
  addressAfter,
  addressDistance,
  type IpAddress,
  type Prefix,
  prefixRange,
} from '../../wire/address.ts';

const LARGEST_POOL = 2 ** 24;
/** The first and the last. */
const NEVER_GIVEN = 2;

export class HaPool {
  readonly name: string;
  readonly #first: IpAddress;
  readonly #size: number;
  readonly #segmentCount: number;
  readonly #taken: Uint8Array;
  /** By segment, from 1: below it nothing is free. */
  readonly #lowest: number[];

  constructor(name: string, prefix: Prefix, segmentCount: number) {
    this.name = name;
    this.#first = prefixRange(prefix).first;
    const bits = this.#first.octets.length * 8 - prefix.length;
    this.#size = Math.min(2 ** bits, LARGEST_POOL);
    this.#segmentCount = segmentCount;
    this.#taken = new Uint8Array(Math.ceil(this.#size / 8));
    this.#lowest = Array.from({ length: segmentCount + 1 }, (_, segment) => segment - 1);
    this.#set(0, true);
    this.#set(this.#size - 1, true);
  }

  /** Addresses that it may give. */
  get size(): number {
    return this.#size - NEVER_GIVEN;
  }

  /** An address of one of these segments, taken from now on; undefined when none is left. */
  acquire(active: readonly number[]): IpAddress | undefined {
    const free = active.map((segment) => this.#lowestFree(segment)).filter((at) => at < this.#size);
    if (free.length === 0) return undefined;
    const offset = Math.min(...free);
    this.#set(offset, true);
    return addressAfter(this.#first, offset);
  }

  /** The other node gave it, or an IKE SA that came from it has it. False for no address of the pool. */
  reserve(address: IpAddress): boolean {
    const offset = this.#offsetOf(address);
    if (offset === undefined) return false;
    this.#set(offset, true);
    return true;
  }

  /** It may be given again. False for no address of the pool. */
  release(address: IpAddress): boolean {
    const offset = this.#offsetOf(address);
    if (offset === undefined) return false;
    this.#set(offset, false);
    const segment = this.#segmentOf(offset);
    this.#lowest[segment] = Math.min(this.#lowest[segment] ?? offset, offset);
    return true;
  }

  #lowestFree(segment: number): number {
    let offset = this.#lowest[segment] ?? this.#size;
    while (offset < this.#size && this.#isTaken(offset)) offset += this.#segmentCount;
    this.#lowest[segment] = offset;
    return offset;
  }

  /** charon deals its addresses out by turns. */
  #segmentOf(offset: number): number {
    return (offset % this.#segmentCount) + 1;
  }

  /** Undefined for what is never given. */
  #offsetOf(address: IpAddress): number | undefined {
    if (address.family !== this.#first.family) return undefined;
    const distance = addressDistance(this.#first, address);
    return distance > 0n && distance < BigInt(this.#size - 1) ? Number(distance) : undefined;
  }

  #isTaken(offset: number): boolean {
    return ((this.#taken[offset >> 3] ?? 0) & (1 << (offset & 7))) !== 0;
  }

  #set(offset: number, taken: boolean): void {
    const bit = 1 << (offset & 7);
    const octet = this.#taken[offset >> 3] ?? 0;
    this.#taken[offset >> 3] = taken ? octet | bit : octet & ~bit;
  }
}
