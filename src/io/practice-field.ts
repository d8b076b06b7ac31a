/**
 * A device and a wire of memory for the practice of the packet loop: what is sealed and sent comes
 * back to be opened. Only ciphers and descriptor rows are the native layer's own.
 */
import { type Batch, ORIGIN_OCTETS, Origin, STATUS_OK, WORDS, Word } from '../esp/batch.ts';
import { writeU16 } from '../wire/field.ts';
import type { Native } from './native.ts';
import { type PacketNative, packetNative } from './packet-worker.ts';
import { HERE, NATT_PORT, SPI_THERE, THERE } from './practice-packets.ts';

export class PracticeField {
  /** Descriptors that nothing is behind. */
  readonly tun = 1;
  readonly natt = 2;
  /** Packets that came out again. */
  delivered = 0;
  /** In place of the native layer. */
  readonly layer: PacketNative;
  readonly #addon: Native;
  readonly #batches = new Map<number, Pick<Batch, 'arena' | 'words' | 'origins'>>();
  readonly #readable = new Map<number, () => void>();
  #inside: readonly Uint8Array[] = [];
  readonly #wire: Uint8Array[] = [];

  constructor(addon: Native) {
    this.#addon = addon;
    this.layer = packetNative({
      batch: (arena, words, origins) => this.#batch(arena, words, origins),
      context: (options) => addon.context(options),
      freeContext: (context) => addon.freeContext(context),
      path: () => 0,
      freePath: () => {},
      open: (batch, first, count) => addon.open(batch, first, count),
      seal: (batch, first, count) => addon.seal(batch, first, count),
      send: (batch, first, count) => this.#send(batch, first, count),
      sendTo: () => 0,
      receive: (_, batch, first, count) => this.#receive(batch, first, count),
      readTun: (_, batch, first, count, header) => this.#readTun(batch, first, count, header),
      writeTun: (_, batch, first, count) => this.#writeTun(batch, first, count),
      watch: (fd, readable) => this.#watch(fd, readable),
      unwatch: (fd) => this.#readable.delete(fd),
      signal: () => {},
      takeSignals: () => {},
    });
  }

  /** The packets are read from the device, sent, received and written to the device. */
  pass(packets: readonly Uint8Array[]): void {
    this.#inside = packets;
    this.#readable.get(this.tun)?.();
    while (this.#wire.length > 0) this.#readable.get(this.natt)?.();
  }

  /** The datagrams arrive. */
  receive(datagrams: readonly Uint8Array[]): void {
    this.#wire.push(...datagrams);
    this.#readable.get(this.natt)?.();
  }

  close(): void {
    for (const batch of this.#batches.keys()) this.#addon.freeBatch(batch);
  }

  #batch(arena: Uint8Array, words: Int32Array, origins: Uint8Array): number {
    const number = this.#addon.batch(arena, words, origins);
    this.#batches.set(number, { arena, words, origins });
    return number;
  }

  #watch(fd: number, readable: () => void): number {
    this.#readable.set(fd, readable);
    return fd;
  }

  #readTun(number: number, first: number, count: number, header: number): number {
    const { arena, words } = this.#of(number);
    const packets = this.#inside.slice(0, count);
    this.#inside = this.#inside.slice(count);
    for (const [row, packet] of packets.entries()) {
      const at = (first + row) * WORDS;
      arena.set(packet, (words[at + Word.OFFSET] ?? 0) - header);
      words[at + Word.LENGTH] = packet.length - header;
      words[at + Word.STATUS] = STATUS_OK;
    }
    return packets.length;
  }

  #send(number: number, first: number, count: number): number {
    const { arena, words } = this.#of(number);
    let sent = 0;
    for (let at = first * WORDS; at < (first + count) * WORDS; at += WORDS) {
      if ((words[at + Word.PATH] ?? -1) < 0) continue;
      const offset = words[at + Word.OFFSET] ?? 0;
      this.#wire.push(arena.slice(offset, offset + (words[at + Word.LENGTH] ?? 0)));
      words[at + Word.STATUS] = STATUS_OK;
      sent++;
    }
    return sent;
  }

  #receive(number: number, first: number, count: number): number {
    const { arena, words, origins } = this.#of(number);
    const packets = this.#wire.splice(0, count);
    for (const [row, packet] of packets.entries()) {
      const at = (first + row) * WORDS;
      arena.set(packet, words[at + Word.OFFSET] ?? 0);
      words[at + Word.LENGTH] = packet.length;
      words[at + Word.STATUS] = STATUS_OK;
      const origin = (first + row) * ORIGIN_OCTETS;
      const [from, to] =
        ((packet[SPI_OCTETS - 1] ?? 0) & 15) === (SPI_THERE & 15) ? [HERE, THERE] : [THERE, HERE];
      origins[origin + Origin.FAMILY] = 4;
      writeU16(origins, origin + Origin.PORT, NATT_PORT);
      origins.set(from, origin + Origin.SOURCE);
      origins.set(to, origin + Origin.DESTINATION);
    }
    return packets.length;
  }

  #writeTun(number: number, first: number, count: number): number {
    const { words } = this.#of(number);
    for (let at = first * WORDS; at < (first + count) * WORDS; at += WORDS) {
      if (words[at + Word.DROP] !== 0) continue;
      words[at + Word.STATUS] = STATUS_OK;
      this.delivered++;
    }
    return count;
  }

  #of(number: number): Pick<Batch, 'arena' | 'words' | 'origins'> {
    const batch = this.#batches.get(number);
    if (batch === undefined) throw new RangeError(`no batch ${number}`);
    return batch;
  }
}

const SPI_OCTETS = 4;
