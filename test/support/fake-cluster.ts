/**
 * A cluster that only remembers: the `ClusterControl` that vici and the command line are tested on.
 */
import type {
  ClusterControl,
  ClusterOrder,
  ClusterOutcome,
  ClusterView,
  SegmentView,
} from '../../src/vici/cluster-view.ts';

export const CLUSTER_VIEW: ClusterView = {
  name: 'tsgw',
  node: 'a',
  nodeId: 1,
  mode: 'active-passive',
  bus: 'udp',
  sid: 259,
  segments: 8,
  owned: 4,
  alone: false,
  synced: true,
  lease: 'valid',
  leaseAge: 61,
  leaseLeft: 184,
  demotion: 0,
  demotions: {},
  members: [
    {
      name: 'a',
      nodeId: 1,
      state: 'self',
      sid: 259,
      owned: 4,
      weight: 1,
      demotion: 0,
      advbase: 1,
      advskew: 0,
      alone: false,
      synced: true,
      wan: true,
      lan: true,
      sync: true,
      differences: [],
    },
    {
      name: 'b',
      nodeId: 2,
      state: 'up',
      sid: 515,
      owned: 4,
      weight: 1,
      demotion: 50,
      advbase: 1,
      advskew: 100,
      alone: false,
      synced: true,
      wan: false,
      lan: true,
      sync: true,
      load: 3,
      heard: 34,
      applied: 1200,
      differences: ['connections'],
    },
    { name: 'c', nodeId: 3, state: 'unheard', owned: 0, weight: 0, differences: [] },
  ],
  ikeSas: { active: 12, passive: 30, unsynced: 1, solo: 0 },
  addresses: [
    { name: 'outer', address: '192.0.2.100', device: 'wan', side: 'wan', here: true, master: 'a' },
    {
      name: 'inner',
      address: '10.1.0.1',
      device: 'lan',
      side: 'lan',
      here: false,
      mac: '01:00:5e:00:00:21',
    },
  ],
  troubles: ['filter: nft: no such device'],
  metrics: { 'lag-p50': 0.4, 'take-overs': 2, forwarded: 0 },
  drops: { 'bad-tag': 7 },
};

export class FakeCluster implements ClusterControl {
  readonly orders: ClusterOrder[] = [];
  view: ClusterView = CLUSTER_VIEW;
  rows: readonly SegmentView[] = Array.from({ length: 8 }, (_, segment) => ({
    segment,
    ...(segment < 7 && { owner: segment < 4 ? 'a' : 'b' }),
    here: segment < 4,
    epoch: 10 + segment,
    ikeSas: segment,
    childSas: 2 * segment,
  }));
  outcome: (order: ClusterOrder) => Promise<ClusterOutcome> = ({ kind }) =>
    Promise.resolve({ kind: 'done', what: `${kind}: done`, milliseconds: 12 });

  status(): ClusterView {
    return this.view;
  }

  segments(): readonly SegmentView[] {
    return this.rows;
  }

  order(order: ClusterOrder): Promise<ClusterOutcome> {
    this.orders.push(order);
    return this.outcome(order);
  }
}
