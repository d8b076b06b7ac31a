/**
 * Builds the native addon with node-gyp, as npm's `install` step.
 *
 * A machine without a compiler still gets everything that needs no packets: the failure is said,
 * not hidden, and `tsgw run` names it again when the addon is wanted.
 */
import { spawnSync } from 'node:child_process';

const built = spawnSync('node-gyp', ['rebuild', '-C', 'native', '--loglevel', 'warn'], {
  stdio: 'inherit',
  shell: false,
});
if (built.status !== 0) {
  const why = built.error ? built.error.message : `node-gyp ended with ${built.status}`;
  console.error(`tsgw: the native addon was not built (${why}).`);
  console.error('tsgw: needed for `tsgw run`: a C compiler, make, python3; then `npm rebuild`.');
}
