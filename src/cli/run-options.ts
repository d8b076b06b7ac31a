/**
 * The options of `tsgw run`.
 */
import type { Level } from '../events/event.ts';
import { DEFAULT_VICI_URI } from '../vici/uri.ts';
import { complain } from './daemon.ts';
import { ExitCode } from './exit-code.ts';
import { parseCall, type Verb } from './verb.ts';

export interface RunOptions {
  readonly kind: 'run';
  readonly config: string;
  /** Where vici listens. */
  readonly vici: string;
  /** Directory for Wireshark's key tables; unset = no key is ever written. */
  readonly keylog?: string;
  readonly logLevel: Level;
  readonly jsonLog: boolean;
}

export type ParsedRun =
  | RunOptions
  | { readonly kind: 'help' }
  | { readonly kind: 'usage'; readonly what: string };

const LEVELS: readonly Level[] = ['error', 'notice', 'debug', 'trace'];

const DEFAULT_CONFIG = '/etc/tsgw/tsgw.conf';

export const RUN: Verb = {
  name: 'run',
  summary: 'run the gateway in the foreground',
  description:
    'Reads the configuration, opens the device and the sockets, and serves vici until SIGTERM or ' +
    'SIGINT. Prints "ready" on stdout when it does; events go to stderr, one line each.',
  operands: [],
  options: {
    config: {
      value: 'FILE',
      help: `the configuration, in swanctl.conf grammar (${DEFAULT_CONFIG})`,
    },
    vici: {
      value: 'URI',
      help: `where to listen: unix:///PATH or tcp://HOST:PORT (or TSGW_URI; ${DEFAULT_VICI_URI})`,
    },
    uri: { value: 'URI', help: 'the same, under the name it has for the other verbs' },
    keylog: {
      value: 'DIR',
      help: "write the keys of every SA there, in Wireshark's tables: whoever reads them reads the traffic",
    },
    'log-level': { value: 'LEVEL', help: `one of ${LEVELS.join(', ')} (notice)` },
    'json-log': { help: 'log one JSON object per line' },
  },
  examples: [
    ['tsgw run --config /etc/swanctl/swanctl.conf', 'serve the connections of that file'],
    ['tsgw run --config lab.conf --vici unix:///tmp/tsgw.vici --log-level debug', 'try something'],
  ],
  run: async (call) => {
    complain(call, 'the gateway is started by the program tsgw, not from here');
    return ExitCode.USAGE;
  },
};

/** Reads what stands behind `run`. `kind` is `run` where it can be run. */
export function parseRunOptions(
  argv: readonly string[],
  environment: Readonly<Record<string, string | undefined>> = process.env,
): ParsedRun {
  const call = parseCall(RUN, argv, environment);
  if (call.kind !== 'call') return call;
  const wanted = call.options.get('log-level') ?? 'notice';
  const logLevel = LEVELS.find((level) => level === wanted);
  if (logLevel === undefined) {
    return { kind: 'usage', what: `--log-level is one of ${LEVELS.join(', ')}` };
  }
  const keylog = call.options.get('keylog');
  return {
    kind: 'run',
    config: call.options.get('config') ?? DEFAULT_CONFIG,
    vici: call.uri,
    ...(keylog === undefined ? {} : { keylog }),
    logLevel,
    jsonLog: call.switches.has('json-log'),
  };
}
