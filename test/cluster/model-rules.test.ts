/**
 * Each rule carries weight: without it, the property that it protects fails within a few seeds.
 */
import assert from 'node:assert/strict';
import type { Rule } from './model/rule.ts';
import { type Fault, type Scenario, scenarioOf, WARM } from './model/scenario.ts';
import { type RunOptions, runScenario } from './model/world.ts';

interface Case {
  readonly rule: Rule | 'drift';
  readonly property: string;
  /** The world in which it shows soonest; any, when left out. */
  readonly change?: (scenario: Scenario) => Scenario;
}

const CASES: readonly Case[] = [
  { rule: 'iv-partition', property: 'P1' },
  { rule: 'one-life', property: 'P1' },
  { rule: 'reserve-ahead', property: 'P2' },
  { rule: 'fetch-behind', property: 'P2', change: successorBehind },
  { rule: 'drop-lower-epochs', property: 'P2' },
  { rule: 'renew-after-gap', property: 'P2', change: survivorBehind },
  { rule: 'final-state', property: 'P2' },
  { rule: 'seen-up-to-edge', property: 'P3' },
  { rule: 'authentic-edge', property: 'P3' },
  { rule: 'majority', property: 'P4' },
  { rule: 'take-over-wait', property: 'P4' },
  { rule: 'refusal', property: 'P4' },
  { rule: 'claims-bind', property: 'P4' },
  { rule: 'quarantine', property: 'P4', change: forgetfulVoter },
  { rule: 'lapse-gives-up', property: 'P4' },
  { rule: 'lower-yields', property: 'P7' },
  { rule: 'listen-after-stall', property: 'P4' },
  { rule: 'lease-at-send', property: 'P4' },
  { rule: 'drift', property: 'P4' },
  { rule: 'write-ahead', property: 'P5' },
  { rule: 'resync', property: 'P6' },
];

const MOST_SEEDS = 3000;

const asItIs = (scenario: Scenario): Scenario => scenario;

describe('The rules of the cluster, one by one switched off', () => {
  for (const { rule, property, change = asItIs } of CASES) {
    it(`${property} fails without ${rule}`, function () {
      this.timeout(120_000);
      const options = optionsWithout(rule);
      for (let seed = 1; seed <= MOST_SEEDS; seed++) {
        const scenario = change(scenarioOf(seed));
        if (runScenario(scenario, options).violation?.property !== property) continue;
        assert.equal(runScenario(scenario).violation, undefined, 'it fails with the rule, too');
        return;
      }
      assert.fail(`${property} holds for ${MOST_SEEDS} seeds without ${rule}`);
    });
  }
});

/** Without `drift` a lease may last as long as the wait of a take-over, by clocks that agree. */
function optionsWithout(rule: Rule | 'drift'): RunOptions {
  if (rule !== 'drift') return { without: new Set([rule]) };
  return { timings: { heartbeat: 100, lease: 285, takeOver: 300, drift: 0 } };
}

/** Of three, one is cut off, the others die, start with nothing, and meet it with what it knew. */
function survivorBehind(scenario: Scenario): Scenario {
  const cuts: readonly Fault[] = [0, 1].flatMap((other) => [
    { kind: 'cut', at: WARM, from: 2, to: other },
    { kind: 'cut', at: WARM, from: other, to: 2 },
  ]);
  const faults: readonly Fault[] = [
    ...cuts,
    { kind: 'crash', at: WARM + 700, node: 0, bye: false },
    { kind: 'crash', at: WARM + 700, node: 1, bye: false },
    { kind: 'restart', at: WARM + 720, node: 0 },
    { kind: 'restart', at: WARM + 740, node: 1 },
    { kind: 'heal', at: WARM + 760 },
  ];
  return among3(scenario, faults);
}

/** Two of three do not hear each other; the third, which hears both, starts anew. */
function forgetfulVoter(scenario: Scenario): Scenario {
  const at = WARM + 450;
  return among3(scenario, [
    { kind: 'cut', at: WARM, from: 0, to: 2 },
    { kind: 'cut', at: WARM, from: 2, to: 0 },
    { kind: 'crash', at, node: 1, bye: false },
    { kind: 'restart', at: at + 1 + (scenario.seed % 100), node: 1 },
  ]);
}

/** The successor of an owner did not hear it for a while. */
function successorBehind(scenario: Scenario): Scenario {
  return among3(scenario, [
    { kind: 'cut', at: WARM, from: 0, to: 1 },
    { kind: 'cut', at: WARM, from: 1, to: 0 },
    { kind: 'crash', at: WARM + 900, node: 0, bye: false },
  ]);
}

function among3(scenario: Scenario, faults: readonly Fault[]): Scenario {
  const rates = [1, 1, 1];
  const network = { loss: 0, duplication: 0, maxDelay: 1 + (scenario.seed % 20) };
  const times = { healAt: WARM + 1500, endAt: WARM + 4000 };
  return { ...scenario, ...network, ...times, family: 'chaos', nodes: 3, rates, faults };
}
