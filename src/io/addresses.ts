/**
 * The machine's own addresses, and which of them a tunnel's traffic may carry.
 */
import { type AddressRange, type IpAddress, rangeContains } from '../wire/address.ts';
import type { Rtnetlink } from './rtnetlink.ts';

/** Addresses that packets may have as their source, loopback ones last. */
export function localAddresses(rtnetlink: Rtnetlink): readonly IpAddress[] {
  const usable = rtnetlink.addresses().filter((one) => one.usable && one.scope !== SCOPE_LINK);
  const host = usable.filter((one) => one.scope === SCOPE_HOST);
  return [...usable.filter((one) => one.scope !== SCOPE_HOST), ...host].map((one) => one.address);
}

/** Addresses that peers may reach us at: not of loopback, of one link only, or of a device. */
export function outerAddresses(rtnetlink: Rtnetlink, except: number): readonly IpAddress[] {
  const outer = rtnetlink
    .addresses()
    .filter(({ usable, scope }) => usable && scope !== SCOPE_LINK && scope !== SCOPE_HOST)
    .filter(({ interfaceIndex }) => interfaceIndex !== except);
  const links = new Set(outer.map(({ interfaceIndex }) => interfaceIndex));
  const up = new Set([...links].filter((index) => rtnetlink.link({ index })?.up === true));
  return outer.filter(({ interfaceIndex }) => up.has(interfaceIndex)).map(({ address }) => address);
}

/** The first of the addresses that lies in one of the ranges. */
export function addressInside(
  addresses: readonly IpAddress[],
  ranges: readonly AddressRange[],
  family: 4 | 6,
): IpAddress | undefined {
  return addresses.find(
    (address) => address.family === family && ranges.some((range) => rangeContains(range, address)),
  );
}

const SCOPE_LINK = 253;
const SCOPE_HOST = 254;
