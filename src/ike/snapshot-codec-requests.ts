/**
 * The message window of a snapshot, and what it is wished for, as octets.
 */

import { decodeHeader } from './message/header.ts';
import type {
  AnsweredSnapshot,
  ChildAttemptSnapshot,
  IkeRekeyAttemptSnapshot,
  InFlightSnapshot,
  PostponedSnapshot,
  PurposeSnapshot,
  TriggerSnapshot,
  WindowSnapshot,
  WishSnapshot,
} from './snapshot.ts';
import {
  bits,
  type Coding,
  fields,
  NUMBER,
  OCTETS,
  SIGNED,
  TEXT,
  word,
} from './snapshot-fields.ts';
import { ESP_SPI, IKE_SPI, PATH, PROPOSALS, SECRET, SELECTORS } from './snapshot-values.ts';

const HALF = bits(16);
/** One more than the last id of a window is out of range of a message, but not of a counter. */
const MESSAGE_ID = bits(33);
const MODES = word(['transport', 'beet']);
const KINDS = word([
  'ike-sa-init',
  'ike-auth',
  'liveness',
  'update-addresses',
  'tell-addresses',
  'check-routability',
  'redirect',
  'probe-path',
  'delete-ike-sa',
  'delete-child-sa',
  'withdraw-child-sa',
  'create-child',
  'rekey-ike-sa',
]);

const TRIGGER: Coding<TriggerSnapshot> = {
  encode: (writer, { local, remote }) => SELECTORS.encode(writer, [local, remote]),
  decode: (reader) => {
    const [local, remote, ...more] = SELECTORS.decode(reader);
    if (!local || !remote || more.length > 0) return reader.fail('a packet has two ends');
    return { local, remote };
  },
};

export const WISH: Coding<WishSnapshot> = fields(
  (writer, wish) =>
    writer
      .put(1, TEXT, wish.policy)
      .put(2, ESP_SPI, wish.replaces)
      .put(3, TRIGGER, wish.trigger)
      .put(4, HALF, wish.method)
      .flag(5, wish.otherPfs)
      .flag(6, wish.singlePair)
      .put(7, HALF, wish.postponements),
  (reader) => ({
    policy: reader.need(1, TEXT, 'policy'),
    replaces: reader.maybe(2, ESP_SPI),
    trigger: reader.maybe(3, TRIGGER),
    method: reader.maybe(4, HALF),
    otherPfs: reader.flag(5),
    singlePair: reader.flag(6),
    postponements: reader.need(7, HALF, 'postponements'),
  }),
);

export const POSTPONED: Coding<PostponedSnapshot> = fields(
  (writer, { at, wish }) => writer.put(1, SIGNED, at).put(2, WISH, wish),
  (reader) => ({ at: reader.need(1, SIGNED, 'time'), wish: reader.need(2, WISH, 'wish') }),
);

const CHILD_RIVAL: Coding<NonNullable<ChildAttemptSnapshot['rival']>> = {
  encode: (writer, { spiIn, lowestNonce }) => {
    ESP_SPI.encode(writer, spiIn);
    writer.octets(lowestNonce);
  },
  decode: (reader) => ({ spiIn: ESP_SPI.decode(reader), lowestNonce: reader.rest() }),
};

const CHILD_ATTEMPT: Coding<ChildAttemptSnapshot> = fields(
  (writer, attempt) =>
    writer
      .put(1, ESP_SPI, attempt.spiIn)
      .put(2, OCTETS, attempt.nonce)
      .put(3, PROPOSALS, attempt.proposals)
      .put(4, SELECTORS, attempt.localTs)
      .put(5, SELECTORS, attempt.remoteTs)
      .put(6, MODES, attempt.mode)
      .put(7, SECRET, attempt.drawn)
      .put(8, HALF, attempt.method)
      .put(9, CHILD_RIVAL, attempt.rival)
      .each(10, ESP_SPI, attempt.revoked),
  (reader) => ({
    spiIn: reader.need(1, ESP_SPI, 'SPI'),
    nonce: reader.need(2, OCTETS, 'nonce'),
    proposals: reader.need(3, PROPOSALS, 'proposals'),
    localTs: reader.need(4, SELECTORS, 'local selectors'),
    remoteTs: reader.need(5, SELECTORS, 'remote selectors'),
    mode: reader.maybe(6, MODES),
    drawn: reader.maybe(7, SECRET),
    method: reader.maybe(8, HALF),
    rival: reader.maybe(9, CHILD_RIVAL),
    revoked: reader.all(10, ESP_SPI),
  }),
);

const IKE_RIVAL: Coding<NonNullable<IkeRekeyAttemptSnapshot['rival']>> = {
  encode: (writer, { spi, lowestNonce }) => {
    IKE_SPI.encode(writer, spi);
    writer.octets(lowestNonce);
  },
  decode: (reader) => ({ spi: IKE_SPI.decode(reader), lowestNonce: reader.rest() }),
};

const IKE_REKEY_ATTEMPT: Coding<IkeRekeyAttemptSnapshot> = fields(
  (writer, attempt) =>
    writer
      .put(1, IKE_SPI, attempt.spi)
      .put(2, OCTETS, attempt.nonce)
      .put(3, PROPOSALS, attempt.proposals)
      .put(4, SECRET, attempt.drawn)
      .put(5, HALF, attempt.method)
      .put(6, IKE_RIVAL, attempt.rival),
  (reader) => ({
    spi: reader.need(1, IKE_SPI, 'SPI'),
    nonce: reader.need(2, OCTETS, 'nonce'),
    proposals: reader.need(3, PROPOSALS, 'proposals'),
    drawn: reader.need(4, SECRET, 'key exchange'),
    method: reader.need(5, HALF, 'method'),
    rival: reader.maybe(6, IKE_RIVAL),
  }),
);

const PURPOSE: Coding<PurposeSnapshot> = fields(
  (writer, purpose) => {
    writer
      .put(1, KINDS, purpose.kind)
      .put(2, PATH, purpose.kind === 'update-addresses' ? purpose.told : undefined)
      .put(3, OCTETS, purpose.kind === 'check-routability' ? purpose.cookie : undefined)
      .put(4, TEXT, purpose.kind === 'redirect' ? purpose.gateway : undefined)
      .put(5, ESP_SPI, 'spiIn' in purpose ? purpose.spiIn : undefined);
    if (purpose.kind === 'create-child') {
      writer.put(6, WISH, purpose.wish).put(7, CHILD_ATTEMPT, purpose.attempt);
    } else if (purpose.kind === 'rekey-ike-sa') {
      writer.put(8, HALF, purpose.method).put(9, IKE_REKEY_ATTEMPT, purpose.attempt);
    }
  },
  (reader) => {
    const kind = reader.need(1, KINDS, 'purpose');
    switch (kind) {
      case 'update-addresses':
        return { kind, told: reader.maybe(2, PATH) };
      case 'check-routability':
        return { kind, cookie: reader.need(3, OCTETS, 'cookie') };
      case 'redirect':
        return { kind, gateway: reader.need(4, TEXT, 'gateway') };
      case 'delete-child-sa':
      case 'withdraw-child-sa':
        return { kind, spiIn: reader.need(5, ESP_SPI, 'SPI') };
      case 'create-child': {
        const wish = reader.need(6, WISH, 'wish');
        return { kind, wish, attempt: reader.maybe(7, CHILD_ATTEMPT) };
      }
      case 'rekey-ike-sa': {
        const method = reader.maybe(8, HALF);
        return { kind, method, attempt: reader.maybe(9, IKE_REKEY_ATTEMPT) };
      }
      default:
        return { kind };
    }
  },
);

/** A datagram as it was sent: IKE at least in its header, for that is looked at again. */
const DATAGRAM: Coding<Uint8Array> = {
  encode: OCTETS.encode,
  decode: (reader) => {
    const octets = reader.rest();
    decodeHeader(octets);
    return octets;
  },
};

const IN_FLIGHT: Coding<InFlightSnapshot> = fields(
  (writer, request) =>
    writer
      .put(1, PURPOSE, request.purpose)
      .each(2, DATAGRAM, request.datagrams)
      .put(3, HALF, request.attempts)
      .each(4, NUMBER, request.early),
  (reader) => ({
    purpose: reader.need(1, PURPOSE, 'purpose'),
    datagrams: reader.all(2, DATAGRAM),
    attempts: reader.need(3, HALF, 'attempts'),
    early: reader.all(4, NUMBER),
  }),
);

const ANSWERED: Coding<AnsweredSnapshot> = fields(
  (writer, response) =>
    writer
      .put(1, MESSAGE_ID, response.messageId)
      .put(2, NUMBER, response.repeats)
      .each(3, DATAGRAM, response.datagrams),
  (reader) => ({
    messageId: reader.need(1, MESSAGE_ID, 'message id'),
    repeats: reader.need(2, NUMBER, 'repeats'),
    datagrams: reader.all(3, DATAGRAM),
  }),
);

export const WINDOW: Coding<WindowSnapshot> = fields(
  (writer, window) =>
    writer
      .put(1, MESSAGE_ID, window.nextId)
      .put(2, MESSAGE_ID, window.expectedId)
      .put(3, IN_FLIGHT, window.inFlight)
      .put(4, ANSWERED, window.answered)
      .each(5, PURPOSE, window.waiting),
  (reader) => ({
    nextId: reader.need(1, MESSAGE_ID, 'next message id'),
    expectedId: reader.need(2, MESSAGE_ID, 'expected message id'),
    inFlight: reader.maybe(3, IN_FLIGHT),
    answered: reader.maybe(4, ANSWERED),
    waiting: reader.all(5, PURPOSE),
  }),
);
