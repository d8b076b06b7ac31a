/**
 * `npm test`, `npm run interop -- ...`, `npm run demo`, `npm run lab -- ...`, `npm run bench -- ...`,
 * `npm run sanitize`: sets up whatever a fresh clone misses, says each step in one line, then runs.
 *
 * Plain JavaScript without dependencies: it must work before `npm ci` and before `tsc`.
 * Steps are told on stderr, so that stdout belongs to what runs.
 */
import { spawn } from 'node:child_process';
import {
  accessSync,
  constants,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { interopFiles, runInterop } from './interop.mjs';
import {
  sanitizedAddon,
  sanitizedEnvironment,
  sanitizedInteropTests,
  sanitizedTests,
  sanitizer,
  sanitizerReports,
} from './sanitized.mjs';

process.chdir(fileURLToPath(new URL('..', import.meta.url)));

const root = process.getuid?.() === 0;
/** For tests that .mocharc.json leaves out. */
const unconfigured = '--no-config --require build/test/support/setup.js --timeout 60000'.split(' ');
const inCi = (process.env.CI ?? '') !== '';
const commands = { test, interop, demo, lab, bench, sanitize };

/** Lint, types, then every mocha run; the last line sums them up. */
async function test() {
  const withInterop = root || inCi;
  await installPackages([...builders, ...(withInterop ? peers() : [])]);
  await installModules();
  await buildNative();
  const checked = [
    await attempt('lint', ['node_modules/.bin/biome', 'check', '.']),
    await attempt('types and build', ['node_modules/.bin/tsc', '-p', '.']),
  ];
  removeOrphans('build');
  const runs = [await mocha('unit, vector, property and scenario tests', 'dot', [])];
  const { missing, ...underSanitizers } = await sanitized();
  runs.push(underSanitizers);
  if (withInterop) {
    console.log('\ninterop tests');
    runs.push(await runInterop(unconfigured, interopFiles()));
  }
  const sum = (key) => runs.reduce((total, run) => total + run[key], 0);
  console.log('');
  if (!withInterop) {
    console.log('left out: interop tests (they need root: network namespaces, /dev/net/tun)');
  }
  const failedChecks = checked.filter((passed) => !passed).length;
  if (missing !== undefined) {
    console.log(`left out: the native addon under AddressSanitizer (${missing})`);
  }
  if (failedChecks > 0) {
    console.log('lint or types failed, see above');
  }
  console.log(`${sum('passes')} passed, ${sum('failures')} failed, ${sum('pending')} skipped`);
  const crashed = runs.some((run) => run.status !== 0);
  return failedChecks > 0 || crashed ? 1 : 0;
}

/** The interop tests alone, or those files that are named: `npm run interop -- presence nat`. */
async function interop(argv) {
  await setUp();
  const files = interopFiles(argv);
  if (files.length === 0) return 2;
  const { passes, failures, pending, status } = await runInterop(unconfigured, files);
  console.log(`${passes} passed, ${failures} failed, ${pending} skipped`);
  return status;
}

async function demo(argv) {
  await setUp();
  return foreground(['node', 'build/lab/demo.js', ...argv]);
}

async function lab(argv) {
  await setUp({ quietly: isQuestion(argv) });
  return foreground(['node', 'build/lab/main.js', ...argv]);
}

async function bench(argv) {
  const quietly = isQuestion(argv);
  if (!quietly) {
    // What only some of its rows need: without it they say so.
    await installPackages(peers('bench'), { mayFail: true });
  }
  await setUp({ quietly });
  return foreground(['node', 'build/bench/main.js', ...argv]);
}

/** The tests that load the addon, or those that are named, with the addon under the sanitizers. */
async function sanitize(argv) {
  await installPackages(builders);
  await installModules();
  if (!(await attempt('build', ['node_modules/.bin/tsc', '-p', '.']))) {
    return 1;
  }
  const { missing, status } = await sanitized(argv);
  if (missing !== undefined) {
    console.error(`not run: ${missing}`);
  }
  return missing === undefined ? status : 1;
}

/** The tests with the addon under the sanitizers; where those are missing only CI fails. */
async function sanitized(named = []) {
  const { library, missing } = await sanitizedBuild();
  if (missing !== undefined) {
    const failures = inCi ? 1 : 0;
    return { missing, passes: 0, failures, pending: 0, status: failures };
  }
  const env = { ...sanitizedEnvironment(library), CI: process.env.CI || 'sanitized' };
  const title = 'the native addon under AddressSanitizer';
  const files = named.length > 0 ? named : sanitizedTests();
  const runs = [await mocha(title, 'dot', [...unconfigured, ...files], env)];
  if (named.length === 0 && root) {
    const argv = ['--require', './scripts/sanitized-children.cjs', ...sanitizedInteropTests];
    const command = [process.execPath, 'node_modules/.bin/mocha'];
    runs.push(await mocha(`${title}, packets`, 'dot', [...unconfigured, ...argv], env, command));
  }
  const reports = sanitizerReports();
  for (const report of reports) {
    console.error(report);
  }
  const sum = (key) => runs.reduce((total, run) => total + run[key], 0);
  const failures = sum('failures') + reports.length;
  const status = runs.find((run) => run.status !== 0)?.status ?? reports.length;
  return { passes: sum('passes'), failures, pending: sum('pending'), status };
}

/** The sanitizers' library once the addon is built with them, or what is missing. */
async function sanitizedBuild() {
  const found = sanitizer();
  const title = 'native addon under AddressSanitizer';
  const built =
    found.missing === undefined && (await buildNative(sanitizedAddon, title, ['--', 'sanitized']));
  return built || found.missing !== undefined ? found : { missing: 'the addon was not built' };
}

/** `list` and `help` need neither root nor peers. */
function isQuestion(argv) {
  return argv.length === 0 || ['list', 'help', '--help', '-h'].includes(argv[0]);
}

async function setUp({ quietly = false } = {}) {
  if (!quietly && !root) {
    console.error('needs root: network namespaces and /dev/net/tun');
    process.exit(1);
  }
  if (!quietly) {
    await installPackages([...builders, ...peers()]);
  }
  await installModules();
  if (!quietly) {
    await buildNative();
  }
  if (!(await attempt('build', ['node_modules/.bin/tsc', '-p', '.']))) {
    process.exit(1);
  }
  removeOrphans('build');
}

/** What `npm ci` needs to compile the native addon. */
const builders = [
  { needs: 'cc', package: 'build-essential' },
  { needs: 'make', package: 'build-essential' },
  { needs: 'python3', package: 'python3' },
];

/** What the lab needs on this machine, or what only `purpose` does. */
function peers(purpose) {
  const all = JSON.parse(readFileSync('lab/prerequisites.json', 'utf8'));
  return all
    .filter(({ architecture = process.arch }) => architecture === process.arch)
    .filter((entry) => entry.for === purpose);
}

/** Debian packages that are missing; only root on a machine with apt can do something about it. */
async function installPackages(list, { mayFail = false } = {}) {
  const missing = list.filter(({ needs }) => !installed(needs));
  if (missing.length === 0) {
    return;
  }
  const absent = missing.filter(({ unpack }) => unpack === undefined);
  const names = [...new Set(absent.map((entry) => entry.package))];
  if (!root || !installed('apt-get')) {
    console.error(`missing: ${missing.map(({ needs }) => needs).join(', ')}`);
    console.error(`on Debian 12: apt-get install ${names.join(' ')}`);
    return;
  }
  if (names.length > 0) {
    const install = ['apt-get', 'install', '-y', '-qq', '--no-install-recommends', ...names];
    await fetched(`apt-get install ${names.join(' ')}`, install, { mayFail });
  }
  for (const { package: name, unpack } of missing.filter((entry) => entry.unpack !== undefined)) {
    await fetched(`unpack ${name}`, ['sh', '-euc', unpacking, unpack, name], { mayFail });
  }
}

/**
 * A package that conflicts with another of the lab's is not installed: its files go to a
 * directory of their own, which appears only when all of them are there.
 */
const unpacking = `
  rm -rf "$0" "$0.new"
  mkdir -p "$0.new"
  cd "$0.new"
  apt-get download -qq -o APT::Sandbox::User=root "$1"
  dpkg-deb -x "$1"_*.deb .
  rm "$1"_*.deb
  cd "$OLDPWD"
  mv "$0.new" "$0"`;

/** Runs what needs Debian's archive, with fresh lists when it does not go well at once. */
async function fetched(title, argv, { mayFail }) {
  if (await attempt(title, argv, { hide: true })) {
    return;
  }
  await attempt('apt-get update', ['apt-get', 'update', '-qq']);
  if (!(await attempt(title, argv)) && !mayFail) {
    process.exit(1);
  }
}

function installed(needs) {
  const path = `${process.env.PATH}${delimiter}/usr/sbin${delimiter}/sbin`.split(delimiter);
  const places = needs.includes('/') ? [needs] : path.map((directory) => join(directory, needs));
  return places.some((place) => {
    try {
      accessSync(place, needs.includes('/') ? constants.R_OK : constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** `npm ci`, when what is installed is not what the lockfile names. */
async function installModules() {
  if (!matchesLockfile() && !(await attempt('npm ci', ['npm', 'ci', '--no-audit', '--no-fund']))) {
    process.exit(1);
  }
}

function matchesLockfile() {
  const [wanted, present] = ['package-lock.json', 'node_modules/.package-lock.json'].map((file) => {
    try {
      return JSON.parse(readFileSync(file, 'utf8')).packages;
    } catch {
      return undefined;
    }
  });
  if (wanted === undefined || present === undefined) {
    return false;
  }
  return Object.entries(wanted).every(
    ([path, entry]) =>
      path === '' || mayBeAbsent(path, entry) || present[path]?.version === entry.version,
  );
}

/** What is for other machines, or has to be compiled and may not be; the build wants the rest. */
function mayBeAbsent(path, { optional, os, cpu }) {
  const compiled = ['node_modules/raw-socket', 'node_modules/nan'];
  return optional === true && (os !== undefined || cpu !== undefined || compiled.includes(path));
}

/** The addon, when it is missing or older than its sources. */
async function buildNative(
  addon = 'native/build/Release/tsgw.node',
  title = 'native addon',
  argv = [],
) {
  const files = readdirSync('native').filter((file) => /\.(c|h|gyp)$/.test(file));
  const sources = ['scripts/build-native.mjs', ...files.map((file) => join('native', file))];
  const builtAt = existsSync(addon) ? statSync(addon).mtimeMs : 0;
  const older = sources.some((file) => statSync(file).mtimeMs > builtAt);
  // npm brings node-gyp along for its scripts.
  return !older || attempt(title, ['npm', 'run', 'install', ...argv]);
}

/** Compiled files whose source is gone would still be run. */
function removeOrphans(directory) {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) {
      removeOrphans(path);
    } else if (path.endsWith('.js')) {
      const source = path.slice('build/'.length).replace(/\.js$/, '.ts');
      if (!existsSync(source)) {
        unlinkSync(path);
      }
    }
  }
}

async function mocha(title, reporter, argv, env = {}, command = ['node_modules/.bin/mocha']) {
  const directory = mkdtempSync(join(tmpdir(), 'tsgw-totals-'));
  const file = join(directory, 'totals.json');
  console.log(`\n${title}`);
  const status = await foreground(
    [...command, '--reporter', './scripts/totals-reporter.mjs', ...argv],
    { ...env, TSGW_TEST_REPORTER: reporter, TSGW_TEST_TOTALS: file },
  );
  // A run that died before its end is a failure although no test says so.
  const totals = existsSync(file)
    ? JSON.parse(readFileSync(file, 'utf8'))
    : { passes: 0, failures: 1, pending: 0 };
  rmSync(directory, { recursive: true, force: true });
  return { ...totals, status };
}

/** Runs one step behind one line; what it printed is shown only when it fails. */
async function attempt(title, argv, { env = {}, hide = false } = {}) {
  const start = performance.now();
  process.stderr.write(`- ${title} ... `);
  const { status, output } = await captured(argv, env);
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.error(status === 0 ? `${seconds} s` : `failed after ${seconds} s`);
  if (status !== 0 && !hide) {
    console.error(output);
  }
  return status === 0;
}

function captured([file, ...argv], env) {
  return new Promise((resolve) => {
    const child = spawn(file, argv, {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let output = '';
    child.stdout.on('data', (octets) => {
      output += octets;
    });
    child.stderr.on('data', (octets) => {
      output += octets;
    });
    child.on('error', (error) => resolve({ status: 127, output: error.message }));
    child.on('close', (code) => resolve({ status: code ?? 128, output }));
  });
}

/** Runs with this terminal; signals are passed on so that it can clean up. */
function foreground([file, ...argv], env = {}) {
  return new Promise((resolve) => {
    const child = spawn(file, argv, { env: { ...process.env, ...env }, stdio: 'inherit' });
    const pass = (signal) => child.kill(signal);
    process.on('SIGTERM', pass);
    process.on('SIGINT', pass);
    child.on('error', (error) => {
      console.error(`${file}: ${error.message}`);
      resolve(127);
    });
    child.on('close', (code) => {
      process.off('SIGTERM', pass);
      process.off('SIGINT', pass);
      resolve(code ?? 128);
    });
  });
}

const [command = '', ...args] = process.argv.slice(2);
if (!Object.hasOwn(commands, command)) {
  console.error(`usage: node scripts/run.mjs ${Object.keys(commands).join(' | ')} [arguments]`);
  process.exit(2);
}
process.exitCode = await commands[command](args);
