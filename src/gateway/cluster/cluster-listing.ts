/**
 * How a node sees its cluster, as plain data for listings.
 */
import type { Peer } from '../../cluster/peer.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';
import type {
  ClusterAddressView,
  ClusterView,
  MemberView,
  SegmentView,
  SharedSasView,
} from '../../vici/cluster-view.ts';
import type { Instant } from '../../wire/instant.ts';
import type { ClusterNode } from './cluster-node.ts';

export interface ListedCluster {
  readonly config: ClusterConfig;
  readonly node: Pick<ClusterNode, 'coordinator'>;
  readonly now: Instant;
  readonly ikeSas: SharedSasView;
  readonly addresses: readonly ClusterAddressView[];
  readonly troubles: readonly string[];
  readonly metrics: Readonly<Record<string, number>>;
  readonly drops: Readonly<Record<string, number>>;
}

/** SAs of a segment that a node knows. */
export interface SasOfSegment {
  readonly ikeSas: number;
  readonly childSas: number;
}

export function clusterView(listed: ListedCluster): ClusterView {
  const { config, node, ikeSas, addresses, troubles, metrics, drops } = listed;
  const { coordinator } = node;
  const { demotion } = coordinator;
  const self = config.nodes.find(({ id }) => id === config.self);
  return {
    name: config.name,
    node: self?.name ?? '',
    nodeId: config.self,
    mode: config.mode,
    bus: config.bus,
    sid: coordinator.sid,
    segments: config.segments,
    owned: coordinator.owned,
    alone: coordinator.isAlone,
    synced: !demotion.has('boot'),
    ...leaseOf(listed),
    demotion: demotion.total,
    demotions: Object.fromEntries(demotion.reasons()),
    members: memberViews(listed),
    ikeSas,
    addresses,
    troubles,
    metrics: { epoch: highestEpoch(listed), ...metrics },
    drops,
  };
}

export function segmentViews(
  { config, node }: Pick<ListedCluster, 'config' | 'node'>,
  sasOf: (segment: number) => SasOfSegment,
): readonly SegmentView[] {
  const { coordinator } = node;
  const names = new Map(config.nodes.map(({ id, name }) => [id, name]));
  return Array.from({ length: config.segments }, (_, segment) => {
    const owner = coordinator.ownerOf(segment);
    const name = owner && names.get(owner.node);
    return {
      segment,
      ...(name !== undefined && { owner: name }),
      here: coordinator.owns(segment),
      epoch: coordinator.epoch(segment),
      ...sasOf(segment),
    };
  });
}

function leaseOf({
  config,
  node,
  now,
}: ListedCluster): Pick<ClusterView, 'lease' | 'leaseAge' | 'leaseLeft'> {
  const { leaseUntil } = node.coordinator;
  if (leaseUntil === Number.POSITIVE_INFINITY) return { lease: 'unlimited' };
  if (leaseUntil <= now) return { lease: 'over' };
  const leaseLeft = Math.round(leaseUntil - now);
  return { lease: 'valid', leaseLeft, leaseAge: Math.max(0, config.timers.lease - leaseLeft) };
}

function highestEpoch({ config, node }: ListedCluster): number {
  let highest = 0;
  for (let segment = 0; segment < config.segments; segment++) {
    highest = Math.max(highest, node.coordinator.epoch(segment));
  }
  return highest;
}

function memberViews(listed: ListedCluster): readonly MemberView[] {
  const { config, node } = listed;
  const owned = new Map<number, number>();
  for (let segment = 0; segment < config.segments; segment++) {
    const owner = node.coordinator.ownerOf(segment)?.node;
    if (owner !== undefined) owned.set(owner, (owned.get(owner) ?? 0) + 1);
  }
  const peers = new Map([...node.coordinator.peers].map((peer) => [peer.node, peer]));
  return config.nodes.map(({ id, name, weight, advskew }) => {
    const base = { name, nodeId: id, weight };
    const peer = peers.get(id);
    if (peer) return { ...base, owned: owned.get(id) ?? 0, ...peerView(peer, listed) };
    return { ...base, ...selfView(listed, advskew) };
  });
}

function selfView({ config, node }: ListedCluster, advskew: number) {
  const { coordinator } = node;
  const { demotion, isAlone: alone, owned, sid } = coordinator;
  const has = (reason: 'uplink-down' | 'lan-leg-down' | 'sync-link-down') => demotion.has(reason);
  return {
    ...({ state: 'self', sid, owned, alone, advskew, advbase: config.advbase } as const),
    demotion: demotion.total,
    synced: !demotion.has('boot'),
    wan: !has('uplink-down'),
    lan: !has('lan-leg-down'),
    sync: !has('sync-link-down'),
    differences: [],
  };
}

/** What is known of a node only since it was heard is left out before. */
function peerView(peer: Peer, { node, now }: ListedCluster) {
  const state = stateOf(peer, node);
  const differences = peer.differences.map(({ name }) => name);
  if (!Number.isFinite(peer.lastHeard)) return { state, differences };
  const { sid, alone, synced, load } = peer;
  return {
    ...{ state, sid, alone, synced, load, differences },
    ...peer.advert,
    ...peer.legs,
    heard: Math.max(0, Math.round(now - peer.lastHeard)),
    applied: peer.position(node.coordinator.sid),
  };
}

function stateOf(peer: Peer, { coordinator }: ListedCluster['node']): MemberView['state'] {
  if (peer.isGone) return 'gone';
  if (coordinator.view.includes(peer.node)) return 'up';
  if (peer.refusedFor !== '') return 'refused';
  return Number.isFinite(peer.lastHeard) ? 'silent' : 'unheard';
}
