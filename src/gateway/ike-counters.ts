/**
 * IKE messages counted under strongSwan's names, for all connections and for each.
 */
import type { Event } from '../events/event.ts';

export const COUNTER_NAMES = [
  'ike-rekey-init',
  'ike-rekey-resp',
  'child-rekey',
  'invalid',
  'invalid-spi',
  'ike-init-in-req',
  'ike-init-in-resp',
  'ike-init-out-req',
  'ike-init-out-resp',
  'ike-auth-in-req',
  'ike-auth-in-resp',
  'ike-auth-out-req',
  'ike-auth-out-resp',
  'create-child-in-req',
  'create-child-in-resp',
  'create-child-out-req',
  'create-child-out-resp',
  'info-in-req',
  'info-in-resp',
  'info-out-req',
  'info-out-resp',
] as const;

const EXCHANGE_PREFIXES: Readonly<Record<string, string>> = {
  IKE_SA_INIT: 'ike-init',
  IKE_AUTH: 'ike-auth',
  CREATE_CHILD_SA: 'create-child',
  INFORMATIONAL: 'info',
};

/** Name of the totals over all connections. */
const ALL = '';

export class IkeCounters {
  readonly #counts = new Map<string, Map<string, number>>();

  count(event: Event): void {
    if (event.kind === 'ike-drop') {
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

  /** Every counter of one connection, or the totals. */
  read(connection: string = ALL): Readonly<Record<string, number>> {
    const counts = this.#counts.get(connection);
    return Object.fromEntries(COUNTER_NAMES.map((name) => [name, counts?.get(name) ?? 0]));
  }

  has(connection: string): boolean {
    return this.#counts.has(connection);
  }

  /** Connections that have counted anything. */
  get connections(): readonly string[] {
    return [...this.#counts.keys()].filter((name) => name !== ALL);
  }

  reset(connection: string = ALL): void {
    this.#counts.delete(connection);
  }

  #add(connection: string, name: string): void {
    const counts = this.#counts.get(connection) ?? new Map<string, number>();
    this.#counts.set(connection, counts.set(name, (counts.get(name) ?? 0) + 1));
  }
}
