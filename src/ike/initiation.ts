/**
 * Bringing an IKE SA with its first Child SA up for an operator or a trap, and trying again
 * (`keyingtries`).
 */
import type { Connection } from '../ipsec/connection.ts';
import type { Input, Outcome } from './action.ts';
import { firstAttempt, sendIkeSaInit } from './exchange/ike-sa-init-initiator.ts';
import { IkeSa, type Path } from './ike-sa.ts';
import { NO_IKE_SPI } from './message/message.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { Turn } from './turn.ts';

type Initiate = Extract<Input, { readonly kind: 'initiate' }>;

/** Answers at once if the Child SA is up, waits for the IKE SA that brings it, or starts one. */
export function initiate(turn: Turn, registry: SaRegistry, input: Initiate): void {
  const { request, child } = input;
  const complete = (outcome: Outcome) => turn.push({ kind: 'complete', request, outcome });
  const connection = turn.environment.pad.connection(input.connection);
  if (!connection) {
    complete({ kind: 'failed', what: `no connection ${input.connection}` });
  } else if (child === undefined || !hasChild(connection, child)) {
    const what = `connection ${connection.name} has no child ${child ?? '(none named)'}`;
    complete({ kind: 'failed', what });
  } else if (registry.find((sa) => hasUp(sa, connection.name, child))) {
    complete({ kind: 'done', matches: 1, terminated: 0 });
  } else {
    const coming = registry.find((sa) => bringsUp(sa, connection.name, child));
    const sa =
      coming ??
      start(turn, registry, {
        id: turn.numbers.newIkeSaId(),
        connection,
        child,
        path: { local: input.local, remote: input.remote },
        tries: 1,
      });
    sa.initiateRequests.add(request);
  }
}

/**
 * Another attempt after one that nobody answered, if the connection still wants one. It has an SPI
 * of its own: the peer may hold, and repeat, what the earlier attempt left.
 */
export function tryAgain(turn: Turn, registry: SaRegistry, sa: IkeSa): boolean {
  const connection = turn.environment.pad.connection(sa.connection.name);
  const child = sa.wantedChild;
  if (!sa.isEstablishing || !connection || child === undefined || !hasChild(connection, child)) {
    return false;
  }
  const { keyingTries } = connection;
  if (keyingTries !== 0 && sa.tries >= keyingTries) return false;
  const next = start(turn, registry, {
    id: sa.id,
    connection,
    child,
    path: sa.initiation,
    tries: sa.tries + 1,
  });
  for (const request of sa.initiateRequests) next.initiateRequests.add(request);
  sa.initiateRequests.clear();
  sa.close(turn, 'tried again', { kind: 'timeout', what: 'tried again' });
  return true;
}

function start(
  turn: Turn,
  registry: SaRegistry,
  options: {
    readonly id: number;
    readonly connection: Connection;
    readonly child: string;
    readonly path: Path;
    readonly tries: number;
  },
): IkeSa {
  const { id, connection, child, path, tries } = options;
  const attempt = firstAttempt(turn, connection.proposals);
  const sa = new IkeSa({
    id,
    initiator: true,
    connection,
    local: path.local,
    remote: path.remote,
    spiI: registry.newIkeSpi(),
    spiR: NO_IKE_SPI,
    state: { name: 'AwaitingIkeSaInitResponse', attempt },
    now: turn.now,
    wantedChild: child,
    tries,
  });
  registry.add(turn, sa);
  sendIkeSaInit(turn, sa, attempt);
  return sa;
}

function hasChild(connection: Connection, child: string): boolean {
  return connection.children.some(({ name }) => name === child);
}

/** A Child SA that is on its way out is not up. */
function hasUp(sa: IkeSa, connection: string, child: string): boolean {
  return (
    sa.connection.name === connection &&
    sa.state.name === 'Established' &&
    [...sa.children.values()].some((one) => one.name === child && !sa.isDeleting(one))
  );
}

function bringsUp(sa: IkeSa, connection: string, child: string): boolean {
  return sa.connection.name === connection && sa.isEstablishing && sa.wantedChild === child;
}
