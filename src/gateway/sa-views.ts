/**
 * IKE SAs, Child SAs and policies as the listings show them.
 */
import { encryptionAlgorithm, integrityAlgorithm, keyExchangeName } from '../crypto/algorithms.ts';
import type { ChildStateName, HeldChild } from '../ike/held-child.ts';
import type { IkeSa, RequestPurpose } from '../ike/ike-sa.ts';
import type { IkeSaStateName, Secured } from '../ike/ike-sa-state.ts';
import { NO_IKE_SPI } from '../ike/message/message.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import { formatIdentity } from '../ipsec/identity.ts';
import type { Transform } from '../ipsec/proposal.ts';
import { formatSpi } from '../ipsec/spi.ts';
import { formatSelector } from '../ipsec/traffic-selector.ts';
import type { ChildSaView, IkeSaView, SadView } from '../vici/control.ts';
import { formatAddress } from '../wire/address.ts';
import type { Instant } from '../wire/instant.ts';
import type { CounterRows, Traffic } from './counter-rows.ts';

/** What a view is taken of besides the SA itself. */
export interface ViewContext {
  readonly now: Instant;
  readonly rows: CounterRows;
  /** When a Child SA was installed. */
  installedAt(childSaId: number): Instant | undefined;
  /** Largest inner packet of a Child SA, octets. */
  innerMtu(childSaId: number): number;
}

/** strongSwan's names of the states. */
const STATE_NAMES: Readonly<Record<IkeSaStateName, string>> = {
  AwaitingIkeSaInitResponse: 'CONNECTING',
  AwaitingIkeAuthRequest: 'CONNECTING',
  AwaitingIkeAuthResponse: 'CONNECTING',
  Established: 'ESTABLISHED',
  AwaitingDelete: 'REKEYED',
  AwaitingDeleteResponse: 'DELETING',
  Closed: 'DESTROYING',
};

const CHILD_STATE_NAMES: Readonly<Record<ChildStateName, string>> = {
  Installed: 'INSTALLED',
  Rekeying: 'REKEYING',
  Replaced: 'REKEYED',
  Redundant: 'REKEYED',
  Deleting: 'DELETING',
  Draining: 'DELETED',
};

/** `passive`: another node has it. */
export function ikeSaView(sa: IkeSa, context: ViewContext, passive = false): IkeSaView {
  const peer = 'peer' in sa.state ? sa.state.peer : undefined;
  const age = peer && (context.now - peer.since) / 1000;
  return {
    // As with charon: which connection it is, only the peer's identity tells.
    connection: sa.state.name === 'AwaitingIkeAuthRequest' ? '(unnamed)' : sa.connection.name,
    uniqueId: sa.id,
    state: passive ? 'PASSIVE' : STATE_NAMES[sa.state.name],
    localHost: formatAddress(sa.local.address),
    localPort: sa.local.port,
    localId: peer ? formatIdentity(peer.localId) : '%any',
    remoteHost: formatAddress(sa.remote.address),
    remotePort: sa.remote.port,
    remoteId: peer ? formatIdentity(peer.remoteId) : '%any',
    initiator: sa.initiator,
    initiatorSpi: sa.spiI,
    responderSpi: sa.spiR ?? NO_IKE_SPI,
    natLocal: sa.secured?.nat.localBehindNat ?? false,
    natRemote: sa.secured?.nat.remoteBehindNat ?? false,
    natFake: sa.connection.encap,
    ...(sa.secured && suiteView(sa.secured)),
    ...(age !== undefined && {
      establishedSeconds: Math.floor(age),
      ...timeLeft('rekeySeconds', sa.rekeyAt, context.now),
      ...timeLeft('reauthSeconds', sa.reauthenticateAt, context.now),
    }),
    localVips: sa.localVips.map(formatAddress),
    remoteVips: sa.remoteVips.map(formatAddress),
    tasksQueued: sa.queued.map(taskName),
    tasksActive: sa.inFlight ? [taskName(sa.inFlight)] : [],
    tasksPassive: [],
    children: [...sa.children.values()]
      .filter(({ isHeldByPeer }) => isHeldByPeer)
      .map((child) => childSaView(child, context)),
  };
}

/** What a request is for, as strongSwan calls it where it has the same. */
function taskName(purpose: RequestPurpose): string {
  if (purpose.kind === 'create-child')
    return purpose.wish.replaces ? 'CHILD_REKEY' : 'CHILD_CREATE';
  return TASK_NAMES.get(purpose.kind) ?? purpose.kind.toUpperCase().replaceAll('-', '_');
}

const TASK_NAMES: ReadonlyMap<string, string> = new Map([
  ['ike-sa-init', 'IKE_INIT'],
  ['liveness', 'IKE_DPD'],
  ['delete-ike-sa', 'IKE_DELETE'],
  ['delete-child-sa', 'CHILD_DELETE'],
  ['rekey-ike-sa', 'IKE_REKEY'],
  ['update-addresses', 'IKE_MOBIKE'],
  ['redirect', 'IKE_REDIRECT'],
]);

export function childSaView(child: HeldChild, context: ViewContext): ChildSaView {
  const { childSa } = child;
  const inbound = context.rows.inbound(childSa.id);
  const outbound = context.rows.outbound(childSa.id);
  const installed = (context.now - (context.installedAt(childSa.id) ?? context.now)) / 1000;
  return {
    name: childSa.name,
    uniqueId: childSa.id,
    reqid: childSa.reqid,
    state: CHILD_STATE_NAMES[child.state.name],
    mode: MODE_NAMES[childSa.mode],
    udpEncapsulation: childSa.udpEncapsulation,
    spiIn: formatSpi(childSa.spiIn),
    spiOut: formatSpi(childSa.spiOut),
    ...cipherView(childSa.encr, childSa.integ),
    ...(childSa.ke && { dhGroup: keyExchangeName(childSa.ke.id) }),
    esn: childSa.esn,
    octetsIn: inbound.octets,
    packetsIn: inbound.packets,
    ...useView('useInSeconds', inbound, context.now),
    octetsOut: outbound.octets,
    packetsOut: outbound.packets,
    ...useView('useOutSeconds', outbound, context.now),
    droppedIn: inbound.dropped,
    droppedOut: outbound.dropped,
    ...timeLeft('rekeySeconds', child.rekeyAt, context.now),
    ...timeLeft('lifeSeconds', child.expireAt, context.now),
    installedSeconds: Math.floor(installed),
    localTs: childSa.localTs.map(formatSelector),
    remoteTs: childSa.remoteTs.map(formatSelector),
  };
}

/** strongSwan's names. */
const MODE_NAMES = { tunnel: 'TUNNEL', transport: 'TRANSPORT', beet: 'BEET' } as const;

/** Both directions of a Child SA as rows of the SAD. */
export function sadViews(childSa: ChildSa, context: ViewContext): readonly SadView[] {
  const common = {
    local: formatAddress(childSa.local.address),
    remote: formatAddress(childSa.remote.address),
    child: childSa.name,
    ike: childSa.connection,
    encapsulation: childSa.udpEncapsulation ? 'udp' : 'none',
    encr: transformText(childSa.encr),
    ...(childSa.integ && { integ: integrityName(childSa.integ) }),
    esn: childSa.esn,
    mtu: context.innerMtu(childSa.id),
  } as const;
  return [
    {
      direction: 'in',
      spi: formatSpi(childSa.spiIn),
      ...common,
      replayWindow: childSa.replayWindow,
      ...trafficView(context.rows.inbound(childSa.id)),
    },
    {
      direction: 'out',
      spi: formatSpi(childSa.spiOut),
      ...common,
      replayWindow: 0,
      ...trafficView(context.rows.outbound(childSa.id)),
    },
  ];
}

function trafficView({ sequence, packets, octets, drops, replays, badIcvs }: Traffic) {
  return { sequence, packets, octets, drops, replays, badIcvs };
}

function suiteView({ suite }: Secured) {
  return {
    ...cipherView(suite.encr, suite.integ),
    prfAlg: suite.prf.name,
    dhGroup: keyExchangeName(suite.ke.id),
  };
}

function cipherView(encr: Transform, integ: Transform | undefined) {
  return {
    encrAlg: encryptionAlgorithm(encr.id)?.name ?? String(encr.id),
    ...(encr.keyLength !== undefined && { encrKeySize: encr.keyLength }),
    ...(integ && { integAlg: integrityName(integ) }),
  };
}

/** Seconds until then; nothing where there is no end. */
function timeLeft<Key extends string>(key: Key, at: Instant | undefined, now: Instant) {
  return at === undefined ? {} : { [key]: Math.max(0, Math.floor((at - now) / 1000)) };
}

function useView<Key extends string>(key: Key, { lastUse }: Traffic, now: Instant) {
  if (lastUse === undefined) return {};
  return { [key]: Math.max(0, Math.floor((now - lastUse) / 1000)) };
}

function integrityName(integ: Transform): string {
  return integrityAlgorithm(integ.id)?.name ?? String(integ.id);
}

function transformText(encr: Transform): string {
  const name = encryptionAlgorithm(encr.id)?.name ?? String(encr.id);
  return encr.keyLength === undefined ? name : `${name}_${encr.keyLength}`;
}
