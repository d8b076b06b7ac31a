/**
 * The other modes of a cluster of tsgw, in which more than one node serves: a strongSwan client goes on when
 * the node that has it dies, loses nothing when it is moved or a node comes back.
 */
import type { TsgwClusterSettings } from '../../lab/cluster-conf.ts';
import { assertNothingLost, assertShortGap, useFailover } from '../support/failover-lab.ts';

const cases: readonly (TsgwClusterSettings & { readonly title: string })[] = [
  { title: 'active-active, over IPv6', mode: 'active-active', family: 'ipv6' },
  { title: 'forward, three of them', mode: 'forward', nodes: 3, replay: 'strict' },
];

for (const { title, ...settings } of cases) {
  describe(`A cluster of tsgw, ${title}`, () => {
    const lab = useFailover(settings);

    it('goes on when the node dies that serves the client', async () => {
      await lab.cluster.prepare('crash');
      assertShortGap(await lab.during(() => lab.cluster.happen('crash')));
    });

    it('loses nothing when it comes back', async () => {
      assertNothingLost(await lab.during(() => lab.cluster.recover()));
      await lab.sameClient();
    });

    it('loses nothing when the node is drained that serves the client', async () => {
      await lab.cluster.prepare('move');
      assertNothingLost(await lab.during(() => lab.cluster.happen('move')));
      await lab.sameClient();
    });
  });
}
