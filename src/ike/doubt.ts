/**
 * IKE SAs that go on here although nobody knows all that was said over them (RFC 6311 §4.1): where both ends
 * stand is found out first, and no request of the peer is answered before, lest it get two answers.
 *
 * A request that is out is repeated: its answer proves our ids. A peer that said it can is asked where it
 * stands; of another, a request under the next id shows whether that is right. Where nothing is answered,
 * the side that began makes a new IKE SA beside this one; the other leaves the end to the peer.
 */
import { after, earliest } from '../wire/instant.ts';
import { startLiveness } from './exchange/informational.ts';
import { MAX_QUESTIONS, startSync, supportsSync } from './exchange/message-id-sync.ts';
import type { IkeSa } from './ike-sa.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { Turn } from './turn.ts';
import { wishAgain } from './wish-again.ts';

export function doubt(turn: Turn, sa: IkeSa): void {
  if (sa.state.name !== 'Established' || sa.doubt) return;
  const wait = turn.environment.settings.retransmitTimeoutSeconds * 1000;
  const questions = supportsSync(sa) ? 1 + MAX_QUESTIONS : 1;
  const anewAt = sa.originalInitiator ? after(turn.now, questions * wait) : undefined;
  sa.doubt = { before: sa.reauthenticateAt, anewAt, asked: false };
  sa.reauthenticateAt = earliest(anewAt, sa.reauthenticateAt);
  turn.touched.add(sa.ownSpi);
  findOut(turn, sa);
}

/** A response came: our ids are right, and of a peer that cannot be asked no more is to be had. */
export function doubtLess(turn: Turn, sa: IkeSa): void {
  if (!sa.doubt) return;
  if (supportsSync(sa) && !sa.doubt.asked) findOut(turn, sa);
  else dispel(turn, sa);
}

/** The peer said where it stands. */
export function dispel(turn: Turn, sa: IkeSa): void {
  const { doubt: was } = sa;
  if (!was) return;
  sa.doubt = undefined;
  if (sa.reauthenticateAt === was.anewAt) sa.reauthenticateAt = was.before;
  turn.touched.add(sa.ownSpi);
}

/** The request that was out has no answer in time: perhaps it had one, and others came after it. */
export function doubtMore(turn: Turn, registry: SaRegistry, sa: IkeSa): void {
  const dueAt = sa.window.deadline;
  if (!sa.doubt || sa.doubt.asked || !supportsSync(sa)) return;
  if (dueAt === undefined || turn.now < dueAt) return;
  const lost = sa.window.recall();
  const wish = lost && wishAgain(turn, registry, lost);
  if (wish) sa.window.addFirst(wish);
  findOut(turn, sa);
}

function findOut(turn: Turn, sa: IkeSa): void {
  if (sa.inFlight || !sa.doubt) return;
  if (!supportsSync(sa)) {
    startLiveness(turn, sa);
    return;
  }
  sa.doubt = { ...sa.doubt, asked: true };
  startSync(turn, sa);
}
