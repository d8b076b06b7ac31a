/**
 * Bodies of rtnetlink messages (Linux `rtnetlink(7)`): links, addresses, routes and policy rules.
 *
 * Each body is a fixed part, drawn above its encoder, and attributes. Pure; `rtnetlink.ts` sends
 * them.
 */
import { anyAddress, type IpAddress, ipAddress, type Prefix } from '../wire/address.ts';
import { attribute32, decodeAttributes, NetlinkWriter, viewOf } from './netlink.ts';

/** Message types (`linux/rtnetlink.h`). */
export const RtnetlinkType = {
  NEW_LINK: 16,
  GET_LINK: 18,
  NEW_ADDRESS: 20,
  DELETE_ADDRESS: 21,
  GET_ADDRESS: 22,
  NEW_ROUTE: 24,
  DELETE_ROUTE: 25,
  GET_ROUTE: 26,
  NEW_RULE: 32,
  DELETE_RULE: 33,
  GET_RULE: 34,
} as const;

/** Who installed a route or rule; ours lets a later process find what a killed one left. */
export const PROTOCOL_TSGW = 220;

/** `throw` ends the look-up in its table; the next rule decides. */
export const RouteType = { UNICAST: 1, THROW: 9 } as const;
export type RouteType = (typeof RouteType)[keyof typeof RouteType];

export interface Link {
  readonly index: number;
  readonly name: string;
  readonly mtu: number;
  readonly up: boolean;
  /** It is up and has somebody at its other end. */
  readonly running: boolean;
  readonly hardwareAddress?: Uint8Array;
}

export interface LinkChange {
  readonly up?: boolean;
  readonly mtu?: number;
  /** Packets that wait for the device at most. */
  readonly queueLength?: number;
  /** No link-local IPv6 address appears by itself. */
  readonly noAddressGeneration?: boolean;
}

export interface InterfaceAddress {
  readonly interfaceIndex: number;
  readonly address: IpAddress;
  readonly prefixLength: number;
  /** Who put it there, as with routes; kernels before 5.18 do not keep it. */
  readonly protocol?: number;
}

/** An address as listed; `usable` is false while or after duplicate detection objects. */
export interface ListedAddress extends InterfaceAddress {
  readonly usable: boolean;
  /** RT_SCOPE: 0 global, 253 link, 254 host. */
  readonly scope: number;
}

export interface Route {
  readonly destination: Prefix;
  readonly table: number;
  readonly protocol: number;
  readonly type: RouteType | number;
  readonly interfaceIndex?: number;
  readonly gateway?: IpAddress;
  /** Source of packets that have none yet. */
  readonly preferredSource?: IpAddress;
  readonly priority?: number;
  readonly mtu?: number;
}

/** A policy rule that looks up a table. */
export interface Rule {
  readonly family: 4 | 6;
  readonly priority: number;
  readonly table: number;
  readonly protocol: number;
  readonly mark?: number;
  /** Applies to what does not match. */
  readonly invert?: boolean;
}

//   octet 0      family, 0 = any          octets 4-7   interface index
//   octets 2-3   device type              octets 8-11  flags, 12-15 which flags change
export function encodeLinkQuery(link: { readonly index?: number; readonly name?: string }) {
  const body = linkBody(link.index ?? 0, 0, 0);
  if (link.name !== undefined) body.attribute(LinkAttribute.NAME, cString(link.name));
  return body.finish();
}

export function encodeLinkChange(index: number, change: LinkChange): Uint8Array {
  const changeUp = change.up === undefined ? 0 : LINK_UP;
  const body = linkBody(index, change.up === true ? LINK_UP : 0, changeUp);
  if (change.mtu !== undefined) body.attribute32(LinkAttribute.MTU, change.mtu);
  if (change.queueLength !== undefined) {
    body.attribute32(LinkAttribute.TXQLEN, change.queueLength);
  }
  if (change.noAddressGeneration === true) {
    const mode = new NetlinkWriter().attribute(ADDRESS_GENERATION_MODE, Uint8Array.of(1)).finish();
    const inet6 = new NetlinkWriter().attribute(Family.INET6, mode).finish();
    body.attribute(LinkAttribute.FAMILY_SPECIFIC, inet6);
  }
  return body.finish();
}

export function decodeLink(body: Uint8Array): Link | undefined {
  if (body.length < 16) return undefined;
  const attributes = decodeAttributes(body, 16);
  const name = attributes.get(LinkAttribute.NAME);
  if (name === undefined) return undefined;
  const hardwareAddress = attributes.get(LinkAttribute.ADDRESS);
  return {
    index: viewOf(body).getInt32(4, true),
    name: new TextDecoder().decode(name.subarray(0, -1)),
    mtu: attribute32(attributes.get(LinkAttribute.MTU)) ?? 0,
    up: (viewOf(body).getUint32(8, true) & LINK_UP) !== 0,
    running: (viewOf(body).getUint32(8, true) & LINK_RUNNING) !== 0,
    ...(hardwareAddress && { hardwareAddress: hardwareAddress.slice() }),
  };
}

//   octet 0  family          octet 2  flags          octets 4-7  interface index
//   octet 1  prefix length   octet 3  scope
export function encodeAddress(one: InterfaceAddress): Uint8Array {
  const { address } = one;
  // An IPv6 address is ours alone: waiting for duplicate detection would only delay its use.
  const flags = address.family === 6 ? ADDRESS_NODAD : 0;
  const body = new NetlinkWriter()
    .u8(familyNumber(address.family), one.prefixLength, flags, 0)
    .u32(one.interfaceIndex)
    .attribute(AddressAttribute.LOCAL, address.octets)
    .attribute(AddressAttribute.ADDRESS, address.octets);
  if (one.protocol !== undefined) {
    body.attribute(AddressAttribute.PROTOCOL, Uint8Array.of(one.protocol));
  }
  return body.finish();
}

export function encodeAddressQuery(): Uint8Array {
  return new NetlinkWriter().u8(0, 0, 0, 0).u32(0).finish();
}

export function decodeAddress(body: Uint8Array): ListedAddress | undefined {
  if (body.length < 8) return undefined;
  const attributes = decodeAttributes(body, 8);
  const octets = attributes.get(AddressAttribute.LOCAL) ?? attributes.get(AddressAttribute.ADDRESS);
  const address = decodeIpAddress(octets);
  if (address === undefined) return undefined;
  const flags = attribute32(attributes.get(AddressAttribute.FLAGS)) ?? body[2] ?? 0;
  const protocol = attributes.get(AddressAttribute.PROTOCOL)?.[0];
  return {
    interfaceIndex: viewOf(body).getUint32(4, true),
    address,
    prefixLength: body[1] ?? 0,
    usable: (flags & ADDRESS_UNUSABLE) === 0,
    scope: body[3] ?? 0,
    ...(protocol === undefined ? {} : { protocol }),
  };
}

//   octet 0  family                octet 4  table (0 = see attribute)   octets 8-11  flags
//   octet 1  destination length    octet 5  protocol
//   octet 2  source length         octet 6  scope
//   octet 3  TOS                   octet 7  type
export function encodeRoute(route: Route): Uint8Array {
  const { family, octets } = route.destination.address;
  // IPv4 refuses a gateway or a throw route in link scope.
  const direct = route.type === RouteType.UNICAST && route.gateway === undefined;
  const body = routeBody(family, route.destination.length, {
    table: route.table,
    protocol: route.protocol,
    scope: family === 4 && direct ? SCOPE_LINK : 0,
    type: route.type,
  }).attribute(RouteAttribute.DESTINATION, octets);
  if (route.table >= 256) body.attribute32(RouteAttribute.TABLE, route.table);
  if (route.gateway !== undefined) body.attribute(RouteAttribute.GATEWAY, route.gateway.octets);
  if (route.preferredSource !== undefined) {
    body.attribute(RouteAttribute.PREFERRED_SOURCE, route.preferredSource.octets);
  }
  if (route.priority !== undefined) body.attribute32(RouteAttribute.PRIORITY, route.priority);
  if (route.mtu !== undefined) {
    const metrics = new NetlinkWriter().attribute32(METRIC_MTU, route.mtu).finish();
    body.attribute(RouteAttribute.METRICS, metrics);
  }
  if (route.interfaceIndex !== undefined) {
    body.attribute32(RouteAttribute.OUT_INTERFACE, route.interfaceIndex);
  }
  return body.finish();
}

/** What identifies a route for its removal; gateway, source and metrics may be any. */
export function encodeRouteKey(route: Route): Uint8Array {
  const { destination, table, protocol, type, priority, interfaceIndex } = route;
  const header = { table, protocol, scope: SCOPE_NOWHERE, type };
  const body = routeBody(destination.address.family, destination.length, header);
  body.attribute(RouteAttribute.DESTINATION, destination.address.octets);
  if (table >= 256) body.attribute32(RouteAttribute.TABLE, table);
  if (priority !== undefined) body.attribute32(RouteAttribute.PRIORITY, priority);
  if (interfaceIndex !== undefined) {
    body.attribute32(RouteAttribute.OUT_INTERFACE, interfaceIndex);
  }
  return body.finish();
}

/** All routes of a family in a table that a protocol installed; 0 = any table, any protocol. */
export function encodeRouteQuery(family: 4 | 6, table: number, protocol: number): Uint8Array {
  const body = routeBody(family, 0, { table: 0, protocol, scope: 0, type: 0 });
  if (table !== 0) body.attribute32(RouteAttribute.TABLE, table);
  return body.finish();
}

/** The route that a packet to `destination` with this mark would take. */
export function encodeRouteLookup(destination: IpAddress, mark: number): Uint8Array {
  const { family, octets } = destination;
  const header = { table: 0, protocol: 0, scope: 0, type: 0 };
  return routeBody(family, octets.length * 8, header)
    .attribute(RouteAttribute.DESTINATION, octets)
    .attribute32(RouteAttribute.MARK, mark)
    .finish();
}

export function decodeRoute(body: Uint8Array): Route | undefined {
  const family = decodeFamily(body[0]);
  if (body.length < 12 || family === undefined) return undefined;
  const attributes = decodeAttributes(body, 12);
  const interfaceIndex = attribute32(attributes.get(RouteAttribute.OUT_INTERFACE));
  const gateway = decodeIpAddress(attributes.get(RouteAttribute.GATEWAY));
  const preferredSource = decodeIpAddress(attributes.get(RouteAttribute.PREFERRED_SOURCE));
  const priority = attribute32(attributes.get(RouteAttribute.PRIORITY));
  const metrics = attributes.get(RouteAttribute.METRICS);
  const mtu = metrics && attribute32(decodeAttributes(metrics).get(METRIC_MTU));
  const address = decodeIpAddress(attributes.get(RouteAttribute.DESTINATION)) ?? anyAddress(family);
  return {
    destination: { address, length: body[1] ?? 0 },
    table: attribute32(attributes.get(RouteAttribute.TABLE)) ?? body[4] ?? 0,
    protocol: body[5] ?? 0,
    type: body[7] ?? 0,
    ...(interfaceIndex === undefined ? {} : { interfaceIndex }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(preferredSource === undefined ? {} : { preferredSource }),
    ...(priority === undefined ? {} : { priority }),
    ...(mtu === undefined ? {} : { mtu }),
  };
}

//   octet 0  family                octet 4  table        octets 8-11  flags
//   octet 1  destination length    octet 7  action
//   octet 2  source length
export function encodeRule(rule: Rule): Uint8Array {
  const body = new NetlinkWriter()
    .u8(familyNumber(rule.family), 0, 0, 0, rule.table < 256 ? rule.table : 0, 0, 0, RULE_TO_TABLE)
    .u32(rule.invert === true ? RULE_INVERT : 0);
  if (rule.mark !== undefined) body.attribute32(RuleAttribute.MARK, rule.mark);
  if (rule.table >= 256) body.attribute32(RuleAttribute.TABLE, rule.table);
  return body
    .attribute32(RuleAttribute.PRIORITY, rule.priority)
    .attribute(RuleAttribute.PROTOCOL, Uint8Array.of(rule.protocol))
    .finish();
}

export function encodeRuleQuery(family: 4 | 6): Uint8Array {
  return new NetlinkWriter().u8(familyNumber(family), 0, 0, 0, 0, 0, 0, 0).u32(0).finish();
}

/** Rules of another action than looking up a table are undefined. */
export function decodeRule(body: Uint8Array): Rule | undefined {
  const family = decodeFamily(body[0]);
  if (body.length < 12 || family === undefined || body[7] !== RULE_TO_TABLE) return undefined;
  const attributes = decodeAttributes(body, 12);
  const mark = attribute32(attributes.get(RuleAttribute.MARK));
  return {
    family,
    priority: attribute32(attributes.get(RuleAttribute.PRIORITY)) ?? 0,
    table: attribute32(attributes.get(RuleAttribute.TABLE)) ?? body[4] ?? 0,
    protocol: attributes.get(RuleAttribute.PROTOCOL)?.[0] ?? 0,
    ...(mark === undefined ? {} : { mark }),
    invert: (viewOf(body).getUint32(8, true) & RULE_INVERT) !== 0,
  };
}

function linkBody(index: number, flags: number, change: number): NetlinkWriter {
  return new NetlinkWriter().u8(0, 0).u16(0).u32(index).u32(flags).u32(change);
}

interface RouteHeader {
  readonly table: number;
  readonly protocol: number;
  readonly scope: number;
  readonly type: number;
}

function routeBody(family: 4 | 6, destinationLength: number, header: RouteHeader): NetlinkWriter {
  const { table, protocol, scope, type } = header;
  return new NetlinkWriter()
    .u8(familyNumber(family), destinationLength, 0, 0)
    .u8(table < 256 ? table : 0, protocol, scope, type)
    .u32(0);
}

function cString(text: string): Uint8Array {
  return new TextEncoder().encode(`${text}\0`);
}

function familyNumber(family: 4 | 6): number {
  return family === 4 ? Family.INET : Family.INET6;
}

function decodeFamily(number: number | undefined): 4 | 6 | undefined {
  return number === Family.INET ? 4 : number === Family.INET6 ? 6 : undefined;
}

function decodeIpAddress(octets: Uint8Array | undefined): IpAddress | undefined {
  return octets?.length === 4 || octets?.length === 16 ? ipAddress(octets) : undefined;
}

const Family = { INET: 2, INET6: 10 } as const;

/** IFF_UP and IFF_RUNNING of `linux/if.h`. */
const LINK_UP = 1;
const LINK_RUNNING = 0x40;
const LinkAttribute = { ADDRESS: 1, NAME: 3, MTU: 4, TXQLEN: 13, FAMILY_SPECIFIC: 26 } as const;
/** IFLA_INET6_ADDR_GEN_MODE; 1 = none. */
const ADDRESS_GENERATION_MODE = 8;

const AddressAttribute = { ADDRESS: 1, LOCAL: 2, FLAGS: 8, PROTOCOL: 11 } as const;
const ADDRESS_NODAD = 0x02;
/** Tentative (0x40) or refused by duplicate detection (0x08). */
const ADDRESS_UNUSABLE = 0x48;

const SCOPE_LINK = 253;
/** In a removal: any scope. */
const SCOPE_NOWHERE = 255;
const RouteAttribute = {
  DESTINATION: 1,
  OUT_INTERFACE: 4,
  GATEWAY: 5,
  PRIORITY: 6,
  PREFERRED_SOURCE: 7,
  METRICS: 8,
  TABLE: 15,
  MARK: 16,
} as const;
const METRIC_MTU = 2;

const RULE_TO_TABLE = 1;
const RULE_INVERT = 2;
const RuleAttribute = {
  PRIORITY: 6,
  MARK: 10,
  TABLE: 15,
  PROTOCOL: 21,
} as const;
