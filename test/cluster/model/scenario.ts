/**
 * What happens to a simulated cluster: drawn from a seed, and a list of faults that can be made shorter.
 */
import type { AlonePolicy } from '../../../src/cluster/cluster-settings.ts';
import { seededNumbers } from '../../support/seeded-random.ts';

export type Fault =
  | { readonly kind: 'crash'; readonly at: number; readonly node: number; readonly bye: boolean }
  | { readonly kind: 'restart'; readonly at: number; readonly node: number }
  | { readonly kind: 'pause'; readonly at: number; readonly node: number; readonly length: number }
  /** Nothing from one node to another. */
  | { readonly kind: 'cut'; readonly at: number; readonly from: number; readonly to: number }
  | { readonly kind: 'heal'; readonly at: number }
  | { readonly kind: 'drain'; readonly at: number; readonly node: number }
  | { readonly kind: 'undrain'; readonly at: number; readonly node: number }
  | { readonly kind: 'replay'; readonly at: number }
  | { readonly kind: 'forge'; readonly at: number };

/** What is promised of the run beside safety. */
export type Family =
  /** Anything may happen. */
  | 'chaos'
  /** One fault in a good network: every segment has an owner again in 400 ms. */
  | 'single-fault'
  /** Drains, restarts and returns, without faults: no key is made anew, no packet refused. */
  | 'planned';

export interface Scenario {
  readonly seed: number;
  readonly family: Family;
  readonly nodes: number;
  readonly alone: AlonePolicy;
  readonly strictReplay: boolean;
  readonly strictWriteAhead: boolean;
  /** Of each clock against true time. */
  readonly rates: readonly number[];
  readonly loss: number;
  readonly duplication: number;
  /** In milliseconds. */
  readonly maxDelay: number;
  readonly faults: readonly Fault[];
  /** When the faults are over and everything is mended. */
  readonly healAt: number;
  readonly endAt: number;
}

/** Segments, and SAs: one for each. */
export const SEGMENTS = 3;
/** By then every node is up and has its share. */
export const WARM = 1100;
const SETTLE = 1700;

export function scenarioOf(seed: number): Scenario {
  const next = seededNumbers(seed);
  for (let skip = 0; skip < 3; skip++) next();
  const draw = next();
  const family: Family = draw < 0.7 ? 'chaos' : draw < 0.9 ? 'single-fault' : 'planned';
  const nodes = 2 + Math.floor(next() * 4);
  const bad = family === 'chaos' && next() < 0.7;
  const rates = Array.from({ length: nodes }, () => 0.9 + next() * 0.2);
  const faults = faultsOf(family, nodes, next);
  const last = Math.max(
    WARM,
    ...faults.map((one) => one.at + (one.kind === 'pause' ? one.length : 0)),
  );
  return {
    seed,
    family,
    nodes,
    alone: family !== 'single-fault' && next() < 0.4 ? 'hold' : 'take',
    strictReplay: next() < 0.5,
    strictWriteAhead: next() < 0.5,
    rates: next() < 0.3 ? rates.map((rate) => (rate < 1 ? 0.9 : 1.1)) : rates,
    loss: bad && next() < 0.7 ? next() * 0.2 : 0,
    duplication: bad && next() < 0.5 ? next() * 0.2 : 0,
    maxDelay: bad ? 0.1 + next() * next() * 60 : 0.1 + next() * 2,
    faults,
    healAt: last + 400,
    endAt: last + 400 + SETTLE,
  };
}

function faultsOf(family: Family, nodes: number, next: () => number): readonly Fault[] {
  const node = () => Math.floor(next() * nodes);
  if (family === 'planned') return plannedFaults(nodes, next);
  if (family === 'single-fault') return singleFault(nodes, node(), next);
  const faults: Fault[] = [];
  const count = 1 + Math.floor(next() * 7);
  const span = 300 + next() * 2500;
  for (let index = 0; index < count; index++) {
    faults.push(...chaosFault(WARM + next() * span, nodes, next));
  }
  return faults.toSorted((a, b) => a.at - b.at);
}

function chaosFault(at: number, nodes: number, next: () => number): readonly Fault[] {
  const node = Math.floor(next() * nodes);
  const draw = next();
  if (draw < 0.2) {
    const crash: Fault = { kind: 'crash', at, node, bye: next() < 0.3 };
    return next() < 0.6 ? [crash, { kind: 'restart', at: at + next() * 900, node }] : [crash];
  }
  if (draw < 0.4) {
    const long = next() < 0.04;
    return [{ kind: 'pause', at, node, length: long ? 60_000 : next() * next() * 1500 }];
  }
  if (draw < 0.75) return [...cuts(at, nodes, next), { kind: 'heal', at: at + next() * 1200 }];
  if (draw < 0.83)
    return [
      { kind: 'drain', at, node },
      { kind: 'undrain', at: at + next() * 800, node },
    ];
  return [draw < 0.93 ? { kind: 'replay', at } : { kind: 'forge', at }];
}

/** A partition into two sides, one way or both, or a single path. */
function cuts(at: number, nodes: number, next: () => number): readonly Fault[] {
  const cut = (from: number, to: number): Fault => ({ kind: 'cut', at, from, to });
  const side = Array.from({ length: nodes }, () => next() < 0.5);
  const isOneWay = next() < 0.4;
  if (next() < 0.3) {
    const from = Math.floor(next() * nodes);
    const to = (from + 1 + Math.floor(next() * (nodes - 1))) % nodes;
    return isOneWay ? [cut(from, to)] : [cut(from, to), cut(to, from)];
  }
  const made: Fault[] = [];
  for (let from = 0; from < nodes; from++) {
    for (let to = 0; to < nodes; to++) {
      if (side[from] !== side[to] && !(isOneWay && side[from])) made.push(cut(from, to));
    }
  }
  return made;
}

function singleFault(nodes: number, node: number, next: () => number): readonly Fault[] {
  const at = WARM + next() * 300;
  const draw = next();
  const replay: Fault = { kind: 'replay', at: at + 600 };
  if (draw < 0.3) return [{ kind: 'crash', at, node, bye: next() < 0.3 }, replay];
  if (draw < 0.5 || nodes === 2) return [{ kind: 'pause', at, node, length: 700 }, replay];
  const others = Array.from({ length: nodes }, (_, other) => other).filter((one) => one !== node);
  const way = next();
  const out: readonly Fault[] = others.map((to) => ({ kind: 'cut', at, from: node, to }));
  const into: readonly Fault[] = others.map((from) => ({ kind: 'cut', at, from, to: node }));
  if (way < 0.3) return [...out, replay];
  return way < 0.6 ? [...into, replay] : [...out, ...into, replay];
}

/** One node after the other is emptied, ended, started and given its share again. */
function plannedFaults(nodes: number, next: () => number): readonly Fault[] {
  const faults: Fault[] = [];
  const rounds = 1 + Math.floor(next() * 2);
  let at = WARM;
  for (let round = 0; round < rounds; round++) {
    const node = Math.floor(next() * nodes);
    faults.push({ kind: 'drain', at, node });
    if (next() < 0.7) {
      faults.push({ kind: 'crash', at: at + 600, node, bye: true });
      faults.push({ kind: 'restart', at: at + 700 + next() * 500, node });
    } else {
      faults.push({ kind: 'undrain', at: at + 600, node });
    }
    at += 2200;
  }
  return faults;
}
