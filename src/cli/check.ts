/**
 * `tsgw check FILE`: a configuration file and all it includes, without a daemon.
 */
import { loadWithSettings } from '../config/config.ts';
import { ConfigErrors, type ConfigWarning } from '../config/findings.ts';
import { lintConfig } from '../config/lint.ts';
import type { LintFinding } from '../config/lint-findings.ts';
import { readFiles, readSettings, SettingsFileError } from '../io/settings-files.ts';
import { complain } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { paint, printable } from './terminal.ts';
import type { Call } from './verb.ts';

export async function check(call: Call): Promise<ExitCode> {
  const [file = ''] = call.operands;
  try {
    const text = readSettings(file);
    const { config, settings } = loadWithSettings(text, file, readFiles);
    const findings = inReadingOrder(config.warnings, lintConfig(config, settings));
    report(call, findings);
    if (!call.switches.has('json')) {
      const counts = [
        plural(config.connections.length, 'connection'),
        plural(config.secrets.length, 'secret'),
        plural(findings.filter(({ kind }) => kind === 'warning').length, 'warning'),
      ];
      call.terminal.out(`${printable(file)}: good, ${counts.join(', ')}\n`);
    }
    return ExitCode.OK;
  } catch (error) {
    if (error instanceof SettingsFileError) {
      complain(call, error.message);
      return ExitCode.FAILED;
    }
    if (!(error instanceof ConfigErrors)) throw error;
    report(
      call,
      error.errors.map(({ at, what }) => ({ ...at, kind: 'error', what }) as const),
    );
    return ExitCode.FAILED;
  }
}

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly kind: 'error' | 'warning' | 'note';
  readonly what: string;
  /** Of what is no fault of the grammar: the rule, and what to write instead. */
  readonly rule?: string;
  readonly instead?: string;
}

/** Line by line; where a rule says more about a weak algorithm, the warning goes. */
function inReadingOrder(
  warnings: readonly ConfigWarning[],
  lint: readonly LintFinding[],
): readonly Finding[] {
  const said = new Set(
    lint.filter(({ rule }) => rule === 'discouraged').map(({ at }) => `${at.file}:${at.line}`),
  );
  const kept = warnings.filter(
    ({ at, what }) => !(what.endsWith(' is weak') && said.has(`${at.file}:${at.line}`)),
  );
  const all: readonly Finding[] = [
    ...kept.map(({ at, what }) => ({ ...at, kind: 'warning', what }) as const),
    ...lint.map(({ at, kind, rule, what, instead }) => ({ ...at, kind, rule, what, instead })),
  ];
  const files = [...new Set(all.map(({ file }) => file))];
  return files.flatMap((file) =>
    all.filter((one) => one.file === file).sort((a, b) => a.line - b.line),
  );
}

/** What was found is this verb's data: on stdout. */
function report({ terminal, switches }: Call, findings: readonly Finding[]): void {
  if (switches.has('json')) {
    terminal.out(`${JSON.stringify(findings.map(row), null, 2)}\n`);
    return;
  }
  for (const { file, line, kind, what, instead } of findings) {
    const title = paint(terminal, COLOURS[kind], `${kind}:`);
    const step = instead ? `; ${instead}` : '';
    terminal.out(`${printable(file)}:${line}: ${title} ${printable(`${what}${step}`)}\n`);
  }
}

function row({
  file,
  line,
  kind,
  what,
  rule,
  instead,
}: Finding): Readonly<Record<string, unknown>> {
  return { file, line, kind, what, ...(rule && { rule }), ...(instead && { instead }) };
}

const COLOURS = { error: 'red', warning: 'yellow', note: 'dim' } as const;

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
