/**
 * The virtual addresses of an IKE SA (RFC 7296 §2.19): given and taken in the exchange that creates
 * a Child SA, inherited when it is rekeyed; they end where the IKE SA closes.
 *
 * What the payloads say is the business of `configuration.ts`.
 */
import { formatAddress, type IpAddress } from '../wire/address.ts';
import {
  answerConfigurationRequest,
  type Client,
  configurationRequest,
  isConfigurationDecided,
  readConfigurationReply,
} from './configuration.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Incoming } from './incoming.ts';
import type { ConfigurationPayload, Payload } from './message/message.ts';
import { payloadOf } from './payload-access.ts';
import type { PeerFault } from './peer-fault.ts';
import type { Turn } from './turn.ts';

interface Given {
  readonly kind: 'given';
  /** What goes into the answer. */
  readonly payloads: readonly ConfigurationPayload[];
  /** What was leased for it. */
  readonly addresses: readonly IpAddress[];
}

/**
 * As responder: a request for addresses that are not decided upon is held, and handled anew once they are.
 * Answers whether it is. An IKE SA holds one request at most, as its window has no room for another.
 */
export function holdsForAddresses(
  turn: Turn,
  sa: IkeSa,
  request: Incoming,
  { identity, pools }: Pick<Client, 'identity' | 'pools'>,
): boolean {
  const client = { identity, holder: sa, pools, addresses: sa.remoteVips };
  const payload = payloadOf(request.payloads, 'CP');
  if (isConfigurationDecided(turn.environment.pools, client, payload)) return false;
  sa.heldRequest = request;
  return true;
}

/**
 * As responder: what a request for a Child SA asks for beside, leased until the IKE SA closes; for
 * `settleAddresses` to keep or to take back.
 */
export function giveAddresses(
  turn: Turn,
  sa: IkeSa,
  payloads: readonly Payload[],
): Given | PeerFault {
  const request = payloadOf(payloads, 'CP');
  const asksForNothing = !request && !payloadOf(payloads, 'SA');
  if (!('peer' in sa.state) || asksForNothing) return NOTHING_GIVEN;
  const client = {
    identity: sa.state.peer.remoteId,
    holder: sa,
    pools: sa.connection.pools,
    addresses: sa.remoteVips,
  };
  const answer = answerConfigurationRequest(turn.environment.pools, client, request);
  if (answer.kind === 'fault') return answer;
  const addresses = answer.addresses.slice(sa.remoteVips.length);
  sa.remoteVips = answer.addresses;
  return { kind: 'given', payloads: answer.reply ? [answer.reply] : [], addresses };
}

const NOTHING_GIVEN: Given = { kind: 'given', payloads: [], addresses: [] };

/** The peer hears of what was given, or does not and never had it. */
export function settleAddresses(turn: Turn, sa: IkeSa, { addresses }: Given, told: boolean): void {
  if (told) {
    tell(turn, sa, 'peer', addresses);
    return;
  }
  turn.environment.pools.release(sa, addresses);
  sa.remoteVips = sa.remoteVips.slice(0, sa.remoteVips.length - addresses.length);
}

/** As initiator: what the connection wants and the IKE SA does not have yet. */
export function askForAddresses(sa: IkeSa): readonly ConfigurationPayload[] {
  if (sa.virtual) return [];
  // A client that proves itself again keeps its addresses, if the peer lets it.
  const former = [...(sa.reauthenticates?.localVips ?? [])];
  const wanted = sa.connection.vips.map((vip) => {
    const at = former.findIndex(({ family }) => family === vip.family);
    return at === -1 ? vip : (former.splice(at, 1)[0] ?? vip);
  });
  const request = configurationRequest(wanted);
  return request ? [request] : [];
}

/** As initiator: installs what the answer gives; a fault where that is not enough. */
export function takeAddresses(
  turn: Turn,
  sa: IkeSa,
  payloads: readonly Payload[],
): PeerFault | undefined {
  if (sa.virtual || sa.connection.vips.length === 0) return undefined;
  const virtual = readConfigurationReply(payloadOf(payloads, 'CP'), sa.connection.vips);
  if ('kind' in virtual) return virtual;
  sa.virtual = virtual;
  tell(turn, sa, 'us', virtual.addresses);
  turn.push({ kind: 'install-virtual', ikeSa: sa.id, virtual });
  return undefined;
}

// RFC 7296 §2.8: a rekeyed IKE SA inherits what the old one had.
export function inheritAddresses(turn: Turn, old: IkeSa, heir: IkeSa): void {
  turn.environment.pools.handOver(old, heir);
  heir.remoteVips = old.remoteVips;
  old.remoteVips = [];
  const { virtual } = old;
  if (!virtual) return;
  heir.virtual = virtual;
  old.virtual = undefined;
  turn.push({ kind: 'install-virtual', ikeSa: heir.id, virtual });
  turn.push({ kind: 'remove-virtual', ikeSa: old.id, virtual });
}

function tell(turn: Turn, sa: IkeSa, to: 'us' | 'peer', addresses: readonly IpAddress[]): void {
  if (addresses.length === 0) return;
  const text = addresses.map(formatAddress).join(' ');
  turn.emit({ kind: 'virtual-addresses', to, addresses: text, ...sa.subject });
}
