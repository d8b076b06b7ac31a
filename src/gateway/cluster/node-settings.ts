/**
 * What the section `cluster` says, as the parts of a node take it: members and timings for the coordinator,
 * keys and paths for the mesh, and what nodes compare of their configurations.
 */
import { ClusterKey, KeyRing } from '../../cluster/bus/cluster-key.ts';
import { HMAC_SHA256 } from '../../cluster/bus/noise.ts';
import type { ClusterSettings, ConfigurationField } from '../../cluster/cluster-settings.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import { type SegmentHash, segmentHash } from '../../cluster/segment-hash.ts';
import { CLOCK_DRIFT, type ClusterConfig } from '../../config/cluster-config.ts';
import { prf } from '../../crypto/prf.ts';
import type { BusPath } from '../../io/path-sockets.ts';
import { type Endpoint, formatAddress } from '../../wire/address.ts';
import { octetsOfLatin1, toHex } from '../../wire/octets.ts';
import { placeOf } from './place-of.ts';

export function nodeSettings(config: ClusterConfig): ClusterSettings {
  const { self, nodes, segments, timers, alone, preempt, advbase } = config;
  const { heartbeat, lease, takeover: takeOver } = timers;
  return {
    self,
    members: nodes.map(({ id, name, weight }) => ({ node: id, name, weight })),
    segments,
    timings: { heartbeat, lease, takeOver, drift: CLOCK_DRIFT },
    alone,
    preempt,
    advbase,
    advskew: nodes.find(({ id }) => id === self)?.advskew ?? 0,
    place: placeOf(config),
    configuration: configurationFields(config),
    capabilities: [],
  };
}

export function hashOf({ segments, segmentSeed }: ClusterConfig): SegmentHash {
  return segmentHash(segments, segmentSeed);
}

/** The keys of the cluster. Throws `RangeError` where there is none. */
export function keyRing({ secrets }: ClusterConfig): KeyRing {
  const [first, second] = secrets.map((secret) => new ClusterKey(secret));
  if (!first) throw new RangeError('a cluster without a key');
  return new KeyRing(first, second);
}

/** An address of each node makes a path, in the order they are written. */
export function busPaths({ nodes, self, port }: ClusterConfig): readonly BusPath[] {
  const own = nodes.find(({ id }) => id === self);
  return (own?.addresses ?? []).map((address, path) => {
    const peers = nodes.flatMap(({ id, addresses }): (readonly [NodeId, Endpoint])[] => {
      const other = addresses[path];
      return other && id !== self ? [[id, { address: other, port }]] : [];
    });
    return { local: { address, port }, peers: new Map(peers) };
  });
}

/** What all nodes have alike, by name; the values stay here. */
function configurationFields(config: ClusterConfig): readonly ConfigurationField[] {
  const { segments, segmentSeed, mode, alone, timers, nodes, addresses, replay } = config;
  const field = (
    weight: ConfigurationField['weight'],
    name: string,
    ...values: readonly unknown[]
  ): ConfigurationField => ({ name, weight, digest: digestOf(config.name, name, values) });
  return [
    field('protocol', 'segments', segments),
    field('protocol', 'segment_seed', segmentSeed),
    field('protocol', 'timers.lease', timers.lease),
    field('protocol', 'timers.takeover', timers.takeover),
    field('protocol', 'alone', alone),
    field('protocol', 'nodes', ...nodes.map(({ id, name, weight }) => [id, name, weight])),
    field('policy', 'mode', mode),
    field(
      'policy',
      'addresses',
      ...addresses.map((one) => [one.side, one.addresses.map(formatAddress)]),
    ),
    field('advice', 'timers.heartbeat', timers.heartbeat),
    field('advice', 'replay.takeover', replay.takeover),
  ];
}

/** Not of the key: while it is replaced nodes have different ones, and hear one another all the same. */
function digestOf(cluster: string, name: string, values: readonly unknown[]): string {
  const text = `tsgw cluster configuration ${name} ${JSON.stringify(values)}`;
  const digest = prf(HMAC_SHA256, octetsOfLatin1(cluster), octetsOfLatin1(text));
  return toHex(digest).slice(0, DIGEST_DIGITS);
}

const DIGEST_DIGITS = 16;
