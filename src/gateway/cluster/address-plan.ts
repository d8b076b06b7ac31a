/**
 * The shared addresses of a cluster's configuration, each with its device, its hardware address and whose it is:
 * what every node makes of the same file.
 */
import { firstOfGroup, groupCount, groupOfAddress } from '../../cluster/segment-groups.ts';
import { deriveHardwareAddress } from '../../cluster/virtual-address/derived-hardware-address.ts';
import {
  formatHardwareAddress,
  type HardwareAddress,
  parseHardwareAddress,
} from '../../cluster/virtual-address/ethernet.ts';
import type { ClusterAddress, ClusterConfig } from '../../config/cluster-config.ts';
import type { IpAddress } from '../../wire/address.ts';

export interface PlannedAddress {
  /** Of its section. */
  readonly name: string;
  readonly address: IpAddress;
  readonly device: string;
  readonly side: ClusterAddress['side'];
  readonly hardwareAddress: HardwareAddress;
  /** Whoever has this segment is its master (`active-passive`). */
  readonly masterSegment: number;
}

/** In the order of the file. */
export function plannedAddresses(config: ClusterConfig): readonly PlannedAddress[] {
  const { addresses, mode, name: cluster, segments } = config;
  const ofSide = (side: ClusterAddress['side']) => addresses.filter((one) => one.side === side);
  const groups = groupCount(segments, ofSide('wan').length);
  const taken = new Set(addresses.flatMap(({ mac }) => (mac === undefined ? [] : [mac])));
  return addresses.flatMap((one) => {
    const { name, device, side, mac } = one;
    const group = groupOfAddress(ofSide(side).indexOf(one), groups);
    return one.addresses.map((address) => {
      const isGroup = mode === 'active-active';
      const written = mac === undefined ? undefined : parseHardwareAddress(mac);
      const hardwareAddress =
        written ?? deriveHardwareAddress({ cluster, address, isGroup }, taken);
      taken.add(formatHardwareAddress(hardwareAddress));
      return { name, address, device, side, hardwareAddress, masterSegment: firstOfGroup(group) };
    });
  });
}

/** Those that a node with these segments serves. */
export function servedAddresses(
  mode: ClusterConfig['mode'],
  planned: readonly PlannedAddress[],
  own: ReadonlySet<number>,
): readonly PlannedAddress[] {
  switch (mode) {
    case 'active-active':
      return own.size > 0 ? planned : [];
    case 'active-passive':
      return planned.filter(({ masterSegment }) => own.has(masterSegment));
    case 'forward':
      return [];
    default:
      return mode satisfies never;
  }
}
