/**
 * Where the command line writes and what it asks of the process: data to `out`, all else to `err`.
 */
import { styleText } from 'node:util';

export interface Terminal {
  out(text: string): void;
  err(text: string): void;
  /** Whether `out` may be coloured. */
  readonly colour: boolean;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Settles when the user wants it to end, or nobody reads `out` any more. */
  interrupted(): Promise<void>;
}

export type Colour = 'bold' | 'dim' | 'green' | 'red' | 'yellow';

export function paint(terminal: Terminal, colour: Colour, text: string): string {
  // Whether the stream is a terminal was asked when the `Terminal` was made.
  return terminal.colour ? styleText(colour, text, { validateStream: false }) : text;
}

/** Text of a daemon or a peer cannot steer the terminal. */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, '?');
}

export function processTerminal(): Terminal {
  const { NO_COLOR: noColour } = process.env;
  const unread = new Promise<void>((resolve) => {
    // `tsgw log | head` is no fault: the reader has what it wanted.
    process.stdout.on('error', () => resolve());
  });
  return {
    out: (text) => void process.stdout.write(text),
    err: (text) => void process.stderr.write(text),
    // https://no-color.org: present and not empty.
    colour: process.stdout.isTTY === true && (noColour === undefined || noColour === ''),
    environment: process.env,
    interrupted: () =>
      Promise.race([
        unread,
        new Promise<void>((resolve) => {
          process.once('SIGINT', resolve);
          process.once('SIGTERM', resolve);
        }),
      ]),
  };
}
