/**
 * Hardware addresses of shared addresses for which none is written, the same on every node of a cluster.
 *
 * Where all nodes hear everything it is one of a group of the link, as of 224.0.0.160 to 249 (RFC 1112 §6.4) and their
 * like of IPv6: none is assigned, and switches that go by hardware addresses flood them always (RFC 4541 §2.1.2). Where
 * an address has a master it is one of VRRP's (RFC 9568 §7.3). Of the last octet the address and the cluster's name
 * decide, so that clusters on one link are unlikely to meet.
 */
import { formatAddress, type IpAddress } from '../../wire/address.ts';
import { jhash, scaled } from '../segment-hash.ts';
import { formatHardwareAddress, type HardwareAddress } from './ethernet.ts';

export interface HardwareAddressWish {
  readonly cluster: string;
  readonly address: IpAddress;
  /** All nodes have it; else one master at a time. */
  readonly isGroup: boolean;
}

/** One that is not in `taken`, as text. Throws `RangeError` where all are. */
export function deriveHardwareAddress(
  { cluster, address, isGroup }: HardwareAddressWish,
  taken: ReadonlySet<string>,
): HardwareAddress {
  const { prefix, first, count } = isGroup ? GROUPS[address.family] : VIRTUAL[address.family];
  const text = `${cluster} ${formatAddress(address)}`;
  const wished = scaled(jhash(new TextEncoder().encode(text), SEED), count);
  for (let more = 0; more < count; more++) {
    const candidate = Uint8Array.of(...prefix, first + ((wished + more) % count));
    if (!taken.has(formatHardwareAddress(candidate))) return candidate;
  }
  throw new RangeError(`${count} hardware addresses are taken: ${formatAddress(address)} has none`);
}

interface Range {
  readonly prefix: readonly number[];
  readonly first: number;
  readonly count: number;
}

const GROUPS: Readonly<Record<4 | 6, Range>> = {
  4: { prefix: [0x01, 0x00, 0x5e, 0x00, 0x00], first: 160, count: 90 },
  6: { prefix: [0x33, 0x33, 0x00, 0x00, 0x00], first: 160, count: 90 },
};

// RFC 9568 §7.3: the octet before the last is 1 for IPv4 and 2 for IPv6; there is no router number 0.
const VIRTUAL: Readonly<Record<4 | 6, Range>> = {
  4: { prefix: [0x00, 0x00, 0x5e, 0x00, 0x01], first: 1, count: 255 },
  6: { prefix: [0x00, 0x00, 0x5e, 0x00, 0x02], first: 1, count: 255 },
};

/** Any number: all nodes use this one. */
const SEED = 0x6d616373;
