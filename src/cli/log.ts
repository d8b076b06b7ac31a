/**
 * `tsgw log`: the daemon's events as they happen, until interrupted.
 */

import { viciText } from '../vici/message.ts';
import { complain, withDaemon } from './daemon.ts';
import { eventSchema } from './event-schema.ts';
import { ExitCode } from './exit-code.ts';
import { toJson } from './json.ts';
import type { Call } from './verb.ts';

const LEVELS = ['error', 'notice', 'debug', 'trace'];

export async function log(call: Call): Promise<ExitCode> {
  const { terminal, switches, options } = call;
  const threshold = LEVELS.indexOf(options.get('level') ?? 'debug');
  if (threshold < 0) {
    complain(call, `--level is one of ${LEVELS.join(', ')}`);
    return ExitCode.USAGE;
  }
  return withDaemon(call, async (client) => {
    await client.listen('tsgw-event', (event) => {
      if (LEVELS.indexOf(viciText(event, 'level') ?? '') > threshold) return;
      const line = viciText(event, 'line') ?? '';
      const { line: _line, ...fields } = toJson(event, eventSchema);
      terminal.out(`${switches.has('json') ? JSON.stringify(fields) : line}\n`);
    });
    const ended = await Promise.race([
      terminal.interrupted().then(() => 'interrupted' as const),
      client.closed.then(() => 'closed' as const),
    ]);
    if (ended === 'interrupted') return ExitCode.OK;
    complain(call, `the daemon at ${call.uri} closed the connection`);
    return ExitCode.NOT_CONNECTED;
  });
}
