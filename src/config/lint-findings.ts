/**
 * What the rules of `tsgw check` find, and where it stands.
 *
 * A rule looks at what was read (`Config`); its lines are looked up in the settings that it was read
 * from.
 */
import type { ChildPolicy, Connection } from '../ipsec/connection.ts';
import type { Config } from './config.ts';
import type { Position, Section } from './section.ts';

/** A note says what some would not expect; nothing need be done. */
export interface LintFinding {
  readonly kind: 'warning' | 'note';
  /** The rule's name. */
  readonly rule: string;
  readonly at: Position;
  readonly what: string;
  /** What to write instead; empty where there is nothing to do. */
  readonly instead: string;
}

/** One child with what it belongs to. */
export interface LintedChild {
  readonly connection: Connection;
  readonly child: ChildPolicy;
}

/** Where settings stand, and what the rules found. */
export class Lint {
  readonly config: Config;
  readonly #root: Section;
  readonly #findings: LintFinding[] = [];

  constructor(config: Config, root: Section) {
    this.config = config;
    this.#root = root;
  }

  get findings(): readonly LintFinding[] {
    return [...this.#findings].sort(
      (a, b) => compare(a.at.file, b.at.file) || a.at.line - b.at.line,
    );
  }

  get children(): readonly LintedChild[] {
    return this.config.connections.flatMap((connection) =>
      connection.children.map((child) => ({ connection, child })),
    );
  }

  /** Notes a finding about `path`: where it is written, or else the section it would stand in. */
  warn(rule: string, path: readonly string[], what: string, instead: string): void {
    this.#add('warning', rule, path, what, instead);
  }

  note(rule: string, path: readonly string[], what: string): void {
    this.#add('note', rule, path, what, '');
  }

  /** Was it written, or does a default stand in for it? */
  isWritten(path: readonly string[]): boolean {
    return this.written(path).length > 0;
  }

  /** The items that were written there. */
  written(path: readonly string[]): readonly { readonly text: string; readonly at: Position }[] {
    const entry = this.#section(path.slice(0, -1))?.entries.get(path.at(-1) ?? '');
    if (!entry) return [];
    const values = entry.kind === 'list' ? entry.items : [entry.value];
    return values.flatMap(({ text, at }) =>
      text
        .split(',')
        .map((item) => ({ text: item.trim(), at }))
        .filter((item) => item.text !== ''),
    );
  }

  #add(
    kind: LintFinding['kind'],
    rule: string,
    path: readonly string[],
    what: string,
    instead: string,
  ): void {
    const name = path.join('.');
    this.#findings.push({
      kind,
      rule,
      at: this.#position(path),
      what: `${name}: ${what}`,
      instead,
    });
  }

  #position(path: readonly string[]): Position {
    const [written] = this.written(path);
    for (let length = path.length; !written && length >= 0; length--) {
      const section = this.#section(path.slice(0, length));
      if (section) return section.at;
    }
    return written?.at ?? this.#root.at;
  }

  #section(path: readonly string[]): Section | undefined {
    let section: Section | undefined = this.#root;
    for (const name of path) section = section?.sections.get(name);
    return section;
  }
}

/** Path of a key of a connection, or of one of its children. */
export function pathOf(
  { connection, child }: { readonly connection: Connection; readonly child?: ChildPolicy },
  ...keys: readonly string[]
): readonly string[] {
  const inner = child ? ['children', child.name, ...keys] : keys;
  return ['connections', connection.name, ...inner];
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
