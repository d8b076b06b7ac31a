/**
 * IKE messages counted under strongSwan's names, for all connections and for each; and what was
 * discarded or refused before the sender proved anything, by reason.
 */
import type { Event } from '../events/event.ts';

const EXCHANGE_PREFIXES: Readonly<Record<string, string>> = {
  IKE_SA_INIT: 'ike-init',
  IKE_AUTH: 'ike-auth',
  CREATE_CHILD_SA: 'create-child',
  INFORMATIONAL: 'info',
};

/** Name of the totals over all connections. */
const ALL = '';

export class IkeCounters {
  readonly #counts = new Map<string, Map<string, number>>([[ALL, new Map()]]);
  /** Reasons are ours, never a peer's words: the map stays small. */
  readonly #drops = new Map<string, number>();

  /** Messages nobody was served with, by reason, since the start. */
  get drops(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#drops);
  }

  count(event: Event): void {
    if (event.kind === 'refused' && event.by === 'us' && event.ikeSa === 0) {
      this.#drop(event.notify);
    }
    if (event.kind === 'ike-drop') {
      this.#drop(event.reason);
      this.#add(ALL, event.reason === 'unknown-ike-spi' ? 'invalid-spi' : 'invalid');
    }
    if (event.kind !== 'message') return;
    const prefix = EXCHANGE_PREFIXES[event.exchange];
    if (prefix === undefined) return;
    const direction = event.direction === 'sent' ? 'out' : 'in';
    const name = `${prefix}-${direction}-${event.response ? 'resp' : 'req'}`;
    this.#add(ALL, name);
    if (event.connection !== '') this.#add(event.connection, name);
  }

  /** By connection, the totals under the empty name; only one of them if it is asked for. */
  read(connection?: string): Readonly<Record<string, Readonly<Record<string, number>>>> {
    const found = [...this.#counts].filter(([name]) => name === (connection ?? name));
    return Object.fromEntries(found.map(([name, counts]) => [name, Object.fromEntries(counts)]));
  }

  /** Forgets one connection's counts, or the totals. */
  reset(connection: string = ALL): void {
    if (connection === ALL) this.#counts.set(ALL, new Map());
    else this.#counts.delete(connection);
  }

  #drop(reason: string): void {
    this.#drops.set(reason, (this.#drops.get(reason) ?? 0) + 1);
  }

  #add(connection: string, name: string): void {
    const counts = this.#counts.get(connection) ?? new Map<string, number>();
    this.#counts.set(connection, counts.set(name, (counts.get(name) ?? 0) + 1));
  }
}
