/**
 * The frames of an interface that a shared address is about: ARP, neighbour discovery and probes in, any frame out.
 *
 * One packet socket for each EtherType, each behind the packet filter of the ingress and a filter of its own. Sending
 * never waits: what the interface does not take is counted, and said again by who wants to be heard.
 */
import {
  type Batch,
  createBatch,
  emptyRows,
  HEADROOM,
  STATUS_OK,
  WORDS,
  Word,
} from '../esp/batch.ts';
import { neighbourFilter, udpFilter } from './frame-filter.ts';
import { type Native, native } from './native.ts';
import type { Rtnetlink } from './rtnetlink.ts';

export interface LinkSocketOptions {
  readonly device: string;
  readonly rtnetlink: Rtnetlink;
  /** Where probes of flooding come in. */
  readonly probePort: number;
}

/** Frames that went no further. */
export interface LinkDrops {
  /** Longer than any we want. */
  long: number;
  /** Not taken by the interface: it is down, or its queue is full. */
  unsent: number;
}

export class LinkSocket {
  readonly drops: LinkDrops = { long: 0, unsent: 0 };
  readonly interfaceIndex: number;
  /** The interface's own. */
  readonly hardwareAddress: Uint8Array;
  readonly #addon: Native;
  readonly #batch: Batch = createBatch(ROWS, SLOT_OCTETS);
  readonly #number: number;
  readonly #fds: number[] = [];
  readonly #watches: number[] = [];

  /** Throws where there is no such interface, or none with hardware addresses like Ethernet's. */
  constructor({ device, rtnetlink, probePort }: LinkSocketOptions, addon: Native = native()) {
    const link = rtnetlink.link({ name: device });
    if (link === undefined) throw new Error(`interface ${device}: there is none of that name`);
    if (link.hardwareAddress?.length !== 6) {
      throw new Error(`interface ${device}: it has no hardware address of 6 octets`);
    }
    this.interfaceIndex = link.index;
    this.hardwareAddress = link.hardwareAddress;
    this.#addon = addon;
    const { arena, words, origins } = this.#batch;
    this.#number = addon.batch(arena, words, origins);
    try {
      this.#open(ETHERTYPE_ARP);
      this.#open(ETHERTYPE_IPV4, udpFilter(probePort));
      this.#open(ETHERTYPE_IPV6, neighbourFilter(probePort));
    } catch (error) {
      this.close();
      throw error;
    }
  }

  onFrame(heard: (octets: Uint8Array) => void): void {
    for (const fd of this.#fds) {
      this.#watches.push(this.#addon.watch(fd, () => this.#receive(fd, heard)));
    }
  }

  /** Answers how many of the frames left. */
  send(frames: readonly Uint8Array[]): number {
    const [fd] = this.#fds;
    if (fd === undefined) return 0;
    let sent = 0;
    for (let first = 0; first < frames.length; first += ROWS) {
      const burst = frames.slice(first, first + ROWS);
      sent += this.#sendBurst(fd, burst);
    }
    this.drops.unsent += frames.length - sent;
    return sent;
  }

  /** Takes frames to this address, too, or no longer; the same one may be asked for several times. */
  listen(hardwareAddress: Uint8Array, on: boolean): void {
    const [fd] = this.#fds;
    if (fd === undefined) return;
    this.#addon.packetMembership(fd, this.interfaceIndex, hardwareAddress, on);
  }

  close(): void {
    for (const watch of this.#watches.splice(0)) this.#addon.unwatch(watch);
    for (const fd of this.#fds.splice(0)) this.#addon.close(fd);
    this.#addon.freeBatch(this.#number);
  }

  #open(etherType: number, filter?: Uint8Array): void {
    const { interfaceIndex } = this;
    const options = { interfaceIndex, etherType, ...(filter && { filter }) };
    this.#fds.push(this.#addon.packetSocket(options));
  }

  #sendBurst(fd: number, frames: readonly Uint8Array[]): number {
    const { arena, words } = this.#batch;
    let row = 0;
    for (const frame of frames) {
      if (frame.length > SLOT_OCTETS - HEADROOM) continue;
      const offset = row * SLOT_OCTETS + HEADROOM;
      arena.set(frame, offset);
      words[row * WORDS + Word.OFFSET] = offset;
      words[row * WORDS + Word.LENGTH] = frame.length;
      row++;
    }
    return this.#addon.sendFrames(fd, this.#number, 0, row);
  }

  #receive(fd: number, heard: (octets: Uint8Array) => void): void {
    const { arena, words } = this.#batch;
    let count: number;
    emptyRows(this.#batch, ROWS);
    try {
      count = this.#addon.receive(fd, this.#number, 0, ROWS);
    } catch {
      // ENETDOWN and its like: the interface is gone or down, and comes back or not.
      return;
    }
    // Copied first: what a frame leads to may be sent from the same rows.
    const frames: Uint8Array[] = [];
    for (let row = 0; row < count; row++) {
      const at = row * WORDS;
      const offset = words[at + Word.OFFSET] ?? 0;
      const length = words[at + Word.LENGTH] ?? 0;
      if (words[at + Word.STATUS] === STATUS_OK) frames.push(arena.slice(offset, offset + length));
      else this.drops.long++;
    }
    for (const frame of frames) heard(frame);
  }
}

const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV6 = 0x86dd;

const ROWS = 32;
/** None of ours is longer than a frame of the least MTU IPv6 has; longer ones are not for us. */
const SLOT_OCTETS = 1536 + HEADROOM;
