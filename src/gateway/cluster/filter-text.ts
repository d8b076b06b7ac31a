/**
 * The packet filter of a node as its cluster's mode wants it: of what every node gets the packets of its segments
 * (`active-active`), or the frames to the hardware addresses it is master of (`active-passive`).
 */
import {
  noRuleset,
  type OwnSampling,
  type SegmentFilter,
  samplingOf,
  segmentRuleset,
} from '../../cluster/segment-filter.ts';
import { segmentHash, sourceSeed } from '../../cluster/segment-hash.ts';
import { ownershipRuleset, type PinnedRange } from '../../cluster/segment-sets.ts';
import { formatHardwareAddress } from '../../cluster/virtual-address/ethernet.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';
import type { PlannedAddress } from './address-plan.ts';

export interface FilterTextParts {
  readonly config: ClusterConfig;
  readonly ports: { readonly ike: number; readonly natT: number };
  /** In place of whatever is there; else only what changes with ownership. */
  readonly whole: boolean;
  readonly planned: readonly PlannedAddress[];
  readonly own: ReadonlySet<number>;
  /** What this node is master of. */
  readonly mastered: readonly PlannedAddress[];
  readonly pinned: readonly PinnedRange[];
  readonly samplings: readonly OwnSampling[];
}

/** For nft. */
export function filterText(parts: FilterTextParts): string {
  const { config, whole, own, pinned } = parts;
  // Made anew where it is not known what is there: chains may be left of other devices.
  const before = whole ? noRuleset('netdev') : '';
  if (config.mode === 'active-passive') return before + segmentRuleset(filterOfMaster(parts));
  const ownership = { own: [...own], count: config.segments, pinned };
  return whole ? before + segmentRuleset(filterOfOwner(parts)) : ownershipRuleset(ownership);
}

function filterOfOwner(parts: FilterTextParts): SegmentFilter {
  const { config, ports, planned, pinned, samplings } = parts;
  const wan = planned.filter(({ side }) => side === 'wan');
  const lan = planned.filter(({ side }) => side === 'lan');
  return {
    ...seedsOf(config),
    own: [...parts.own],
    ...(wan.length > 0 && {
      wan: {
        devices: devicesOf(wan),
        addresses: wan.map(({ address }) => address),
        port: ports.ike,
        portNatT: ports.natT,
        sampling: samplingOf(config.self, config.replay.sampling || USUAL_SAMPLING),
        ownSamplings: samplings,
      },
    }),
    ...(lan.length > 0 && {
      lan: { devices: devicesOf(lan), hardwareAddresses: hardwareOf(lan), pinned },
    }),
  };
}

function filterOfMaster({ config, planned, mastered }: FilterTextParts): SegmentFilter {
  return {
    ...seedsOf(config),
    own: [],
    mastered: devicesOf(planned).map((device) => ({
      device,
      hardwareAddresses: hardwareOf(mastered.filter((one) => one.device === device)),
    })),
  };
}

function seedsOf({ segments, segmentSeed, secrets }: ClusterConfig) {
  const [secret] = secrets;
  return {
    hash: segmentHash(segments, segmentSeed),
    sourceSeed: secret === undefined ? 0 : sourceSeed(secret),
  };
}

function devicesOf(planned: readonly PlannedAddress[]): readonly string[] {
  return [...new Set(planned.map(({ device }) => device))];
}

function hardwareOf(planned: readonly PlannedAddress[]): readonly string[] {
  return [...new Set(planned.map(({ hardwareAddress }) => formatHardwareAddress(hardwareAddress)))];
}

/** Where the configuration leaves it open: of SAs of usual speed. */
const USUAL_SAMPLING = 64;
