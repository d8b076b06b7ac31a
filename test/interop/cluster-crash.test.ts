/**
 * Two tsgw, the active one of which dies and comes back; a strongSwan client with traffic both ways.
 */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { CLUSTER_SECRET } from '../../lab/cluster-conf.ts';
import { replay } from '../../lab/replay.ts';
import {
  assertNextToNothingLost,
  assertShortGap,
  type Passed,
  STREAM_PORT,
  useFailover,
} from '../support/failover-lab.ts';

/** What came since the last digest, 100 ms ago, may be delivered twice; and machines are slow. */
const MOST_REPLAYED = 40;
const FAR_AHEAD = 2 ** 29;

/** Of a configuration in a document. */
function firstExample(path: string): string {
  const [, example = ''] = /^```\n(cluster \{\n.*?)^```$/ms.exec(readFileSync(path, 'utf8')) ?? [];
  assert.match(example, /self = a\n/);
  return example;
}

describe('A cluster of two tsgw, active-passive', () => {
  // The set-up of the documentation, as it stands there; the links have other names here.
  const file = firstExample('docs/cluster.md')
    .replace('0x5f0c...', CLUSTER_SECRET)
    .replace('device = eth0', 'device = wan')
    .replace('device = eth1', 'device = lan');
  const lab = useFailover({ mode: 'active-passive', file });
  let passed: Passed;

  it('goes on when the active one dies: no SA is replaced', async () => {
    await lab.cluster.prepare('crash');
    passed = await lab.during(() => lab.cluster.happen('crash'));
    assertShortGap(passed);
  });

  it('delivers no more of what was sent before than it says', async () => {
    const { network, outer } = lab.cluster;
    const { file } = passed;
    const before = Date.now() / 1000;
    const again = { file, gateway: outer.gateway, before, count: 100, port: STREAM_PORT };
    const { sent, delivered } = await replay(network, again);
    assert.equal(sent, 100);
    assert.ok(delivered <= MOST_REPLAYED, `${delivered} delivered again`);
  });

  it('is not moved by forged numbers far ahead', async () => {
    const { network, outer } = lab.cluster;
    const before = Date.now() / 1000;
    const forged = { gateway: outer.gateway, before, count: 50, port: STREAM_PORT };
    const { delivered } = await replay(network, { ...forged, file: passed.file, ahead: FAR_AHEAD });
    assert.equal(delivered, 0);
    assertNextToNothingLost(await lab.during(async () => undefined));
  });

  it('loses next to nothing when the dead one comes back, and replaces nothing', async () => {
    assertNextToNothingLost(await lab.during(() => lab.cluster.happen('rejoin')));
    await lab.sameClient();
  });

  it('loses next to nothing when a node is drained', async () => {
    await lab.cluster.prepare('move');
    assertNextToNothingLost(await lab.during(() => lab.cluster.happen('move')));
    await lab.sameClient();
  });
});
