/**
 * From payloads to datagrams: sealing, and telling observers what went over the wire.
 */
import type { IkeSubject } from '../events/event.ts';
import type { Endpoint } from '../wire/address.ts';
import type { Secured } from './ike-sa-state.ts';
import { encodeMessage } from './message/codec.ts';
import { ExchangeType, type IkeHeader, type IkeSpi, type Payload } from './message/message.ts';
import { exchangeName, payloadName } from './message/payload-rules.ts';
import { sealMessage } from './protection.ts';
import type { Turn } from './turn.ts';

/** The datagrams of a message: IKE_SA_INIT in the clear, all else sealed. */
export function sealed(
  turn: Turn,
  { secured }: { readonly secured: Secured | undefined },
  header: IkeHeader,
  payloads: readonly Payload[],
): readonly Uint8Array[] {
  if (header.exchangeType === ExchangeType.IKE_SA_INIT)
    return [encodeMessage({ header, payloads })];
  if (!secured) throw new Error(`${exchangeName(header.exchangeType)} before there are keys`);
  return [sealMessage(header, payloads, secured.sealing, turn.environment.random)];
}

export function sendDatagrams(
  turn: Turn,
  datagrams: readonly Uint8Array[],
  { local, remote }: { readonly local: Endpoint; readonly remote: Endpoint },
): void {
  for (const octets of datagrams) turn.push({ kind: 'send', local, remote, octets });
}

/** The `message` event of a message sent or received. */
export function reportMessage(
  turn: Turn,
  sa: { readonly ownSpi: IkeSpi; readonly subject: IkeSubject },
  message: {
    readonly direction: 'sent' | 'received';
    readonly header: IkeHeader;
    readonly payloads: readonly Payload[];
    readonly datagrams: readonly Uint8Array[];
    readonly retransmission?: number;
  },
): void {
  const { direction, header, payloads, datagrams, retransmission = 0 } = message;
  turn.touched.add(sa.ownSpi);
  turn.emit({
    kind: 'message',
    direction,
    exchange: exchangeName(header.exchangeType),
    response: header.isResponse,
    messageId: header.messageId,
    payloads: payloads.map(payloadName),
    octets: datagrams.reduce((sum, { length }) => sum + length, 0),
    retransmission,
    ...sa.subject,
  });
}
