import assert from 'node:assert/strict';
import { oneOf, readOptions, someOf, UsageError, whole, wholes } from '../../bench/question.ts';
import { questions } from '../../bench/questions.ts';

const known = ['off', 'wire', 'on'] as const;

describe('The options of a question', () => {
  it('have the defaults of the question, and what is given instead', () => {
    const defaults = { rounds: '3', offloads: 'wire' };
    assert.deepEqual(readOptions(defaults, ['--rounds', '5']), {
      ...{ rounds: '5', offloads: 'wire', json: '' },
    });
    assert.equal(readOptions(defaults, ['--json']).json, 'yes');
  });

  it('are refused where the question has no such option', () => {
    assert.throws(() => readOptions({ rounds: '3' }, ['--round', '5']), UsageError);
    assert.throws(() => readOptions({ rounds: '3' }, ['5']), UsageError);
  });

  it('are whole numbers, from the least on', () => {
    assert.equal(whole({ rounds: '3' }, 'rounds'), 3);
    assert.equal(whole({ rounds: '0' }, 'rounds', 0), 0);
    for (const wrong of ['0', '-1', '1.5', 'x', '']) {
      assert.throws(() => whole({ rounds: wrong }, 'rounds'), UsageError, wrong);
    }
  });

  it('are lists of whole numbers, none of them twice', () => {
    assert.deepEqual(wholes({ streams: '1,8' }, 'streams'), [1, 8]);
    for (const wrong of ['', '1,', '1,1', '0,1', '1 8']) {
      assert.throws(() => wholes({ streams: wrong }, 'streams'), UsageError, wrong);
    }
  });

  it('are one or some of the words there are', () => {
    assert.equal(oneOf({ offloads: 'on' }, 'offloads', known), 'on');
    assert.throws(() => oneOf({ offloads: 'of' }, 'offloads', known), /one of off, wire, on/);
    assert.deepEqual(someOf({ offloads: 'on, off' }, 'offloads', known), ['on', 'off']);
    assert.throws(() => someOf({ offloads: 'on,of' }, 'offloads', known), UsageError);
    assert.throws(() => someOf({ offloads: 'on,on' }, 'offloads', known), UsageError);
  });
});

describe('The questions of the bench', () => {
  it('have examples that use options they have', () => {
    for (const [name, { example, options }] of Object.entries(questions)) {
      const argv = example?.split(' ') ?? [];
      assert.doesNotThrow(() => readOptions(options, argv), name);
    }
  });

  it('refuse values they do not know before anything is measured', async () => {
    const wrong: readonly (readonly [string, string, string])[] = [
      ['throughput', 'offloads', 'sometimes'],
      ['throughput', 'cases', 'plain,tgw'],
      ['throughput', 'streams', '0'],
      ['throughput', 'family', 'ipv5'],
      ['packets', 'sizes', '20'],
      ['packets', 'sizes', '1500'],
      ['latency', 'pings', 'many'],
      ['scale', 'standing', '1,x'],
      ['soak', 'minutes', '0'],
      ['cluster-sync', 'parts', 'udp,tcp'],
      ['cluster-sync', 'rates', '0'],
    ];
    for (const [name, option, value] of wrong) {
      const question = questions[name];
      assert.ok(question, name);
      const values = { ...question.options, [option]: value };
      await assert.rejects(
        question.ask(values, () => undefined),
        (error) => error instanceof UsageError && error.message.startsWith(`--${option} ${value}`),
        `${name} --${option} ${value}`,
      );
    }
  });
});
