/**
 * A verb of `tsgw`: what it is called, what it takes and what it does. Help, usage and the manual
 * are made from these declarations and nothing else.
 */
import { parseArgs } from 'node:util';
import { didYouMean } from '../config/nearest-name.ts';
import { DEFAULT_VICI_URI, parseViciUri } from '../vici/uri.ts';
import type { ExitCode } from './exit-code.ts';
import type { Terminal } from './terminal.ts';

export interface VerbOption {
  /** The name of its value in the help; a switch has none. */
  readonly value?: string;
  /** One letter that stands for the name. */
  readonly short?: string;
  readonly help: string;
}

export interface Operand {
  readonly name: string;
  readonly required: boolean;
  /** It may stand several times. */
  readonly many?: boolean;
  readonly help: string;
}

export interface Verb {
  readonly name: string;
  /** One line. */
  readonly summary: string;
  readonly description: string;
  readonly operands: readonly Operand[];
  readonly options: Readonly<Record<string, VerbOption>>;
  readonly examples: readonly (readonly [command: string, does: string])[];
  run(call: Call): Promise<ExitCode>;
}

/** A verb as the user called it. */
export interface Call {
  readonly operands: readonly string[];
  readonly options: ReadonlyMap<string, string>;
  readonly switches: ReadonlySet<string>;
  /** Where the daemon is asked. */
  readonly uri: string;
  readonly terminal: Terminal;
}

export type ParsedCall =
  | ({ readonly kind: 'call' } & Omit<Call, 'terminal'>)
  | { readonly kind: 'help' }
  | { readonly kind: 'usage'; readonly what: string };

/** The option of every verb that asks the daemon. */
export const URI_OPTIONS: Readonly<Record<string, VerbOption>> = {
  uri: {
    value: 'URI',
    help: `where the daemon listens: unix:///PATH or tcp://HOST:PORT (or TSGW_URI; ${DEFAULT_VICI_URI})`,
  },
  vici: { value: 'URI', help: 'the same, under the name it has for run' },
};

export const JSON_OPTION: Readonly<Record<string, VerbOption>> = {
  json: { help: 'print JSON' },
};

export function parseCall(
  verb: Verb,
  argv: readonly string[],
  environment: Terminal['environment'],
): ParsedCall {
  const options = new Map<string, string>();
  const switches = new Set<string>();
  const operands: string[] = [];
  for (const token of tokensOf(verb, argv)) {
    if (token.kind === 'positional') operands.push(token.value);
    if (token.kind !== 'option') continue;
    const { name } = token;
    if (name === 'help' || name === 'h') return { kind: 'help' };
    const option = Object.hasOwn(verb.options, name) ? verb.options[name] : undefined;
    if (option === undefined) {
      return usage(`unknown option ${token.rawName}${hint(name, Object.keys(verb.options))}`);
    }
    if (option.value === undefined) {
      if (token.value !== undefined) return usage(`--${name} takes no value`);
      switches.add(name);
    } else {
      if (token.value === undefined) return usage(`--${name} needs a ${option.value}`);
      options.set(name, token.value);
    }
  }
  const missing = verb.operands.find(({ required }, index) => required && !(index in operands));
  if (missing) return usage(`${missing.name} is missing`);
  const extra = operands[verb.operands.length];
  if (extra !== undefined && !verb.operands.some(({ many }) => many))
    return usage(`${extra} is one argument too many`);
  const uri =
    options.get('uri') ?? options.get('vici') ?? (environment.TSGW_URI || DEFAULT_VICI_URI);
  const address = parseViciUri(uri);
  if (typeof address === 'string') return usage(address);
  return { kind: 'call', operands, options, switches, uri };
}

/** `; did you mean --json?` */
function hint(name: string, known: readonly string[]): string {
  return didYouMean(name, known).replace('did you mean ', 'did you mean --');
}

function usage(what: string): ParsedCall {
  return { kind: 'usage', what };
}

function tokensOf(verb: Verb, argv: readonly string[]) {
  const entries = Object.entries(verb.options).map(([name, { value, short }]) => [
    name,
    {
      type: value === undefined ? ('boolean' as const) : ('string' as const),
      ...(short !== undefined && { short }),
    },
  ]);
  return parseArgs({
    args: [...argv],
    options: { help: { type: 'boolean', short: 'h' }, ...Object.fromEntries(entries) },
    strict: false,
    allowPositionals: true,
    tokens: true,
  }).tokens;
}
