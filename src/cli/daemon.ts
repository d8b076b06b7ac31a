/**
 * Asking the daemon: a connection for the time of one verb, and what it means when there is none.
 */
import { NotConnectedError, UnknownNameError, ViciClient } from '../vici/client.ts';
import { ExitCode } from './exit-code.ts';
import { paint, printable } from './terminal.ts';
import type { Call } from './verb.ts';

/** Runs `ask` with a connection to the daemon; exit code 3 where there is none. */
export async function withDaemon(
  call: Call,
  ask: (client: ViciClient) => Promise<ExitCode>,
): Promise<ExitCode> {
  try {
    const client = await ViciClient.connect(call.uri);
    try {
      return await ask(client);
    } finally {
      client.close();
    }
  } catch (error) {
    if (error instanceof NotConnectedError) {
      complain(call, error.message);
      return ExitCode.NOT_CONNECTED;
    }
    if (error instanceof UnknownNameError) {
      complain(call, `${error.message}: it is not tsgw, or another version`);
      return ExitCode.FAILED;
    }
    throw error;
  }
}

/** One line on stderr, in the name of the program. */
export function complain({ terminal }: Pick<Call, 'terminal'>, what: string): void {
  terminal.err(`${paint(terminal, 'red', 'tsgw:')} ${printable(what)}\n`);
}
