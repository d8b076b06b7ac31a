/**
 * What is sent again: a request until it is answered, a response when its request comes again
 * (RFC 7296 §2.1), in smaller datagrams where those so far seem to get lost (RFC 7383 §2.5.2).
 */
import { reportMessage, sealedAgain, sendDatagrams } from './envelope.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Path } from './path.ts';
import type { Turn } from './turn.ts';

/** The cached answer once more, to where the request came from. */
export function repeatResponse(turn: Turn, sa: IkeSa, path: Path): void {
  const response = sa.window.lastResponse;
  if (!response) return;
  response.repeats++;
  const before = response.datagrams;
  const { repeats } = response;
  const datagrams = sealedAgain(turn, sa, { datagrams: before, repeats }, path);
  if (datagrams !== before) {
    response.datagrams = datagrams;
    turn.touched.add(sa.ownSpi);
  }
  sendDatagrams(turn, datagrams, path, { sa });
}

/** The request in flight once more, at once: what was sent of it cannot have arrived. */
export function repeatRequest(turn: Turn, sa: IkeSa): void {
  if (sa.window.inFlight) sendDatagrams(turn, sa.window.inFlight.datagrams, sa, { sa });
}

/** At the deadline of the request in flight. `give-up`: the peer does not answer. */
export function expireRequest(turn: Turn, sa: IkeSa): 'waiting' | 'give-up' {
  const request = sa.window.inFlight;
  if (!request || turn.now < request.retransmission.nextAt) return 'waiting';
  const verdict = request.retransmission.expire(turn.now);
  if (verdict === 'give-up') return 'give-up';
  const { header, payloads, datagrams, purpose, retransmission } = request;
  if (verdict === 'early' && retransmission.hasEarly) {
    sendDatagrams(turn, datagrams, sa, { sa, carriage: 'whole' });
    return 'waiting';
  }
  const attempt = retransmission.attempts;
  if (purpose.kind === 'probe-path') {
    if (verdict === 'early') purpose.measuring.lose();
    else purpose.measuring.end(turn, { kind: 'timeout', what: 'the peer does not answer' });
  }
  if (verdict === 'repeat') {
    turn.emit({ kind: 'retransmit', messageId: header.messageId, attempt, ...sa.subject });
  }
  // A probe goes in fragments of IP, and of IKE only in turns with them: peers are known that take
  // none of INFORMATIONAL (strongSwan 5.9).
  const isProbe = purpose.kind === 'probe-path';
  const asItIs = isProbe && attempt % 2 === 0;
  const again = asItIs ? datagrams : sealedAgain(turn, sa, { datagrams, repeats: attempt }, sa);
  if (!isProbe) request.datagrams = again;
  const sizes = again.map(({ length }) => length);
  const message = { direction: 'sent', header, payloads, sizes } as const;
  reportMessage(turn, sa, { ...message, retransmission: attempt });
  sendDatagrams(turn, again, sa, { sa, ...(asItIs && { carriage: 'in-fragments' }) });
  return 'waiting';
}
