/**
 * The command line: finds the verb, reads its arguments, runs it.
 */
import { didYouMean } from '../config/nearest-name.ts';
import { complain } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { groupOverview, overview, usageLine, verbHelp } from './help.ts';
import { parseRunOptions } from './run-options.ts';
import { processTerminal, type Terminal } from './terminal.ts';
import { type ParsedCall, parseCall, type Verb } from './verb.ts';
import { VERBS, verbOf } from './verbs.ts';

/** Runs `tsgw` with the arguments behind its name; answers the exit code. */
export async function runCli(
  argv: readonly string[],
  terminal: Terminal = processTerminal(),
): Promise<ExitCode> {
  const [name, ...rest] = argv;
  if (name === undefined) {
    terminal.err(overview(VERBS));
    return ExitCode.USAGE;
  }
  if (name === '--help' || name === '-h') return runCli(['help', ...rest], terminal);
  if (name === '--version' || name === '-V') return runCli(['version', ...rest], terminal);
  const found = verbOf(argv);
  if (found === undefined) {
    const hint = didYouMean(name, FIRST_WORDS);
    complain({ terminal }, `there is no verb ${name}${hint}; tsgw help lists them`);
    return ExitCode.USAGE;
  }
  if (found.kind === 'group') return unfinished(found, rest[0], terminal);
  const { verb } = found;
  const parsed = parse(verb, found.rest, terminal);
  if (parsed.kind === 'help') {
    terminal.out(verbHelp(verb));
    return ExitCode.OK;
  }
  if (parsed.kind === 'usage') {
    complain({ terminal }, `${verb.name}: ${parsed.what}`);
    terminal.err(`${usageLine(verb)}\n`);
    return ExitCode.USAGE;
  }
  return verb.run({ ...parsed, terminal });
}

/** A word that verbs begin with, and none of them. */
function unfinished(
  { name, verbs }: { readonly name: string; readonly verbs: readonly Verb[] },
  word: string | undefined,
  terminal: Terminal,
): ExitCode {
  if (word === '--help' || word === '-h') {
    terminal.out(groupOverview(name, verbs));
    return ExitCode.OK;
  }
  if (word === undefined) {
    terminal.err(groupOverview(name, verbs));
    return ExitCode.USAGE;
  }
  const known = verbs.map((one) => one.name.slice(name.length + 1));
  const hint = didYouMean(word, known);
  complain({ terminal }, `there is no verb ${name} ${word}${hint}; tsgw help ${name} lists them`);
  return ExitCode.USAGE;
}

const FIRST_WORDS = [...new Set(VERBS.map(({ name }) => name.split(' ')[0] ?? ''))];

function parse(verb: Verb, argv: readonly string[], terminal: Terminal): ParsedCall {
  if (verb.name === 'run') {
    const options = parseRunOptions(argv, terminal.environment);
    if (options.kind !== 'run') return options;
  }
  return parseCall(verb, argv, terminal.environment);
}
