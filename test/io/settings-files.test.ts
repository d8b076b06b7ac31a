import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { readFiles, readSettings, SettingsFileError } from '../../src/io/settings-files.ts';

describe('Files that include names', () => {
  let directory: string;
  let from: string;

  before(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-settings-'));
    from = join(directory, 'swanctl.conf');
    mkdirSync(join(directory, 'conf.d', 'deep'), { recursive: true });
    mkdirSync(join(directory, 'conf.d', 'a.conf.d'));
    for (const name of ['b.conf', 'a.conf', '.hidden.conf', 'c.txt', 'deep/d.conf', 'x[1].conf']) {
      writeFileSync(join(directory, 'conf.d', name), `# ${name}\n`);
    }
  });
  after(() => rmSync(directory, { recursive: true }));

  function found(glob: string): readonly string[] {
    return readFiles(glob, from).map(({ file }) => relative(directory, file));
  }

  it('are those beside the including file, by name', () => {
    assert.deepEqual(found('conf.d/*.conf'), [
      'conf.d/a.conf',
      'conf.d/b.conf',
      'conf.d/x[1].conf',
    ]);
    assert.deepEqual(
      readFiles('conf.d/a.conf', from).map(({ text }) => text),
      ['# a.conf\n'],
    );
  });

  it('match ?, sets, ranges and their negation', () => {
    assert.deepEqual(found('conf.d/?.conf'), ['conf.d/a.conf', 'conf.d/b.conf']);
    assert.deepEqual(found('conf.d/[ac].*'), ['conf.d/a.conf', 'conf.d/c.txt']);
    assert.deepEqual(found('conf.d/[!a].conf'), ['conf.d/b.conf']);
    assert.deepEqual(found('conf.d/[b-c].*'), ['conf.d/b.conf', 'conf.d/c.txt']);
    assert.deepEqual(found('conf.d/x\\[1\\].conf'), ['conf.d/x[1].conf']);
  });

  it('may be matched in any component, and by absolute patterns', () => {
    assert.deepEqual(found('*/deep/*.conf'), ['conf.d/deep/d.conf']);
    assert.deepEqual(found(`${directory}/conf.d/b.*`), ['conf.d/b.conf']);
    assert.deepEqual(found('./conf.d/../conf.d/b.conf'), ['conf.d/b.conf']);
  });

  it('a dot file is matched by a dot only, a directory never', () => {
    assert.deepEqual(found('conf.d/.*.conf'), ['conf.d/.hidden.conf']);
    assert.deepEqual(found('conf.d/a.conf.*'), []);
  });

  it('that are none are no fault', () => {
    assert.deepEqual(found('nowhere/*.conf'), []);
    assert.deepEqual(found('none.conf'), []);
    assert.deepEqual(found(''), []);
  });

  it('a pattern that is none, and a file that cannot be read, are said', () => {
    assert.throws(() => found('conf.d/[z-a].conf'), SettingsFileError);
    assert.throws(() => readSettings(join(directory, 'none')), /none: there is no such file/);
    assert.throws(() => readSettings(directory), /it is a directory/);
  });
});
