/**
 * Where the replay windows of this node's SAs are, for the nodes that follow them (RFC 4303 §3.4.3): read
 * from the counters the packet loops share, without asking them.
 */
import { SA_COUNTERS, SaCounter, type SharedCounters } from './shared-counters.ts';

/** Words of an edge: inbound SPI, high half, low half. */
export const EDGE_WORDS = 3;

/** Edges packed one behind the other. */
export type Edges = Uint32Array;

const HALF = 0x1_0000_0000;

export class EdgeDigest {
  readonly #sas: SharedCounters['sas'];
  /** By inbound SPI: the row of the inbound SA, and the edge at the last digest. */
  readonly #followed = new Map<number, { readonly row: number; last: number }>();

  constructor({ sas }: Pick<SharedCounters, 'sas'>) {
    this.#sas = sas;
  }

  get size(): number {
    return this.#followed.size;
  }

  /** This node has the SA; its counters are in that row. */
  add(spiIn: number, row: number): void {
    this.#followed.set(spiIn >>> 0, { row, last: 0 });
  }

  /** Another node has the SA, or nobody. */
  remove(spiIn: number): void {
    this.#followed.delete(spiIn >>> 0);
  }

  /** Edges that moved since the last time; `all` = also those that did not. */
  read(all = false): Edges {
    const edges = new Uint32Array(this.#followed.size * EDGE_WORDS);
    let length = 0;
    for (const [spiIn, sa] of this.#followed) {
      const edge = this.#sas[sa.row * SA_COUNTERS + SaCounter.SEQUENCE] ?? 0;
      if (edge === sa.last && !all) continue;
      sa.last = edge;
      edges.set([spiIn, Math.floor(edge / HALF), edge % HALF], length);
      length += EDGE_WORDS;
    }
    return edges.slice(0, length);
  }
}
