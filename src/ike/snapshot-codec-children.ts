/**
 * Child SAs of a snapshot as octets.
 */
import type { ChildSa, EspKeys, TrafficLimits } from '../ipsec/child-sa.ts';
import type { OctetReader } from '../wire/octets.ts';
import type {
  ChildSequences,
  ChildSnapshot,
  ChildStateSnapshot,
  PathSnapshot,
} from './snapshot.ts';
import {
  bits,
  type Coding,
  type FieldReader,
  type FieldWriter,
  fields,
  NUMBER,
  SIGNED,
  TEXT,
  word,
} from './snapshot-fields.ts';
import { ADDRESS, ESP_SPI, PATH, SECRETS, SELECTORS, TRANSFORM } from './snapshot-values.ts';

/** Numbers stay as they are for ever; one that falls away is not used again. */
const Field = {
  HELD: 1,
  NAME: 2,
  MODE: 3,
  SPI_IN: 4,
  SPI_OUT: 5,
  ENCR: 6,
  INTEG: 7,
  KE: 8,
  ESN: 9,
  KEYS: 10,
  PATH: 11,
  UDP_ENCAPSULATION: 12,
  LOCAL_TS: 13,
  REMOTE_TS: 14,
  PEER_LOCAL_ADDRESS: 15,
  PEER_REMOTE_ADDRESS: 16,
  REPLAY_WINDOW: 17,
  COPY_DF: 18,
  COPY_ECN: 19,
  COPY_DSCP: 20,
  ICMP_ERRORS: 21,
  PRIORITY: 22,
  NON_FIRST_FRAGMENTS: 23,
  TFC_PADDING: 24,
  DUMMY_PACKETS: 25,
  LIMITS: 26,
  OUTBOUND: 27,
  INSTALLED: 28,
  REKEY_AT: 29,
  EXPIRE_AT: 30,
  STATE: 31,
  STATE_SUCCESSOR: 32,
  STATE_UNTIL: 33,
  STATE_REASON: 34,
  STATE_REPLACED: 35,
  SEQUENCES: 36,
} as const;

const MODES = word(['tunnel', 'transport', 'beet']);
const DSCP = word(['no', 'in', 'out', 'yes']);
const OUTBOUND = word(['now', 'after-inbound', 'never']);
const STATES = word(['Installed', 'Rekeying', 'Replaced', 'Redundant', 'Deleting', 'Draining']);
/** Octets of SPIs, of ports, of processing: what a field of 16 or 32 bits holds. */
const SHORT = bits(16);
const LONG = bits(32);

/** `path`: that of the IKE SA, which most Child SAs have. */
export function childCoding(path: PathSnapshot): Coding<ChildSnapshot> {
  return fields(
    (writer, child) => {
      encodeChildSa(writer, child.childSa, path);
      writer
        .flag(Field.HELD, child.held)
        .put(Field.OUTBOUND, OUTBOUND, child.outbound)
        .put(Field.INSTALLED, SIGNED, child.installed)
        .put(Field.REKEY_AT, SIGNED, child.rekeyAt)
        .put(Field.EXPIRE_AT, SIGNED, child.expireAt)
        .put(Field.SEQUENCES, SEQUENCES, child.sequences);
      encodeState(writer, child.state);
    },
    (reader) => ({
      held: reader.flag(Field.HELD),
      childSa: decodeChildSa(reader, path),
      installed: reader.need(Field.INSTALLED, SIGNED, 'installed'),
      rekeyAt: reader.maybe(Field.REKEY_AT, SIGNED),
      expireAt: reader.maybe(Field.EXPIRE_AT, SIGNED),
      outbound: reader.need(Field.OUTBOUND, OUTBOUND, 'outbound'),
      state: decodeState(reader),
      sequences: reader.maybe(Field.SEQUENCES, SEQUENCES),
    }),
  );
}

function encodeChildSa(
  writer: FieldWriter,
  sa: ChildSnapshot['childSa'],
  path: PathSnapshot,
): void {
  const { keysIn, keysOut, local, remote, peerAddresses, limits } = sa;
  const elsewhere = local !== path.local || remote !== path.remote;
  writer
    .put(Field.NAME, TEXT, sa.name)
    .put(Field.MODE, MODES, sa.mode)
    .put(Field.SPI_IN, ESP_SPI, sa.spiIn)
    .put(Field.SPI_OUT, ESP_SPI, sa.spiOut)
    .put(Field.ENCR, TRANSFORM, sa.encr)
    .put(Field.INTEG, TRANSFORM, sa.integ)
    .put(Field.KE, TRANSFORM, sa.ke)
    .flag(Field.ESN, sa.esn)
    .put(
      Field.KEYS,
      SECRETS,
      [keysIn, keysOut].flatMap((keys) => [keys.encryption, keys.integrity]),
    )
    .put(Field.PATH, PATH, elsewhere ? { local, remote } : undefined)
    .flag(Field.UDP_ENCAPSULATION, sa.udpEncapsulation)
    .put(Field.LOCAL_TS, SELECTORS, sa.localTs)
    .put(Field.REMOTE_TS, SELECTORS, sa.remoteTs)
    .put(Field.PEER_LOCAL_ADDRESS, ADDRESS, peerAddresses?.local)
    .put(Field.PEER_REMOTE_ADDRESS, ADDRESS, peerAddresses?.remote)
    .put(Field.REPLAY_WINDOW, LONG, sa.replayWindow)
    .flag(Field.COPY_DF, sa.copyDf)
    .flag(Field.COPY_ECN, sa.copyEcn)
    .put(Field.COPY_DSCP, DSCP, sa.copyDscp)
    .flag(Field.ICMP_ERRORS, sa.icmpErrors)
    .put(Field.PRIORITY, SIGNED, sa.priority)
    .flag(Field.NON_FIRST_FRAGMENTS, sa.nonFirstFragments)
    .put(Field.TFC_PADDING, SHORT, sa.tfcPadding)
    .put(Field.DUMMY_PACKETS, LONG, sa.dummyPackets)
    .put(Field.LIMITS, LIMITS, isLimited(limits) ? limits : undefined);
}

function decodeChildSa(reader: FieldReader, path: PathSnapshot): ChildSnapshot['childSa'] {
  const [inbound, outbound] = reader.need(Field.KEYS, KEYS, 'keys');
  const { local, remote } = reader.maybe(Field.PATH, PATH) ?? path;
  const integ = reader.maybe(Field.INTEG, TRANSFORM);
  const ke = reader.maybe(Field.KE, TRANSFORM);
  const peerAddresses = decodePeerAddresses(reader);
  return {
    name: reader.need(Field.NAME, TEXT, 'name'),
    mode: reader.need(Field.MODE, MODES, 'mode'),
    spiIn: reader.need(Field.SPI_IN, ESP_SPI, 'inbound SPI'),
    spiOut: reader.need(Field.SPI_OUT, ESP_SPI, 'outbound SPI'),
    encr: reader.need(Field.ENCR, TRANSFORM, 'encryption'),
    ...(integ && { integ }),
    ...(ke && { ke }),
    esn: reader.flag(Field.ESN),
    keysIn: inbound,
    keysOut: outbound,
    local,
    remote,
    udpEncapsulation: reader.flag(Field.UDP_ENCAPSULATION),
    localTs: reader.need(Field.LOCAL_TS, SELECTORS, 'local selectors'),
    remoteTs: reader.need(Field.REMOTE_TS, SELECTORS, 'remote selectors'),
    ...(peerAddresses && { peerAddresses }),
    replayWindow: reader.need(Field.REPLAY_WINDOW, LONG, 'replay window'),
    copyDf: reader.flag(Field.COPY_DF),
    copyEcn: reader.flag(Field.COPY_ECN),
    copyDscp: reader.need(Field.COPY_DSCP, DSCP, 'DSCP'),
    icmpErrors: reader.flag(Field.ICMP_ERRORS),
    priority: reader.need(Field.PRIORITY, SIGNED, 'priority'),
    nonFirstFragments: reader.flag(Field.NON_FIRST_FRAGMENTS),
    tfcPadding: reader.need(Field.TFC_PADDING, SHORT, 'TFC padding'),
    dummyPackets: reader.need(Field.DUMMY_PACKETS, LONG, 'dummy packets'),
    limits: reader.maybe(Field.LIMITS, LIMITS) ?? NO_LIMITS,
  };
}

function decodePeerAddresses(reader: FieldReader): ChildSa['peerAddresses'] {
  const local = reader.maybe(Field.PEER_LOCAL_ADDRESS, ADDRESS);
  const remote = reader.maybe(Field.PEER_REMOTE_ADDRESS, ADDRESS);
  return local && remote && { local, remote };
}

function keyPairs(reader: OctetReader): readonly [EspKeys, EspKeys] {
  const [encryptionIn, integrityIn, encryptionOut, integrityOut, ...more] = SECRETS.decode(reader);
  if (!encryptionIn || !integrityIn || !encryptionOut || !integrityOut || more.length > 0) {
    return reader.fail('not the keys of two directions');
  }
  return [
    { encryption: encryptionIn, integrity: integrityIn },
    { encryption: encryptionOut, integrity: integrityOut },
  ];
}

const KEYS: Coding<readonly [EspKeys, EspKeys]> = {
  encode(writer, pairs) {
    SECRETS.encode(
      writer,
      pairs.flatMap(({ encryption, integrity }) => [encryption, integrity]),
    );
  },
  decode: keyPairs,
};

function encodeState(writer: FieldWriter, state: ChildStateSnapshot): void {
  writer
    .put(Field.STATE, STATES, state.name)
    .put(Field.STATE_SUCCESSOR, ESP_SPI, 'successor' in state ? state.successor : undefined)
    .put(Field.STATE_UNTIL, SIGNED, 'until' in state ? state.until : undefined)
    .put(Field.STATE_REASON, TEXT, 'reason' in state ? state.reason : undefined)
    .flag(Field.STATE_REPLACED, 'replaced' in state && state.replaced);
}

function decodeState(reader: FieldReader): ChildStateSnapshot {
  const name = reader.need(Field.STATE, STATES, 'state');
  const until = () => reader.need(Field.STATE_UNTIL, SIGNED, 'until');
  switch (name) {
    case 'Installed':
    case 'Rekeying':
      return { name };
    case 'Replaced': {
      const successor = reader.need(Field.STATE_SUCCESSOR, ESP_SPI, 'successor');
      return { name, successor, until: until() };
    }
    case 'Redundant':
    case 'Draining':
      return { name, until: until() };
    case 'Deleting': {
      const reason = reader.need(Field.STATE_REASON, TEXT, 'reason');
      return { name, reason, replaced: reader.flag(Field.STATE_REPLACED) };
    }
    default:
      return name satisfies never;
  }
}

const NO_LIMITS: TrafficLimits = Object.freeze({
  ...{ softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
});

function isLimited(limits: TrafficLimits): boolean {
  const { softOctets, hardOctets, softPackets, hardPackets } = limits;
  return softOctets + hardOctets + softPackets + hardPackets > 0;
}

const LIMITS: Coding<TrafficLimits> = fields(
  (writer, limits) =>
    writer
      .put(1, NUMBER, limits.softOctets)
      .put(2, NUMBER, limits.hardOctets)
      .put(3, NUMBER, limits.softPackets)
      .put(4, NUMBER, limits.hardPackets),
  (reader) => ({
    softOctets: reader.need(1, NUMBER, 'soft octets'),
    hardOctets: reader.need(2, NUMBER, 'hard octets'),
    softPackets: reader.need(3, NUMBER, 'soft packets'),
    hardPackets: reader.need(4, NUMBER, 'hard packets'),
  }),
);

const SEQUENCES: Coding<ChildSequences> = {
  encode(writer, sequences) {
    const { outboundReserved, inboundEdge, octetsIn, packetsIn, octetsOut, packetsOut } = sequences;
    for (const { high, low } of [outboundReserved, inboundEdge]) writer.u32(high).u32(low);
    for (const count of [octetsIn, packetsIn, octetsOut, packetsOut]) {
      writer.u32(Math.floor(count / 2 ** 32)).u32(count % 2 ** 32);
    }
  },
  decode(reader) {
    const half = () => reader.u32('sequence number');
    const outboundReserved = { high: half(), low: half() };
    const inboundEdge = { high: half(), low: half() };
    const count = () => {
      const value = reader.u32('count') * 2 ** 32 + reader.u32('count');
      return Number.isSafeInteger(value) ? value : reader.fail('a count above 2^53-1');
    };
    const [octetsIn, packetsIn, octetsOut, packetsOut] = [count(), count(), count(), count()];
    return { outboundReserved, inboundEdge, octetsIn, packetsIn, octetsOut, packetsOut };
  },
};
