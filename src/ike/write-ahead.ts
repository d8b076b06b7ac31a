/**
 * Write-ahead of several nodes: a message leaves when another node holds what it depends on, so that
 * whoever takes over never says something else under its message id.
 *
 * The gateway hands in what each turn of the engine left, sends the bundle with the ticket that comes
 * back, and performs what is ready. A node that does not answer in time costs patience, not service: the
 * messages leave, and their IKE SAs are unsynced until a later bundle is acknowledged.
 *
 * Keepalives, answers to strangers and everything that is no message never wait. A message that is deferred waits
 * without an end, as long as there is somebody who may come to hold it.
 */
import { after, type Instant } from '../wire/instant.ts';
import type { Action } from './action.ts';
import { decodeHeader } from './message/header.ts';
import { ExchangeType, type IkeSpi } from './message/message.ts';
import { ownSpiOf, type SnapshotBundle } from './snapshot.ts';

export interface WriteAheadSettings {
  /** How long a message waits at most, in milliseconds. */
  readonly patienceMs: number;
  /** Whether a message waits longer: until somebody holds it, or nobody is there. */
  readonly isDeferred: (octets: Uint8Array) => boolean;
}

const USUAL: WriteAheadSettings = { patienceMs: 5, isDeferred: () => false };

/** The message that tells a client that it is connected (RFC 7296 §1.2). */
export function isIkeAuthResponse(octets: Uint8Array): boolean {
  const { exchangeType, isResponse } = decodeHeader(octets);
  return isResponse && exchangeType === ExchangeType.IKE_AUTH;
}

/** Names a bundle to whoever acknowledges it; counts up. */
export type Ticket = number;

interface Outstanding {
  readonly ticket: Ticket;
  readonly spis: readonly IkeSpi[];
  readonly until: Instant;
  /** Nobody waits for it any more; a late acknowledgement still counts. */
  overdue: boolean;
}

interface Held {
  readonly action: Action;
  readonly awaits: Set<Ticket>;
  readonly isDeferred: boolean;
}

export class WriteAhead {
  readonly #settings: WriteAheadSettings;
  readonly #outstanding = new Map<Ticket, Outstanding>();
  /** Bundles by the IKE SAs they name. */
  readonly #bySpi = new Map<IkeSpi, Set<Ticket>>();
  #held: Held[] = [];
  #last: Ticket = 0;

  constructor(settings: Partial<WriteAheadSettings> = {}) {
    this.#settings = { ...USUAL, ...settings };
  }

  /** IKE SAs of which no other node holds the newest snapshot, and that nobody waits for any more. */
  get unsynced(): ReadonlySet<IkeSpi> {
    const late = [...this.#outstanding.values()].filter(({ overdue }) => overdue);
    return new Set(late.flatMap(({ spis }) => spis));
  }

  /** Whether a bundle that names this one may still be acknowledged in time. */
  awaits(spi: IkeSpi): boolean {
    const tickets = [...(this.#bySpi.get(spi) ?? [])];
    return tickets.some((one) => this.#outstanding.get(one)?.overdue === false);
  }

  /** Messages that wait. */
  get held(): number {
    return this.#held.length;
  }

  /** A bundle goes to other nodes; before the actions of the same turn are handed in. */
  send({ snapshots, gone }: SnapshotBundle, now: Instant): Ticket {
    const ticket = ++this.#last;
    const spis = [...snapshots.map(ownSpiOf), ...gone.map(({ spi }) => spi)];
    const until = after(now, this.#settings.patienceMs);
    this.#outstanding.set(ticket, { ticket, spis, until, overdue: false });
    for (const spi of spis) {
      const tickets = this.#bySpi.get(spi);
      if (tickets) tickets.add(ticket);
      else this.#bySpi.set(spi, new Set([ticket]));
    }
    return ticket;
  }

  /** Of a turn's actions, those that can be performed; the others come later, in their order. */
  pass(actions: readonly Action[]): readonly Action[] {
    if (this.#outstanding.size === 0) return actions;
    return actions.filter((action) => {
      if (action.kind !== 'send' || !action.after) return true;
      const isDeferred = this.#settings.isDeferred(action.octets);
      const tickets = [...(this.#bySpi.get(action.after) ?? [])];
      const awaits = tickets.filter((one) => isDeferred || !this.#outstanding.get(one)?.overdue);
      if (awaits.length === 0) return true;
      this.#held.push({ action, awaits: new Set(awaits), isDeferred });
      return false;
    });
  }

  /** Enough other nodes hold it. */
  acknowledge(ticket: Ticket): readonly Action[] {
    const one = this.#outstanding.get(ticket);
    if (!one) return [];
    this.#outstanding.delete(ticket);
    for (const spi of one.spis) {
      const tickets = this.#bySpi.get(spi);
      tickets?.delete(ticket);
      if (tickets?.size === 0) this.#bySpi.delete(spi);
    }
    return this.#release([ticket], () => true);
  }

  /** There is nobody left to acknowledge anything. */
  abandon(): readonly Action[] {
    const actions = this.#held.map(({ action }) => action);
    this.#held = [];
    this.#outstanding.clear();
    this.#bySpi.clear();
    return actions;
  }

  /** When to call `expire`. */
  nextDeadline(): Instant | undefined {
    // They were sent in this order, with one patience for all.
    for (const { overdue, until } of this.#outstanding.values()) if (!overdue) return until;
    return undefined;
  }

  /** Messages that have waited long enough. */
  expire(now: Instant): readonly Action[] {
    const late = [...this.#outstanding.values()].filter(
      ({ overdue, until }) => !overdue && now >= until,
    );
    for (const one of late) one.overdue = true;
    const tickets = late.map(({ ticket }) => ticket);
    return this.#release(tickets, ({ isDeferred }) => !isDeferred);
  }

  /** Messages that wait for nothing else, once those that this concerns wait no more for these tickets. */
  #release(tickets: readonly Ticket[], concerns: (held: Held) => boolean): readonly Action[] {
    for (const held of this.#held) {
      if (concerns(held)) for (const ticket of tickets) held.awaits.delete(ticket);
    }
    const ready = this.#held.filter(({ awaits }) => awaits.size === 0);
    if (ready.length > 0) this.#held = this.#held.filter(({ awaits }) => awaits.size > 0);
    return ready.map(({ action }) => action);
  }
}
