/**
 * `npm run bench -- QUESTION [options]`, `npm run bench -- list`, `npm run bench -- help [QUESTION]`.
 *
 * Figures go to stdout, progress to stderr. Ends 0, 1 when a measurement broke or a limit was missed,
 * 2 on wrong usage.
 */
import { cpus, release } from 'node:os';
import { requirePrerequisites } from '../lab/prerequisites.ts';
import { type Question, readOptions, UsageError } from './question.ts';
import { questions } from './questions.ts';

async function main(argv: readonly string[]): Promise<number> {
  const [word = 'help', ...rest] = argv;
  if (word === 'help' || word === '--help' || word === '-h') {
    console.log(usage(rest[0]));
    return 0;
  }
  if (word === 'list') {
    for (const [name, { summary }] of Object.entries(questions)) {
      console.log(`${name.padEnd(12)}${summary}`);
    }
    return 0;
  }
  const question = questions[word];
  try {
    if (!question) throw new UsageError(`no question ${word}`);
    return await answer(question, rest);
  } catch (error) {
    if (error instanceof UsageError) {
      console.error(`${error.message}\n\n${usage(word)}`);
      return 2;
    }
    console.error(error instanceof Error ? error.message : error);
    return 1;
  }
}

async function answer(question: Question, argv: readonly string[]): Promise<number> {
  const { json, ...values } = readOptions(question.options, argv);
  requirePrerequisites();
  const { report, table, kept } = await question.ask(values, console.error);
  const machine = { cpus: cpus().length, kernel: release(), node: process.version };
  console.log(json === '' ? table : JSON.stringify({ ...report, machine }, undefined, 2));
  return kept ? 0 : 1;
}

/** Of one question, or of all. */
function usage(asked?: string): string {
  const known = Object.entries(questions);
  const of = known.some(([name]) => name === asked);
  const some = of ? known.filter(([name]) => name === asked) : known;
  const lines = some.map(([name, { options }]) => {
    const each = Object.entries(options).map(([option, value]) => `[--${option} ${value}]`);
    return `       npm run bench -- ${name} [--json] ${each.join(' ')}`;
  });
  const [first = '', ...rest] = lines;
  return [
    `usage:${first.slice('usage:'.length)}`,
    ...rest,
    ...(of ? [] : ['       npm run bench -- list', '       npm run bench -- help [QUESTION]']),
    ...some.map(([name, { help, example }]) => {
      const shown = example === undefined ? '' : `\n  npm run bench -- ${name} ${example}`;
      return `\n${name}: ${help}${shown}`;
    }),
  ].join('\n');
}

process.exitCode = await main(process.argv.slice(2));
