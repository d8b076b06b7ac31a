/**
 * The other modes of a cluster of tsgw, in which more than one node serves: a strongSwan client goes on when
 * the node that has it dies, and hardly notices when it is moved or a node comes back.
 */
import { assertNextToNothingLost, assertShortGap, useFailover } from '../support/failover-lab.ts';

describe('A cluster of three tsgw, forward', () => {
  const lab = useFailover({ mode: 'forward', nodes: 3, replay: 'strict' });

  it('goes on when the node dies that serves the client', async () => {
    await lab.cluster.prepare('crash');
    assertShortGap(await lab.during(() => lab.cluster.happen('crash')));
  });

  it('loses next to nothing when it comes back', async () => {
    assertNextToNothingLost(await lab.during(() => lab.cluster.recover()));
    await lab.sameClient();
  });

  it('loses next to nothing when the node is drained that serves the client', async () => {
    await lab.cluster.prepare('move');
    assertNextToNothingLost(await lab.during(() => lab.cluster.happen('move')));
    await lab.sameClient();
  });
});

describe('A cluster of two tsgw, active-active, over IPv6', () => {
  const lab = useFailover({ mode: 'active-active', family: 'ipv6' });
  /** Until the packet filters of both know whose the client's address is, both may take what is for it. */
  const twice = 100;

  it('goes on when the node dies that serves the client', async () => {
    await lab.cluster.prepare('crash');
    assertShortGap(await lab.during(() => lab.cluster.happen('crash')), twice);
    await lab.sameClient();
  });
});
