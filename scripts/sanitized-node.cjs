/**
 * Loaded first in each node of a run under the sanitizers: the addon is the one made for it, and
 * what is started from here begins anew, with the wrapper if it is node.
 */
const { readFileSync } = require('node:fs');
const Module = require('node:module');

const addon = process.env.TSGW_SANITIZED_ADDON;
const load = Module._extensions['.node'];
Module._extensions['.node'] = (module, file) =>
  load(module, file.endsWith('/tsgw.node') ? addon : file);

process.execPath = process.env.TSGW_NODE;
for (const name of ['LD_PRELOAD', 'ASAN_OPTIONS', 'UBSAN_OPTIONS']) delete process.env[name];

/** Mocha takes this file as well: a run that did not try the addon has proved nothing. */
exports.mochaHooks = {
  afterAll() {
    if (!readFileSync('/proc/self/maps', 'utf8').includes(addon)) {
      throw new Error(`${addon} was not loaded`);
    }
  },
};
