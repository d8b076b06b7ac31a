/**
 * The interop tests: several files at once, each in a process of its own and printed whole when it is
 * done; then, alone, the files that load the machine or measure time.
 *
 * Every lab has namespaces, devices, sockets and files of its own, so files do not meet. What they do
 * share is the machine: a file with a failure is run once more, alone, when all the others are done.
 * Both tries are told; a second failure is a failure.
 */
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, join } from 'node:path';

const directory = 'build/test/interop';
const suffix = '.test.js';

/** They flood, count how much passes, or judge how long something took: nothing else runs then. */
const alone = ['hostile'];

/** So many failing files are no chance: nothing is gained by running them all again. */
const mostSecondTries = 8;

/** A file that takes longer than this hangs. */
const longestMs = 600_000;

/** Compiled interop tests, all of them or those that are named: `presence`, `nat`; none for a wrong name. */
export function interopFiles(names = []) {
  const all = readdirSync(directory).filter((file) => file.endsWith(suffix));
  const unknown = names.filter((name) => !all.includes(`${name}${suffix}`));
  if (unknown.length > 0) {
    console.error(`no interop test: ${unknown.join(', ')}; there are ${all.map(nameOf).join(' ')}`);
    return [];
  }
  const wanted = names.length > 0 ? names.map((name) => `${name}${suffix}`) : all;
  return wanted.map((file) => join(directory, file));
}

/** Runs files by the arguments for mocha; answers totals as `mocha` of run.mjs does. */
export async function runInterop(argv, files) {
  const began = performance.now();
  const run = new Run(argv);
  const together = largestFirst(files.filter((file) => !alone.includes(nameOf(file))));
  const lonely = files.filter((file) => alone.includes(nameOf(file)));
  const lanes = Math.max(1, Math.min(together.length, lanesOfMachine()));
  makePlaceForNamespaces();
  await run.all(together, lanes);
  await run.all(lonely, 1);
  const failed = run.results.filter(({ failed }) => failed.length > 0);
  const second = failed.length <= mostSecondTries ? failed : [];
  for (const first of second) {
    await run.again(first);
  }
  const minutes = ((performance.now() - began) / 60_000).toFixed(1);
  console.log(`\n${files.length} files in ${minutes} minutes, up to ${lanes} at once`);
  tellSecondTries(run, failed, second);
  return run.totals();
}

/** The first namespace of a machine mounts the place for all: several at once disturb each other. */
function makePlaceForNamespaces() {
  if (process.getuid?.() !== 0) return;
  const name = `tsgw-${process.pid}-0-first`;
  spawnSync('ip', ['netns', 'add', name]);
  spawnSync('ip', ['netns', 'delete', name]);
}

/** Half of a test is waiting: one file more than there are processors keeps them busy. */
function lanesOfMachine() {
  const asked = Number(process.env.TSGW_TEST_LANES ?? '');
  return asked > 0 ? asked : Math.min(availableParallelism() + 1, 8);
}

/** Long files first, so that none of them is left over at the end; size is a good guess. */
function largestFirst(files) {
  return files.toSorted((one, other) => statSync(other).size - statSync(one).size);
}

function nameOf(file) {
  return basename(file, suffix);
}

/** What the files gave, each once: a second try takes the place of the first. */
class Run {
  results = [];
  #argv;
  #children = new Set();
  #stopped;

  constructor(argv) {
    this.#argv = argv;
  }

  async all(files, lanes) {
    const queue = [...files];
    const lane = async () => {
      for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
        const result = await this.#file(file);
        if (this.#stopped) return;
        this.results.push(result);
      }
    };
    const stop = (signal) => this.#stop(signal);
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
    await Promise.all(Array.from({ length: lanes }, lane));
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
    if (this.#stopped) process.exit(this.#stopped === 'SIGINT' ? 130 : 143);
  }

  async again(first) {
    const place = this.results.indexOf(first);
    this.results.splice(place, 1);
    await this.all([first.file], 1);
    this.results.at(-1).first = first.failed;
  }

  totals() {
    const sum = (key) => this.results.reduce((total, result) => total + result[key], 0);
    const failures = sum('failures');
    return {
      passes: sum('passes'),
      failures,
      pending: sum('pending'),
      status: Math.min(failures, 1),
    };
  }

  /** Signals are passed on, so that the tests can clean up; nothing new begins. */
  #stop(signal) {
    this.#stopped = signal;
    for (const child of this.#children) child.kill(signal);
  }

  async #file(file) {
    const began = performance.now();
    const home = mkdtempSync(join(tmpdir(), 'tsgw-totals-'));
    const totalsFile = join(home, 'totals.json');
    const { status, output } = await this.#mocha(file, totalsFile);
    const totals = existsSync(totalsFile)
      ? JSON.parse(readFileSync(totalsFile, 'utf8'))
      : { passes: 0, failures: 0, pending: 0, failed: [] };
    rmSync(home, { recursive: true, force: true });
    if (status !== 0 && totals.failed.length === 0) {
      // It died before its end, or after it: a failure although no test says so.
      totals.failures += 1;
      totals.failed.push({ title: 'the whole file', error: `mocha ended with ${status}` });
    }
    const seconds = ((performance.now() - began) / 1000).toFixed(1);
    console.log(`\n=== ${nameOf(file)} (${seconds} s)\n${output.trimEnd()}`);
    return { file, ...totals };
  }

  #mocha(file, totalsFile) {
    const argv = ['node_modules/.bin/mocha', '--reporter', './scripts/totals-reporter.mjs'];
    // A pipe to us, but what we print to may be a terminal.
    argv.push(process.stdout.isTTY ? '--color' : '--no-color');
    const env = { TSGW_TEST_REPORTER: 'spec', TSGW_TEST_TOTALS: totalsFile };
    return new Promise((resolve) => {
      const child = spawn(process.execPath, [...argv, ...this.#argv, file], {
        env: { ...process.env, ...env },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      this.#children.add(child);
      let output = '';
      child.stdout.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
      child.stderr.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
      const timers = [setTimeout(() => child.kill('SIGTERM'), longestMs)];
      timers.push(setTimeout(() => child.kill('SIGKILL'), longestMs + 10_000));
      child.on('error', (error) => {
        output += `${error.message}\n`;
      });
      child.on('close', (code, signal) => {
        timers.forEach(clearTimeout);
        this.#children.delete(child);
        resolve({ status: code ?? signal ?? 'an error', output });
      });
    });
  }
}

/** A file that fails again may have ended before it came to this test. */
function outcomeOf(failedAgain, title) {
  if (failedAgain.size === 0) return 'passed at the second try';
  return failedAgain.has(title) ? 'failed twice' : 'failed, and its file failed again';
}

/** Every test that needed a second try, with what it said at the first. */
function tellSecondTries({ results }, failed, second) {
  if (second.length < failed.length) {
    console.log(`${failed.length} files failed: too many for chance, none got a second try`);
  }
  for (const { file, failed: still, first = [] } of results) {
    const again = new Set(still.map(({ title }) => title));
    for (const { title, error } of first) {
      const outcome = outcomeOf(again, title);
      console.log(`${outcome}: ${nameOf(file)}: ${title}\n  the first try: ${error}`);
    }
  }
}
