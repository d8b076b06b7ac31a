import assert from 'node:assert/strict';
import {
  expectedSeconds,
  type Plan,
  type Step,
  schedule,
} from '../../bench/throughput-schedule.ts';

const plan: Plan = {
  ...{ rounds: 3, sideRounds: 1, seconds: 1, streams: [1, 8] },
  modes: ['off', 'wire', 'on'],
  cases: ['plain', 'tsgw', 'strongswan'],
};

describe('What throughput measures when', () => {
  it('measures one stream each way in every round, the rest in the side rounds', () => {
    const counts = new Map<string, number>();
    for (const { mode, streams, bothWays, name } of schedule(plan)) {
      const key = `${mode} ${streams} ${bothWays ? 'both' : 'each'} ${name}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    for (const mode of plan.modes) {
      for (const name of plan.cases) {
        assert.equal(counts.get(`${mode} 1 each ${name}`), 3);
        assert.equal(counts.get(`${mode} 1 both ${name}`), 1);
        assert.equal(counts.get(`${mode} 8 each ${name}`), 1);
        assert.equal(counts.get(`${mode} 8 both ${name}`), 1);
      }
    }
  });

  it('measures all cases of one kind before any other kind', () => {
    const steps = schedule(plan);
    const kind = ({ round, mode, streams, bothWays }: Step): string =>
      `${round} ${mode} ${streams} ${bothWays}`;
    for (let at = 0; at < steps.length; at += plan.cases.length) {
      const together = steps.slice(at, at + plan.cases.length);
      assert.equal(new Set(together.map(kind)).size, 1);
      assert.deepEqual(new Set(together.map(({ name }) => name)), new Set(plan.cases));
    }
  });

  it('lets nobody be always first', () => {
    const firstOfRound = [0, 1, 2].map((wanted) =>
      schedule(plan).find(({ round }) => round === wanted),
    );
    assert.equal(new Set(firstOfRound.map((step) => step?.name)).size, 3);
    assert.equal(new Set(firstOfRound.map((step) => step?.mode)).size, 3);
  });

  it('measures nothing else without side rounds', () => {
    const steps = schedule({ ...plan, sideRounds: 0 });
    assert.ok(steps.every(({ streams, bothWays }) => streams === 1 && !bothWays));
  });

  it('tells how long that takes: a transfer each way is two', () => {
    const one = { ...plan, rounds: 1, sideRounds: 0, modes: ['off'] as const };
    const two = { ...one, rounds: 2 };
    const around = expectedSeconds(two) - expectedSeconds(one);
    assert.equal(around.toFixed(6), (plan.cases.length * 2 * (plan.seconds + 1.2)).toFixed(6));
  });
});
