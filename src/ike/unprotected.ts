/**
 * Answers to peers that proved nothing yet (RFC 7296 §2.6, §2.21.1, §2.5).
 *
 * No state is kept for them, and none is larger than the request it answers.
 */

import { formatEndpoint } from '../wire/address.ts';
import type { Incoming } from './incoming.ts';
import { encodeMessage } from './message/codec.ts';
import { type IkeHeader, type IkeSpi, NO_IKE_SPI, type Payload } from './message/message.ts';
import { exchangeName, payloadName } from './message/payload-rules.ts';
import type { Turn } from './turn.ts';

// RFC 7296 §2.5: the version is ours, whatever the request's minor version and V bit say.
export function firstResponseHeader(request: IkeHeader, responderSpi: IkeSpi): IkeHeader {
  return {
    ...request,
    responderSpi,
    majorVersion: 2,
    minorVersion: 0,
    fromInitiator: false,
    higherVersion: false,
    isResponse: true,
  };
}

/**
 * Is an answer of so many octets more than what came from an address that nobody proved to be at?
 * Whoever claims the address of another would have us send it more than it sends itself.
 */
export function amplifies(answerOctets: number, request: { readonly octets: Uint8Array }): boolean {
  return answerOctets > AMPLIFICATION * request.octets.length;
}

/** Octets of an answer for each octet of its request, at most. */
const AMPLIFICATION = 1;

export function replyUnprotected(
  turn: Turn,
  request: Omit<Incoming, 'payloads'>,
  payloads: readonly Payload[],
): void {
  const header = firstResponseHeader(request.header, NO_IKE_SPI);
  const octets = encodeMessage({ header, payloads });
  const peer = formatEndpoint(request.remote);
  // The request is counted already; silence is better than amplification.
  if (amplifies(octets.length, request)) return;
  turn.push({ kind: 'send', local: request.local, remote: request.remote, octets });
  turn.emit({
    kind: 'message',
    direction: 'sent',
    exchange: exchangeName(header.exchangeType),
    response: true,
    messageId: header.messageId,
    payloads: payloads.map(payloadName),
    octets: octets.length,
    retransmission: 0,
    ikeSa: 0,
    connection: '',
    local: formatEndpoint(request.local),
    peer,
  });
}
