/**
 * What is found in settings: errors an operator must mend and warnings they should read.
 *
 * Reading goes on after an error, so that one run names them all. What two connections inherit
 * from one line is named once.
 */
import { ConfigError, type Position } from './section.ts';

/** Accepted, but an operator should know. */
export interface ConfigWarning {
  readonly at: Position;
  readonly what: string;
}

/** All errors of a configuration; prints one per line. */
export class ConfigErrors extends Error {
  override readonly name = 'ConfigErrors';
  readonly errors: readonly ConfigError[];

  constructor(errors: readonly ConfigError[]) {
    super(errors.map((error) => error.message).join('\n'));
    this.errors = errors;
  }
}

export class Findings {
  readonly #errors = new Map<string, ConfigError>();
  readonly #warnings = new Map<string, ConfigWarning>();
  readonly #warnedOf = new Set<string>();

  get errors(): readonly ConfigError[] {
    return inReadingOrder([...this.#errors.values()]);
  }

  get warnings(): readonly ConfigWarning[] {
    return inReadingOrder([...this.#warnings.values()]);
  }

  error(at: Position, what: string): void {
    this.#addError(new ConfigError(at, what));
  }

  warn(at: Position, what: string): void {
    const key = `${at.file}:${at.line}: ${what}`;
    if (!this.#warnings.has(key)) this.#warnings.set(key, Object.freeze({ at, what }));
  }

  /** A warning about something that is used in several places: only the first is named. */
  warnOnce(something: string, at: Position, what: string): void {
    if (this.#warnedOf.has(something)) return;
    this.#warnedOf.add(something);
    this.warn(at, what);
  }

  /** What `read` answers, or undefined after its `ConfigError` has been noted. */
  attempt<T>(read: () => T): T | undefined {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      this.#addError(error);
      return undefined;
    }
  }

  #addError(error: ConfigError): void {
    if (!this.#errors.has(error.message)) this.#errors.set(error.message, error);
  }
}

/** Line by line, file by file; of one line, as found. */
function inReadingOrder<T extends { readonly at: Position }>(found: readonly T[]): readonly T[] {
  const files = [...new Set(found.map(({ at }) => at.file))];
  return files.flatMap((file) =>
    found.filter(({ at }) => at.file === file).sort((a, b) => a.at.line - b.at.line),
  );
}
