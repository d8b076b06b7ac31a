/**
 * Rows of the shared counters: two per Child SA, taken at its installation and given back once the
 * packet loop has let go of it.
 */
import {
  clearSaRow,
  type OfSas,
  SA_COUNTERS,
  SaCounter,
  saDropsOf,
} from '../events/shared-counters.ts';
import { type Instant, instant } from '../wire/instant.ts';

export interface ChildRows {
  readonly rowIn: number;
  readonly rowOut: number;
}

/** What one direction of a Child SA has carried. */
export interface Traffic {
  readonly packets: number;
  readonly octets: number;
  readonly lastUse: Instant | undefined;
  readonly sequence: number;
  readonly drops: number;
  readonly replays: number;
  readonly badIcvs: number;
  /** `drops` by reason. */
  readonly dropped: Readonly<Record<string, number>>;
}

export class CounterRows {
  readonly #counters: OfSas;
  readonly #free: number[] = [];
  readonly #byChild = new Map<number, ChildRows>();
  #next = 0;

  constructor(counters: OfSas) {
    this.#counters = counters;
  }

  /** Two zeroed rows for a Child SA, or undefined when all are taken. */
  take(childSaId: number): ChildRows | undefined {
    if (this.#free.length < 2 && this.#next + 2 > this.#rows) return undefined;
    const rowIn = this.#takeRow();
    const rowOut = this.#takeRow();
    const rows = { rowIn, rowOut };
    this.#byChild.set(childSaId, rows);
    return rows;
  }

  /** The rows a Child SA has. */
  of(childSaId: number): ChildRows | undefined {
    return this.#byChild.get(childSaId);
  }

  /** After the packet loop said that it no longer writes them. */
  give(childSaId: number): void {
    const rows = this.#byChild.get(childSaId);
    if (!rows) return;
    this.#byChild.delete(childSaId);
    this.#free.push(rows.rowIn, rows.rowOut);
  }

  inbound(childSaId: number): Traffic {
    return this.#read(this.#byChild.get(childSaId)?.rowIn);
  }

  outbound(childSaId: number): Traffic {
    return this.#read(this.#byChild.get(childSaId)?.rowOut);
  }

  /** In a cluster: no outbound number beyond it was sent, or will be before it is known elsewhere. */
  reserved(childSaId: number): number {
    const row = this.#byChild.get(childSaId)?.rowOut;
    return row === undefined ? 0 : (this.#counters.sas[row * SA_COUNTERS + SaCounter.SHARED] ?? 0);
  }

  /** In a cluster: packets that were verified while another node had the SA. */
  sampled(childSaId: number): number {
    const row = this.#byChild.get(childSaId)?.rowIn;
    return row === undefined ? 0 : (this.#counters.sas[row * SA_COUNTERS + SaCounter.SHARED] ?? 0);
  }

  get #rows(): number {
    return this.#counters.sas.length / SA_COUNTERS;
  }

  /** Rows come and go in pairs: where there was one free, there is another. */
  #takeRow(): number {
    const row = this.#free.pop() ?? this.#next++;
    clearSaRow(this.#counters, row);
    return row;
  }

  #read(row: number | undefined): Traffic {
    const value = (column: number) =>
      row === undefined ? 0 : (this.#counters.sas[row * SA_COUNTERS + column] ?? 0);
    const lastUse = value(SaCounter.LAST_USE);
    return {
      packets: value(SaCounter.PACKETS),
      octets: value(SaCounter.OCTETS),
      lastUse: lastUse === 0 ? undefined : instant(lastUse),
      sequence: value(SaCounter.SEQUENCE),
      drops: value(SaCounter.DROPS),
      replays: value(SaCounter.REPLAYS),
      badIcvs: value(SaCounter.BAD_ICVS),
      dropped: row === undefined ? {} : saDropsOf(this.#counters, row),
    };
  }
}
