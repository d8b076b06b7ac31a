/** What a node remembers over its lives. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { NodeState, NodeStateError } from '../../src/io/node-state.ts';

describe('The state of a node', () => {
  let directory = '';
  let file = '';

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-state-'));
    file = join(directory, 'below', 'node.json');
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  it('counts starts from one, each on disk before it begins', () => {
    assert.equal(NodeState.begin(file).boot, 1);
    assert.equal(JSON.parse(readFileSync(file, 'utf8')).boot, 1);
    assert.equal(NodeState.begin(file).boot, 2);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it('gives the next start the epochs that were kept, and the number others ask for', () => {
    const first = NodeState.begin(file);
    first.keepEpochFloor(2048);
    first.nextStart(17);
    const next = NodeState.begin(file);
    assert.equal(next.boot, 17);
    assert.equal(next.epochFloor, 2048);
    next.nextStart(5);
    assert.equal(NodeState.begin(file).boot, 18);
  });

  for (const text of ['', '{', '[]', 'null', '{"boot":1}', '{"boot":-1,"epochFloor":0}']) {
    it(`does not begin anew with ${JSON.stringify(text)} in the file`, () => {
      NodeState.begin(file);
      writeFileSync(file, text);
      assert.throws(
        () => NodeState.begin(file),
        (error: unknown) => error instanceof NodeStateError && error.message.includes('delete it'),
      );
    });
  }

  it('names a file that cannot be written', () => {
    writeFileSync(join(directory, 'below'), '');
    assert.throws(() => NodeState.begin(file), /below\/node\.json cannot be/);
  });
});
