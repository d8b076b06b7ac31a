/** A node of a cluster that may not go before other processes says so, and serves all the same. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { nodeConf } from '../../lab/cluster-conf.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { TsgwCluster } from '../../lab/tsgw-cluster.ts';
import { tsgw } from '../../lab/tsgw-process.ts';
import { onlyTsgw } from '../support/lab.ts';

describe('A node of a cluster without the right to go first', function () {
  this.timeout(60_000);
  onlyTsgw();
  let cluster: TsgwCluster;
  before(async () => {
    requirePrerequisites();
    cluster = await TsgwCluster.build();
  });
  after(() => cluster?.destroy());

  it('starts, and says what that may cost', async () => {
    const node = cluster.node('a');
    const settings = { cluster: [`state = ${join(node.directory, 'state.json')}`] };
    const without = ['setpriv', '--bounding-set=-sys_nice', '--inh-caps=-sys_nice'];
    await node.start(nodeConf('a', ['a', 'b'], settings), [...without, tsgw, 'run']);
    assert.match(node.log(), /notice daemon what="other processes may delay this one: /);
  });
});
