/**
 * From an IKE SA to its snapshot. Changes nothing; the keys are shared with the IKE SA until octets are
 * made of the snapshot.
 *
 * Not in it: fragments of messages that are not complete, for their sender repeats them; operators'
 * requests, who ask another process; numbers of listings.
 */
import type { Instant } from '../wire/instant.ts';
import type { ChildAttempt, ChildWish } from './child-wish.ts';
import type { HeldChild } from './held-child.ts';
import type { IkeRekeyAttempt, IkeSa, RequestPurpose } from './ike-sa.ts';
import type { Authenticated, Secured } from './ike-sa-state.ts';
import type { IkeSpi } from './message/message.ts';
import type {
  ChildAttemptSnapshot,
  ChildSequences,
  ChildSnapshot,
  ChildStateSnapshot,
  IkeRekeyAttemptSnapshot,
  IkeSaSnapshot,
  LinksSnapshot,
  Offset,
  PeerSnapshot,
  PurposeSnapshot,
  SecuredSnapshot,
  SnapshotOrder,
  StateSnapshot,
  WindowSnapshot,
  WishSnapshot,
} from './snapshot.ts';

/** When the snapshot is taken, and what the packet loop knows. */
export interface Moment {
  readonly now: Instant;
  readonly sequences: (childSaId: number) => ChildSequences | undefined;
}

export function takeSnapshot(
  sa: IkeSa,
  { epoch, order }: SnapshotOrder,
  at: Moment,
): IkeSaSnapshot {
  const { local, remote, initiation } = sa;
  return {
    epoch,
    order,
    initiator: sa.initiator,
    originalInitiator: sa.originalInitiator,
    spiI: sa.spiI,
    spiR: sa.spiR,
    connection: sa.connection.name,
    path: { local, remote },
    initiation: { local: initiation.local, remote: initiation.remote },
    tries: sa.tries,
    created: offset(at, sa.created),
    lastHeard: offset(at, sa.lastHeard),
    lastKeepalive: offset(at, sa.lastKeepalive),
    state: stateOf(sa, at),
    window: windowOf(sa),
    children: childrenOf(sa, at),
    wishes: sa.wishes.map(wishOf),
    postponed: sa.postponed.map((one) => ({ at: offset(at, one.at), wish: wishOf(one.wish) })),
    links: linksOf(sa),
    authMessageId: sa.authMessageId,
    requestDigest: sa.requestDigest,
    mobike: sa.mobility.agreed,
    peerAddresses: sa.mobility.peerAddresses,
    addressesTold: sa.mobility.addressesTold,
    mappingSeen: sa.mobility.mappingSeen,
    probed: sa.mobility.probed,
    redirectedFrom: sa.redirectedFrom,
    announced: sa.announced,
    packetOctets: sa.pathSize?.knownOf(sa),
    retireAt: maybeOffset(at, sa.retireAt),
    rekeyAt: maybeOffset(at, sa.rekeyAt),
    reauthenticateAt: maybeOffset(at, plannedAt(sa)),
    expireAt: maybeOffset(at, sa.expireAt),
    authenticationExpiresAt: maybeOffset(at, sa.authenticationExpiresAt),
    virtual: sa.virtual,
    remoteVips: sa.remoteVips,
    replaced: sa.replaced,
    highestSync: sa.highestSync,
    highestAsked: sa.highestAsked,
    doubted: sa.doubt !== undefined,
  };
}

/** Whoever goes on in doubt has a time of its own to begin anew. */
function plannedAt({ doubt, reauthenticateAt }: IkeSa): Instant | undefined {
  return doubt && doubt.anewAt === reauthenticateAt ? doubt.before : reauthenticateAt;
}

function offset({ now }: Moment, at: Instant): Offset {
  return Math.round(at - now);
}

function maybeOffset(moment: Moment, at: Instant | undefined): Offset | undefined {
  return at === undefined ? undefined : offset(moment, at);
}

function stateOf({ state }: IkeSa, at: Moment): StateSnapshot {
  switch (state.name) {
    case 'AwaitingIkeSaInitResponse': {
      const { nonce, method, keyExchange, cookie, restarts } = state.attempt;
      return { name: state.name, nonce, method, drawn: keyExchange.drawn, cookie, restarts };
    }
    case 'AwaitingIkeAuthRequest': {
      const { name, handshake } = state;
      const secured = securedOf(state.secured, true);
      return { name, secured, handshake, until: offset(at, state.until) };
    }
    case 'AwaitingIkeAuthResponse': {
      const { name, handshake, localId, spiIn } = state;
      return { name, secured: securedOf(state.secured, true), handshake, localId, spiIn };
    }
    case 'Established':
      return { name: state.name, ...provenOf(state, at) };
    case 'AwaitingDelete':
      return { name: state.name, ...provenOf(state, at), until: offset(at, state.until) };
    case 'AwaitingDeleteResponse':
      return { name: state.name, ...provenOf(state, at), reason: state.reason };
    case 'Closed': {
      const secured = state.secured && securedOf(state.secured, false);
      return { name: state.name, secured, until: offset(at, state.until) };
    }
    default:
      return state satisfies never;
  }
}

function provenOf(
  { secured, peer }: { readonly secured: Secured; readonly peer: Authenticated },
  at: Moment,
): { readonly secured: SecuredSnapshot; readonly peer: PeerSnapshot } {
  const { localId, remoteId, since } = peer;
  return {
    secured: securedOf(secured, false),
    peer: { localId, remoteId, since: offset(at, since) },
  };
}

/** `unproven`: AUTH is still to be made or verified, with SK_p. */
function securedOf(secured: Secured, unproven: boolean): SecuredSnapshot {
  const { suite, keys, sealing, nat, udpEncapsulation } = secured;
  const { skD, skAi, skAr, skEi, skEr } = keys;
  const [skPi, skPr] = unproven ? [keys.skPi, keys.skPr] : [undefined, undefined];
  return {
    proposal: suite.proposal,
    ...{ skD, skAi, skAr, skEi, skEr, skPi, skPr },
    sealed: sealing.messages,
    nat,
    udpEncapsulation,
  };
}

function windowOf({ window }: IkeSa): WindowSnapshot {
  const { inFlight, lastResponse } = window;
  return {
    nextId: window.nextId,
    expectedId: window.expectedId,
    inFlight: inFlight && {
      purpose: purposeOf(inFlight.purpose),
      datagrams: inFlight.datagrams,
      attempts: inFlight.retransmission.attempts,
      early: inFlight.retransmission.earlyLeft,
    },
    answered: lastResponse && {
      messageId: lastResponse.messageId,
      repeats: lastResponse.repeats,
      datagrams: lastResponse.datagrams,
    },
    waiting: window.waiting.flatMap(({ purpose }) =>
      // The operator who measures gets no answer from elsewhere.
      purpose.kind === 'probe-path' ? [] : [purposeOf(purpose)],
    ),
  };
}

function purposeOf(purpose: RequestPurpose): PurposeSnapshot {
  switch (purpose.kind) {
    case 'update-addresses':
      return { kind: purpose.kind, told: purpose.told };
    case 'check-routability':
      return { kind: purpose.kind, cookie: purpose.cookie };
    case 'redirect':
      return { kind: purpose.kind, gateway: purpose.gateway };
    case 'delete-child-sa':
      return { kind: purpose.kind, spiIn: purpose.child.childSa.spiIn };
    case 'withdraw-child-sa':
      return { kind: purpose.kind, spiIn: purpose.spiIn };
    case 'create-child':
      return {
        kind: purpose.kind,
        wish: wishOf(purpose.wish),
        attempt: purpose.attempt && childAttemptOf(purpose.attempt),
      };
    case 'rekey-ike-sa':
      return {
        kind: purpose.kind,
        method: purpose.method,
        attempt: purpose.attempt && ikeRekeyAttemptOf(purpose.attempt),
      };
    default:
      return { kind: purpose.kind };
  }
}

function wishOf(wish: ChildWish): WishSnapshot {
  return {
    policy: wish.policy.name,
    replaces: wish.replaces?.childSa.spiIn,
    trigger: wish.trigger,
    method: wish.method,
    otherPfs: wish.otherPfs ?? false,
    singlePair: wish.singlePair ?? false,
    postponements: wish.postponements ?? 0,
  };
}

function childAttemptOf(attempt: ChildAttempt): ChildAttemptSnapshot {
  const { spiIn, nonce, asked, keyExchange, method, rival, revoked = [] } = attempt;
  const { proposals, localTs, remoteTs, mode } = asked;
  return {
    ...{ spiIn, nonce, proposals, localTs, remoteTs, mode, method, revoked },
    drawn: keyExchange?.drawn,
    rival: rival && { spiIn: rival.child.childSa.spiIn, lowestNonce: rival.lowestNonce },
  };
}

function ikeRekeyAttemptOf(attempt: IkeRekeyAttempt): IkeRekeyAttemptSnapshot {
  const { spi, nonce, proposals, keyExchange, method, rival } = attempt;
  return {
    ...{ spi, nonce, proposals, method },
    drawn: keyExchange.drawn,
    rival: rival && { spi: rival.sa.ownSpi, lowestNonce: rival.lowestNonce },
  };
}

/** Those the IKE SA has, and those that requests under way speak of although it has them no more. */
function childrenOf(sa: IkeSa, at: Moment): readonly ChildSnapshot[] {
  const held = new Set(sa.children.values());
  const all = new Set(held);
  const wishes = [...sa.wishes, ...sa.postponed.map(({ wish }) => wish)];
  const mentioned = [
    ...wishes.map(({ replaces }) => replaces),
    ...[sa.inFlight, ...sa.queued].flatMap(mentionedBy),
  ];
  for (const child of mentioned) if (child) all.add(child);
  // A set that grows is walked to its new end: successors may have successors.
  for (const { state } of all) if (state.name === 'Replaced') all.add(state.successor);
  return [...all].map((child) => childOf(child, held.has(child), at));
}

function mentionedBy(purpose: RequestPurpose | undefined): readonly (HeldChild | undefined)[] {
  if (purpose?.kind === 'delete-child-sa') return [purpose.child];
  if (purpose?.kind !== 'create-child') return [];
  return [purpose.wish.replaces, purpose.attempt?.rival?.child];
}

function childOf(child: HeldChild, held: boolean, at: Moment): ChildSnapshot {
  const { id, reqid, connection, outbound, ...childSa } = child.childSa;
  return {
    held,
    childSa,
    installed: offset(at, child.installed),
    rekeyAt: maybeOffset(at, child.rekeyAt),
    expireAt: maybeOffset(at, child.expireAt),
    outbound: child.outbound,
    state: childStateOf(child, at),
    sequences: held ? at.sequences(id) : undefined,
  };
}

function childStateOf({ state }: HeldChild, at: Moment): ChildStateSnapshot {
  switch (state.name) {
    case 'Replaced': {
      const successor = state.successor.childSa.spiIn;
      return { name: state.name, successor, until: offset(at, state.until) };
    }
    case 'Redundant':
    case 'Draining':
      return { name: state.name, until: offset(at, state.until) };
    case 'Installed':
    case 'Rekeying':
    case 'Deleting':
      return state;
    default:
      return state satisfies never;
  }
}

function linksOf(sa: IkeSa): LinksSnapshot {
  const spiOf = (other: IkeSa | undefined): IkeSpi | undefined => other?.ownSpi;
  return {
    heir: spiOf(sa.heir),
    reauthenticates: spiOf(sa.reauthenticates),
    rivalOf: spiOf(sa.rivalOf),
    outlives: spiOf(sa.outlives),
    lineage: [...sa.lineage].filter((one) => one !== sa).map(({ ownSpi }) => ownSpi),
  };
}
