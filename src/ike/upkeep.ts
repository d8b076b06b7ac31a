/**
 * What time brings about in an established IKE SA: rekeying, the end of lives, idleness, and what the
 * peer owed us and did not do (RFC 7296 §2.8).
 */
import type { Spi } from '../ipsec/spi.ts';
import { after, earliest, type Instant } from '../wire/instant.ts';
import { currentPolicy } from './current-policy.ts';
import { deleteChild, deleteIkeSa, setOutbound, useNow } from './deletion.ts';
import { requestChild } from './exchange/create-child-initiator.ts';
import { requestIkeRekey } from './exchange/rekey-ike-sa-initiator.ts';
import type { HeldChild } from './held-child.ts';
import type { IkeSa } from './ike-sa.ts';
import { reauthenticate } from './initiation.ts';
import { reopen } from './reopening.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { IkeEnvironment, Turn } from './turn.ts';

const OVER = { kind: 'failed', what: 'the life of the IKE SA ended' } as const;

/** When this IKE SA next wants `upkeep`. */
export function upkeepDeadline(sa: IkeSa, environment: IkeEnvironment): Instant | undefined {
  if (sa.state.name === 'Closed') return undefined;
  let next = 'peer' in sa.state ? ikeDeadline(sa) : undefined;
  for (const { at } of sa.postponed) next = earliest(next, at);
  for (const child of sa.children.values()) {
    next = earliest(next, child.nextDeadline(), idleAt(child, environment));
  }
  return next;
}

/** Does what is due. */
export function upkeep(turn: Turn, registry: SaRegistry, sa: IkeSa): void {
  for (const child of [...sa.children.values()]) keepChild(turn, sa, child);
  if (sa.state.name === 'AwaitingDelete' && turn.now >= sa.state.until) {
    deleteIkeSa(turn, sa, 'the peer did not delete what it replaced', OVER);
  }
  if (sa.state.name !== 'Established') return;
  for (const one of sa.postponed.splice(0)) {
    if (turn.now >= one.at) requestChild(turn, sa, one.wish);
    else sa.postponed.push(one);
  }
  if (isDue(turn, sa.retireAt)) {
    sa.retireAt = undefined;
    deleteIkeSa(turn, sa, 'reauthenticated', OVER);
  } else if (sa.retireAt !== undefined) {
    return;
  } else if (isDue(turn, earliest(sa.expireAt, sa.authenticationExpiresAt))) {
    const { childrenUp } = sa;
    deleteIkeSa(turn, sa, OVER.what, OVER);
    reopen(turn, sa, childrenUp, 'closed');
  } else if (isDue(turn, sa.reauthenticateAt)) {
    sa.reauthenticateAt = undefined;
    turn.touched.add(sa.ownSpi);
    reauthenticate(turn, registry, sa);
  } else if (isDue(turn, sa.rekeyAt)) {
    requestIkeRekey(turn, registry, sa);
  }
}

/** Replaces a Child SA, if nobody is at it already. */
export function rekeyChild(
  turn: Turn,
  sa: IkeSa,
  child: HeldChild,
  requests = new Set<number>(),
): void {
  child.rekeyAt = undefined;
  const policy = currentPolicy(turn, sa, child.policy);
  requestChild(turn, sa, { policy, replaces: child, requests });
}

/** Those of these inbound SPIs that nobody is replacing or taking down. */
export function replaceChildSas(turn: Turn, sas: readonly IkeSa[], spisIn: ReadonlySet<Spi>): void {
  for (const sa of sas) {
    if (sa.state.name !== 'Established') continue;
    for (const child of [...sa.children.values()]) {
      const isMeant = spisIn.has(child.childSa.spiIn);
      if (isMeant && child.state.name === 'Installed') rekeyChild(turn, sa, child);
    }
  }
}

/** Hard limits end a Child SA at once: nothing more is sent under its keys. */
export function expireChild(turn: Turn, sa: IkeSa, child: HeldChild, reason: string): void {
  const wasUp = child.isUp;
  if (wasUp) setOutbound(turn, child, 'never');
  deleteChild(turn, sa, child, reason);
  if (wasUp) reopen(turn, sa, [child], 'closed');
}

function keepChild(turn: Turn, sa: IkeSa, child: HeldChild): void {
  const { state } = child;
  if (state.name === 'Draining') {
    if (turn.now >= state.until) sa.removeChild(turn, child, 'replaced');
  } else if (state.name === 'Replaced' && turn.now >= state.until) {
    // Nothing else will show that the peer has the successor, and traffic must go somewhere.
    useNow(turn, state.successor);
    deleteChild(turn, sa, child, 'the peer did not delete it', true);
  } else if (state.name === 'Redundant' && turn.now >= state.until) {
    deleteChild(turn, sa, child, 'the peer did not delete it', true);
  } else if (child.isUp && isDue(turn, child.expireAt)) {
    expireChild(turn, sa, child, 'its life ended');
  } else if (child.isUp && isDue(turn, idleAt(child, turn.environment))) {
    deleteChild(turn, sa, child, `nothing passed for ${child.policy.inactivitySeconds} seconds`);
  } else if (state.name === 'Installed' && isDue(turn, child.rekeyAt)) {
    rekeyChild(turn, sa, child);
  }
}

/** When a Child SA that carries nothing has done so for too long. */
function idleAt(child: HeldChild, { traffic }: IkeEnvironment): Instant | undefined {
  const { inactivitySeconds } = child.policy;
  if (inactivitySeconds === 0 || !child.isUp) return undefined;
  const { id } = child.childSa;
  const uses = [child.installed, traffic.lastInbound(id), traffic.lastOutbound(id)];
  const last = uses.reduce<Instant>(
    (latest, use) => (use !== undefined && use > latest ? use : latest),
    child.installed,
  );
  return after(last, inactivitySeconds * 1000);
}

function ikeDeadline(sa: IkeSa): Instant | undefined {
  if (sa.state.name !== 'Established') return undefined;
  if (sa.retireAt !== undefined) return sa.retireAt;
  return earliest(sa.rekeyAt, sa.reauthenticateAt, sa.expireAt, sa.authenticationExpiresAt);
}

function isDue({ now }: Turn, at: Instant | undefined): boolean {
  return at !== undefined && now >= at;
}
