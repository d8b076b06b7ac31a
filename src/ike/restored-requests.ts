/**
 * The message window of a snapshot: what is out goes on as it was sent, octet for octet (RFC 7296 §2.1);
 * what waits is composed here when its turn comes.
 */
import { keyExchangeMethod } from '../crypto/key-exchange.ts';
import type { ChildPolicy, Connection } from '../ipsec/connection.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { ChildAttempt, ChildWish } from './child-wish.ts';
import type { HeldChild } from './held-child.ts';
import type { IkeRekeyAttempt, IkeSa, RequestPurpose } from './ike-sa.ts';
import { decodeHeader } from './message/header.ts';
import { type RequestInFlight, SentResponse } from './message-window.ts';
import { PathMeasuring } from './path-measuring.ts';
import type { Restoring } from './received-snapshot.ts';
import { standInPolicy } from './restored-children.ts';
import { Retransmission } from './retransmission.ts';
import type {
  ChildAttemptSnapshot,
  IkeRekeyAttemptSnapshot,
  IkeSaSnapshot,
  PurposeSnapshot,
  WindowSnapshot,
  WishSnapshot,
} from './snapshot.ts';
import { wishOf } from './wish-again.ts';

type Children = ReadonlyMap<Spi, HeldChild>;

/** Answers whether the IKE SA can go on here. */
export function restoreRequests(
  restoring: Restoring,
  sa: IkeSa,
  { window }: IkeSaSnapshot,
  children: Children,
): boolean {
  const inFlight = window.inFlight && restoreInFlight(restoring, sa, window.inFlight, children);
  if (window.inFlight && !inFlight) return false;
  const { nextId, expectedId } = window;
  const answered = window.answered && restoreAnswered(window.answered);
  sa.window.restore({ nextId, expectedId, inFlight, answered });
  for (const purpose of window.waiting) {
    const restored = restorePurpose(sa, purpose, children, restoring.now);
    const wish = restored && wishOf(restoring.registry, restored);
    if (wish) sa.window.add(wish);
  }
  return true;
}

function restoreAnswered({
  messageId,
  datagrams,
  repeats,
}: NonNullable<WindowSnapshot['answered']>): SentResponse {
  const answered = new SentResponse(messageId, datagrams);
  answered.repeats = repeats;
  return answered;
}

/** Its repetition begins anew, with as many repetitions behind it. */
function restoreInFlight(
  { environment, now }: Restoring,
  sa: IkeSa,
  { purpose: wanted, datagrams, attempts, early }: NonNullable<WindowSnapshot['inFlight']>,
  children: Children,
): RequestInFlight<RequestPurpose> | undefined {
  const [first] = datagrams;
  const purpose = restorePurpose(sa, wanted, children, now);
  if (!first || !purpose) return undefined;
  const retransmission = new Retransmission(environment.settings, now, early, attempts);
  // What it says is told when it is composed; here it is octets.
  return { purpose, header: decodeHeader(first), payloads: [], retransmission, datagrams };
}

function restorePurpose(
  sa: IkeSa,
  purpose: PurposeSnapshot,
  children: Children,
  now: Restoring['now'],
): RequestPurpose | undefined {
  switch (purpose.kind) {
    case 'update-addresses':
      return { kind: purpose.kind, ...(purpose.told && { told: purpose.told }) };
    case 'probe-path':
      return { kind: purpose.kind, measuring: PathMeasuring.orphaned(sa, now) };
    case 'delete-child-sa': {
      const child = children.get(purpose.spiIn);
      return child && { kind: purpose.kind, child };
    }
    case 'create-child': {
      const { attempt: begun } = purpose;
      const wish = restoreWish(sa.connection, purpose.wish, children, begun);
      if (!begun) return { kind: purpose.kind, wish };
      const attempt = restoreChildAttempt(wish, begun, children);
      return attempt && { kind: purpose.kind, wish, attempt };
    }
    case 'rekey-ike-sa': {
      const attempt = purpose.attempt && restoreIkeRekeyAttempt(purpose.attempt);
      if (purpose.attempt && !attempt) return undefined;
      const { kind, method } = purpose;
      return { kind, ...(method !== undefined && { method }), ...(attempt && { attempt }) };
    }
    default:
      return purpose;
  }
}

/** `begun`: what was asked for, where the child is not configured any more. */
export function restoreWish(
  connection: Connection,
  wish: WishSnapshot,
  children: Children,
  begun?: ChildAttemptSnapshot,
): ChildWish {
  const { replaces: spiIn, trigger, method, otherPfs, singlePair, postponements } = wish;
  const replaces = spiIn === undefined ? undefined : children.get(spiIn);
  return {
    policy: replaces?.policy ?? wantedPolicy(connection, wish.policy, begun),
    requests: new Set(),
    ...(replaces && { replaces }),
    ...(trigger && { trigger }),
    ...(method !== undefined && { method }),
    ...(otherPfs && { otherPfs }),
    ...(singlePair && { singlePair }),
    ...(postponements > 0 && { postponements }),
  };
}

function wantedPolicy(
  { children }: Connection,
  name: string,
  begun: ChildAttemptSnapshot | undefined,
): ChildPolicy {
  const loaded = children.find((one) => one.name === name);
  if (loaded) return loaded;
  const { proposals = [], localTs = [], remoteTs = [], mode = 'tunnel' } = begun ?? {};
  return standInPolicy({ name, mode, proposals, localTs, remoteTs });
}

function restoreChildAttempt(
  wish: ChildWish,
  snapshot: ChildAttemptSnapshot,
  children: Children,
): ChildAttempt | undefined {
  const { spiIn, nonce, proposals, localTs, remoteTs, mode, drawn, method, revoked } = snapshot;
  const keyExchange =
    drawn && method !== undefined ? keyExchangeMethod(method)?.restore(drawn) : undefined;
  if (drawn && !keyExchange) return undefined;
  const rival = snapshot.rival && children.get(snapshot.rival.spiIn);
  return {
    ...{ wish, spiIn, nonce, keyExchange, method, revoked },
    asked: { proposals, localTs, remoteTs, ...(mode && { mode }) },
    ...(snapshot.rival &&
      rival && { rival: { child: rival, lowestNonce: snapshot.rival.lowestNonce } }),
  };
}

/** Its rival is linked when all IKE SAs are there. */
function restoreIkeRekeyAttempt(snapshot: IkeRekeyAttemptSnapshot): IkeRekeyAttempt | undefined {
  const { spi, nonce, proposals, method, drawn } = snapshot;
  const keyExchange = keyExchangeMethod(method)?.restore(drawn);
  return keyExchange && { spi, nonce, proposals, keyExchange, method };
}
