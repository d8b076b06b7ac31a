/**
 * What went wrong with each peer lately, as the events told it: the memory behind `tsgw why`.
 *
 * Bounded in peers and in failures of each, oldest out. Peers that proved nothing have room of their
 * own, so that strangers cannot make us forget what happened to others. What repeats is counted.
 */
import { alertOf } from '../events/alert.ts';
import type { Event } from '../events/event.ts';
import { formatAddress, parseAddress } from '../wire/address.ts';
import type { Instant } from '../wire/instant.ts';

/** Events that tell of a failure. */
export type FailureEvent = Extract<
  Event,
  {
    kind:
      | 'refused'
      | 'authentication-failed'
      | 'peer-unreachable'
      | 'peer-fault'
      | 'alert'
      | 'ike-drop';
  }
>;

export interface Failure {
  readonly event: FailureEvent;
  readonly alert: string;
  /** Address of the peer, without its port. */
  readonly peer: string;
  readonly identity: string | undefined;
  /** When it last happened, and how often alike since another did. */
  readonly at: Instant;
  readonly count: number;
}

export const MAX_KNOWN_PEERS = 48;
export const MAX_STRANGERS = 16;
export const MAX_FAILURES = 16;

interface PeerFailures {
  /** It is configured, was reached by us, or proved who it is. */
  known: boolean;
  failures: readonly Failure[];
}

export class FailureHistory {
  readonly #identityOf: (ikeSa: number) => string | undefined;
  /** In the order in which something last happened. */
  readonly #peers = new Map<string, PeerFailures>();

  /** `identityOf` knows whom an IKE SA that is up belongs to. */
  constructor(identityOf: (ikeSa: number) => string | undefined) {
    this.#identityOf = identityOf;
  }

  observe(event: Event, now: Instant): void {
    const failed = failureEvent(event);
    const alert = failed && alertOf(failed);
    if (!failed || alert === undefined) return;
    const peer = hostOf(failed.peer);
    const entry = this.#peers.get(peer) ?? { known: false, failures: [] };
    this.#peers.delete(peer);
    this.#peers.set(peer, entry);
    entry.known ||= !isStranger(failed);
    entry.failures = added(entry.failures, {
      event: failed,
      alert,
      peer,
      identity: this.#identity(failed),
      at: now,
      count: 1,
    });
    this.#forget(entry.known);
  }

  /** The failures with one peer, by its address, identity or connection, or all; newest first. */
  about(name?: string): readonly Failure[] {
    const wanted = name === undefined ? undefined : normalised(name);
    return [...this.#peers.values()]
      .flatMap(({ failures }) => failures)
      .filter((failure) => wanted === undefined || namesOf(failure).includes(wanted))
      .sort((a, b) => b.at - a.at);
  }

  #identity(event: FailureEvent): string | undefined {
    if ('remoteId' in event && event.remoteId !== undefined) return event.remoteId;
    return 'ikeSa' in event && event.ikeSa !== 0 ? this.#identityOf(event.ikeSa) : undefined;
  }

  /** Drops the peer of this class that is silent longest, if there are too many. */
  #forget(known: boolean): void {
    const alike = [...this.#peers].filter(([, entry]) => entry.known === known);
    const [oldest] = alike;
    if (oldest && alike.length > (known ? MAX_KNOWN_PEERS : MAX_STRANGERS)) {
      this.#peers.delete(oldest[0]);
    }
  }
}

/** `192.0.2.2[500]` without its port. */
export function hostOf(endpoint: string): string {
  return endpoint.replace(/\[\d+\]$/, '');
}

function failureEvent(event: Event): FailureEvent | undefined {
  switch (event.kind) {
    case 'refused':
    case 'authentication-failed':
    case 'peer-unreachable':
    case 'peer-fault':
    case 'alert':
      return event;
    case 'ike-drop':
      // What anyone may send is no failure of a peer; that it began and never came to an end is.
      return event.reason === 'half-open-timeout' ? event : undefined;
    default:
      return undefined;
  }
}

/** Anyone can bring these about, under any address that answers. */
function isStranger(event: FailureEvent): boolean {
  if (event.kind === 'ike-drop') return true;
  if (event.kind === 'authentication-failed') return event.by === 'us';
  return event.kind === 'refused' && event.by === 'us' && event.child === undefined;
}

/** What happens again is counted; what is new pushes the oldest out. */
function added(failures: readonly Failure[], failure: Failure): readonly Failure[] {
  const same = failures.find((one) => isSame(one, failure));
  const rest = failures.filter((one) => one !== same);
  const counted = { ...failure, count: failure.count + (same?.count ?? 0) };
  return [...rest, counted].slice(-MAX_FAILURES);
}

/** Alike but for time and the number of the IKE SA. */
function isSame(a: Failure, b: Failure): boolean {
  const text = ({ alert, identity, event }: Failure): string => {
    const {
      ikeSa: _ikeSa,
      local: _local,
      peer: _peer,
      ...rest
    } = { ikeSa: 0, local: '', ...event };
    return JSON.stringify([alert, identity, rest]);
  };
  return text(a) === text(b);
}

function namesOf({ peer, identity, event }: Failure): readonly string[] {
  const connection = 'connection' in event ? event.connection : '';
  return [peer, identity, connection].flatMap((name) => (name ? [normalised(name)] : []));
}

/** An address has many spellings and counts in one. */
function normalised(name: string): string {
  const address = parseAddress(name);
  return address ? formatAddress(address) : name;
}
