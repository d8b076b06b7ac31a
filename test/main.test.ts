/**
 * The program as a user starts it: one process each, without privileges.
 */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describeNative } from './support/native-addon.ts';

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Ends by itself: without privileges nothing can be opened. */
function tsgw(...argv: readonly string[]): Promise<Ended> {
  const [command = '', ...rest] = [...unprivileged(), process.execPath, 'bin/tsgw', ...argv];
  const child = spawn(command, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  let stdout = '';
  let stderr = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code, stdout, stderr }));
  });
}

describe('The program tsgw run', () => {
  let directory: string;
  let vici: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-main-'));
    vici = join(directory, 'tsgw.vici');
  });
  after(() => rmSync(directory, { recursive: true }));

  function configuration(name: string, text: string): string {
    const file = join(directory, name);
    writeFileSync(file, text);
    return file;
  }

  function run(file: string, ...more: readonly string[]): Promise<Ended> {
    return tsgw('run', '--config', file, '--vici', `unix://${vici}`, ...more);
  }

  it('is refused with the usage where the command line is wrong', async () => {
    const [option, level] = await Promise.all([
      tsgw('run', '--confg', 'x'),
      tsgw('run', '--log-level', 'loud'),
    ]);
    assert.equal(option.code, 2);
    assert.match(
      option.stderr,
      /^tsgw: run: unknown option --confg; did you mean --config\?\nusage: tsgw run /,
    );
    assert.equal(level.code, 2);
    assert.match(level.stderr, /--log-level is one of error, notice, debug, trace/);
    assert.equal(option.stdout + level.stdout, '');
  });

  it('is explained on request', async () => {
    const { code, stdout, stderr } = await tsgw('run', '--help');
    assert.deepEqual([code, stderr], [0, '']);
    assert.match(stdout, /^tsgw run: run the gateway in the foreground\n/);
  });

  it('names a configuration that is not there', async () => {
    const file = join(directory, 'none.conf');
    const { code, stdout, stderr } = await run(file);
    assert.deepEqual([code, stdout], [1, '']);
    assert.equal(stderr, `tsgw: ${file}: there is no such file\n`);
  });

  it('names every error of a configuration, one a line, with file and line', async () => {
    const file = configuration('bad.conf', 'gateway {\n  mtu = wide\n  colour\u001b = red\n}\n');
    const { code, stdout, stderr } = await run(file);
    assert.deepEqual([code, stdout], [1, '']);
    const lines = stderr.trimEnd().split('\n');
    assert.equal(lines.length, 2, stderr);
    assert.ok(lines[0]?.startsWith(`tsgw: ${file}:2: `), stderr);
    assert.ok(lines[1]?.startsWith(`tsgw: ${file}:3: `), stderr);
    assert.equal(stderr.includes('\u001b'), false, 'it would steer the terminal');
  });

  it('names a key log directory that cannot be made', async () => {
    const file = configuration('keys.conf', '');
    const { code, stdout, stderr } = await tsgw(
      'run',
      '--config',
      file,
      '--keylog',
      join(file, 'x'),
    );
    assert.deepEqual([code, stdout], [1, '']);
    assert.match(stderr, /^tsgw: ENOTDIR.*keys\.conf/);
  });

  describeNative('without privileges', () => {
    it('is not ready where it may not open its device, and says which', async () => {
      const file = configuration('good.conf', 'gateway {\n  device = tsgw-none\n}\n');
      const { code, stdout, stderr } = await run(file);
      assert.deepEqual([code, stdout], [1, '']);
      assert.match(stderr, /^tsgw: device tsgw-none: .*TUN.*\n$/);
      assert.equal(existsSync(vici), false, 'nobody is served either');
    });
  });
});

/** What starts a command without capabilities; nothing where we have none to drop. */
function unprivileged(): readonly string[] {
  return process.getuid?.() === 0
    ? ['setpriv', '--bounding-set=-all', '--inh-caps=-all', '--']
    : [];
}
