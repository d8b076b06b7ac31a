/**
 * Connections on their way up: names are looked up, an address is chosen at each end, and the engine
 * is asked, for an operator, for itself, or for a packet that waits at a trap.
 */
import type { Event } from '../events/event.ts';
import type { Input, Outcome, Redirected } from '../ike/action.ts';
import type { AddressMatch, Connection } from '../ipsec/connection.ts';
import type { Pad } from '../ipsec/pad.ts';
import { parseAddress } from '../wire/address.ts';
import { matchText } from './connection-view.ts';
import {
  type AddressBook,
  type InitiationPath,
  initiationPath,
  type OwnPorts,
} from './initiation-path.ts';

type Initiate = Extract<Input, { readonly kind: 'initiate' }>;

/** What is wanted up; without a child the IKE SA alone. */
export interface InitiationWish {
  readonly connection: string;
  readonly child?: string;
  readonly redirected?: Redirected;
  readonly trigger?: Initiate['trigger'];
}

export interface InitiationParts {
  readonly pad: Pad;
  ports(): OwnPorts;
  /** Hands the request to the engine; settles when it completes. */
  ask(input: Omit<Initiate, 'request'>): Promise<Outcome>;
  emit(event: Event): void;
}

export class Initiations {
  readonly #book: AddressBook;
  readonly #parts: InitiationParts;

  constructor(book: AddressBook, parts: InitiationParts) {
    this.#book = book;
    this.#parts = parts;
  }

  /** Never rejects: what stands in the way is an alert and the outcome. */
  async start({ connection: name, child, redirected, trigger }: InitiationWish): Promise<Outcome> {
    const connection = this.#parts.pad.connection(name);
    if (!connection) return { kind: 'failed', what: `no connection ${name}` };
    try {
      // RFC 5685 §5: the gateway we are sent to takes the place of the one that is configured.
      const ends = redirected
        ? { ...connection, remoteAddresses: [hostMatch(redirected.gateway)] }
        : connection;
      const { local, remote } = await this.path(ends);
      // A peer that moved is found at its new address when it comes first, too.
      void this.resolveNames(connection);
      return await this.#parts.ask({
        kind: 'initiate',
        connection: name,
        ...(child !== undefined && { child }),
        ...(redirected && { redirected }),
        local,
        remote,
        ...(trigger && { trigger }),
      });
    } catch (error) {
      const what = describe(error);
      const peer = connection.remoteAddresses.map(matchText).join(', ');
      const alert = 'peer-addr-failed';
      this.#parts.emit({ kind: 'alert', alert, what, ikeSa: 0, connection: name, peer });
      return { kind: 'failed', what };
    }
  }

  /** Rejects with what is missing. */
  path(connection: Connection): Promise<InitiationPath> {
    return initiationPath(connection, this.#book, this.#parts.ports());
  }

  /** A peer that comes first is found by the address its name has. */
  async resolveNames({ localAddresses, remoteAddresses }: Connection): Promise<void> {
    for (const match of [...localAddresses, ...remoteAddresses]) {
      if (match.kind !== 'name') continue;
      try {
        this.#parts.pad.resolve(match.name, await this.#book.resolve(match.name));
      } catch (error) {
        this.#parts.emit({ kind: 'daemon', level: 'notice', what: describe(error) });
      }
    }
  }
}

function hostMatch(gateway: string): AddressMatch {
  const address = parseAddress(gateway);
  return address ? { kind: 'address', address } : { kind: 'name', name: gateway };
}

function describe(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
