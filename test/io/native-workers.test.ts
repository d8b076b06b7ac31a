import assert from 'node:assert/strict';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { Worker } from 'node:worker_threads';
import { describeNative } from '../support/native-addon.ts';
import { loopbackEnds } from '../support/native-ends.ts';

describeNative('The addon in worker threads', () => {
  it('works in several at once, each on its own loop, and beside the main thread', async () => {
    const all = [loopbackEnds(4), loopbackEnds(6)];
    const workers = await Promise.all(all.map((ends) => started(ends.receiver)));
    for (const [index, ends] of all.entries()) {
      const worker = workers[index];
      assert.ok(worker);
      const answer = once(worker, 'message');
      ends.row(0, 'hello');
      assert.equal(ends.addon.send(ends.number, 0, 1), 1);
      assert.deepEqual(await answer, [5]);
    }
    await Promise.all(workers.map((worker) => worker.terminate()));
    for (const ends of all) ends.close();
  });

  it('is torn down with open watches, contexts and batches, again and again', async () => {
    for (let turn = 0; turn < 5; turn++) {
      const ends = loopbackEnds(4);
      const worker = await started(ends.receiver);
      await worker.terminate();
      ends.close();
    }
  });
});

async function started(fd: number): Promise<Worker> {
  const worker = new Worker(resolve('build/test/support/native-watcher.js'), { workerData: fd });
  const [word]: unknown[] = await once(worker, 'message');
  assert.equal(word, 'ready');
  return worker;
}
