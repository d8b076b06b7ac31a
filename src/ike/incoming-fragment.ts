/**
 * One fragment of a message of an IKE SA: worth opening, authentic, and the last of its message or
 * not (RFC 7383 §2.6, §2.6.1).
 *
 * The window is asked before the ICV is verified: what nobody waits for costs no computation and
 * no room.
 */
import { type Endpoint, formatEndpoint } from '../wire/address.ts';
import { MalformedError } from '../wire/octets.ts';
import { pathSizeOf } from './envelope.ts';
import type { IkeSa } from './ike-sa.ts';
import { decodePayloads } from './message/codec.ts';
import { HEADER_OCTETS } from './message/header.ts';
import type { EncryptedFragmentPayload, IkeHeader, Payload } from './message/message.ts';
import { type MessageKey, type OpenedFragment, openFragment } from './protection.ts';
import type { Discarded, Reassembly } from './reassembly.ts';
import type { Turn } from './turn.ts';

/** A datagram whose last payload is SKF. */
export interface FragmentDatagram {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  readonly octets: Uint8Array;
  readonly header: IkeHeader;
  readonly payload: EncryptedFragmentPayload;
  /** Nothing stands in the clear before it. */
  readonly alone: boolean;
}

export type FragmentVerdict =
  /** The whole message; octets of each datagram it took. */
  | {
      readonly kind: 'payloads';
      readonly payloads: readonly Payload[];
      readonly fragments: readonly number[];
    }
  | { readonly kind: 'incomplete' }
  /** A request that is answered already is repeated: once for all its fragments. */
  | { readonly kind: 'repeated' }
  | { readonly kind: 'drop'; readonly reason: string };

/** Throws `MalformedError` for what only a sender with the key can have made. */
export function receiveFragment(
  turn: Turn,
  {
    sa,
    key,
    reassembly,
  }: {
    readonly sa: IkeSa;
    readonly key: MessageKey;
    readonly reassembly: Reassembly;
  },
  datagram: FragmentDatagram,
): FragmentVerdict {
  const { header, payload, octets, remote } = datagram;
  const place = placeOf(sa, header);
  const useless = reassembly.check(sa.ownSpi, header, payload) ?? unawaited(place, payload);
  if (useless) return { kind: 'drop', reason: useless };
  const opened = openFragment(octets, key);
  if (!opened) return { kind: 'drop', reason: 'bad-ike-icv' };
  if (!datagram.alone) throw new MalformedError(HEADER_OCTETS, 'payloads in the clear before SKF');
  if (place === 'repeated') {
    learnSize(turn, sa, datagram, opened, octets.length);
    return { kind: 'repeated' };
  }
  const fragment = { opened, datagramOctets: octets.length, from: remote };
  const { message, discarded } = reassembly.add(sa.ownSpi, header, fragment, turn.now);
  reportDiscarded(turn, discarded);
  if (!message) return { kind: 'incomplete' };
  const { firstPayload, content, datagrams } = message;
  learnSize(turn, sa, datagram, opened, Math.max(...datagrams));
  return {
    kind: 'payloads',
    payloads: decodePayloads(firstPayload, content),
    fragments: datagrams,
  };
}

/** Every fragment that is given up counts. */
export function reportDiscarded(turn: Turn, discarded: readonly Discarded[]): void {
  for (const { reason, from, fragments } of discarded) {
    const peer = formatEndpoint(from);
    for (let count = 0; count < fragments; count++) turn.emit({ kind: 'ike-drop', reason, peer });
  }
}

type Place = 'new' | 'repeated' | 'outside' | 'not-awaited' | 'closed';

/** Where a message stands against the window, whole or not. */
function placeOf({ window, state }: IkeSa, header: IkeHeader): Place {
  if (header.isResponse) return window.awaits(header) ? 'new' : 'not-awaited';
  const place = window.place(header.messageId);
  return place === 'new' && state.name === 'Closed' ? 'closed' : place;
}

function unawaited(place: Place, { fragmentNumber }: EncryptedFragmentPayload): string | undefined {
  switch (place) {
    case 'new':
      return undefined;
    case 'repeated':
      // RFC 7383 §2.6.1: of a request that is answered only the first fragment asks for the answer.
      return fragmentNumber === 1 ? undefined : 'ike-fragment-repeated';
    case 'outside':
      return 'message-id-out-of-window';
    case 'not-awaited':
      return 'ike-response-not-awaited';
    case 'closed':
      return 'ike-sa-closed';
  }
}

/** The first of several fragments is as large as its sender makes them. */
function learnSize(
  turn: Turn,
  sa: IkeSa,
  path: FragmentDatagram,
  { totalFragments }: OpenedFragment,
  largest: number,
): void {
  if (totalFragments > 1) pathSizeOf(turn, sa).heard(path, largest);
}
