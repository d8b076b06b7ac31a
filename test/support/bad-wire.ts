/**
 * A wire that loses, duplicates and reorders datagrams, merges what follows one another, and does all
 * of it again for the same seed.
 */
import type { SentPacket } from './esp-gateway.ts';
import { seededNumbers } from './seeded-random.ts';

export interface WireFaults {
  /** Parts of all datagrams. */
  readonly loss: number;
  readonly duplication: number;
  /** Datagrams that one may be late behind others. */
  readonly depth: number;
}

/** A datagram on its way; `number` counts what was sent. */
export interface InFlight {
  readonly number: number;
  readonly packet: SentPacket;
  readonly due: number;
}

export class BadWire {
  readonly #faults: WireFaults;
  readonly #next: () => number;
  #waiting: InFlight[] = [];
  #sent = 0;

  constructor(seed: number, faults: WireFaults) {
    this.#next = seededNumbers(seed);
    this.#faults = faults;
  }

  send(packets: readonly SentPacket[]): void {
    const { loss, duplication, depth } = this.#faults;
    for (const packet of packets) {
      const number = this.#sent++;
      if (this.#next() < loss) continue;
      const copies = this.#next() < duplication ? 2 : 1;
      for (let copy = 0; copy < copies; copy++) {
        const late = this.#next() < 0.3 ? Math.floor(this.#next() * depth) : 0;
        this.#waiting.push({ number, packet, due: number + late });
      }
    }
  }

  /** What arrives before the datagrams that are still to be sent; all that is left with `true`. */
  arrivals(all = false): readonly InFlight[] {
    const arrived = this.#waiting.filter(({ due }) => all || due < this.#sent);
    this.#waiting = this.#waiting.filter((one) => !arrived.includes(one));
    return arrived.sort((one, other) => one.due - other.due || one.number - other.number);
  }

  /** Groups as the kernel's receive offload makes them: of one size, but the last may be shorter. */
  merged(arrivals: readonly InFlight[]): readonly (readonly InFlight[])[] {
    const groups: InFlight[][] = [];
    for (const one of arrivals) {
      const group = groups.at(-1);
      const [first, last] = [group?.[0]?.packet, group?.at(-1)?.packet];
      const length = one.packet.octets.length;
      const joins =
        first !== undefined &&
        last?.octets.length === first.octets.length &&
        length <= first.octets.length &&
        one.packet.tos === first.tos &&
        (group?.length ?? 0) < 40 &&
        this.#next() < 0.8;
      if (joins) group?.push(one);
      else groups.push([one]);
    }
    return groups;
  }
}
