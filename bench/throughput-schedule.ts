/**
 * What `throughput` measures when: all cases in turns, mode by mode, round by round.
 *
 * One connection each way, the first of the numbers of streams, is what limits are about and is
 * measured in every round. More streams, and both ways at once, have fewer rounds.
 */
import type { Offloads } from '../lab/topology.ts';
import type { CaseName } from './cases.ts';
import { inTurn } from './turns.ts';

export interface Plan {
  readonly rounds: number;
  /** Rounds of more streams and of both ways at once. */
  readonly sideRounds: number;
  /** Seconds of each transfer that count; one more warms up. */
  readonly seconds: number;
  readonly modes: readonly Offloads[];
  readonly streams: readonly number[];
  readonly cases: readonly CaseName[];
}

/** One case, measured each way or both ways at once. */
export interface Step {
  readonly round: number;
  readonly mode: Offloads;
  readonly streams: number;
  readonly bothWays: boolean;
  readonly name: CaseName;
}

/** Everything, in the order it is measured. */
export function schedule(plan: Plan): readonly Step[] {
  const rounds = Math.max(plan.rounds, plan.sideRounds);
  return Array.from({ length: rounds }, (_, round) =>
    inTurn(plan.modes, round).flatMap((mode) =>
      kinds(plan, round).flatMap((kind) =>
        inTurn(plan.cases, round).map((name) => ({ round, mode, ...kind, name })),
      ),
    ),
  ).flat();
}

/** How long that takes, with what it takes to build and to look around. */
export function expectedSeconds(plan: Plan): number {
  const transfers = schedule(plan).reduce((sum, { bothWays }) => sum + (bothWays ? 1 : 2), 0);
  return plan.cases.length * SET_UP_SECONDS + transfers * (plan.seconds + AROUND_SECONDS);
}

function kinds(plan: Plan, round: number): readonly Pick<Step, 'streams' | 'bothWays'>[] {
  const all = plan.streams.flatMap((streams) => [
    { streams, bothWays: false },
    { streams, bothWays: true },
  ]);
  const [first, ...others] = all;
  return [
    ...(first !== undefined && round < plan.rounds ? [first] : []),
    ...(round < plan.sideRounds ? others : []),
  ];
}

/** A topology and its gateways. */
const SET_UP_SECONDS = 3;
/** The second that warms up, and what iperf3 and the readings take. */
const AROUND_SECONDS = 1.2;
