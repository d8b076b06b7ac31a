/**
 * Fragments of IKE messages on their way to becoming whole (RFC 7383 §2.6).
 *
 * One incomplete message per IKE SA and direction. Only fragments whose ICV was verified are kept:
 * `check` before it is, `add` after. One message is bounded in fragments, octets and time, all
 * together in octets: under pressure the oldest goes, for the fragments of an honest sender follow
 * one another at once.
 */
import type { Endpoint } from '../wire/address.ts';
import { after, type Instant } from '../wire/instant.ts';
import { concatOctets } from '../wire/octets.ts';
import type { IkeHeader, IkeSpi } from './message/message.ts';
import type { OpenedFragment } from './protection.ts';

/** What incomplete messages may cost. */
export const REASSEMBLY_LIMIT = {
  /** Fragments of one message. */
  FRAGMENTS: 256,
  /** Content of one message: what SK could hold. */
  MESSAGE_OCTETS: 65_535,
  /** Since the first fragment; a peer that repeats itself has several tries within it. */
  MILLISECONDS: 30_000,
  /** Of all incomplete messages, each fragment counted with FRAGMENT_OVERHEAD octets more. */
  TOTAL_OCTETS: 16 * 1024 * 1024,
  /** The same of peers that proved nothing yet: they have room of their own. */
  UNPROVEN_OCTETS: 4 * 1024 * 1024,
  FRAGMENT_OVERHEAD: 128,
} as const;

/** Why fragments are of no use, in the words of `ike-drop`. */
export type FragmentDrop =
  | 'ike-fragment-number'
  | 'ike-fragments-too-many'
  | 'ike-fragments-too-large'
  | 'ike-fragment-repeated'
  | 'ike-fragment-outdated'
  | 'ike-fragment-inconsistent'
  | 'ike-reassembly-crowded'
  | 'ike-reassembly-timeout';

/** Fragments of one message that are given up. */
export interface Discarded {
  readonly reason: FragmentDrop;
  readonly from: Endpoint;
  readonly fragments: number;
}

/** A message that is whole. */
export interface ReassembledMessage {
  readonly firstPayload: number;
  /** The chain of payloads. */
  readonly content: Uint8Array;
  /** Octets of each datagram, in the order of the fragments. */
  readonly datagrams: readonly number[];
}

/** A fragment whose ICV is right, the datagram it came in and where that came from. */
export interface ReceivedFragment {
  readonly opened: OpenedFragment;
  readonly datagramOctets: number;
  readonly from: Endpoint;
}

export interface Added {
  /** Unset: fragments are still missing. */
  readonly message?: ReassembledMessage;
  readonly discarded: readonly Discarded[];
}

type FragmentNumbers = Pick<OpenedFragment, 'fragmentNumber' | 'totalFragments'>;

interface Incomplete {
  readonly messageId: number;
  readonly exchangeType: number;
  readonly totalFragments: number;
  readonly from: Endpoint;
  readonly until: Instant;
  readonly fragments: Map<number, ReceivedFragment>;
  octets: number;
}

export class Reassembly {
  /** Oldest first: every message has the same time. */
  readonly #incomplete = new Map<string, Incomplete>();
  readonly #room: number;
  #totalOctets = 0;

  constructor(room: number = REASSEMBLY_LIMIT.TOTAL_OCTETS) {
    this.#room = room;
  }

  /** When the oldest incomplete message is given up. */
  get deadline(): Instant | undefined {
    const [oldest] = this.#incomplete.values();
    return oldest?.until;
  }

  /** Why a fragment need not be opened; undefined if it is worth that. */
  check(ownSpi: IkeSpi, header: IkeHeader, numbers: FragmentNumbers): FragmentDrop | undefined {
    const { fragmentNumber, totalFragments } = numbers;
    // RFC 7383 §2.6: numbers that make no sense cost the fragment, silently.
    if (fragmentNumber === 0 || fragmentNumber > totalFragments) return 'ike-fragment-number';
    if (totalFragments > REASSEMBLY_LIMIT.FRAGMENTS) return 'ike-fragments-too-many';
    const known = this.#incomplete.get(keyOf(ownSpi, header));
    if (known?.messageId !== header.messageId) return undefined;
    if (known.exchangeType !== header.exchangeType) return 'ike-fragment-inconsistent';
    // RFC 7383 §2.6: the sender has turned to more and smaller fragments since.
    if (totalFragments < known.totalFragments) return 'ike-fragment-outdated';
    const repeated = totalFragments === known.totalFragments && known.fragments.has(fragmentNumber);
    return repeated ? 'ike-fragment-repeated' : undefined;
  }

  /** Keeps a fragment that `check` let pass. */
  add(ownSpi: IkeSpi, header: IkeHeader, fragment: ReceivedFragment, now: Instant): Added {
    const { fragmentNumber, totalFragments, content } = fragment.opened;
    const key = keyOf(ownSpi, header);
    const discarded: Discarded[] = [];
    let message = this.#incomplete.get(key);
    // RFC 7383 §2.6: with more fragments in all, the message starts over.
    if (message?.messageId !== header.messageId || message.totalFragments < totalFragments) {
      if (message) discarded.push(this.#giveUp(key, message, 'ike-fragment-outdated'));
      message = incomplete(header, fragment, now);
      this.#incomplete.set(key, message);
    }
    message.fragments.set(fragmentNumber, fragment);
    message.octets += content.length;
    this.#totalOctets += costOf(fragment);
    if (message.octets > REASSEMBLY_LIMIT.MESSAGE_OCTETS) {
      discarded.push(this.#giveUp(key, message, 'ike-fragments-too-large'));
    } else if (message.fragments.size === totalFragments) {
      this.#remove(key, message);
      return { message: joined(message), discarded };
    }
    return { discarded: [...discarded, ...this.#makeRoom()] };
  }

  /** Gives up the messages whose time is over. */
  expire(now: Instant): readonly Discarded[] {
    const discarded: Discarded[] = [];
    for (const [key, message] of this.#incomplete) {
      if (message.until > now) break;
      discarded.push(this.#giveUp(key, message, 'ike-reassembly-timeout'));
    }
    return discarded;
  }

  #makeRoom(): readonly Discarded[] {
    const discarded: Discarded[] = [];
    for (const [key, message] of this.#incomplete) {
      if (this.#totalOctets <= this.#room) break;
      discarded.push(this.#giveUp(key, message, 'ike-reassembly-crowded'));
    }
    return discarded;
  }

  #giveUp(key: string, message: Incomplete, reason: FragmentDrop): Discarded {
    this.#remove(key, message);
    return { reason, from: message.from, fragments: message.fragments.size };
  }

  #remove(key: string, { fragments }: Incomplete): void {
    this.#incomplete.delete(key);
    for (const fragment of fragments.values()) this.#totalOctets -= costOf(fragment);
  }
}

function incomplete(
  { messageId, exchangeType }: IkeHeader,
  { opened: { totalFragments }, from }: ReceivedFragment,
  now: Instant,
): Incomplete {
  return {
    messageId,
    exchangeType,
    totalFragments,
    from,
    until: after(now, REASSEMBLY_LIMIT.MILLISECONDS),
    fragments: new Map(),
    octets: 0,
  };
}

function joined({ fragments }: Incomplete): ReassembledMessage {
  const inOrder = [...fragments.values()].sort(
    (one, other) => one.opened.fragmentNumber - other.opened.fragmentNumber,
  );
  return {
    // RFC 7383 §2.5: the first fragment tells what the chain begins with.
    firstPayload: inOrder[0]?.opened.firstPayload ?? 0,
    content: concatOctets(...inOrder.map(({ opened }) => opened.content)),
    datagrams: inOrder.map(({ datagramOctets }) => datagramOctets),
  };
}

function costOf({ opened }: ReceivedFragment): number {
  return opened.content.length + REASSEMBLY_LIMIT.FRAGMENT_OVERHEAD;
}

function keyOf(ownSpi: IkeSpi, { isResponse }: IkeHeader): string {
  return `${ownSpi} ${isResponse ? 'response' : 'request'}`;
}
