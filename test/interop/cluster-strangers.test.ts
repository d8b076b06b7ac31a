/**
 * Nodes that do not become one cluster: another key, another configuration.
 */
import assert from 'node:assert/strict';
import { until } from '../../lab/command.ts';
import { requirePrerequisites } from '../../lab/prerequisites.ts';
import { TsgwCluster } from '../../lab/tsgw-cluster.ts';

describe('Two tsgw that are no cluster', () => {
  let cluster: TsgwCluster;
  before(async () => {
    requirePrerequisites();
    cluster = await TsgwCluster.build();
    await cluster.startNode('a');
  });
  afterEach(async function tell() {
    if (this.currentTest?.state === 'failed') console.log(cluster.said());
    await cluster.node('b').kill();
  });
  after(() => cluster?.destroy());

  const heard = (node: 'a' | 'b', what: RegExp, since: number) =>
    until(
      `${node} to say ${what}`,
      () => what.test(cluster.node(node).log().slice(since)) || undefined,
    );

  it('name each other when their keys are the same, and only then', async () => {
    let since = cluster.node('a').log().length;
    await cluster.startNode('b', { secret: `0x${'3c'.repeat(32)}` });
    // It goes on by itself, and so does the other.
    await heard('b', /cluster-alone alone=true/, 0);
    assert.doesNotMatch(cluster.node('a').log().slice(since), /cluster-node-up .*node=b /);
    assert.doesNotMatch(cluster.node('b').log(), /cluster-node-up .*node=a /);
    await cluster.node('b').kill();
    since = cluster.node('a').log().length;
    await cluster.startNode('b', {});
    await heard('a', /cluster-node-up .*node=b /, since);
  });

  it('name what is different in their configurations', async () => {
    const since = cluster.node('a').log().length;
    await cluster.startNode('b', { cluster: ['segments = 64'] });
    await heard('a', /cluster-configuration-differs .*segments/, since);
  });
});
