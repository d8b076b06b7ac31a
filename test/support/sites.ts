/** Two sites with one connection between them, and what operators and strangers do to them. */
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { type IkeHeader, messageId, type Payload } from '../../src/ike/message/message.ts';
import { sealMessage } from '../../src/ike/protection.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { connection, loadSecret, mirrored } from './connections.ts';
import { A, B, endpoint, type Flight, Pair, type Side } from './pair.ts';
import { seededRandom } from './seeded-random.ts';

export type PairOptions = ConstructorParameters<typeof Pair>[0];

/** Site a with connection `one`, site b with its mirror image, one secret. */
export function sites(
  one: Connection = connection(),
  other: Connection = mirrored(one),
  options: PairOptions = {},
): Pair {
  const pair = new Pair(options);
  pair.a.pad.load(one);
  pair.b.pad.load(other);
  for (const side of [pair.a, pair.b]) loadSecret(side.pad, 'secret');
  return pair;
}

export function initiate(
  pair: Pair,
  side: Side = pair.a,
  { request = 1, name = 'peer', child = 'net', port = 500 } = {},
): void {
  const [local, remote] = side === pair.a ? [A, B] : [B, A];
  pair.handle(side, {
    kind: 'initiate',
    request,
    connection: name,
    child,
    local: endpoint(local, port),
    remote: endpoint(remote, port),
  });
}

export function terminate(pair: Pair, side: Side, request: number, force = false): void {
  pair.handle(side, { kind: 'terminate', request, selector: { ike: 'peer' }, force });
}

/** The first IKE_SA_INIT request of a fresh initiator. */
export function firstRequest(seed: number, one: Connection = connection()): Flight {
  const pair = sites(one, undefined, { seed });
  initiate(pair);
  const [flight] = pair.flights;
  if (!flight) throw new Error('nothing was sent');
  return flight;
}

/** A message the holder of an IKE SA's keys could send, whatever its state allows. */
export function sealed(
  sa: IkeSa,
  about: { exchangeType: number; id: number; isResponse?: boolean },
  payloads: readonly Payload[],
): Uint8Array {
  if (!sa.secured) throw new Error('no keys yet');
  const header: IkeHeader = {
    initiatorSpi: sa.spiI,
    responderSpi: sa.spiR,
    majorVersion: 2,
    minorVersion: 0,
    exchangeType: about.exchangeType,
    fromInitiator: sa.initiator,
    higherVersion: false,
    isResponse: about.isResponse ?? false,
    messageId: messageId(about.id),
  };
  return sealMessage(header, payloads, sa.secured.sealing, seededRandom(5));
}
