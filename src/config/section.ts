/**
 * Settings as a tree: what both the swanctl.conf grammar and vici's `load-conn` message become.
 */

/** Where a value stands; `file` is `vici` for values that came by message. */
export interface Position {
  readonly file: string;
  readonly line: number;
}

export interface Value {
  readonly text: string;
  readonly at: Position;
}

/** A key holds one text (swanctl.conf, where lists are comma separated) or a list (vici). */
export type Entry =
  | { readonly kind: 'value'; readonly value: Value }
  | { readonly kind: 'list'; readonly items: readonly Value[]; readonly at: Position };

/** Keys and sub-sections keep the order in which they first appeared. */
export interface Section {
  readonly at: Position;
  readonly entries: ReadonlyMap<string, Entry>;
  readonly sections: ReadonlyMap<string, Section>;
}

/** The operator is wrong: where, what, and what to write instead. Prints as `file:line: what`. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly at: Position;
  readonly what: string;

  constructor(at: Position, what: string) {
    super(`${at.file}:${at.line}: ${what}`);
    this.at = at;
    this.what = what;
  }
}
