/**
 * Loaded first in each node of a run under the sanitizers: the addon is the one made for it, and
 * what is started from here begins anew, with the wrapper if it is node.
 */
const { writeFileSync } = require('node:fs');
const Module = require('node:module');

const addon = process.env.TSGW_SANITIZED_ADDON;
const load = Module._extensions['.node'];
Module._extensions['.node'] = (module, file) => {
  if (!file.endsWith('/tsgw.node')) return load(module, file);
  load(module, addon);
  // A run that did not try the addon would have proved nothing.
  writeFileSync(`${addon}.loaded`, '');
};

process.execPath = process.env.TSGW_NODE;
for (const name of ['LD_PRELOAD', 'ASAN_OPTIONS', 'UBSAN_OPTIONS']) delete process.env[name];
