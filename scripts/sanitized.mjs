/**
 * The native addon under AddressSanitizer and UndefinedBehaviorSanitizer: a build of its own in
 * `build/sanitized`, and a `node` to put in front of PATH that loads it in place of the other.
 *
 * The sanitizers' library has to be in a process from its start, but only in node's: what a test
 * starts besides (ip, charon) is somebody else's. So it comes by a wrapper, not by the environment.
 * Reports go to files: whatever process wrote one, the run has failed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, isAbsolute, join, resolve } from 'node:path';

const directory = resolve('build/sanitized');
const reports = join(directory, 'reports');

/** What the run takes for wrong; leaks are not looked for: node leaves its memory to the end. */
const options = {
  ASAN_OPTIONS: [
    'detect_leaks=0',
    // raw-socket deletes as another type what it has made.
    'new_delete_type_mismatch=0',
    'detect_stack_use_after_return=1',
    // Sums of what a batch held are made long after: a small quarantine is enough and saves its time.
    'quarantine_size_mb=16',
    'strict_string_checks=1',
    `log_path=${join(reports, 'address')}`,
  ],
  UBSAN_OPTIONS: ['print_stacktrace=1', `log_path=${join(reports, 'behavior')}`],
};

/** Where the addon lies that `npm run install -- sanitized` makes. */
export const sanitizedAddon = join(directory, 'build/Release/tsgw.node');

/** The compiler's AddressSanitizer library, or why there is none. */
export function sanitizer() {
  const found = spawnSync('cc', ['-print-file-name=libasan.so'], { encoding: 'utf8' });
  if (found.error !== undefined) return { missing: 'no C compiler' };
  const library = found.stdout.trim();
  return isAbsolute(library) ? { library } : { missing: 'the C compiler has no libasan.so' };
}

/** The environment in which `node` is the wrapper. */
export function sanitizedEnvironment(library) {
  const bin = join(directory, 'bin');
  mkdirSync(bin, { recursive: true });
  rmSync(reports, { recursive: true, force: true });
  mkdirSync(reports);
  rmSync(`${sanitizedAddon}.loaded`, { force: true });
  const lists = Object.entries(options).map(([name, list]) => `${name}=${list.join(':')}`);
  const settings = [`LD_PRELOAD=${library}`, ...lists, `TSGW_SANITIZED_ADDON=${sanitizedAddon}`];
  const hook = resolve('scripts/sanitized-node.cjs');
  const lines = [
    '#!/bin/sh',
    `exec env ${settings.map(quoted).join(' ')} ${quoted(process.execPath)} \\`,
    `  --require ${quoted(hook)} "$@"`,
  ];
  writeFileSync(join(bin, 'node'), `${lines.join('\n')}\n`, { mode: 0o755 });
  return { PATH: `${bin}${delimiter}${process.env.PATH}`, TSGW_NODE: join(bin, 'node') };
}

function quoted(word) {
  return `'${word.replaceAll("'", "'\\''")}'`;
}

/** What the sanitizers wrote, or that nobody gave them anything to look at; empty = all is well. */
export function sanitizerReports() {
  const written = readdirSync(reports).map((file) => readFileSync(join(reports, file), 'utf8'));
  if (existsSync(`${sanitizedAddon}.loaded`)) return written;
  return [...written, `${sanitizedAddon} was not loaded`];
}

/** Compiled tests that load the addon themselves. */
export function sanitizedTests() {
  const unit = readdirSync('test', { recursive: true, encoding: 'utf8' })
    .filter((file) => file.endsWith('.test.ts') && !file.startsWith('interop'))
    .filter((file) => readFileSync(join('test', file), 'utf8').includes('describeNative('));
  return unit.map((file) => `build/test/${file.slice(0, -'.ts'.length)}.js`);
}

/** Those whose children do, with packets of a real device and of real sockets; they want root. */
export const sanitizedInteropTests = ['io-machine', 'link-machine', 'file-transfer-tsgw'].map(
  (name) => `build/test/interop/${name}.test.js`,
);
