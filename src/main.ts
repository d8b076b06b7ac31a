/**
 * argv → config → gateway → signals. Every verb but `run` is the command line's business.
 */
import { runCli } from './cli/cli.ts';
import { parseRunOptions, type RunOptions } from './cli/run-options.ts';
import { printable } from './cli/terminal.ts';
import { type Config, loadConfig } from './config/config.ts';
import { ConfigError } from './config/section.ts';
import type { Event } from './events/event.ts';
import { eventLevel, isShown, logLine, logRecord } from './events/log-line.ts';
import { readFiles, readSettings, SettingsFileError } from './io/settings-files.ts';

/** Runs `tsgw` with the arguments behind its name; answers the exit code. */
export async function main(argv: readonly string[]): Promise<number> {
  const [verb, ...rest] = argv;
  if (verb !== 'run') return runCli(argv);
  const options = parseRunOptions(rest);
  return options.kind === 'run' ? runGateway(options) : runCli(argv);
}

/** Runs the gateway until SIGTERM or SIGINT; 0 after an orderly end, 1 if it could not run. */
async function runGateway(options: RunOptions): Promise<number> {
  try {
    // Loaded for this verb only: the others work without the native addon and its rooms.
    const { Gateway } = await import('./gateway.ts');
    const load = (): Config => loadConfig(readSettings(options.config), options.config, readFiles);
    const config = load();
    let ended = (_code: number): void => {};
    const end = new Promise<number>((resolve) => {
      ended = resolve;
    });
    const gateway = await Gateway.start({
      config,
      viciUri: options.vici,
      ...(options.keylog !== undefined && { keyLogDirectory: options.keylog }),
      log: logger(options),
      reload: () => reloaded(options.config, load),
      failed: (error) => {
        say(error.message);
        ended(1);
      },
    });
    const stop = () => ended(0);
    process.once('SIGTERM', stop);
    process.once('SIGINT', stop);
    process.stdout.write(`ready device=${config.gateway.device} vici=${options.vici}\n`);
    const code = await end;
    await gateway.stop();
    return code;
  } catch (error) {
    say(error instanceof Error ? error.message : String(error));
    return 1;
  }
}

/** A file that cannot be read is the operator's to mend while the daemon goes on. */
function reloaded(file: string, load: () => Config): Config {
  try {
    return load();
  } catch (error) {
    if (!(error instanceof SettingsFileError)) throw error;
    throw new ConfigError({ file, line: 0 }, error.message);
  }
}

/** One line per event on stderr, as text or as JSON; those of one turn are written together. */
function logger({ logLevel, jsonLog }: RunOptions): (event: Event) => void {
  let lines = '';
  const write = (): void => {
    if (lines !== '') process.stderr.write(lines);
    lines = '';
  };
  process.once('exit', write);
  return (event) => {
    if (!isShown(eventLevel(event), logLevel)) return;
    if (lines === '') setImmediate(write);
    const line = jsonLog ? JSON.stringify(logRecord(event)) : logLine(event);
    lines += `${new Date().toISOString()} ${line}\n`;
  };
}

/** Several errors are one a line. */
function say(what: string): void {
  for (const line of what.split('\n')) process.stderr.write(`tsgw: ${printable(line)}\n`);
}
