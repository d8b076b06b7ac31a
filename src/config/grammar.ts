/**
 * The grammar of swanctl.conf: sections, entries, quotes, comments and includes.
 *
 *   statement = NAME '=' value | NAME [':' reference {',' reference}] '{' statements '}' | include GLOB
 *
 * A value ends at the line's end, at `}` or at `#`; its words are joined by one space. What a
 * file says is kept as written: references are resolved in `references.ts`. Reads no file itself.
 */
import { ConfigError, type Position, type Value } from './section.ts';

/** A settings file as it was read. */
export interface SourceFile {
  readonly file: string;
  readonly text: string;
}

/** Answers the files a glob matches, in order; relative globs start beside the file `from`. */
export type ReadFiles = (glob: string, from: string) => readonly SourceFile[];

/** A section as written, with everything later files and repetitions added to it. */
export interface WrittenSection {
  readonly at: Position;
  readonly entries: Map<string, WrittenEntry>;
  readonly sections: Map<string, WrittenSection>;
  readonly references: Reference[];
}

/** `value` is undefined where the file says `key =`: the key is unset, also for what it inherits. */
export interface WrittenEntry {
  readonly at: Position;
  readonly value: Value | undefined;
}

/** The absolute name of a section whose content is inherited. */
export interface Reference {
  readonly at: Position;
  readonly path: readonly string[];
}

export const MAX_SECTION_DEPTH = 32;
export const MAX_INCLUDE_DEPTH = 16;
export const MAX_INCLUDED_FILES = 1000;

/** Parses a file and all it includes. Throws the first `ConfigError`. */
export function parseSettings(source: SourceFile, readFiles: ReadFiles): WrittenSection {
  const root = writtenSection({ file: source.file, line: 1 });
  const files = { read: readFiles, open: [source.file], included: 0 };
  new FileParser(source, files).statements(root, 0);
  return root;
}

/** The files of one run: which are open, one inside the other, and how many there were. */
interface Files {
  readonly read: ReadFiles;
  readonly open: string[];
  included: number;
}

const BLANKS = /[\t\r ]*/y;
const COMMENT = /#[^\n]*/y;
const NAME = /[^#{}=:,."\r\n\t ]+/y;
const WORD = /[^#}"\r\n\t ]+/y;
const INCLUDE = /include[\t ]+(?=[^=\t ])/y;
const PATTERN_PART = /[^"\\#}\r\n\t ]+/y;

class FileParser {
  readonly #file: string;
  readonly #text: string;
  readonly #files: Files;
  #at = 0;
  #line = 1;

  constructor(source: SourceFile, files: Files) {
    this.#file = source.file;
    this.#text = source.text;
    this.#files = files;
  }

  /** Statements up to the end of the file, or to the `}` that closes `opened`. */
  statements(
    section: WrittenSection,
    depth: number,
    opened?: { name: string; at: Position },
  ): void {
    for (;;) {
      this.#skipLines();
      const next = this.#peek();
      if (next === '') {
        if (opened === undefined) return;
        this.#fail(opened.at, `section ${opened.name} is not closed: write } behind its content`);
      } else if (next === '}') {
        if (opened === undefined) this.#fail(this.#here(), '} closes no section: remove it');
        this.#at++;
        return;
      } else if (this.#match(INCLUDE) !== '') {
        this.#include(section, depth);
      } else {
        this.#statement(section, depth);
      }
    }
  }

  #statement(section: WrittenSection, depth: number): void {
    const at = this.#here();
    const name = this.#match(NAME);
    if (name === '') this.#unexpected('a name');
    this.#skipLines();
    if (this.#peek() === '=') {
      this.#at++;
      section.entries.set(name, { at, value: this.#value(at) });
      return;
    }
    const references = this.#peek() === ':' ? this.#references() : [];
    if (this.#peek() !== '{') {
      this.#fail(at, `${name}: expected "${name} = value" or "${name} { ... }"`);
    }
    this.#at++;
    if (depth >= MAX_SECTION_DEPTH) {
      this.#fail(at, `section ${name}: nested deeper than ${MAX_SECTION_DEPTH} sections`);
    }
    const inner = section.sections.get(name) ?? writtenSection(at);
    section.sections.set(name, inner);
    inner.references.push(...references);
    this.statements(inner, depth + 1, { name, at });
  }

  #value(at: Position): Value | undefined {
    const words: string[] = [];
    for (;;) {
      this.#match(BLANKS);
      if (this.#peek() === '"') {
        words.push(this.#string());
        continue;
      }
      const word = this.#match(WORD);
      if (word === '') return words.length === 0 ? undefined : { text: words.join(' '), at };
      words.push(word);
    }
  }

  #string(): string {
    const opened = this.#here();
    let text = '';
    this.#at++;
    for (;;) {
      const next = this.#take();
      if (next === '"') return text;
      if (next === '') this.#fail(opened, 'the string is not closed: write " behind its last word');
      if (next === '\\') text += this.#escaped();
      else if (next !== '\r') text += next;
    }
  }

  /** What stands for a backslash and the character behind it; a line's end continues the line. */
  #escaped(): string {
    const next = this.#take();
    if (next === 'n') return '\n';
    if (next === 'r') return '\r';
    if (next === 't') return '\t';
    if (next === '\r' && this.#peek() === '\n') this.#take();
    return next === '\n' || next === '\r' ? '' : next;
  }

  #references(): readonly Reference[] {
    const references: Reference[] = [];
    do {
      this.#at++;
      this.#skipLines();
      references.push(this.#reference());
      this.#skipLines();
    } while (this.#peek() === ',');
    return references;
  }

  #reference(): Reference {
    const at = this.#here();
    const path: string[] = [];
    for (;;) {
      const name = this.#match(NAME);
      if (name === '') this.#unexpected('the name of a section, as in "name : other.section {"');
      path.push(name);
      if (this.#peek() !== '.') return { at, path };
      this.#at++;
    }
  }

  #include(section: WrittenSection, depth: number): void {
    const at = this.#here();
    const glob = this.#pattern();
    if (glob === '') this.#fail(at, 'include names no file: write include path/*.conf');
    if (this.#files.open.length >= MAX_INCLUDE_DEPTH) {
      this.#fail(at, `include ${glob}: nested deeper than ${MAX_INCLUDE_DEPTH} files`);
    }
    for (const source of this.#files.read(glob, this.#file)) {
      if (this.#files.open.includes(source.file)) {
        this.#fail(at, `include ${glob}: ${source.file} includes itself`);
      }
      if (++this.#files.included > MAX_INCLUDED_FILES) {
        this.#fail(at, `include ${glob}: more than ${MAX_INCLUDED_FILES} files are included`);
      }
      this.#files.open.push(source.file);
      new FileParser(source, this.#files).statements(section, depth);
      this.#files.open.pop();
    }
  }

  /** A file pattern: a quoted string, or words in which `\` escapes a quote, `#`, `}` or a space. */
  #pattern(): string {
    if (this.#peek() === '"') return this.#string();
    let pattern = '';
    for (;;) {
      pattern += this.#match(PATTERN_PART);
      if (this.#peek() !== '\\') return pattern;
      this.#at++;
      if (/["#} ]/.test(this.#peek())) pattern += this.#take();
      else pattern += '\\';
    }
  }

  #skipLines(): void {
    do {
      this.#match(BLANKS);
      this.#match(COMMENT);
    } while (this.#peek() === '\n' && this.#take() !== '');
  }

  #peek(): string {
    return this.#text.charAt(this.#at);
  }

  /** The next character, empty at the end; the only place where lines are counted. */
  #take(): string {
    const next = this.#peek();
    this.#at += next.length;
    if (next === '\n') this.#line++;
    return next;
  }

  /** Moves past what the sticky pattern matches here; none of the patterns crosses a line's end. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const matched = pattern.exec(this.#text)?.[0] ?? '';
    this.#at += matched.length;
    return matched;
  }

  #here(): Position {
    return { file: this.#file, line: this.#line };
  }

  #unexpected(wanted: string): never {
    const next = this.#peek();
    const found = next === '' ? 'the end of the file' : next === '\n' ? "the line's end" : next;
    this.#fail(this.#here(), `expected ${wanted}, found ${found}`);
  }

  #fail(at: Position, what: string): never {
    throw new ConfigError(at, what);
  }
}

function writtenSection(at: Position): WrittenSection {
  return { at, entries: new Map(), sections: new Map(), references: [] };
}
