/**
 * Bringing an IKE SA and its Child SAs up for an operator or a trap, trying again (`keyingtries`),
 * and doing it all anew to prove who one is (reauthentication, make before break).
 */

import { type ChildPolicy, type Connection, isProtecting } from '../ipsec/connection.ts';
import { after } from '../wire/instant.ts';
import type { Input, Outcome } from './action.ts';
import type { ChildWish } from './child-wish.ts';
import { requestChild } from './exchange/create-child-initiator.ts';
import { retryDelay } from './exchange/create-child-sa.ts';
import { firstAttempt, sendIkeSaInit } from './exchange/ike-sa-init-initiator.ts';
import { IkeSa, type RequestPurpose } from './ike-sa.ts';
import { NO_IKE_SPI } from './message/message.ts';
import { drawIkeSpi } from './own-spis.ts';
import type { Path } from './path.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { Turn } from './turn.ts';

type Initiate = Extract<Input, { readonly kind: 'initiate' }>;

/** How much later than a message a packet may arrive that left before it. */
const OVERTAKING_MS = 1000;

const DONE: Outcome = { kind: 'done', matches: 1, terminated: 0 };

/**
 * Answers at once what is up, waits for what is on its way, asks an IKE SA of the connection for one
 * more Child SA, or starts an IKE SA.
 */
export function initiate(turn: Turn, registry: SaRegistry, input: Initiate): void {
  const { request, child } = input;
  const complete = (outcome: Outcome) => turn.push({ kind: 'complete', request, outcome });
  const connection = turn.environment.pad.connection(input.connection);
  const policy = connection?.children.find(({ name }) => name === child);
  if (!connection) {
    complete({ kind: 'failed', what: `no connection ${input.connection}` });
  } else if (child !== undefined && !(policy && isProtecting(policy.mode))) {
    const what = policy
      ? `child ${child} has mode = ${policy.mode}: it protects nothing`
      : `connection ${connection.name} has no child ${child}`;
    complete({ kind: 'failed', what });
  } else if (!policy) {
    initiateAlone(turn, registry, input, connection);
  } else {
    const wish = {
      policy,
      requests: new Set([request]),
      ...(input.trigger && { trigger: input.trigger }),
    };
    bringUp(turn, registry, input, connection, wish);
  }
}

function bringUp(
  turn: Turn,
  registry: SaRegistry,
  input: Initiate,
  connection: Connection,
  wish: ChildWish,
): void {
  const { name } = wish.policy;
  const sas = registry.ofConnection(connection.name);
  if (input.redirected) {
    goElsewhere(turn, sas, registry, input, connection, wish);
    return;
  }
  if (sas.some((sa) => sa.state.name === 'Established' && hasUp(sa, name))) {
    turn.push({ kind: 'complete', request: input.request, outcome: DONE });
    return;
  }
  const coming = sas.map((sa) => wishFor(sa, name)).find((one) => one !== undefined);
  if (coming) {
    for (const request of wish.requests) coming.requests.add(request);
    return;
  }
  const establishing = sas.find((sa) => sa.isEstablishing);
  const up = sas.find((sa) => sa.state.name === 'Established' && !sa.replaced);
  if (up) requestChild(turn, up, wish);
  else if (establishing) joinWishes(turn, establishing, wish);
  else start(turn, registry, { ...startOf(turn, connection, input), wishes: [wish] });
}

/** RFC 5685 §5: a new IKE SA with another gateway takes what the old one had, one Child SA a call. */
function goElsewhere(
  turn: Turn,
  sas: readonly IkeSa[],
  registry: SaRegistry,
  input: Initiate,
  connection: Connection,
  wish: ChildWish,
): void {
  const old = sas.find(({ id }) => id === input.redirected?.replaces);
  const begun = sas.find((sa) => sa.isEstablishing && sa.redirectedFrom === input.redirected?.from);
  if (begun) {
    joinWishes(turn, begun, wish);
    return;
  }
  start(turn, registry, {
    ...startOf(turn, connection, input),
    wishes: [wish],
    ...(old && { reauthenticates: old }),
  });
}

/** It comes with an IKE SA that is on its way. */
function joinWishes(turn: Turn, sa: IkeSa, wish: ChildWish): void {
  sa.wishes.push(wish);
  turn.touched.add(sa.ownSpi);
}

/** The IKE SA without a Child SA (RFC 6023). */
function initiateAlone(
  turn: Turn,
  registry: SaRegistry,
  input: Initiate,
  connection: Connection,
): void {
  const sas = registry.ofConnection(connection.name);
  if (sas.some((sa) => sa.state.name === 'Established')) {
    turn.push({ kind: 'complete', request: input.request, outcome: DONE });
    return;
  }
  const sa =
    sas.find((one) => one.isEstablishing) ??
    start(turn, registry, { ...startOf(turn, connection, input), wishes: [] });
  sa.requests.add(input.request);
}

/**
 * Another attempt after one that nobody answered, if the connection still wants one. It has an SPI
 * of its own: the peer may hold, and repeat, what the earlier attempt left.
 */
export function tryAgain(turn: Turn, registry: SaRegistry, sa: IkeSa): boolean {
  const connection = turn.environment.pad.connection(sa.connection.name);
  if (!sa.isEstablishing || !connection) return false;
  const wishes = sa.wishes.flatMap((wish) => current(connection, wish));
  const { keyingTries } = connection;
  const wanted = wishes.length > 0 || sa.requests.size > 0;
  if (!wanted || (keyingTries !== 0 && sa.tries >= keyingTries)) return false;
  if (keyingTries === 0 && isNamed(connection) && !sa.reauthenticates) {
    lookUpAgain(turn, sa, wishes);
    return true;
  }
  const next = start(turn, registry, {
    id: sa.id,
    connection,
    wishes,
    path: sa.initiation,
    tries: sa.tries + 1,
    ...(sa.reauthenticates && { reauthenticates: sa.reauthenticates }),
  });
  for (const request of sa.requests) next.requests.add(request);
  sa.requests.clear();
  sa.wishes = sa.wishes.filter(
    (wish) => !wishes.some(({ requests }) => requests === wish.requests),
  );
  sa.close(turn, 'tried again', { kind: 'timeout', what: 'tried again' });
  return true;
}

/** A peer known by name may have moved: whoever looks names up begins anew, for as long as it takes. */
function lookUpAgain(turn: Turn, sa: IkeSa, wishes: readonly ChildWish[]): void {
  const connection = sa.connection.name;
  for (const { policy, requests } of wishes) {
    turn.push({
      kind: 'reinitiate',
      connection,
      child: policy.name,
      requests: [...requests],
    });
    requests.clear();
  }
  if (sa.requests.size > 0) {
    turn.push({ kind: 'reinitiate', connection, requests: [...sa.requests] });
    sa.requests.clear();
  }
  sa.close(turn, 'tried again', { kind: 'timeout', what: 'tried again' });
}

function isNamed({ remoteAddresses }: Connection): boolean {
  return remoteAddresses.some(({ kind }) => kind === 'name');
}

/** A new IKE SA with the same Child SAs; the old one goes when they are up. */
export function reauthenticate(
  turn: Turn,
  registry: SaRegistry,
  sa: IkeSa,
  requests: readonly number[] = [],
): void {
  const connection = turn.environment.pad.connection(sa.connection.name) ?? sa.connection;
  const names = new Set(sa.childrenUp.map(({ policy }) => policy.name));
  const wishes = connection.children
    .filter(({ name }) => names.has(name))
    .map((policy) => ({ policy, requests: new Set<number>() }));
  const next = start(turn, registry, {
    id: turn.numbers.newIkeSaId(),
    connection,
    wishes,
    path: { local: sa.initiation.local, remote: sa.initiation.remote },
    tries: 1,
    reauthenticates: sa,
  });
  for (const request of requests) next.requests.add(request);
}

/**
 * After something happened to an IKE SA that replaces another from the start: the old one goes when
 * the new one has all its Child SAs; when it came to nothing the old one stays and tries again.
 */
export function settleReauthentication(turn: Turn, sa: IkeSa): void {
  const old = sa.reauthenticates;
  if (!old || sa.isEstablishing) return;
  if (sa.state.name === 'Established' && [sa.inFlight, ...sa.queued].some(creates)) return;
  sa.reauthenticates = undefined;
  if (old.state.name !== 'Established') return;
  if (sa.state.name === 'Established') {
    old.heir = sa;
    // Packets that left under the old keys arrive before the peer hears that they are gone.
    old.retireAt = after(turn.now, OVERTAKING_MS);
    turn.touched.add(old.ownSpi);
  } else {
    old.reauthenticateAt = after(turn.now, retryDelay(turn));
    turn.touched.add(old.ownSpi);
  }
}

interface Start {
  readonly id: number;
  readonly connection: Connection;
  readonly wishes: readonly ChildWish[];
  readonly path: Path;
  readonly tries: number;
  readonly reauthenticates?: IkeSa;
  readonly redirectedFrom?: string;
}

function startOf(
  turn: Turn,
  connection: Connection,
  { local, remote, redirected }: Initiate,
): Omit<Start, 'wishes'> {
  const path = { local, remote };
  const id = turn.numbers.newIkeSaId();
  const from = redirected?.from;
  return { id, connection, path, tries: 1, ...(from !== undefined && { redirectedFrom: from }) };
}

function start(turn: Turn, registry: SaRegistry, options: Start): IkeSa {
  const { connection, path } = options;
  const attempt = firstAttempt(turn, connection.proposals);
  const sa = new IkeSa({
    id: options.id,
    initiator: true,
    connection,
    local: path.local,
    remote: path.remote,
    spiI: drawIkeSpi(turn, registry, { local: path.local.address }),
    spiR: NO_IKE_SPI,
    state: { name: 'AwaitingIkeSaInitResponse', attempt },
    now: turn.now,
    wishes: options.wishes,
    tries: options.tries,
    ...(options.reauthenticates && { reauthenticates: options.reauthenticates }),
  });
  sa.redirectedFrom = options.redirectedFrom;
  registry.add(turn, sa);
  sendIkeSaInit(turn, sa, attempt);
  return sa;
}

/** The wish under the policy as it is now; nothing where the child is gone. */
function current({ children }: Connection, wish: ChildWish): readonly ChildWish[] {
  const policy: ChildPolicy | undefined = children.find(({ name }) => name === wish.policy.name);
  return policy && isProtecting(policy.mode) ? [{ ...wish, policy }] : [];
}

function hasUp(sa: IkeSa, child: string): boolean {
  return sa.childrenUp.some(({ policy }) => policy.name === child);
}

/** A wish for this child that is under way or waits. */
function wishFor(sa: IkeSa, child: string): ChildWish | undefined {
  const waiting = [...sa.wishes, ...sa.postponed.map(({ wish }) => wish)];
  const requested = [sa.inFlight, ...sa.queued].flatMap(creationOf);
  return [...waiting, ...requested].find(({ policy }) => policy.name === child);
}

function creates(purpose: RequestPurpose | undefined): boolean {
  return creationOf(purpose).length > 0;
}

function creationOf(purpose: RequestPurpose | undefined): readonly ChildWish[] {
  return purpose?.kind === 'create-child' && !purpose.wish.replaces ? [purpose.wish] : [];
}
