/**
 * `tsgw check FILE`: a configuration file and all it includes, without a daemon.
 */
import { loadConfig } from '../config/config.ts';
import { ConfigErrors } from '../config/findings.ts';
import { readFiles, readSettings, SettingsFileError } from '../io/settings-files.ts';
import { complain } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { paint, printable } from './terminal.ts';
import type { Call } from './verb.ts';

export async function check(call: Call): Promise<ExitCode> {
  const [file = ''] = call.operands;
  try {
    const text = readSettings(file);
    const { connections, secrets, warnings } = loadConfig(text, file, readFiles);
    report(
      call,
      warnings.map(({ at, what }) => ({ ...at, kind: 'warning', what })),
    );
    if (!call.switches.has('json')) {
      const counts = [
        plural(connections.length, 'connection'),
        plural(secrets.length, 'secret'),
        plural(warnings.length, 'warning'),
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
      error.errors.map(({ at, what }) => ({ ...at, kind: 'error', what })),
    );
    return ExitCode.FAILED;
  }
}

interface Finding {
  readonly file: string;
  readonly line: number;
  readonly kind: string;
  readonly what: string;
}

/** What was found is this verb's data: on stdout. */
function report({ terminal, switches }: Call, findings: readonly Finding[]): void {
  if (switches.has('json')) {
    const rows = findings.map(({ file, line, kind, what }) => ({ file, line, kind, what }));
    terminal.out(`${JSON.stringify(rows, null, 2)}\n`);
    return;
  }
  for (const { file, line, kind, what } of findings) {
    const colour = kind === 'error' ? 'red' : 'yellow';
    const title = paint(terminal, colour, `${kind}:`);
    terminal.out(`${printable(file)}:${line}: ${title} ${printable(what)}\n`);
  }
}

function plural(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}
