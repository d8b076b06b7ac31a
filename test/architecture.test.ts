/**
 * The import table of ARCHITECTURE.md as a test: rooms, arrows, no cycles, no forbidden names.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';

/** Which room may import which. A room always imports itself. */
const ROOMS: Readonly<Record<string, readonly string[]>> = {
  wire: [],
  crypto: ['wire'],
  events: ['wire'],
  ipsec: ['crypto', 'wire'],
  ike: ['ipsec', 'crypto', 'events', 'wire'],
  esp: ['ipsec', 'crypto', 'events', 'wire'],
  cluster: ['ipsec', 'crypto', 'events', 'wire'],
  config: ['ipsec', 'crypto', 'wire'],
  vici: ['config', 'events', 'wire'],
  io: ['events', 'wire', 'crypto', 'esp', 'ipsec', 'cluster'],
  cli: ['vici', 'config', 'io', 'events'],
  gateway: ['wire', 'crypto', 'events', 'ipsec', 'ike', 'cluster', 'config', 'vici', 'io'],
};

/** Files at the root of src may import everything but each other, with these exceptions. */
const ROOT_IMPORTS: Readonly<Record<string, readonly string[]>> = {
  'gateway.ts': [],
  'main.ts': ['gateway.ts'],
  'index.ts': ['gateway.ts'],
};

/** Where the operating system and its modules may be named. */
const NODE_ROOMS = ['io', 'crypto', 'vici', 'cli', 'main.ts', 'gateway'];
const PURE_ROOMS = ['wire', 'crypto', 'events', 'ipsec', 'ike', 'esp', 'cluster', 'config'];
const FORBIDDEN_NAMES = /^(utils?|helpers?|common|misc|shared|types)(\.ts)?$/;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly text: string;
  readonly imports: readonly string[];
}

const root = join(process.cwd(), 'src');
const files = readSources(root);

describe('The rooms of the house (ARCHITECTURE.md)', () => {
  it('has source files to look at', () => {
    assert.ok(files.length > 50);
  });

  it('has no room that the table does not name', () => {
    const unknown = files.filter(({ room }) => !(room in ROOMS) && !(room in ROOT_IMPORTS));
    assert.deepEqual(
      unknown.map(({ path }) => path),
      [],
    );
  });

  it('imports only along the arrows', () => {
    const wrong = files.flatMap((file) => {
      const allowed = ROOMS[file.room];
      return file.imports
        .filter((target) => target.startsWith('src/'))
        .map((target) => target.slice('src/'.length))
        .filter((target) => {
          const to = target.includes('/') ? (target.split('/')[0] ?? '') : target;
          if (allowed) return to !== file.room && !allowed.includes(to);
          return to in ROOT_IMPORTS && !ROOT_IMPORTS[file.room]?.includes(to);
        })
        .map((target) => `${file.path} -> ${target}`);
    });
    assert.deepEqual(wrong, []);
  });

  it('has no import cycle', () => {
    const graph = new Map(files.map(({ path, imports }) => [path, imports]));
    const done = new Set<string>();
    const walk = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) assert.fail([...trail, path].join(' -> '));
      if (done.has(path)) return;
      for (const next of graph.get(path) ?? []) if (graph.has(next)) walk(next, [...trail, path]);
      done.add(path);
    };
    for (const path of graph.keys()) walk(path, []);
  });

  it('names node modules only where the operating system may be touched', () => {
    const wrong = files.filter(
      ({ room, imports }) =>
        imports.some((target) => target.startsWith('node:')) && !NODE_ROOMS.includes(room),
    );
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    );
    const crypto = files.filter(({ room }) => room === 'crypto').flatMap(({ imports }) => imports);
    assert.deepEqual([...new Set(crypto.filter((target) => target.startsWith('node:')))].sort(), [
      'node:assert',
      'node:crypto',
    ]);
  });

  it('keeps clocks, chance, promises and the process out of the pure rooms', () => {
    const impure =
      /\b(Date\.now|new Date|performance\.|setTimeout|setInterval|Math\.random|process\.|console\.|async |await |Promise\b|EventEmitter)/;
    const wrong = files
      .filter(({ room }) => PURE_ROOMS.includes(room))
      .flatMap(({ path, text }) =>
        withoutComments(text)
          .split('\n')
          .filter((line) => impure.test(line))
          .map((line) => `${path}: ${line.trim()}`),
      );
    assert.deepEqual(wrong, []);
  });

  it('has no room or file without a noun', () => {
    const wrong = files.filter(({ path }) =>
      path.split('/').some((part) => FORBIDDEN_NAMES.test(part)),
    );
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    );
  });

  it('exports names, never defaults or everything', () => {
    const wrong = files.filter(({ text }) => /^export (default|\*)/m.test(text));
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    );
  });

  it('opens every file with what it is', () => {
    const wrong = files.filter(({ text }) => !text.startsWith('/**'));
    assert.deepEqual(
      wrong.map(({ path }) => path),
      [],
    );
  });

  it('prints the same table in ARCHITECTURE.md', () => {
    const document = readFileSync(join(process.cwd(), 'ARCHITECTURE.md'), 'utf8');
    for (const [room, imports] of Object.entries(ROOMS)) {
      const row = new RegExp(`^\\| \`src/${room}/\` \\|.*\\| ([^|]*) \\|$`, 'm').exec(document);
      assert.ok(row, `ARCHITECTURE.md has no row for src/${room}/`);
      const printed = (row[1] ?? '').trim();
      assert.equal(printed, imports.length === 0 ? 'nothing' : imports.join(', '), room);
    }
  });
});

function readSources(directory: string): readonly SourceFile[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return readSources(path);
    if (!entry.name.endsWith('.ts')) return [];
    const text = readFileSync(path, 'utf8');
    const inside = relative(root, path);
    const room = inside.includes('/') ? (inside.split('/')[0] ?? '') : inside;
    return [{ path: join('src', inside), room, text, imports: importsOf(text, path) }];
  });
}

function importsOf(text: string, path: string): readonly string[] {
  return [...text.matchAll(/^(?:import|export)[^'"]*?from '([^']+)';|^import '([^']+)';/gms)].map(
    (match) => {
      const target = match[1] ?? match[2] ?? '';
      if (!target.startsWith('.')) return target;
      return join('src', relative(root, normalize(join(dirname(path), target))));
    },
  );
}

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '');
}
