/**
 * How `npm test` runs the interop tests: files side by side, and a second try for a file that failed.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

describe('The runner of the interop tests', function () {
  this.timeout(60_000);
  let directory: string;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-runner-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('counts every file once and prints each whole', () => {
    const { said, totals } = runs({
      one: `it('holds', () => {}); it.skip('is left out', () => {});`,
      two: `it('holds, too', () => {});`,
    });
    assert.deepEqual(totals, { passes: 2, failures: 0, pending: 1, status: 0 });
    assert.match(said, /=== one \([\d.]+ s\)\n+ +✔ holds\n +- is left out\n/);
    assert.match(said, /=== two \([\d.]+ s\)\n+ +✔ holds, too\n/);
    assert.doesNotMatch(said, /try/);
  });

  it('tries a file again that failed, and says which test needed it', () => {
    const { said, totals } = runs({
      chance: `${firstTime} it('is lucky', () => { if (first) throw new Error('1 !== 0\\nmore'); });
        it('holds', () => {});`,
      good: `it('holds', () => {});`,
    });
    assert.deepEqual(totals, { passes: 3, failures: 0, pending: 0, status: 0 });
    assert.match(
      said,
      /passed at the second try: chance: is lucky\n {2}the first try: 1 !== 0 more/,
    );
  });

  it('counts what fails twice as failed', () => {
    const { said, totals } = runs({ wrong: `it('is wrong', () => { throw new Error('no'); });` });
    assert.deepEqual(totals, { passes: 0, failures: 1, pending: 0, status: 1 });
    assert.match(said, /failed twice: wrong: is wrong\n {2}the first try: no/);
  });

  it('takes no test for passed in a file that fails again', () => {
    const { said, totals } = runs({
      ending: `${firstTime} before(() => { if (!first) throw new Error('no lab'); });
        it('is wrong', () => { throw new Error('no'); });`,
    });
    assert.deepEqual(totals, { passes: 0, failures: 1, pending: 0, status: 1 });
    assert.match(said, /failed, and its file failed again: ending: is wrong\n/);
  });

  it('counts a file that ends before its tests do', () => {
    const { said, totals } = runs({ dead: `it('ends', () => process.exit(3));` });
    assert.deepEqual(totals, { passes: 0, failures: 1, pending: 0, status: 1 });
    assert.match(said, /failed twice: dead: the whole file\n {2}the first try: mocha ended with 3/);
  });

  it('tries nothing again where many files fail', () => {
    const wrong = `it('is wrong', () => { throw new Error('no'); });`;
    const files = Array.from({ length: 9 }, (_, index) => [`wrong-${index}`, wrong]);
    const { said, totals } = runs(Object.fromEntries(files));
    assert.equal(totals.failures, 9);
    assert.match(said, /9 files failed: too many for chance/);
    assert.doesNotMatch(said, /try:/);
  });

  /** Runs test files given by name and text; answers what was printed and the totals. */
  function runs(files: Readonly<Record<string, string>>): {
    readonly said: string;
    readonly totals: Record<string, number>;
  } {
    const paths = Object.entries(files).map(([name, text]) => {
      const path = join(directory, `${name}.test.js`);
      writeFileSync(path, `const marker = ${JSON.stringify(`${path}.tried`)};\n${text}\n`);
      return path;
    });
    const program = `
      import { runInterop } from './scripts/interop.mjs';
      const totals = await runInterop(['--no-config'], ${JSON.stringify(paths)});
      console.log('\\n' + JSON.stringify(totals));`;
    const { stdout, stderr } = spawnSync(
      process.execPath,
      ['--input-type=module', '--eval', program],
      { encoding: 'utf8', timeout: 50_000 },
    );
    const lines = stdout.trimEnd().split('\n');
    assert.equal(stderr, '');
    return { said: lines.slice(0, -1).join('\n'), totals: JSON.parse(lines.at(-1) ?? '') };
  }
});

const firstTime = `
  const { existsSync, writeFileSync } = require('node:fs');
  const first = !existsSync(marker);
  writeFileSync(marker, '');`;
