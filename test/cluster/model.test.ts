/**
 * The cluster under thousands of histories: properties P1 to P7 at every packet and every step.
 *
 * `TSGW_MODEL_SEEDS` sets how many, `TSGW_MODEL_FIRST` where they begin.
 */
import assert from 'node:assert/strict';
import { scenarioOf } from './model/scenario.ts';
import { explain } from './model/shrink.ts';
import { runScenario } from './model/world.ts';

const SEEDS = Number(process.env.TSGW_MODEL_SEEDS ?? 10_000);
const FIRST = Number(process.env.TSGW_MODEL_FIRST ?? 1);
const PORTION = 1000;

describe('The cluster as a model', () => {
  const total = { seeds: 0, steps: 0, packets: 0, takeOvers: 0 };

  for (let from = FIRST; from < FIRST + SEEDS; from += PORTION) {
    const to = Math.min(from + PORTION, FIRST + SEEDS);
    it(`keeps its properties for seeds ${from} to ${to - 1}`, function () {
      this.timeout(300_000);
      for (let seed = from; seed < to; seed++) {
        const scenario = scenarioOf(seed);
        const { violation, steps, packets, takeOvers } = runScenario(scenario);
        if (violation) assert.fail(explain(scenario));
        total.seeds++;
        total.steps += steps;
        total.packets += packets;
        total.takeOvers += takeOvers;
      }
    });
  }

  after(() => {
    const { seeds, steps, packets, takeOvers } = total;
    process.stdout.write(
      `\n    model: ${seeds} seeds from ${FIRST}, ${steps} steps, ${packets} packets, ${takeOvers} new owners\n`,
    );
  });
});
