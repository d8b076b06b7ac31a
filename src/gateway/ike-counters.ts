/**
 * IKE messages and rekeyings counted under strongSwan's names, for all connections and for each; and
 * what was discarded or refused before the sender proved anything, by reason.
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
    switch (event.kind) {
      case 'refused':
        if (event.by === 'us' && event.ikeSa === 0) this.#drop(reasonName(event.notify));
        break;
      case 'ike-drop':
        this.#drop(event.reason);
        this.#add(ALL, event.reason === 'unknown-ike-spi' ? 'invalid-spi' : 'invalid');
        break;
      case 'ike-sa-rekeyed':
        this.#both(event.connection, event.initiator ? 'ike-rekey-init' : 'ike-rekey-resp');
        break;
      case 'child-sa-rekeyed':
        this.#both(event.connection, 'child-rekey');
        break;
      case 'message': {
        const prefix = EXCHANGE_PREFIXES[event.exchange];
        if (prefix === undefined) break;
        const direction = event.direction === 'sent' ? 'out' : 'in';
        this.#both(event.connection, `${prefix}-${direction}-${event.response ? 'resp' : 'req'}`);
        break;
      }
      default:
        break;
    }
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

  /** In the totals, and for the connection where there is one. */
  #both(connection: string, name: string): void {
    this.#add(ALL, name);
    if (connection !== '') this.#add(connection, name);
  }

  #add(connection: string, name: string): void {
    const counts = this.#counts.get(connection) ?? new Map<string, number>();
    this.#counts.set(connection, counts.set(name, (counts.get(name) ?? 0) + 1));
  }
}

/** `NO_PROPOSAL_CHOSEN` beside the other reasons: `no-proposal-chosen`. */
function reasonName(notify: string): string {
  return notify.toLowerCase().replaceAll('_', '-');
}
