/**
 * Ethernet frames and hardware addresses, as far as a shared address needs them (RFC 894, RFC 1112 §6.4,
 * RFC 2464 §7). No tags: a tagged link has a device of its own, which takes them off.
 */
import { type IpAddress, ipAddress } from '../../wire/address.ts';
import { equalOctets, OctetReader, OctetWriter } from '../../wire/octets.ts';

/** Six octets. */
export type HardwareAddress = Uint8Array;

export const EtherType = { IPV4: 0x0800, ARP: 0x0806, IPV6: 0x86dd } as const;
export type EtherType = (typeof EtherType)[keyof typeof EtherType];

export const BROADCAST: HardwareAddress = Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0xff, 0xff);

export interface EthernetFrame {
  readonly destination: HardwareAddress;
  readonly source: HardwareAddress;
  readonly type: number;
  /** Perhaps with the padding of a short frame behind it. */
  readonly payload: Uint8Array;
}

//   octets 0-5   destination
//   octets 6-11  source
//   octets 12-13 type
export function decodeFrame(octets: Uint8Array): EthernetFrame {
  const reader = new OctetReader(octets);
  return {
    destination: reader.take(6, 'destination'),
    source: reader.take(6, 'source'),
    type: reader.u16('type'),
    payload: reader.rest(),
  };
}

export function encodeFrame({ destination, source, type, payload }: EthernetFrame): Uint8Array {
  return new OctetWriter().octets(destination).octets(source).u16(type).octets(payload).finish();
}

/** `01:00:5e:00:00:20`, or undefined. */
export function parseHardwareAddress(text: string): HardwareAddress | undefined {
  if (!/^([0-9a-f]{2}:){5}[0-9a-f]{2}$/i.test(text)) return undefined;
  return Uint8Array.from(text.split(':'), (pair) => Number.parseInt(pair, 16));
}

export function formatHardwareAddress(address: HardwareAddress): string {
  return Array.from(address, (octet) => octet.toString(16).padStart(2, '0')).join(':');
}

/** Multicast or broadcast: never the source of a frame. */
export function isGroup(address: HardwareAddress): boolean {
  return ((address[0] ?? 0) & 1) === 1;
}

/** RFC 1112 §6.4 and RFC 2464 §7: where a frame for a group is sent. */
export function groupHardwareAddress(group: IpAddress): HardwareAddress {
  const { octets, family } = group;
  if (family === 6) return Uint8Array.of(0x33, 0x33, ...octets.subarray(12));
  const [, second = 0, third = 0, fourth = 0] = octets;
  return Uint8Array.of(0x01, 0x00, 0x5e, second & 0x7f, third, fourth);
}

/** RFC 4291 §2.7.1: the group in which an IPv6 address is asked for. */
export function solicitedNodeGroup(address: IpAddress): IpAddress {
  const group = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);
  group.set(address.octets.subarray(13), 13);
  return ipAddress(group);
}

export function isSolicitedNodeGroup(address: IpAddress): boolean {
  return equalOctets(address.octets, solicitedNodeGroup(address).octets);
}
