/**
 * What happened to octets of the bus that were not taken as they came: one name for each reason.
 *
 * Until the tag of a datagram was found right its sender is nobody: such datagrams are only counted.
 */

/** In the order in which a datagram meets them. */
export const BUS_COUNTERS = [
  // Before any cryptography. The first is counted where the socket is.
  'unknown-source',
  'too-short',
  'oversized',
  'unknown-kind',
  'wrong-version',
  'unknown-node',
  'malformed',
  // Handshakes.
  'unknown-key',
  'bad-handshake',
  'challenged',
  'repeated-initiation',
  'crossed-initiation',
  'unexpected-challenge',
  'unexpected-response',
  'no-common-version',
  // Sealed datagrams.
  'unknown-session',
  'replayed',
  'left-of-window',
  'bad-tag',
  // Frames within them, of an authenticated peer.
  'malformed-frame',
  'unknown-frame',
  'repeated-piece',
  'beyond-credit',
  'oversized-message',
  'overtaken-dropped',
  // Messages that nobody repeats: no room to wait, some of it lost.
  'expendable-dropped',
  'expendable-incomplete',
  // Messages and records.
  'unknown-message',
  'malformed-message',
  'unknown-attribute',
  'older-record',
] as const;

export type BusCounter = (typeof BUS_COUNTERS)[number];

export class BusCounters {
  readonly #counts = new Map<BusCounter, number>();

  count(name: BusCounter): void {
    this.#counts.set(name, this.of(name) + 1);
  }

  of(name: BusCounter): number {
    return this.#counts.get(name) ?? 0;
  }

  /** Those that are not zero, in the order of `BUS_COUNTERS`. */
  read(): Readonly<Partial<Record<BusCounter, number>>> {
    return Object.fromEntries(
      BUS_COUNTERS.flatMap((name) => (this.of(name) > 0 ? [[name, this.of(name)]] : [])),
    );
  }
}
