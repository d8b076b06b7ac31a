/**
 * Builds the native addon with node-gyp, as npm's `install` step; with the argument `sanitized`
 * the one that `scripts/sanitized.mjs` tests with, in a directory of its own.
 *
 * A machine without a compiler still gets everything that needs no packets: the failure is said,
 * not hidden, and `tsgw run` names it again when the addon is wanted.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const sanitized = process.argv[2] === 'sanitized';
const directory = sanitized ? sourcesBeside('build/sanitized') : 'native';
const argv = ['rebuild', '-C', directory, '--loglevel', 'warn'];
const built = spawnSync('node-gyp', argv, {
  stdio: 'inherit',
  shell: false,
  env: sanitized ? { ...process.env, ...checking() } : process.env,
});
if (built.status !== 0) {
  const why = built.error ? built.error.message : `node-gyp ended with ${built.status}`;
  console.error(`tsgw: the native addon was not built (${why}).`);
  console.error('tsgw: needed for `tsgw run`: a C compiler, make, python3; then `npm rebuild`.');
  // An installation goes on without; a test does not.
  if (sanitized) process.exitCode = 1;
}

/** node-gyp builds beside `binding.gyp`: the sources are linked to where the result shall lie. */
function sourcesBeside(target) {
  rmSync(target, { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  for (const file of readdirSync('native').filter((name) => /\.(c|h|gyp)$/.test(name))) {
    symlinkSync(join('../../native', file), join(target, file));
  }
  return target;
}

/** What gyp's makefile adds to the flags of `binding.gyp`, behind them. */
function checking() {
  const which = '-fsanitize=address,undefined';
  return {
    CFLAGS: `-O1 -g -fno-omit-frame-pointer -fno-sanitize-recover=undefined ${which}`,
    LDFLAGS: which,
  };
}
