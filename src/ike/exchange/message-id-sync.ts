/**
 * Message ids said anew, by an INFORMATIONAL exchange with id 0 (RFC 6311 §5.1).
 *
 * | octet | IKEV2_MESSAGE_ID_SYNC               |
 * |-------|-------------------------------------|
 * | 0     | Nonce (4)                           |
 * | 4     | EXPECTED_SEND_REQ_MESSAGE_ID (4)    |
 * | 8     | EXPECTED_RECV_REQ_MESSAGE_ID (4)    |
 *
 * A node that took over and does not know all that was sent asks; a peer that said it can answers with
 * where it stands. It passes over what names an id that it has seen, so that nobody can replay the
 * question: a node that gets no answer asks with a higher one.
 */

import { after } from '../../wire/instant.ts';
import { equalOctets, OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { Incoming } from '../incoming.ts';
import { ExchangeType, type NotifyPayload, type Payload } from '../message/message.ts';
import { NotifyType } from '../message/notify-types.ts';
import { notifiesOf, statusNotify } from '../payload-access.ts';
import type { SaRegistry } from '../sa-registry.ts';
import type { Turn } from '../turn.ts';
import { wishAgain } from '../wish-again.ts';
import { startLiveness } from './informational.ts';
import { answerReplaySync, heedReplaySync, replaySyncQuestion } from './replay-counter-sync.ts';

const NONCE_OCTETS = 4;
const SYNC_OCTETS = 12;
/** Questions to a peer that does not answer; the last names an id 31 above the first. */
export const MAX_QUESTIONS = 6;
const MOST_ID = 2 ** 32 - 1;
const SUPPORTED = [
  NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED,
  NotifyType.IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED,
];

/** For IKE_AUTH: what we can be asked (§4.1). An initiator says so first. */
export function syncSupport(sa: IkeSa): readonly Payload[] {
  return SUPPORTED.filter((type) => sa.initiator || sa.announced.includes(type)).map((type) =>
    statusNotify(type),
  );
}

/** From IKE_AUTH: what the peer can be asked. */
export function heedSyncSupport(sa: IkeSa, payloads: readonly Payload[]): void {
  for (const type of SUPPORTED) {
    if (notifiesOf(payloads, type).length === 0 || sa.announced.includes(type)) continue;
    sa.announced = [...sa.announced, type];
  }
}

/** Both said it. */
export function supportsSync({ announced }: IkeSa): boolean {
  return announced.includes(NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED);
}

/**
 * Whoever took over asks where the peer stands, and sends nothing else before it knows. Not where a
 * request is out: its repetition is answered, and shows the same.
 */
export function startSync(turn: Turn, sa: IkeSa): void {
  if (sa.state.name !== 'Established' || sa.inFlight || !supportsSync(sa)) return;
  ask(turn, sa, 0);
}

/** The peer did not answer until now. */
export function repeatSync(turn: Turn, sa: IkeSa): void {
  const { sync } = sa;
  if (!sync || turn.now < sync.until) return;
  if (sync.questions < MAX_QUESTIONS) {
    ask(turn, sa, sync.questions);
    return;
  }
  sa.sync = undefined;
  startLiveness(turn, sa);
}

function ask(turn: Turn, sa: IkeSa, asked: number): void {
  const { settings, random } = turn.environment;
  const nonce = random(NONCE_OCTETS);
  // RFC 6311 §5.1: a peer drops what names an id it has seen, so each further question names more.
  const further = sa.window.nextId + 2 ** asked - 1;
  const send = Math.min(MOST_ID, Math.max(further, (sa.highestAsked ?? -1) + 1));
  sa.highestAsked = send;
  turn.touched.add(sa.ownSpi);
  const wait = settings.retransmitTimeoutSeconds * 1000;
  const replay = replaySyncQuestion(sa);
  const raises = replay.length > 0;
  sa.sync = { nonce, send, questions: asked + 1, until: after(turn.now, wait), raises };
  const payload = encodeSync({ nonce, send, receive: sa.window.expectedId });
  sa.sendApart(turn, { ...SYNC, isResponse: false }, [payload, ...replay], sa);
}

/** Is it a message of this exchange? Ids start at 0 in every IKE SA: only the notify tells. */
export function isSync({ header, payloads }: Pick<Incoming, 'header' | 'payloads'>): boolean {
  return (
    header.messageId === 0 &&
    header.exchangeType === ExchangeType.INFORMATIONAL &&
    notifiesOf(payloads, NotifyType.IKEV2_MESSAGE_ID_SYNC).length > 0
  );
}

/** Answers false for a response that nobody asked for, or that goes back. */
export function heedSync(turn: Turn, sa: IkeSa, response: Incoming): boolean {
  const { sync } = sa;
  const told = decodeSync(response);
  if (!sync || !told || !equalOctets(told.nonce, sync.nonce)) return false;
  // RFC 6311 §5.1: neither side goes back.
  if (told.receive < sync.send || told.send < sa.window.expectedId) return false;
  sa.sync = undefined;
  sa.lastHeard = turn.now;
  sa.received(turn, response);
  sa.window.synchronise({ nextId: told.receive, expectedId: told.send });
  if (sync.raises) heedReplaySync(turn, sa);
  sa.proceed(turn);
  return true;
}

/**
 * The peer is a cluster, and another node of it wants to know where we stand. Answers false for what is to
 * be dropped.
 */
export function answerSync(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  request: Incoming,
): boolean {
  const asked = decodeSync(request);
  if (!asked || sa.state.name !== 'Established') return false;
  const { window } = sa;
  // RFC 6311 §5.1: at or below what we have seen, in requests or in questions, it is a replay.
  if (asked.send < window.expectedId || asked.send <= (sa.highestSync ?? -1)) return false;
  sa.highestSync = asked.send;
  sa.lastHeard = turn.now;
  sa.received(turn, request);
  const send = Math.max(asked.receive, window.nextId);
  const receive = Math.max(asked.send, window.expectedId);
  // Nobody is left who would answer it under its id.
  const lost = window.recall();
  const wish = lost && wishAgain(turn, registry, lost);
  if (wish) window.addFirst(wish);
  window.synchronise({ nextId: send, expectedId: receive });
  const payload = encodeSync({ nonce: asked.nonce, send, receive });
  sa.sendApart(turn, { ...SYNC, isResponse: true }, [payload], request);
  answerReplaySync(turn, sa, request);
  sa.proceed(turn);
  return true;
}

interface Sync {
  readonly nonce: Uint8Array;
  /** The sender's next request has this id. */
  readonly send: number;
  /** The sender expects this id in the next request of the other. */
  readonly receive: number;
}

function encodeSync({ nonce, send, receive }: Sync): NotifyPayload {
  const data = new OctetWriter().octets(nonce).u32(send).u32(receive).finish();
  return statusNotify(NotifyType.IKEV2_MESSAGE_ID_SYNC, data);
}

function decodeSync({ payloads }: Incoming): Sync | undefined {
  const [notify, ...more] = notifiesOf(payloads, NotifyType.IKEV2_MESSAGE_ID_SYNC);
  if (notify?.data.length !== SYNC_OCTETS || more.length > 0) return undefined;
  const reader = new OctetReader(notify.data);
  const nonce = reader.take(NONCE_OCTETS, 'nonce');
  return { nonce, send: reader.u32('send'), receive: reader.u32('receive') };
}

const SYNC = { exchangeType: ExchangeType.INFORMATIONAL } as const;
