/** A failing run made short: faults are left out as long as the same property still fails. */
import type { Scenario } from './scenario.ts';
import { type RunOptions, runScenario } from './world.ts';

export function shrink(scenario: Scenario, options: RunOptions, property: string): Scenario {
  const fails = (candidate: Scenario) =>
    runScenario(candidate, options).violation?.property === property;
  let shortest = scenario;
  for (let index = shortest.faults.length - 1; index >= 0; index--) {
    const faults = shortest.faults.filter((_, at) => at !== index);
    const candidate = { ...shortest, faults };
    if (fails(candidate)) shortest = candidate;
  }
  for (const calmer of [{ duplication: 0 }, { loss: 0 }, { maxDelay: 1 }]) {
    const candidate = { ...shortest, ...calmer };
    if (fails(candidate)) shortest = candidate;
  }
  return shortest;
}

/** What a person needs to see of a failing seed. */
export function explain(scenario: Scenario, options: RunOptions = {}): string {
  const first = runScenario(scenario, options).violation;
  if (!first) return `seed ${scenario.seed} does not fail`;
  const short = shrink(scenario, options, first.property);
  const lines: string[] = [];
  const { violation } = runScenario(short, { ...options, trace: (line) => lines.push(line) });
  const { nodes, alone, loss, maxDelay, rates } = short;
  return [
    `seed ${scenario.seed} (${short.family}, ${nodes} nodes, alone = ${alone}): ${violation?.message}`,
    `loss ${loss.toFixed(2)}, delay to ${maxDelay.toFixed(1)} ms, clocks ${rates.map((rate) => rate.toFixed(2))}`,
    ...lines.slice(-LINES),
  ].join('\n');
}

const LINES = 60;
