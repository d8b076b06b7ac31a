/**
 * From payloads to datagrams: sealing, fragments, and telling observers what went over the wire.
 */
import type { IkeSubject } from '../events/event.ts';
import type { Connection } from '../ipsec/connection.ts';
import type { Carriage } from './action.ts';
import { PathSize, sendsFragments, TRANSMISSIONS_PER_SIZE } from './fragmentation.ts';
import type { Secured } from './ike-sa-state.ts';
import { encodeMessage } from './message/codec.ts';
import { decodeHeader } from './message/header.ts';
import { ExchangeType, type IkeMessage, type IkeSpi } from './message/message.ts';
import { exchangeName, payloadName } from './message/payload-rules.ts';
import type { Path } from './path.ts';
import { fragmentAgain, sealDatagrams } from './protection.ts';
import type { Turn } from './turn.ts';

/** Of the IKE SA, what its datagrams depend on. */
interface Sender {
  readonly secured: Secured | undefined;
  readonly connection: Connection;
  readonly announced: readonly number[];
  pathSize: PathSize | undefined;
}

/** The datagrams of a message: IKE_SA_INIT in the clear, all else sealed. */
export function sealed(
  turn: Turn,
  sa: Sender,
  message: IkeMessage,
  path: Path,
): readonly Uint8Array[] {
  const { exchangeType } = message.header;
  if (exchangeType === ExchangeType.IKE_SA_INIT) return [encodeMessage(message)];
  if (!sa.secured) throw new Error(`${exchangeName(exchangeType)} before there are keys`);
  const most = sendsFragments(sa)
    ? pathSizeOf(turn, sa).messageOctets(path)
    : Number.POSITIVE_INFINITY;
  return sealDatagrams(message, sa.secured.sealing, turn.environment.random, most);
}

/**
 * The datagrams of a message that is sent for the `repeats`th time again: the same, octet by octet
 * (RFC 7296 §2.1), or smaller ones where those so far seem to get lost (RFC 7383 §2.5.2).
 */
export function sealedAgain(
  turn: Turn,
  sa: Sender,
  { datagrams, repeats }: { readonly datagrams: readonly Uint8Array[]; readonly repeats: number },
  path: Path,
): readonly Uint8Array[] {
  const [first] = datagrams;
  if (!first || !sa.secured || !sendsFragments(sa)) return datagrams;
  if (decodeHeader(first).exchangeType === ExchangeType.IKE_SA_INIT) return datagrams;
  const size = pathSizeOf(turn, sa);
  const largest = Math.max(...datagrams.map(({ length }) => length));
  if (repeats % TRANSMISSIONS_PER_SIZE === 0) size.shrink(path, largest);
  const most = size.messageOctets(path);
  if (largest <= most) return datagrams;
  return fragmentAgain(datagrams, sa.secured.sealing, turn.environment.random, most);
}

/** The message in one datagram, however long that gets. */
export function sealedWhole(
  turn: Turn,
  { secured }: Pick<Sender, 'secured'>,
  message: IkeMessage,
): readonly Uint8Array[] {
  if (!secured)
    throw new Error(`${exchangeName(message.header.exchangeType)} before there are keys`);
  return sealDatagrams(message, secured.sealing, turn.environment.random, Number.POSITIVE_INFINITY);
}

/** What this IKE SA knows about the sizes its path carries. */
export function pathSizeOf(turn: Turn, sa: { pathSize: PathSize | undefined }): PathSize {
  sa.pathSize ??= new PathSize(turn.environment.settings);
  return sa.pathSize;
}

/** Whose datagrams they are, and how IP carries them. */
interface Dispatch {
  readonly sa: { readonly ownSpi: IkeSpi };
  readonly carriage?: Carriage;
}

export function sendDatagrams(
  turn: Turn,
  datagrams: readonly Uint8Array[],
  { local, remote }: Path,
  { sa, carriage }: Dispatch,
): void {
  const after = turn.environment.replicated && { after: sa.ownSpi };
  for (const octets of datagrams) {
    turn.push({ kind: 'send', local, remote, octets, ...(carriage && { carriage }), ...after });
  }
}

/** The `message` event: one for a message, however many datagrams of these sizes it took. */
export function reportMessage(
  turn: Turn,
  sa: { readonly ownSpi: IkeSpi; readonly subject: IkeSubject },
  message: IkeMessage & {
    readonly direction: 'sent' | 'received';
    readonly sizes: readonly number[];
    readonly retransmission?: number;
  },
): void {
  const { direction, header, payloads, sizes, retransmission = 0 } = message;
  turn.touched.add(sa.ownSpi);
  turn.emit({
    kind: 'message',
    direction,
    exchange: exchangeName(header.exchangeType),
    response: header.isResponse,
    messageId: header.messageId,
    payloads: payloads.map(payloadName),
    octets: sizes.reduce((sum, octets) => sum + octets, 0),
    ...(sizes.length > 1 ? { fragments: sizes.length } : {}),
    retransmission,
    ...sa.subject,
  });
}
