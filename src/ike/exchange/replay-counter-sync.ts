/**
 * Sequence numbers of Child SAs raised after a take-over (RFC 6311 §5.2), with the question about message ids.
 *
 * | octet | IPSEC_REPLAY_COUNTER_SYNC                            |
 * |-------|------------------------------------------------------|
 * | 0     | Incoming IPsec SA delta (4, or 8 where ESN is used)  |
 *
 * A node that went on without knowing what its peer sent last asks the peer to go on so much further in all Child
 * SAs of the IKE SA. It then accepts nothing up to there: what somebody kept of the time before is old.
 */
import { LARGEST_JUMP } from '../../ipsec/sequence-reservation.ts';
import { OctetReader, OctetWriter } from '../../wire/octets.ts';
import type { IkeSa } from '../ike-sa.ts';
import type { Incoming } from '../incoming.ts';
import type { NotifyPayload, Payload } from '../message/message.ts';
import { NotifyType } from '../message/notify-types.ts';
import { notifiesOf, statusNotify } from '../payload-access.ts';
import type { Turn } from '../turn.ts';

/** More than a peer sends while a cluster decides who goes on; without ESN one of 64 of all there are. */
const DELTA = 2 ** 26;
const [SHORT, LONG] = [4, 8];

/** Both said it. */
export function supportsReplaySync({ announced }: IkeSa): boolean {
  return announced.includes(NotifyType.IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED);
}

/** What to ask of the peer besides; nothing where it cannot be asked. */
export function replaySyncQuestion(sa: IkeSa): readonly NotifyPayload[] {
  const children = [...sa.children.values()];
  const long = children.filter(({ childSa }) => childSa.esn).length;
  // RFC 6311 §5.2: one delta is for all of them, which have ESN or have not.
  const isMixed = long > 0 && long < children.length;
  if (!supportsReplaySync(sa) || children.length === 0 || isMixed) return [];
  return [encodeDelta(DELTA, long > 0)];
}

/** The peer answered the question and has gone on: what is older is not accepted any more. */
export function heedReplaySync(turn: Turn, sa: IkeSa): void {
  for (const childSaId of sa.children.keys()) {
    turn.push({ kind: 'skip-numbers', childSaId, direction: 'inbound', count: DELTA });
  }
}

/** The peer is a cluster of which another node goes on: we go on further ahead. */
export function answerReplaySync(
  turn: Turn,
  sa: IkeSa,
  { payloads }: Pick<Incoming, 'payloads'>,
): void {
  if (!supportsReplaySync(sa)) return;
  const delta = decodeDelta(payloads);
  if (delta === undefined) return;
  turn.touched.add(sa.ownSpi);
  for (const child of [...sa.children.values()]) {
    // RFC 4303 Appendix A2: a receiver infers the high half wrongly across a leap that large; new keys are as good.
    if (delta <= LARGEST_JUMP) {
      const childSaId = child.childSa.id;
      turn.push({ kind: 'skip-numbers', childSaId, direction: 'outbound', count: delta });
    } else if (child.isUp) child.rekeyAt = turn.now;
  }
}

function encodeDelta(delta: number, long: boolean): NotifyPayload {
  const writer = new OctetWriter();
  if (long) writer.u32(Math.floor(delta / 2 ** 32));
  const data = writer.u32(delta % 2 ** 32).finish();
  return statusNotify(NotifyType.IPSEC_REPLAY_COUNTER_SYNC, data);
}

/** Undefined for none, and for what is none. */
function decodeDelta(payloads: readonly Payload[]): number | undefined {
  const [notify, ...more] = notifiesOf(payloads, NotifyType.IPSEC_REPLAY_COUNTER_SYNC);
  if (!notify || more.length > 0 || ![SHORT, LONG].includes(notify.data.length)) return undefined;
  const reader = new OctetReader(notify.data);
  const high = notify.data.length === LONG ? reader.u32('high half') : 0;
  return high * 2 ** 32 + reader.u32('delta');
}
