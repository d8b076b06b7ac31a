/**
 * A strongSwan client of two nodes, in the mode in which no address moves: whichever of them the router and the
 * host behind them send to, everything arrives.
 */
import assert from 'node:assert/strict';
import { clusterAddresses } from '../../lab/cluster-network.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { compiledProgram } from '../../lab/programs.ts';
import { TsgwCluster } from '../../lab/tsgw-cluster.ts';
import { onlyTsgw } from '../support/lab.ts';

describe('A cluster whose packets come to any node', function () {
  this.timeout(60_000);
  onlyTsgw();
  let cluster: TsgwCluster;
  let inner: string;
  before(async () => {
    requirePrerequisites();
    cluster = await TsgwCluster.build({ mode: 'forward' });
    await cluster.start();
    inner = await cluster.connect();
  });
  afterEach(function tellLogs() {
    if (this.currentTest?.state === 'failed') console.log(cluster?.said());
  });
  after(() => cluster?.destroy());

  it('has every packet at the node that is asked, and at the other one, of any size', async () => {
    const owner = await cluster.owner();
    const [other] = cluster.others(owner);
    assert.ok(other);
    await cluster.standsBy(other);
    for (const name of [owner, other]) {
      await cluster.sendTo(name);
      assert.deepEqual(await pings(56, 200), [200, 200], `to ${name}`);
      assert.deepEqual(await pings(1300, 100), [100, 100], `to ${name}, full-sized`);
    }
    assert.equal(await cluster.owner(), owner);
  });

  /** From the client, answered by the host: each passes in both directions. Sent, and answered. */
  async function pings(octets: number, count: number): Promise<readonly [number, number]> {
    const { host } = clusterAddresses;
    const [interval, patience, mayFragment] = [0.005, 2, 0];
    const numbers = [count, interval, patience, octets, mayFragment].map(String);
    const argv = [await compiledProgram('echo'), host, ...numbers, inner];
    const { stdout } = await cluster.network.exec('client', argv, { timeout: 30_000 });
    const { sent, received }: Counted = JSON.parse(stdout);
    return [sent, received];
  }
});

interface Counted {
  readonly sent: number;
  readonly received: number;
}
