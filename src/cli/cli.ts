/**
 * The command line: finds the verb, reads its arguments, runs it.
 */
import { didYouMean } from '../config/nearest-name.ts';
import { complain } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { overview, usageLine, verbHelp } from './help.ts';
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
  const verb = verbOf(name);
  if (verb === undefined) {
    const hint = didYouMean(
      name,
      VERBS.map((one) => one.name),
    );
    complain({ terminal }, `there is no verb ${name}${hint}; tsgw help lists them`);
    return ExitCode.USAGE;
  }
  const parsed = parse(verb, rest, terminal);
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

function parse(verb: Verb, argv: readonly string[], terminal: Terminal): ParsedCall {
  if (verb.name === 'run') {
    const options = parseRunOptions(argv, terminal.environment);
    if (options.kind !== 'run') return options;
  }
  return parseCall(verb, argv, terminal.environment);
}
