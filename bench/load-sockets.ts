/**
 * The two sockets that speak for all clients of a load: UDP 500, and 4500 with the non-ESP marker
 * (RFC 7296 §3.1, RFC 3948 §2.2). A client is an address of ours.
 */
import { createBatch, emptyRows, ORIGIN_OCTETS, Origin, WORDS, Word } from '../src/esp/batch.ts';
import { native } from '../src/io/native.ts';
import type { IpAddress } from '../src/wire/address.ts';
import type { Step } from './load-client.ts';

/** An IKE message for one of our addresses, without marker; it lives until the callback returns. */
export type OnAnswer = (octets: Uint8Array) => void;

export class LoadSockets {
  readonly #addon = native();
  readonly #batch = createBatch();
  readonly #number: number;
  readonly #sockets: Readonly<Record<Step['port'], number>>;
  readonly #gateway: IpAddress;

  constructor(gateway: IpAddress, answered: OnAnswer) {
    this.#gateway = gateway;
    const { arena, words, origins } = this.#batch;
    this.#number = this.#addon.batch(arena, words, origins);
    this.#sockets = { 500: this.#open(500, answered), 4500: this.#open(4500, answered) };
  }

  /** Never waits; what does not leave now is as good as lost on the way. */
  send(from: IpAddress, { octets, port }: Step): void {
    const { arena, words } = this.#batch;
    const marker = port === 4500 ? MARKER_OCTETS : 0;
    const path = this.#addon.path({
      ...{ fd: this.#sockets[port], family: 4, port },
      ...{ local: from.octets, remote: this.#gateway.octets },
    });
    emptyRows(this.#batch, 1);
    const offset = words[Word.OFFSET] ?? 0;
    arena.fill(0, offset, offset + marker);
    arena.set(octets, offset + marker);
    words[Word.LENGTH] = marker + octets.length;
    words[Word.PATH] = path;
    this.#addon.send(this.#number, 0, 1);
    this.#addon.freePath(path);
  }

  #open(port: Step['port'], answered: OnAnswer): number {
    const fd = this.#addon.udpSocket({ family: 4, port, bufferOctets: BUFFER_OCTETS });
    const marker = port === 4500 ? MARKER_OCTETS : 0;
    this.#addon.watch(fd, () => {
      for (const octets of this.#receive(fd, marker)) answered(octets);
    });
    return fd;
  }

  /** Copies: who hears an answer sends through the same batch. */
  #receive(fd: number, marker: number): readonly Uint8Array[] {
    const { arena, words, origins, size } = this.#batch;
    emptyRows(this.#batch, size);
    const count = this.#addon.receive(fd, this.#number, 0, size);
    const octets: Uint8Array[] = [];
    for (let row = 0; row < count; row += 1) {
      const offset = words[row * WORDS + Word.OFFSET] ?? 0;
      const length = words[row * WORDS + Word.LENGTH] ?? 0;
      const fromIpv4 = origins[row * ORIGIN_OCTETS + Origin.FAMILY] === 4;
      // Shorter than an IKE header: a NAT keepalive, or ESP, which nobody here sends or expects.
      if (!fromIpv4 || length < marker + IKE_HEADER_OCTETS) continue;
      if (marker > 0 && arena[offset] !== 0) continue;
      octets.push(arena.slice(offset + marker, offset + length));
    }
    return octets;
  }
}

const MARKER_OCTETS = 4;
const IKE_HEADER_OCTETS = 28;
const BUFFER_OCTETS = 8 << 20;
