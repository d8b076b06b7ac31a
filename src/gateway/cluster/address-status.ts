/**
 * The shared addresses of a node, for listings.
 */
import type { NodeId } from '../../cluster/node-id.ts';
import { formatHardwareAddress } from '../../cluster/virtual-address/ethernet.ts';
import type { ClusterMode } from '../../config/cluster-config.ts';
import { formatAddress } from '../../wire/address.ts';
import type { PlannedAddress } from './address-plan.ts';

export interface SharedAddressStatus {
  readonly name: string;
  readonly address: string;
  readonly device: string;
  readonly side: 'wan' | 'lan';
  /** Unset where nothing is said on links (`forward`). */
  readonly hardwareAddress?: string;
  /** This node answers for it now. */
  readonly served: boolean;
  /** Who has it (`active-passive`), as far as it is known. */
  readonly master?: NodeId;
}

export function addressStatus(
  mode: ClusterMode,
  one: PlannedAddress,
  now: { readonly served: boolean; readonly master: NodeId | undefined },
): SharedAddressStatus {
  const { name, device, side, hardwareAddress } = one;
  return {
    ...{ name, address: formatAddress(one.address), device, side, served: now.served },
    ...(mode !== 'forward' && { hardwareAddress: formatHardwareAddress(hardwareAddress) }),
    ...(mode === 'active-passive' && now.master !== undefined && { master: now.master }),
  };
}
