/**
 * The packet filter of a node as its cluster's mode wants it: of what every node gets the packets of its segments
 * (`active-active`), or the frames to the hardware addresses it is master of (`active-passive`).
 */

import type { Pins } from '../../cluster/pinned-ranges.ts';
import {
  noRuleset,
  type OwnSampling,
  type SegmentFilter,
  samplingOf,
  segmentRuleset,
} from '../../cluster/segment-filter.ts';
import { segmentHash, sourceSeed } from '../../cluster/segment-hash.ts';
import { FilterSet, ownershipRuleset, segmentMark } from '../../cluster/segment-sets.ts';
import {
  formatHardwareAddress,
  parseHardwareAddress,
} from '../../cluster/virtual-address/ethernet.ts';
import type { ClusterConfig } from '../../config/cluster-config.ts';
import type { SetContent } from '../../io/nft-sets.ts';
import type { PlannedAddress } from './address-plan.ts';

export interface FilterTextParts {
  readonly config: ClusterConfig;
  readonly ports: { readonly ike: number; readonly natT: number };
  /** In place of whatever is there; else only what changes with ownership. */
  readonly whole: boolean;
  readonly planned: readonly PlannedAddress[];
  readonly own: ReadonlySet<number>;
  /** Of what hosts of the LAN send. */
  readonly ownLan: ReadonlySet<number>;
  /** What this node is master of. */
  readonly mastered: readonly PlannedAddress[];
  readonly pins: Pins;
  readonly samplings: readonly OwnSampling[];
}

/** For nft. */
export function filterText(parts: FilterTextParts): string {
  const { config, whole, own, ownLan, pins } = parts;
  // Made anew where it is not known what is there: chains may be left of other devices.
  if (whole) return noRuleset('netdev') + segmentRuleset(filterOf(parts));
  const mastered = hardwareOf(parts.mastered);
  const { segments: count } = config;
  return ownershipRuleset({ own: [...own], ownLan: [...ownLan], count, pins, mastered });
}

/** What changes with ownership and has to be there at once, as the kernel has it. */
export function filterSets({
  own,
  ownLan,
  mastered,
}: Pick<FilterTextParts, 'own' | 'ownLan' | 'mastered'>): readonly SetContent[] {
  return [
    { set: FilterSet.OWN, keys: [...own].map(machineInteger) },
    { set: FilterSet.OWN_LAN, keys: [...ownLan].map(machineInteger) },
    { set: FilterSet.OWN_MARKS, keys: [...ownLan].map(markOctets) },
    { set: FilterSet.MASTERED, keys: hardwareOf(mastered).map(parsedHardware) },
  ];
}

function filterOf(parts: FilterTextParts): SegmentFilter {
  return parts.config.mode === 'active-passive' ? filterOfMaster(parts) : filterOfOwner(parts);
}

/** What a pinned address is given while it is looked up. */
export function markOctets(segment: number): Uint8Array {
  return machineInteger(segmentMark(segment));
}

/** 32 bits in the order of the machine; the machines we run on are little-endian. */
function machineInteger(value: number): Uint8Array {
  return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

function parsedHardware(text: string): Uint8Array {
  return parseHardwareAddress(text) ?? new Uint8Array(6);
}

function filterOfOwner(parts: FilterTextParts): SegmentFilter {
  const { config, ports, planned, pins, samplings } = parts;
  const wan = planned.filter(({ side }) => side === 'wan');
  const lan = planned.filter(({ side }) => side === 'lan');
  return {
    ...seedsOf(config),
    own: [...parts.own],
    ownLan: [...parts.ownLan],
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
      lan: { devices: devicesOf(lan), hardwareAddresses: hardwareOf(lan), pins },
    }),
  };
}

function filterOfMaster({ config, planned, mastered }: FilterTextParts): SegmentFilter {
  return {
    ...seedsOf(config),
    own: [],
    mastered: { devices: devicesOf(planned), hardwareAddresses: hardwareOf(mastered) },
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
