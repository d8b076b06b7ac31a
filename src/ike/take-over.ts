/**
 * PASSIVE IKE SAs become active, and active ones PASSIVE.
 *
 * Whoever takes over goes on where the snapshots are: a request that is out goes out again, octet for
 * octet, for nobody knows whether it left; a response is repeated when the peer asks again.
 */
import type { Input } from './action.ts';
import { doubt } from './doubt.ts';
import { sendDatagrams } from './envelope.ts';
import type { HeldChild } from './held-child.ts';
import { abandon, type IkeSa } from './ike-sa.ts';
import type { IkeSpi } from './message/message.ts';
import { type PassiveSa, type PassiveSas, spisUnderWay } from './passive-sas.ts';
import type { Replication } from './replication.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { ChildSequences, IkeSaSnapshot } from './snapshot.ts';
import { linkIkeSas, restoreIkeSas } from './snapshot-restoring.ts';
import { ELSEWHERE, type Terminations } from './termination.ts';
import type { Turn } from './turn.ts';
import { rekeyChild } from './upkeep.ts';

/** How long what came due before the take-over waits. */
const GRACE_MS = 30_000;

type Activation = Extract<Input, { readonly kind: 'activate' }>;

export interface TakeOverParts {
  readonly registry: SaRegistry;
  readonly passive: PassiveSas;
  readonly replication: Replication;
  readonly terminations: Terminations;
}

/** Those that cannot go on here, for want of a connection or an algorithm, stay PASSIVE. */
export function activate(turn: Turn, parts: TakeOverParts, activation: Activation): void {
  const { passive, registry } = parts;
  const wanted = [...new Set(activation.spis)].flatMap((spi) => passive.get(spi) ?? []);
  const able = wanted.flatMap((one) => {
    const received = passive.received(one);
    if (!received) sayUnable(turn, one, `there is no connection ${one.snapshot.connection}`);
    return received ? [{ one, received }] : [];
  });
  const restored = restoreIkeSas(
    passive.restoring(turn, GRACE_MS),
    able.map(({ received }) => received),
  );
  const active = able.flatMap(({ one }, index) => {
    const sa = restored[index];
    if (!sa) sayUnable(turn, one, 'an algorithm of it is not known here');
    return sa ? [{ sa, one, snapshot: one.snapshot }] : [];
  });
  for (const { sa, one } of active) {
    passive.release(one);
    parts.replication.follow(sa.ownSpi, one.snapshot);
    registry.adopt(turn, sa);
    turn.environment.pools.handOver(one, sa);
  }
  linkIkeSas(registry, active);
  for (const { sa, snapshot } of active) {
    goOn(turn, sa, snapshot, activation);
  }
}

function goOn(turn: Turn, sa: IkeSa, snapshot: IkeSaSnapshot, activation: Activation): void {
  // Silence meanwhile says nothing about the peer.
  sa.lastHeard = turn.now;
  turn.touched.add(sa.ownSpi);
  for (const spiIn of spisUnderWay(snapshot)) turn.push({ kind: 'expect-spi', spiIn });
  const { virtual, window } = sa;
  if (virtual) turn.push({ kind: 'install-virtual', ikeSa: sa.id, virtual });
  const { inFlight } = window;
  if (inFlight) {
    const early = inFlight.retransmission.hasEarly;
    sendDatagrams(turn, inFlight.datagrams, sa, { sa, ...(early && { carriage: 'whole' }) });
  }
  // Before anything else is asked of the peer.
  if (activation.unsure || snapshot.doubted) doubt(turn, sa);
  const { heardSequences } = turn.environment;
  for (const child of [...sa.children.values()]) {
    const { spiIn } = child.childSa;
    const then = snapshot.children.find((one) => one.childSa.spiIn === spiIn)?.sequences;
    activateChild(turn, sa, child, {
      ...activation,
      sequences: heardSequences?.(spiIn, then) ?? then,
    });
  }
  sa.proceed(turn);
}

/**
 * Nobody may send a sequence number again under the same key (RFC 4303 §3.3.3, RFC 4106 §2): where it
 * is not known how far the numbers went, nothing is sent until there are new keys.
 */
function activateChild(
  turn: Turn,
  sa: IkeSa,
  child: HeldChild,
  {
    sequences,
    unvouched = false,
    paced = false,
  }: Pick<Activation, 'unvouched' | 'paced'> & { readonly sequences: ChildSequences | undefined },
): void {
  if (unvouched || !sequences) child.outbound = 'never';
  const childSa = { ...child.childSa, outbound: child.outbound };
  turn.push({ kind: 'activate-child-sa', childSa, sequences });
  // Whoever is up and does not send was taken over like this before, and is not replaced yet.
  const rekeys = !paced && child.outbound === 'never' && child.state.name === 'Installed';
  if (rekeys && sa.state.name === 'Established') rekeyChild(turn, sa, child);
}

/** They go on elsewhere, from snapshots of this moment. */
export function deactivate(turn: Turn, parts: TakeOverParts, spis: Iterable<IkeSpi>): void {
  const { passive, registry, replication, terminations } = parts;
  const sas = [...new Set(spis)].flatMap((spi) => registry.bySpi(spi) ?? []);
  terminations.abandon(turn, new Set(sas));
  const kept = sas.map((sa) => ({ sa, snapshot: replication.snapshot(turn, sa) }));
  for (const { sa, snapshot } of kept) {
    // Operators asked this process.
    sa.abandonWaiting(turn, ELSEWHERE);
    if (sa.inFlight) abandon(turn, sa.inFlight, ELSEWHERE);
    sa.complete(turn, ELSEWHERE);
    passive.keep(turn, sa, snapshot);
    replication.leave(sa.ownSpi);
    registry.release(sa);
    turn.touched.add(sa.ownSpi);
    const { virtual } = sa;
    if (virtual) turn.push({ kind: 'remove-virtual', ikeSa: sa.id, virtual });
  }
}

function sayUnable(turn: Turn, { snapshot }: PassiveSa, why: string): void {
  const what = `IKE SA ${snapshot.spiI}_i ${snapshot.spiR}_r cannot go on here: ${why}`;
  turn.emit({ kind: 'daemon', level: 'error', what });
}
