/** What a node of a cluster remembers of pools, on its disk. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PoolFile, PoolFileError } from '../../src/io/pool-file.ts';

describe('The file of leases of a node', () => {
  let directory = '';
  let file = '';
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tsgw-pools-'));
    file = join(directory, 'state', 'node.json.pools');
  });
  afterEach(() => {
    rmSync(directory, { recursive: true });
  });

  it('has what was written last, for its owner alone', async () => {
    assert.equal((await new PoolFile(file).read()).length, 0);
    const kept = new PoolFile(file);
    await kept.keep(1, () => [Uint8Array.of(1, 2), Uint8Array.of(3)]);
    assert.deepEqual([...(await new PoolFile(file).read())], [1, 2, 3]);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it('is written again when something changed, not too often, and at the end', async () => {
    const kept = new PoolFile(file);
    await kept.keep(1, () => [Uint8Array.of(1)]);
    const never = () => assert.fail('nothing changed');
    await kept.keep(1, never, true);
    await kept.keep(2, () => assert.fail('it is too soon'));
    await kept.keep(2, () => [Uint8Array.of(2)], true);
    assert.deepEqual([...(await kept.read())], [2]);
  });

  it('is not believed when it is damaged or another', async () => {
    const kept = new PoolFile(file);
    await kept.keep(1, () => [Uint8Array.of(1, 2, 3)]);
    const whole = readFileSync(file);
    for (let at = 0; at < whole.length; at++) {
      const damaged = Uint8Array.from(whole, (octet, index) => (index === at ? octet ^ 1 : octet));
      writeFileSync(file, damaged);
      await assert.rejects(kept.read(), PoolFileError);
      writeFileSync(file, whole.subarray(0, at));
      await assert.rejects(kept.read(), PoolFileError);
    }
  });

  it('that cannot be written is said', async () => {
    writeFileSync(join(directory, 'state'), '');
    await assert.rejects(
      new PoolFile(file).keep(1, () => []),
      PoolFileError,
    );
  });
});
