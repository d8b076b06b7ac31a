/**
 * What a question of the bench is, and how its options are read.
 */
import { parseArgs } from 'node:util';

/** Values of options by name, as text. */
export type Values = Readonly<Record<string, string>>;

export interface Answer {
  /** For machines. */
  readonly report: object;
  /** For people. */
  readonly table: string;
  /** Every limit the question knows is kept. */
  readonly kept: boolean;
}

export interface Question {
  readonly summary: string;
  readonly help: string;
  /** Options of a call that shows what they are for. */
  readonly example?: string;
  /** Options besides `--json`, with their defaults. */
  readonly options: Values;
  /** Throws a `UsageError` before anything is measured. */
  ask(values: Values, progress: (line: string) => void): Promise<Answer>;
}

export class UsageError extends Error {}

/** `json` is empty unless it was asked for. */
export function readOptions(options: Values, argv: readonly string[]): Values {
  try {
    const { values } = parseArgs({
      args: [...argv],
      options: {
        json: { type: 'boolean', default: false },
        ...Object.fromEntries(
          Object.entries(options).map(([name, value]) => [
            name,
            { type: 'string', default: value } as const,
          ]),
        ),
      },
    });
    const given = Object.entries(values).map(([name, value]) => [name, String(value)]);
    return { ...Object.fromEntries(given), json: values.json === true ? 'yes' : '' };
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

/** A whole number of at least `least`. */
export function whole(values: Values, name: string, least = 1): number {
  const value = Number(values[name]);
  if (values[name] === '' || !Number.isInteger(value) || value < least) {
    throw new UsageError(`--${name} ${values[name]}: a whole number, ${least} or more`);
  }
  return value;
}

/** Whole numbers of at least 1, none of them twice. */
export function wholes(values: Values, name: string): readonly number[] {
  const list = words(values, name).map(Number);
  if (list.some((each) => !Number.isInteger(each) || each < 1)) {
    throw new UsageError(`--${name} ${values[name]}: whole numbers, as in 1,8`);
  }
  return list;
}

/** One of the words there are. */
export function oneOf<T extends string>(values: Values, name: string, known: readonly T[]): T {
  const found = known.find((each) => each === values[name]);
  if (found !== undefined) return found;
  throw new UsageError(`--${name} ${values[name]}: one of ${known.join(', ')}`);
}

/** Some of the words there are, in the order they were given. */
export function someOf<T extends string>(
  values: Values,
  name: string,
  known: readonly T[],
): readonly T[] {
  return words(values, name).map((word) => {
    const found = known.find((each) => each === word);
    if (found !== undefined) return found;
    throw new UsageError(`--${name} ${values[name]}: ${word} is not one of ${known.join(', ')}`);
  });
}

function words(values: Values, name: string): readonly string[] {
  const list = (values[name] ?? '').split(',').map((word) => word.trim());
  if (new Set(list).size < list.length) {
    throw new UsageError(`--${name} ${values[name]}: something is there twice`);
  }
  return list;
}
