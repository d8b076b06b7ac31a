/**
 * A network between numbered ends that loses, duplicates, reorders, delays, replays what it recorded,
 * flips bits and cuts datagrams: the same for the same seed. Time is an argument; nothing sleeps.
 */
import { type Instant, instant } from '../../src/wire/instant.ts';
import { seededNumbers } from './seeded-random.ts';

export interface NetworkFaults {
  /** Parts of all datagrams, 0 to 1. */
  readonly loss: number;
  readonly duplication: number;
  readonly replay: number;
  readonly damage: number;
  readonly truncation: number;
  /** Milliseconds a datagram is on its way. */
  readonly delay: number;
  /** Milliseconds that are added by chance, which is what reorders. */
  readonly jitter: number;
}

export const PERFECT: NetworkFaults = {
  loss: 0,
  duplication: 0,
  replay: 0,
  damage: 0,
  truncation: 0,
  delay: 0.2,
  jitter: 0,
};

export interface Datagram {
  readonly from: number;
  readonly to: number;
  readonly path: number;
  readonly octets: Uint8Array;
}

export class HostileNetwork {
  readonly #next: () => number;
  #faults: NetworkFaults;
  #inFlight: { readonly due: Instant; readonly datagram: Datagram }[] = [];
  /** Everything that was sent, as a listener has it. */
  readonly recorded: Datagram[] = [];
  /** Whether a datagram may pass at all: partitions and cut paths. */
  passes: (datagram: Datagram) => boolean = () => true;
  /** Told of everything that is sent. */
  onSend: (datagram: Datagram) => void = () => {};

  constructor(seed: number, faults: NetworkFaults) {
    this.#next = seededNumbers(seed);
    this.#faults = faults;
  }

  set faults(faults: NetworkFaults) {
    this.#faults = faults;
  }

  send(datagram: Datagram, now: Instant): void {
    this.recorded.push(datagram);
    this.onSend(datagram);
    const faults = this.#faults;
    if (this.#next() < faults.replay) {
      const old = this.recorded[Math.floor(this.#next() * this.recorded.length)];
      if (old) this.#carry(old, now);
    }
    if (this.#next() < faults.loss || !this.passes(datagram)) return;
    this.#carry(datagram, now);
    if (this.#next() < faults.duplication) this.#carry(datagram, now);
    // Damaged copies come beside the datagram, so that it is not merely lost.
    if (this.#next() < faults.damage) this.#carry(this.#damaged(datagram), now);
    if (this.#next() < faults.truncation) {
      const length = Math.floor(this.#next() * datagram.octets.length);
      this.#carry({ ...datagram, octets: datagram.octets.slice(0, length) }, now);
    }
  }

  /** The earliest arrival. */
  get next(): Instant | undefined {
    let first: Instant | undefined;
    for (const { due } of this.#inFlight) if (first === undefined || due < first) first = due;
    return first;
  }

  /** What has arrived by now, in the order of arrival. */
  arrivals(now: Instant): readonly Datagram[] {
    const arrived = this.#inFlight.filter(({ due }) => due <= now);
    this.#inFlight = this.#inFlight.filter(({ due }) => due > now);
    return arrived
      .sort((one, other) => one.due - other.due)
      .map(({ datagram }) => datagram)
      .filter((datagram) => this.passes(datagram));
  }

  #carry(datagram: Datagram, now: Instant): void {
    const { delay, jitter } = this.#faults;
    const late = jitter === 0 ? 0 : this.#next() * jitter;
    this.#inFlight.push({ due: instant(now + delay + late), datagram });
  }

  #damaged(datagram: Datagram): Datagram {
    const octets = datagram.octets.slice();
    const bit = Math.floor(this.#next() * octets.length * 8);
    octets[bit >> 3] = (octets[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    return { ...datagram, octets };
  }
}
