/**
 * From snapshots to IKE SAs that go on here. Makes objects and changes nothing else: whoever calls adds
 * them to the registry, and links those that know one another with `linkIkeSas`.
 *
 * What came due while nobody was there waits a little longer (`graceMs`): all SAs of a node that died
 * would otherwise be replaced at once, and their peers may be about to do it.
 */
import { keyExchangeMethod } from '../crypto/key-exchange.ts';
import { SecretBytes } from '../crypto/secret-bytes.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { Instant } from '../wire/instant.ts';
import { PathSize } from './fragmentation.ts';
import type { HeldChild } from './held-child.ts';
import { IkeSa } from './ike-sa.ts';
import type { Authenticated, IkeSaState, Secured } from './ike-sa-state.ts';
import { type IkeKeys, ikeSuite } from './keys.ts';
import type { IkeSpi } from './message/message.ts';
import { dueAt, instantOf, type Received, type Restoring } from './received-snapshot.ts';
import { restoreChildren } from './restored-children.ts';
import { restoreRequests, restoreWish } from './restored-requests.ts';
import type { SaRegistry } from './sa-registry.ts';
import { messageKeys } from './secure.ts';
import type {
  IkeSaSnapshot,
  Offset,
  PeerSnapshot,
  SecuredSnapshot,
  StateSnapshot,
} from './snapshot.ts';

/**
 * The IKE SAs of snapshots that go on together, in their order; undefined for one that this process
 * cannot go on with, because it does not know an algorithm of it.
 */
export function restoreIkeSas(
  restoring: Restoring,
  received: readonly Received[],
): readonly (IkeSa | undefined)[] {
  const children = restoreChildren(restoring, received);
  return received.map((one) => restoreIkeSa(restoring, one, children));
}

function restoreIkeSa(
  restoring: Restoring,
  received: Received,
  children: ReadonlyMap<Spi, HeldChild>,
): IkeSa | undefined {
  const { snapshot, connection, id } = received;
  const state = restoreState(restoring, received);
  if (!state) return undefined;
  const sa = new IkeSa({
    id,
    initiator: snapshot.initiator,
    originalInitiator: snapshot.originalInitiator,
    connection,
    ...snapshot.path,
    initiation: snapshot.initiation,
    spiI: snapshot.spiI,
    spiR: snapshot.spiR,
    state,
    now: instantOf(received, snapshot.created),
    tries: snapshot.tries,
    ...(snapshot.requestDigest !== undefined && { requestDigest: snapshot.requestDigest }),
  });
  for (const { held, childSa } of snapshot.children) {
    const child = held && children.get(childSa.spiIn);
    if (child) sa.children.set(child.childSa.id, child);
  }
  restoreFields(restoring, received, sa);
  const wishes = snapshot.wishes.map((one) => restoreWish(connection, one, children));
  sa.wishes.push(...wishes);
  for (const { at, wish } of snapshot.postponed) {
    const restored = restoreWish(connection, wish, children);
    sa.postponed.push({ at: dueAt(restoring, received, at), wish: restored });
  }
  return restoreRequests(restoring, sa, snapshot, children) ? sa : undefined;
}

function restoreFields(restoring: Restoring, received: Received, sa: IkeSa): void {
  const { snapshot } = received;
  const due = (offset: Offset | undefined): Instant | undefined =>
    offset === undefined ? undefined : dueAt(restoring, received, offset);
  const ends = (offset: Offset | undefined): Instant | undefined =>
    offset === undefined ? undefined : instantOf(received, offset);
  sa.lastHeard = instantOf(received, snapshot.lastHeard);
  sa.lastKeepalive = instantOf(received, snapshot.lastKeepalive);
  sa.retireAt = due(snapshot.retireAt);
  sa.rekeyAt = due(snapshot.rekeyAt);
  sa.reauthenticateAt = due(snapshot.reauthenticateAt);
  // Nothing is sent under keys whose time is over.
  sa.expireAt = ends(snapshot.expireAt);
  sa.authenticationExpiresAt = ends(snapshot.authenticationExpiresAt);
  sa.authMessageId = snapshot.authMessageId;
  sa.mobility.agreed = snapshot.mobike;
  sa.mobility.peerAddresses = snapshot.peerAddresses;
  sa.mobility.addressesTold = snapshot.addressesTold;
  sa.mobility.mappingSeen = snapshot.mappingSeen;
  sa.mobility.probed = snapshot.probed;
  sa.redirectedFrom = snapshot.redirectedFrom;
  sa.announced = snapshot.announced;
  sa.virtual = snapshot.virtual;
  sa.remoteVips = snapshot.remoteVips;
  sa.replaced = snapshot.replaced;
  sa.highestSync = snapshot.highestSync;
  sa.highestAsked = snapshot.highestAsked;
  if (snapshot.packetOctets !== undefined) {
    const { packetOctets } = snapshot;
    sa.pathSize = new PathSize(restoring.environment.settings, { path: sa, packetOctets });
  }
}

function restoreState(restoring: Restoring, received: Received): IkeSaState | undefined {
  const { snapshot } = received;
  const { state } = snapshot;
  if (state.name === 'AwaitingIkeSaInitResponse') return restoreAttempt(state);
  const secured = state.secured && restoreSecured(restoring, snapshot, state.secured);
  if (state.name === 'Closed') {
    if (state.secured && !secured) return undefined;
    return { name: state.name, secured, until: instantOf(received, state.until) };
  }
  if (!secured) return undefined;
  switch (state.name) {
    case 'AwaitingIkeAuthRequest': {
      const { name, handshake } = state;
      return { name, secured, handshake, until: instantOf(received, state.until) };
    }
    case 'AwaitingIkeAuthResponse': {
      const { name, handshake, localId, spiIn } = state;
      return { name, secured, handshake, localId, spiIn };
    }
    case 'Established':
      return { name: state.name, secured, peer: peerOf(received, state.peer) };
    case 'AwaitingDelete': {
      const until = dueAt(restoring, received, state.until);
      return { name: state.name, secured, peer: peerOf(received, state.peer), until };
    }
    case 'AwaitingDeleteResponse': {
      const { name, reason } = state;
      return { name, secured, peer: peerOf(received, state.peer), reason };
    }
    default:
      return state satisfies never;
  }
}

function restoreAttempt(
  state: Extract<StateSnapshot, { readonly name: 'AwaitingIkeSaInitResponse' }>,
): IkeSaState | undefined {
  const { name, nonce, method, drawn, cookie, restarts } = state;
  const keyExchange = keyExchangeMethod(method)?.restore(drawn);
  return keyExchange && { name, attempt: { nonce, keyExchange, method, cookie, restarts } };
}

function peerOf(received: Received, { localId, remoteId, since }: PeerSnapshot): Authenticated {
  return { localId, remoteId, since: instantOf(received, since) };
}

function restoreSecured(
  { environment }: Restoring,
  { initiator }: IkeSaSnapshot,
  { proposal, nat, udpEncapsulation, sealed, ...secrets }: SecuredSnapshot,
): Secured | undefined {
  const suite = ikeSuite(proposal);
  if (!suite) return undefined;
  const { skD, skAi, skAr, skEi, skEr, skPi = NO_SECRET, skPr = NO_SECRET } = secrets;
  const keys: IkeKeys = { skD, skAi, skAr, skEi, skEr, skPi, skPr };
  const ivs = { messages: sealed, partition: environment.ivs };
  return { suite, keys, nat, udpEncapsulation, ...messageKeys(initiator, suite, keys, ivs) };
}

const NO_SECRET = new SecretBytes(new Uint8Array());

/** What IKE SAs know of one another, once they are all in the registry. */
export function linkIkeSas(
  registry: SaRegistry,
  restored: readonly { readonly sa: IkeSa; readonly snapshot: IkeSaSnapshot }[],
): void {
  const find = (spi: IkeSpi | undefined): IkeSa | undefined =>
    spi === undefined ? undefined : registry.bySpi(spi);
  for (const { sa, snapshot } of restored) {
    const { links, window } = snapshot;
    sa.heir = find(links.heir);
    sa.reauthenticates = find(links.reauthenticates);
    sa.rivalOf = find(links.rivalOf);
    sa.outlives = find(links.outlives);
    for (const spi of links.lineage) {
      const relative = find(spi);
      if (relative) sa.joinLineage(relative);
    }
    const purpose = window.inFlight?.purpose;
    const rival = purpose?.kind === 'rekey-ike-sa' ? purpose.attempt?.rival : undefined;
    const ours = sa.inFlight?.kind === 'rekey-ike-sa' ? sa.inFlight.attempt : undefined;
    const other = find(rival?.spi);
    if (rival && ours && other) ours.rival = { sa: other, lowestNonce: rival.lowestNonce };
  }
}
