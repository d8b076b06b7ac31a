/**
 * An IKE SA that a charon told us of, as a snapshot our IKE engine can go on with.
 *
 * What charon's protocol does not carry is taken so that nothing is said twice, and lifetimes run from
 * when we heard of the SA. How far charon counted is not known, and its IVs are a count under a random
 * mask, which nobody tells: no IV of ours can be shown to be another. So where IVs make nonces nothing is
 * sent under charon's keys, and the Child SA is replaced first; where they are random, numbers go on where
 * no sender can have come to, and the Child SA is replaced soon after.
 */
import { HaCondition, HaExtension } from '../../cluster/charon-ha/attribute.ts';
import {
  haOutboundFloor,
  type MirroredChildSa,
  type MirroredIkeSa,
} from '../../cluster/charon-ha/mirrored-ike-sa.ts';
import { encryptionAlgorithm } from '../../crypto/algorithms.ts';
import { EsnId, IntegrityId } from '../../crypto/transform.ts';
import { ikeSpi } from '../../ike/message/message.ts';
import { NotifyType } from '../../ike/message/notify-types.ts';
import { standInPolicy } from '../../ike/restored-children.ts';
import type {
  ChildSnapshot,
  IkeSaSnapshot,
  SecuredSnapshot,
  SnapshotOrder,
} from '../../ike/snapshot.ts';
import type { ChildPolicy, Connection } from '../../ipsec/connection.ts';
import type { Endpoint } from '../../wire/address.ts';
import type { Instant } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';

/** Undefined as long as not all is known of it. */
export function snapshotOfMirrored(
  ikeSa: MirroredIkeSa,
  connection: Connection,
  order: SnapshotOrder,
  now: Instant,
): IkeSaSnapshot | undefined {
  const { id, state, local, remote, localId, remoteId, extensions } = ikeSa;
  if (state === 'connecting' || !local || !localId || !remoteId) return undefined;
  const path = { local, remote };
  const { rekey, over } = connection.lifetime;
  const since = offset(ikeSa.since, now);
  const secured = securedOf(ikeSa);
  return {
    ...order,
    initiator: id.initiator,
    originalInitiator: (ikeSa.conditions & HaCondition.ORIGINAL_INITIATOR) !== 0,
    spiI: ikeSpi(fromHex(id.initiatorSpi)),
    spiR: ikeSpi(fromHex(id.responderSpi)),
    connection: connection.name,
    path,
    initiation: path,
    tries: 1,
    created: since,
    lastHeard: 0,
    lastKeepalive: 0,
    state: { name: 'Established', secured, peer: { localId, remoteId, since } },
    window: {
      nextId: ikeSa.nextRequest,
      expectedId: ikeSa.expectedRequest,
      inFlight: undefined,
      answered: undefined,
      waiting: [],
    },
    children: ikeSa.children.flatMap((child) =>
      childSnapshot(child, { path, connection, secured, now }),
    ),
    wishes: [],
    postponed: [],
    links: {
      ...{ heir: undefined, reauthenticates: undefined, rivalOf: undefined, outlives: undefined },
      lineage: [],
    },
    authMessageId: undefined,
    requestDigest: undefined,
    mobike: (extensions & HaExtension.MOBIKE) !== 0,
    peerAddresses: ikeSa.peerAddresses.map(({ address }) => address),
    addressesTold: '',
    mappingSeen: undefined,
    probed: 0,
    redirectedFrom: undefined,
    announced: ANNOUNCED.filter(([bit]) => (extensions & bit) !== 0).map(([, notify]) => notify),
    packetOctets: undefined,
    retireAt: undefined,
    rekeyAt: rekey === 0 ? undefined : since + rekey * 1000,
    reauthenticateAt: undefined,
    expireAt: rekey === 0 ? undefined : since + (rekey + over) * 1000,
    authenticationExpiresAt: undefined,
    virtual: undefined,
    remoteVips: ikeSa.remoteVips,
    replaced: false,
    highestSync: undefined,
    highestAsked: undefined,
    doubted: false,
  };
}

/** What the peer said it can, of what we make use of. */
const ANNOUNCED = [
  [HaExtension.IKE_FRAGMENTATION, NotifyType.IKEV2_FRAGMENTATION_SUPPORTED],
  [HaExtension.REDIRECTION, NotifyType.REDIRECT_SUPPORTED],
  [HaExtension.MESSAGE_ID_SYNC, NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED],
] as const;

function securedOf({
  proposal,
  keys,
  conditions,
  extensions,
  ...counts
}: MirroredIkeSa): SecuredSnapshot {
  const has = (bit: number) => (conditions & bit) !== 0;
  return {
    proposal,
    ...keys,
    // Both peers have proved who they are.
    skPi: undefined,
    skPr: undefined,
    sealed: counts.nextRequest + counts.expectedRequest,
    nat: {
      supported: (extensions & HaExtension.NATT) !== 0,
      localBehindNat: has(HaCondition.NAT_HERE),
      remoteBehindNat: has(HaCondition.NAT_THERE),
    },
    udpEncapsulation: has(HaCondition.NAT_ANY),
  };
}

interface Parent {
  readonly path: { readonly local: Endpoint; readonly remote: Endpoint };
  readonly connection: Connection;
  readonly secured: SecuredSnapshot;
  readonly now: Instant;
}

function childSnapshot(child: MirroredChildSa, parent: Parent): readonly ChildSnapshot[] {
  const { proposal, keysIn, keysOut, ...same } = child;
  const { encr, integ, ke, esn } = proposal;
  if (encr === undefined) return [];
  const { connection, secured, path, now } = parent;
  const policy = connection.children.find(({ name }) => name === child.name) ?? fallback(child);
  const since = offset(child.since, now);
  const { rekey, life } = policy.lifetime.seconds;
  const none = { high: 0, low: 0 };
  return [
    {
      held: true,
      childSa: {
        ...{ name: same.name, mode: same.mode, spiIn: same.spiIn, spiOut: same.spiOut },
        encr,
        ...(integ && integ.id !== IntegrityId.NONE && { integ }),
        ...(ke && { ke }),
        esn: esn?.id === EsnId.ESN,
        ...{ keysIn, keysOut, ...path, udpEncapsulation: secured.udpEncapsulation },
        ...{ localTs: same.localTs, remoteTs: same.remoteTs },
        ...{ replayWindow: policy.replayWindow, copyDf: policy.copyDf, copyEcn: policy.copyEcn },
        ...{ copyDscp: policy.copyDscp, icmpErrors: policy.icmpErrors, priority: policy.priority },
        // charon agrees on none of these, or does not say.
        ...{ nonFirstFragments: false, tfcPadding: 0, dummyPackets: 0 },
        limits: { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
      },
      installed: since,
      rekeyAt: rekey === 0 ? undefined : since + rekey * 1000,
      expireAt: life === 0 ? undefined : since + life * 1000,
      outbound: 'now',
      state: { name: 'Installed' },
      sequences: hasRandomIvs(encr.id)
        ? {
            outboundReserved: { high: 0, low: haOutboundFloor(child, now) },
            inboundEdge: none,
            ...{ octetsIn: 0, packetsIn: 0, octetsOut: 0, packetsOut: 0 },
          }
        : undefined,
    },
  ];
}

/** RFC 4106 §3.1 and its like: with one key no nonce may be used twice, whoever seals. */
function hasRandomIvs(id: number): boolean {
  const mode = encryptionAlgorithm(id)?.mode;
  return mode === 'cbc' || mode === 'null';
}

function fallback({ name, mode, proposal, localTs, remoteTs }: MirroredChildSa): ChildPolicy {
  const { number, protocol, spi, encr, integ, ke } = proposal;
  const transforms = [encr, integ, ke].filter((transform) => transform !== undefined);
  const proposals = [{ number, protocol, spi, transforms }];
  return standInPolicy({ name, mode, proposals, localTs, remoteTs });
}

function offset(at: Instant, now: Instant): number {
  return Math.round(at - now);
}
