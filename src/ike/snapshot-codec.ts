/**
 * Snapshots to octets and back. A version in front, then fields (`snapshot-fields.ts`): a node of the
 * version before reads what this one writes, but for what is new in it.
 *
 * The octets hold keys in the clear. Whoever carries them seals them.
 */
import { OctetReader, OctetWriter } from '../wire/octets.ts';
import type { ConfigurationAttribute } from './message/message.ts';
import type {
  GoneIkeSa,
  HandshakeSnapshot,
  IkeSaSnapshot,
  LinksSnapshot,
  PeerSnapshot,
  SecuredSnapshot,
  SnapshotBundle,
  StateSnapshot,
  VirtualSnapshot,
} from './snapshot.ts';
import { childCoding } from './snapshot-codec-children.ts';
import { POSTPONED, WINDOW, WISH } from './snapshot-codec-requests.ts';
import {
  bits,
  type Coding,
  type FieldReader,
  type FieldWriter,
  fields,
  NUMBER,
  OCTETS,
  SIGNED,
  TEXT,
  word,
} from './snapshot-fields.ts';
import {
  ADDRESS,
  CHOSEN_PROPOSAL,
  ESP_SPI,
  IDENTITY,
  IKE_SPI,
  PATH,
  SECRET,
  SECRETS,
} from './snapshot-values.ts';

/** Changes where a node of the version before could not go on with what it reads. */
export const SNAPSHOT_VERSION = 1;

/** Numbers stay as they are for ever; one that falls away is not used again. */
const Field = {
  EPOCH: 1,
  ORDER: 2,
  INITIATOR: 3,
  ORIGINAL_INITIATOR: 4,
  SPI_I: 5,
  SPI_R: 6,
  CONNECTION: 7,
  PATH: 8,
  INITIATION: 9,
  TRIES: 10,
  CREATED: 11,
  LAST_HEARD: 12,
  LAST_KEEPALIVE: 13,
  STATE: 14,
  WINDOW: 15,
  CHILD: 16,
  WISH: 17,
  POSTPONED: 18,
  LINKS: 19,
  AUTH_MESSAGE_ID: 20,
  REQUEST_DIGEST: 21,
  MOBIKE: 22,
  PEER_ADDRESS: 23,
  ADDRESSES_TOLD: 24,
  MAPPING_SEEN: 25,
  PROBED: 26,
  REDIRECTED_FROM: 27,
  ANNOUNCED: 28,
  PACKET_OCTETS: 29,
  RETIRE_AT: 30,
  REKEY_AT: 31,
  REAUTHENTICATE_AT: 32,
  EXPIRE_AT: 33,
  AUTHENTICATION_EXPIRES_AT: 34,
  VIRTUAL: 35,
  REMOTE_VIP: 36,
  REPLACED: 37,
  HIGHEST_SYNC: 38,
  DOUBTED: 39,
  HIGHEST_ASKED: 40,
} as const;

const HALF = bits(16);
const LONG = bits(32);

export function encodeBundle(bundle: SnapshotBundle): Uint8Array {
  const writer = new OctetWriter().u8(SNAPSHOT_VERSION);
  BUNDLE.encode(writer, bundle);
  return writer.finish();
}

/** Throws `MalformedError` and nothing else. */
export function decodeBundle(octets: Uint8Array): SnapshotBundle {
  const reader = new OctetReader(octets);
  const version = reader.u8('version');
  if (version !== SNAPSHOT_VERSION) reader.fail(`snapshots of version ${version}`);
  return BUNDLE.decode(reader);
}

function encodeSnapshot(writer: FieldWriter, sa: IkeSaSnapshot): void {
  writer
    .put(Field.EPOCH, NUMBER, sa.epoch)
    .put(Field.ORDER, NUMBER, sa.order)
    .flag(Field.INITIATOR, sa.initiator)
    .flag(Field.ORIGINAL_INITIATOR, sa.originalInitiator)
    .put(Field.SPI_I, IKE_SPI, sa.spiI)
    .put(Field.SPI_R, IKE_SPI, sa.spiR)
    .put(Field.CONNECTION, TEXT, sa.connection)
    .put(Field.PATH, PATH, sa.path)
    .put(Field.INITIATION, PATH, sa.initiation)
    .put(Field.TRIES, LONG, sa.tries)
    .put(Field.CREATED, SIGNED, sa.created)
    .put(Field.LAST_HEARD, SIGNED, sa.lastHeard)
    .put(Field.LAST_KEEPALIVE, SIGNED, sa.lastKeepalive)
    .put(Field.STATE, STATE, sa.state)
    .put(Field.WINDOW, WINDOW, sa.window)
    .each(Field.CHILD, childCoding(sa.path), sa.children)
    .each(Field.WISH, WISH, sa.wishes)
    .each(Field.POSTPONED, POSTPONED, sa.postponed)
    .put(Field.LINKS, LINKS, sa.links)
    .put(Field.AUTH_MESSAGE_ID, LONG, sa.authMessageId)
    .put(Field.REQUEST_DIGEST, TEXT, sa.requestDigest)
    .flag(Field.MOBIKE, sa.mobike)
    .each(Field.PEER_ADDRESS, ADDRESS, sa.peerAddresses)
    .put(Field.ADDRESSES_TOLD, TEXT, sa.addressesTold)
    .put(Field.MAPPING_SEEN, OCTETS, sa.mappingSeen)
    .put(Field.PROBED, NUMBER, sa.probed)
    .put(Field.REDIRECTED_FROM, TEXT, sa.redirectedFrom)
    .each(Field.ANNOUNCED, HALF, sa.announced)
    .put(Field.PACKET_OCTETS, LONG, sa.packetOctets)
    .put(Field.RETIRE_AT, SIGNED, sa.retireAt)
    .put(Field.REKEY_AT, SIGNED, sa.rekeyAt)
    .put(Field.REAUTHENTICATE_AT, SIGNED, sa.reauthenticateAt)
    .put(Field.EXPIRE_AT, SIGNED, sa.expireAt)
    .put(Field.AUTHENTICATION_EXPIRES_AT, SIGNED, sa.authenticationExpiresAt)
    .put(Field.VIRTUAL, VIRTUAL, sa.virtual)
    .each(Field.REMOTE_VIP, ADDRESS, sa.remoteVips)
    .flag(Field.REPLACED, sa.replaced)
    .put(Field.HIGHEST_SYNC, LONG, sa.highestSync)
    .flag(Field.DOUBTED, sa.doubted)
    .put(Field.HIGHEST_ASKED, LONG, sa.highestAsked);
}

function decodeSnapshot(reader: FieldReader): IkeSaSnapshot {
  const path = reader.need(Field.PATH, PATH, 'path');
  return {
    epoch: reader.need(Field.EPOCH, NUMBER, 'epoch'),
    order: reader.need(Field.ORDER, NUMBER, 'order'),
    initiator: reader.flag(Field.INITIATOR),
    originalInitiator: reader.flag(Field.ORIGINAL_INITIATOR),
    spiI: reader.need(Field.SPI_I, IKE_SPI, 'SPIi'),
    spiR: reader.need(Field.SPI_R, IKE_SPI, 'SPIr'),
    connection: reader.need(Field.CONNECTION, TEXT, 'connection'),
    path,
    initiation: reader.need(Field.INITIATION, PATH, 'initiation'),
    tries: reader.need(Field.TRIES, LONG, 'tries'),
    created: reader.need(Field.CREATED, SIGNED, 'created'),
    lastHeard: reader.need(Field.LAST_HEARD, SIGNED, 'last heard'),
    lastKeepalive: reader.need(Field.LAST_KEEPALIVE, SIGNED, 'last keepalive'),
    state: reader.need(Field.STATE, STATE, 'state'),
    window: reader.need(Field.WINDOW, WINDOW, 'window'),
    children: reader.all(Field.CHILD, childCoding(path)),
    wishes: reader.all(Field.WISH, WISH),
    postponed: reader.all(Field.POSTPONED, POSTPONED),
    links: reader.need(Field.LINKS, LINKS, 'links'),
    authMessageId: reader.maybe(Field.AUTH_MESSAGE_ID, LONG),
    requestDigest: reader.maybe(Field.REQUEST_DIGEST, TEXT),
    mobike: reader.flag(Field.MOBIKE),
    peerAddresses: reader.all(Field.PEER_ADDRESS, ADDRESS),
    addressesTold: reader.need(Field.ADDRESSES_TOLD, TEXT, 'addresses told'),
    mappingSeen: reader.maybe(Field.MAPPING_SEEN, OCTETS),
    probed: reader.need(Field.PROBED, NUMBER, 'probed'),
    redirectedFrom: reader.maybe(Field.REDIRECTED_FROM, TEXT),
    announced: reader.all(Field.ANNOUNCED, HALF),
    packetOctets: reader.maybe(Field.PACKET_OCTETS, LONG),
    retireAt: reader.maybe(Field.RETIRE_AT, SIGNED),
    rekeyAt: reader.maybe(Field.REKEY_AT, SIGNED),
    reauthenticateAt: reader.maybe(Field.REAUTHENTICATE_AT, SIGNED),
    expireAt: reader.maybe(Field.EXPIRE_AT, SIGNED),
    authenticationExpiresAt: reader.maybe(Field.AUTHENTICATION_EXPIRES_AT, SIGNED),
    virtual: reader.maybe(Field.VIRTUAL, VIRTUAL),
    remoteVips: reader.all(Field.REMOTE_VIP, ADDRESS),
    replaced: reader.flag(Field.REPLACED),
    highestSync: reader.maybe(Field.HIGHEST_SYNC, LONG),
    doubted: reader.flag(Field.DOUBTED),
    highestAsked: reader.maybe(Field.HIGHEST_ASKED, LONG),
  };
}

const SNAPSHOT: Coding<IkeSaSnapshot> = fields(encodeSnapshot, decodeSnapshot);

const GONE: Coding<GoneIkeSa> = fields(
  (writer, { spi, epoch, order }) =>
    writer.put(1, IKE_SPI, spi).put(2, NUMBER, epoch).put(3, NUMBER, order),
  (reader) => ({
    spi: reader.need(1, IKE_SPI, 'SPI'),
    epoch: reader.need(2, NUMBER, 'epoch'),
    order: reader.need(3, NUMBER, 'order'),
  }),
);

const BUNDLE: Coding<SnapshotBundle> = fields(
  (writer, { snapshots, gone }) => writer.each(1, SNAPSHOT, snapshots).each(2, GONE, gone),
  (reader) => ({ snapshots: reader.all(1, SNAPSHOT), gone: reader.all(2, GONE) }),
);

const LINKS: Coding<LinksSnapshot> = fields(
  (writer, links) =>
    writer
      .put(1, IKE_SPI, links.heir)
      .put(2, IKE_SPI, links.reauthenticates)
      .put(3, IKE_SPI, links.rivalOf)
      .put(4, IKE_SPI, links.outlives)
      .each(5, IKE_SPI, links.lineage),
  (reader) => ({
    heir: reader.maybe(1, IKE_SPI),
    reauthenticates: reader.maybe(2, IKE_SPI),
    rivalOf: reader.maybe(3, IKE_SPI),
    outlives: reader.maybe(4, IKE_SPI),
    lineage: reader.all(5, IKE_SPI),
  }),
);

const ATTRIBUTE: Coding<ConfigurationAttribute> = {
  encode: (writer, { type, value }) => writer.u16(type).octets(value),
  decode: (reader) => ({ type: reader.u16('attribute'), value: reader.rest() }),
};

const VIRTUAL: Coding<VirtualSnapshot> = fields(
  (writer, virtual) =>
    writer
      .each(1, ADDRESS, virtual.addresses)
      .each(2, ADDRESS, virtual.nameServers)
      .each(3, ATTRIBUTE, virtual.attributes),
  (reader) => ({
    addresses: reader.all(1, ADDRESS),
    nameServers: reader.all(2, ADDRESS),
    attributes: reader.all(3, ATTRIBUTE),
  }),
);

const SECURED: Coding<SecuredSnapshot> = fields(
  (writer, secured) => {
    const { skD, skAi, skAr, skEi, skEr, skPi, skPr, nat } = secured;
    writer
      .put(1, CHOSEN_PROPOSAL, secured.proposal)
      .put(2, SECRETS, [skD, skAi, skAr, skEi, skEr])
      .put(3, SECRETS, skPi && skPr && [skPi, skPr])
      .put(4, NUMBER, secured.sealed)
      .flag(5, nat.supported)
      .flag(6, nat.localBehindNat)
      .flag(7, nat.remoteBehindNat)
      .flag(8, secured.udpEncapsulation);
  },
  (reader) => {
    const [skD, skAi, skAr, skEi, skEr, ...more] = reader.need(2, SECRETS, 'keys');
    if (!skD || !skAi || !skAr || !skEi || !skEr || more.length > 0) {
      return reader.fail('an IKE SA has five keys');
    }
    const [skPi, skPr] = reader.maybe(3, SECRETS) ?? [];
    return {
      proposal: reader.need(1, CHOSEN_PROPOSAL, 'proposal'),
      ...{ skD, skAi, skAr, skEi, skEr, skPi, skPr },
      sealed: reader.need(4, NUMBER, 'messages sealed'),
      nat: {
        supported: reader.flag(5),
        localBehindNat: reader.flag(6),
        remoteBehindNat: reader.flag(7),
      },
      udpEncapsulation: reader.flag(8),
    };
  },
);

const HANDSHAKE: Coding<HandshakeSnapshot> = fields(
  (writer, handshake) =>
    writer
      .put(1, OCTETS, handshake.nonceI)
      .put(2, OCTETS, handshake.nonceR)
      .put(3, OCTETS, handshake.requestOctets)
      .put(4, OCTETS, handshake.responseOctets),
  (reader) => ({
    nonceI: reader.need(1, OCTETS, 'Ni'),
    nonceR: reader.need(2, OCTETS, 'Nr'),
    requestOctets: reader.need(3, OCTETS, 'first request'),
    responseOctets: reader.need(4, OCTETS, 'first response'),
  }),
);

const PEER: Coding<PeerSnapshot> = fields(
  (writer, { localId, remoteId, since }) =>
    writer.put(1, IDENTITY, localId).put(2, IDENTITY, remoteId).put(3, SIGNED, since),
  (reader) => ({
    localId: reader.need(1, IDENTITY, 'local identity'),
    remoteId: reader.need(2, IDENTITY, 'remote identity'),
    since: reader.need(3, SIGNED, 'since'),
  }),
);

const STATES = word([
  'AwaitingIkeSaInitResponse',
  'AwaitingIkeAuthRequest',
  'AwaitingIkeAuthResponse',
  'Established',
  'AwaitingDelete',
  'AwaitingDeleteResponse',
  'Closed',
]);

const STATE: Coding<StateSnapshot> = fields(
  (writer, state) => {
    writer
      .put(1, STATES, state.name)
      .put(2, SECURED, 'secured' in state ? state.secured : undefined)
      .put(3, HANDSHAKE, 'handshake' in state ? state.handshake : undefined)
      .put(4, PEER, 'peer' in state ? state.peer : undefined)
      .put(5, SIGNED, 'until' in state ? state.until : undefined)
      .put(6, TEXT, 'reason' in state ? state.reason : undefined)
      .put(7, IDENTITY, 'localId' in state ? state.localId : undefined)
      .put(8, ESP_SPI, 'spiIn' in state ? state.spiIn : undefined);
    if (state.name !== 'AwaitingIkeSaInitResponse') return;
    writer
      .put(9, OCTETS, state.nonce)
      .put(10, HALF, state.method)
      .put(11, SECRET, state.drawn)
      .put(12, OCTETS, state.cookie)
      .put(13, HALF, state.restarts);
  },
  (reader) => {
    const name = reader.need(1, STATES, 'state');
    if (name === 'AwaitingIkeSaInitResponse') return decodeAttempt(reader);
    if (name === 'Closed') {
      return { name, secured: reader.maybe(2, SECURED), until: reader.need(5, SIGNED, 'until') };
    }
    const secured = reader.need(2, SECURED, 'keys');
    switch (name) {
      case 'AwaitingIkeAuthRequest': {
        const handshake = reader.need(3, HANDSHAKE, 'handshake');
        return { name, secured, handshake, until: reader.need(5, SIGNED, 'until') };
      }
      case 'AwaitingIkeAuthResponse': {
        const handshake = reader.need(3, HANDSHAKE, 'handshake');
        const localId = reader.need(7, IDENTITY, 'identity');
        return { name, secured, handshake, localId, spiIn: reader.maybe(8, ESP_SPI) };
      }
      case 'Established':
        return { name, secured, peer: reader.need(4, PEER, 'peer') };
      case 'AwaitingDelete': {
        const peer = reader.need(4, PEER, 'peer');
        return { name, secured, peer, until: reader.need(5, SIGNED, 'until') };
      }
      case 'AwaitingDeleteResponse': {
        const peer = reader.need(4, PEER, 'peer');
        return { name, secured, peer, reason: reader.need(6, TEXT, 'reason') };
      }
      default:
        return name satisfies never;
    }
  },
);

function decodeAttempt(reader: FieldReader): StateSnapshot {
  return {
    name: 'AwaitingIkeSaInitResponse',
    nonce: reader.need(9, OCTETS, 'nonce'),
    method: reader.need(10, HALF, 'method'),
    drawn: reader.need(11, SECRET, 'key exchange'),
    cookie: reader.maybe(12, OCTETS),
    restarts: reader.need(13, HALF, 'restarts'),
  };
}
