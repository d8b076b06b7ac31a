/**
 * Commands of charon's FIFO `charon.ha`, one a line: `+3` takes segment 3, `-3` gives it away, `*3` tells
 * the other node of everything in it again and has its Child SAs replaced.
 */
export interface HaCommand {
  readonly kind: 'take' | 'drop' | 'resync';
  readonly segment: number;
}

/** What was written to the FIFO; lines that are no command are answered as they came. */
export interface HaCommands {
  readonly commands: readonly HaCommand[];
  readonly refused: readonly string[];
}

/** Reads what was written, of a cluster with so many segments. */
export function parseHaCommands(text: string, segmentCount: number): HaCommands {
  const commands: HaCommand[] = [];
  const refused: string[] = [];
  for (const line of text.split('\n').map((each) => each.trim())) {
    if (line === '') continue;
    const [, sign = '', digits = ''] = /^([+*-])\s*(\d{1,5})$/.exec(line) ?? [];
    const kind = KINDS.get(sign);
    const segment = Number(digits);
    if (kind === undefined || segment < 1 || segment > segmentCount) {
      refused.push(line.slice(0, LONGEST_ECHO));
    } else {
      commands.push({ kind, segment });
    }
  }
  return { commands, refused };
}

const KINDS: ReadonlyMap<string, HaCommand['kind']> = new Map([
  ['+', 'take'],
  ['-', 'drop'],
  ['*', 'resync'],
]);
const LONGEST_ECHO = 32;
