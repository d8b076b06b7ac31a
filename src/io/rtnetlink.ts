/**
 * Links, addresses, routes and policy rules of the machine, over one netlink socket.
 *
 * No `ip` process is started. Every refusal of the kernel is a `NetlinkError` that says what was
 * asked and why it was refused.
 */
import { formatAddress, formatPrefix, type IpAddress } from '../wire/address.ts';
import { Errno, Netlink, NetlinkError, NetlinkFlag } from './netlink.ts';
import { OUTER_MARK } from './outer-sockets.ts';
import {
  decodeAddress,
  decodeLink,
  decodeRoute,
  decodeRule,
  encodeAddress,
  encodeAddressQuery,
  encodeLinkChange,
  encodeLinkQuery,
  encodeRoute,
  encodeRouteKey,
  encodeRouteLookup,
  encodeRouteQuery,
  encodeRule,
  encodeRuleQuery,
  type InterfaceAddress,
  type Link,
  type LinkChange,
  type ListedAddress,
  type Route,
  RtnetlinkType,
  type Rule,
} from './rtnetlink-message.ts';

/** Where packets to a destination leave, and with which source. */
export interface RouteAnswer {
  readonly source: IpAddress | undefined;
  readonly interfaceIndex: number;
  readonly gateway: IpAddress | undefined;
  /** Of the path if the kernel learned one, else of the interface. */
  readonly mtu: number;
}

export class Rtnetlink {
  readonly #netlink: Netlink;

  constructor(netlink: Netlink = new Netlink()) {
    this.#netlink = netlink;
  }

  close(): void {
    this.#netlink.close();
  }

  link(which: { readonly index?: number; readonly name?: string }): Link | undefined {
    const what = `link ${which.name ?? which.index}`;
    return this.#ask(what, RtnetlinkType.GET_LINK, encodeLinkQuery(which), decodeLink)[0];
  }

  changeLink(index: number, change: LinkChange): void {
    const body = encodeLinkChange(index, change);
    this.#netlink.request(`link ${index}`, RtnetlinkType.NEW_LINK, 0, body);
  }

  addresses(): readonly ListedAddress[] {
    const answers = this.#netlink.dump(
      'addresses',
      RtnetlinkType.GET_ADDRESS,
      encodeAddressQuery(),
    );
    return decoded(answers, decodeAddress);
  }

  addAddress(one: InterfaceAddress): void {
    const flags = NetlinkFlag.CREATE | NetlinkFlag.REPLACE;
    this.#netlink.request(addressText(one), RtnetlinkType.NEW_ADDRESS, flags, encodeAddress(one));
  }

  deleteAddress(one: InterfaceAddress): void {
    const { DELETE_ADDRESS } = RtnetlinkType;
    this.#netlink.request(addressText(one), DELETE_ADDRESS, 0, encodeAddress(one));
  }

  /** Fails with EEXIST where the table has a route to the destination. */
  addRoute(route: Route): void {
    this.#newRoute(route, NetlinkFlag.CREATE | NetlinkFlag.EXCLUSIVE);
  }

  replaceRoute(route: Route): void {
    this.#newRoute(route, NetlinkFlag.CREATE | NetlinkFlag.REPLACE);
  }

  /** A route that is gone already is no error: its device may have taken it along. */
  deleteRoute(route: Route): void {
    const body = encodeRouteKey(route);
    tolerate([Errno.ESRCH, Errno.ENODEV], () =>
      this.#netlink.request(routeText(route), RtnetlinkType.DELETE_ROUTE, 0, body),
    );
  }

  /** Routes of a family, in one table (0 = all) and of one protocol (0 = any). */
  routes(family: 4 | 6, table = 0, protocol = 0): readonly Route[] {
    const body = encodeRouteQuery(family, table, protocol);
    // ENOENT: the table was never used.
    const answers = tolerate([Errno.ENOENT, ...NO_FAMILY], () =>
      this.#netlink.dump(`routes of table ${table}`, RtnetlinkType.GET_ROUTE, body),
    );
    return decoded(answers ?? [], decodeRoute).filter(
      (route) =>
        route.destination.address.family === family &&
        (table === 0 || route.table === table) &&
        (protocol === 0 || route.protocol === protocol),
    );
  }

  /** Answers false when the kernel has no such family. */
  addRule(rule: Rule): boolean {
    const flags = NetlinkFlag.CREATE | NetlinkFlag.EXCLUSIVE;
    const answers = tolerate(NO_FAMILY, () =>
      this.#netlink.request(ruleText(rule), RtnetlinkType.NEW_RULE, flags, encodeRule(rule)),
    );
    return answers !== undefined;
  }

  deleteRule(rule: Rule): void {
    tolerate([Errno.ENOENT], () =>
      this.#netlink.request(ruleText(rule), RtnetlinkType.DELETE_RULE, 0, encodeRule(rule)),
    );
  }

  rules(family: 4 | 6): readonly Rule[] {
    const answers = tolerate(NO_FAMILY, () =>
      this.#netlink.dump('rules', RtnetlinkType.GET_RULE, encodeRuleQuery(family)),
    );
    return decoded(answers ?? [], decodeRule).filter((rule) => rule.family === family);
  }

  /** How a packet of the gateway itself would get to `destination`; undefined without a route. */
  lookup(destination: IpAddress, mark = OUTER_MARK): RouteAnswer | undefined {
    const what = `route to ${formatAddress(destination)}`;
    const body = encodeRouteLookup(destination, mark);
    const [route] = this.#ask(what, RtnetlinkType.GET_ROUTE, body, decodeRoute, BLACKHOLE);
    if (route?.interfaceIndex === undefined) return undefined;
    return {
      source: route.preferredSource,
      interfaceIndex: route.interfaceIndex,
      gateway: route.gateway,
      mtu: route.mtu ?? this.link({ index: route.interfaceIndex })?.mtu ?? 0,
    };
  }

  #newRoute(route: Route, flags: number): void {
    this.#netlink.request(routeText(route), RtnetlinkType.NEW_ROUTE, flags, encodeRoute(route));
  }

  /** A question whose answer may be "there is none". */
  #ask<T>(
    what: string,
    type: number,
    body: Uint8Array,
    decode: (body: Uint8Array) => T | undefined,
    alsoNone: readonly number[] = [],
  ): readonly T[] {
    const answers = tolerate([...NONE, ...alsoNone], () =>
      this.#netlink.request(what, type, 0, body),
    );
    return decoded(answers ?? [], decode);
  }
}

/** Errnos of a kernel without the address family. */
const NO_FAMILY = [Errno.EOPNOTSUPP, Errno.EAFNOSUPPORT];

/** Errnos that say: there is none. EACCES is a prohibit route. */
const NONE = [
  Errno.ENODEV,
  Errno.ESRCH,
  Errno.ENETUNREACH,
  Errno.EHOSTUNREACH,
  Errno.EACCES,
  ...NO_FAMILY,
];

/** How the kernel refuses to look up what a blackhole route swallows: without a word. */
const BLACKHOLE = [Errno.EINVAL];

/** Undefined when the kernel refused with one of these errnos; EINVAL only without a reason. */
function tolerate<T>(errnos: readonly number[], ask: () => T): T | undefined {
  try {
    return ask();
  } catch (error) {
    const refused = error instanceof NetlinkError && errnos.includes(error.errno);
    if (refused && (error.errno !== Errno.EINVAL || error.reason === '')) return undefined;
    throw error;
  }
}

function decoded<T>(
  answers: readonly { readonly body: Uint8Array }[],
  decode: (body: Uint8Array) => T | undefined,
): readonly T[] {
  return answers.map(({ body }) => decode(body)).filter((one) => one !== undefined);
}

function addressText(one: InterfaceAddress): string {
  return `address ${formatAddress(one.address)}/${one.prefixLength} of link ${one.interfaceIndex}`;
}

function routeText(route: Route): string {
  return `route ${formatPrefix(route.destination)} table ${route.table}`;
}

function ruleText(rule: Rule): string {
  return `rule ${rule.priority} of IPv${rule.family} to table ${rule.table}`;
}
