/**
 * Nodes that cannot hear each other for a while: one that stood still, and one whose paths were cut.
 */
import assert from 'node:assert/strict';
import { Capture, dissect } from '../../lab/capture.ts';
import { SYNC_DEVICES } from '../../lab/cluster-network.ts';
import { sleep } from '../../lab/command.ts';
import { assertNextToNothingLost, assertShortGap, useFailover } from '../support/failover-lab.ts';

const STOPPED_MS = 2000;
const CUT_MS = 1500;
/** For what it would have said, had it gone on with what it was about to do. */
const LISTEN_MS = 300;

describe('A node of a cluster of tsgw', () => {
  // Nobody gives back what was taken over: whoever sends then, has no right to.
  const lab = useFailover({ mode: 'active-passive', cluster: ['preempt = no'] });

  it('that stood still is silent when it goes on: others serve by then', async () => {
    const { cluster } = lab;
    const { network } = cluster;
    await cluster.prepare('stop');
    const { stdout } = await network.exec(cluster.struck, ['cat', '/sys/class/net/wan/address']);
    const capture = await Capture.start(network, 'router');
    let woken = 0;
    const passed = await lab.during(async () => {
      await cluster.stopFor(STOPPED_MS);
      woken = Date.now() / 1000;
      await sleep(LISTEN_MS);
    });
    assertShortGap(passed);
    const file = await capture.stop();
    const filter = `frame.time_epoch > ${woken} && eth.src == ${stdout.trim()} && (esp || isakmp)`;
    const fields = ['_ws.col.Info', 'ip.src', 'ip.dst', 'esp.spi', 'esp.sequence', 'isakmp.flags'];
    assert.deepEqual(await dissect(file, { fields, filter }), []);
    const before = `frame.time_epoch < ${woken} && eth.src == ${stdout.trim()} && esp`;
    const earlier = await dissect(file, { fields: ['frame.number'], filter: before });
    assert.ok(earlier.length > 100, `it had sent ${earlier.length} packets before`);
    await cluster.recover();
    await lab.sameClient();
  });

  it('hears the others by a second path', async () => {
    await lab.cluster.prepare('sync-cut');
    const passed = await lab.during(async () => {
      await lab.cluster.cutPaths(SYNC_DEVICES.slice(0, 1));
      await sleep(1000);
    });
    assertNextToNothingLost(passed);
    await lab.cluster.recover();
  });

  it('and another without a path between them use no key with an IV twice, and agree again', async () => {
    await lab.cluster.prepare('sync-cut');
    await lab.during(() => lab.cluster.cutFor(CUT_MS), 'both');
    assertNextToNothingLost(await lab.during(() => sleep(100)));
    assert.ok(await lab.cluster.answers());
  });
});
