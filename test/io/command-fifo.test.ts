/** A FIFO that scripts write commands to. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, lstatSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CommandFifo } from '../../src/io/command-fifo.ts';

describe('The FIFO of a cluster', () => {
  let directory: string;
  let path: string;
  let fifo: CommandFifo | undefined;
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-fifo-'));
    path = join(directory, 'charon.ha');
  });
  afterEach(() => {
    fifo?.close();
    rmSync(directory, { recursive: true });
  });

  /** Opens it; what is called gives what was written so far. */
  async function opened(): Promise<() => Promise<string>> {
    let heard = '';
    let wake = (): void => {};
    fifo = await CommandFifo.open(path, (text) => {
      heard += text;
      wake();
    });
    return async () => {
      if (heard === '') await new Promise<void>((resolve) => (wake = resolve));
      const text = heard;
      heard = '';
      return text;
    };
  }

  const write = (text: string) => execFileSync('sh', ['-c', `printf '%s\\n' '${text}' > ${path}`]);

  it('hears every writer, one behind the other, and leaves nothing behind', async () => {
    const next = await opened();
    assert.equal(lstatSync(path).mode & 0o777, 0o600);
    write('+1');
    assert.equal(await next(), '+1\n');
    write('*1');
    assert.equal(await next(), '*1\n');
    fifo?.close();
    assert.equal(existsSync(path), false);
  });

  it('takes one that is there, and leaves it there', async () => {
    execFileSync('mkfifo', ['-m', '620', path]);
    const next = await opened();
    write('-2');
    assert.equal(await next(), '-2\n');
    fifo?.close();
    assert.equal(lstatSync(path).mode & 0o777, 0o620);
  });

  it('does not open where something else is', async () => {
    writeFileSync(path, '');
    await assert.rejects(opened(), { message: `${path} is there, and is no FIFO` });
    assert.ok(existsSync(path));
  });

  it('says where it cannot be made', async () => {
    path = join(directory, 'no', 'where');
    await assert.rejects(opened(), /mkfifo/);
  });
});
