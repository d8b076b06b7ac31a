/**
 * Routes of the Child SAs: what a peer's traffic selectors cover goes to the TUN device, and packets
 * that start here get a source that the policy covers.
 *
 * All routes stand in one table of their own, looked up before the main table by one rule for each
 * address family:
 *
 *   220:  not from all fwmark 0x220 lookup 220
 *
 * A remote selector may contain the peer's outer address (a whole network, 0.0.0.0/0, or the peer
 * itself). The gateway's own packets must still go outside: its sockets carry the mark and pass the
 * table by. A host route to the peer would do the same, but would let other packets to the peer
 * leave unprotected and would have to follow every change of the gateway's uplink. Where reverse
 * path filtering is strict (rp_filter = 1) and a selector contains the peer, the operator must
 * set it to loose (2): the filter does not see marks.
 *
 * A local selector inside a remote one (10.1.0.0/16 in 0.0.0.0/0) gets a `throw` route: what lies
 * behind us stays behind us.
 *
 * Routes over the device vanish with it; rules and throw routes do not. All carry our protocol
 * number, so the next start removes what a killed process left.
 */
import {
  type AddressRange,
  formatPrefix,
  type IpAddress,
  type Prefix,
  prefixRange,
  rangeContains,
  rangePrefixes,
} from '../wire/address.ts';
import { after, type Instant } from '../wire/instant.ts';
import { addressInside, localAddresses } from './addresses.ts';
import { now } from './clock.ts';
import { Errno, NetlinkError } from './netlink.ts';
import { OUTER_MARK } from './outer-sockets.ts';
import type { Rtnetlink } from './rtnetlink.ts';
import { PROTOCOL_TSGW, type Route, RouteType, type Rule } from './rtnetlink-message.ts';

/** The table's number and its rule's priority, as strongSwan's users know them. */
export const ROUTE_TABLE = 220;

/** An address that comes later than this before an SA is preferred as its source. */
const ADDRESSES_AGE_MS = 1000;

/** What routes need of a Child SA. */
export interface RoutedChildSa {
  readonly id: number;
  readonly localTs: readonly { readonly range: AddressRange }[];
  readonly remoteTs: readonly { readonly range: AddressRange }[];
}

/** Who wants a prefix in the table: a Child SA's id, with the source it would prefer. */
interface Wanted {
  readonly prefix: Prefix;
  readonly tunnelled: Map<number, IpAddress | undefined>;
  readonly local: Set<number>;
  installed: Route | undefined;
}

export class Routes {
  readonly #rtnetlink: Rtnetlink;
  readonly #interfaceIndex: number;
  readonly #wanted = new Map<string, Wanted>();
  /** By Child SA: what it wants. */
  readonly #claims = new Map<number, Set<Wanted>>();
  #addresses: readonly IpAddress[] = [];
  #addressesAt: Instant | undefined;

  /** Removes what an earlier process left and adds the rules. The device must be ours already. */
  constructor(rtnetlink: Rtnetlink, interfaceIndex: number) {
    this.#rtnetlink = rtnetlink;
    this.#interfaceIndex = interfaceIndex;
    sweepRoutes(rtnetlink);
    for (const family of [4, 6] as const) rtnetlink.addRule(ruleOf(family));
  }

  /** Routes a Child SA's remote selectors. Prefixes other SAs routed already are shared. */
  install(childSa: RoutedChildSa): void {
    const localRanges = childSa.localTs.map(({ range }) => range);
    const remote = prefixesOf(childSa.remoteTs);
    const addresses = this.#localAddresses();
    try {
      for (const prefix of remote) {
        const source = addressInside(addresses, localRanges, prefix.address.family);
        const wanted = this.#want(childSa.id, prefix);
        wanted.tunnelled.set(childSa.id, source);
        this.#settle(wanted);
      }
      for (const prefix of prefixesOf(childSa.localTs)) {
        if (!remote.some((one) => strictlyContains(one, prefix))) continue;
        const wanted = this.#want(childSa.id, prefix);
        wanted.local.add(childSa.id);
        this.#settle(wanted);
      }
    } catch (error) {
      this.remove(childSa.id);
      throw error;
    }
  }

  /** Takes a Child SA's claims back; a route goes with the last claim on it. */
  remove(childSaId: number): void {
    const claimed = this.#claims.get(childSaId) ?? [];
    this.#claims.delete(childSaId);
    for (const wanted of claimed) {
      wanted.tunnelled.delete(childSaId);
      wanted.local.delete(childSaId);
      this.#settle(wanted);
    }
  }

  /** An address came or went: the next Child SA looks again. */
  forgetAddresses(): void {
    this.#addressesAt = undefined;
  }

  /** Removes every route and rule of ours. */
  close(): void {
    this.#wanted.clear();
    this.#claims.clear();
    sweepRoutes(this.#rtnetlink);
  }

  #want(childSaId: number, prefix: Prefix): Wanted {
    const key = formatPrefix(prefix);
    const wanted = this.#wanted.get(key) ?? {
      ...{ prefix, tunnelled: new Map(), local: new Set<number>(), installed: undefined },
    };
    this.#wanted.set(key, wanted);
    const claims = this.#claims.get(childSaId) ?? new Set();
    this.#claims.set(childSaId, claims.add(wanted));
    return wanted;
  }

  /** Listed once for all SAs that come at the same time. */
  #localAddresses(): readonly IpAddress[] {
    const at = now();
    if (this.#addressesAt === undefined || at >= after(this.#addressesAt, ADDRESSES_AGE_MS)) {
      this.#addresses = localAddresses(this.#rtnetlink);
      this.#addressesAt = at;
    }
    return this.#addresses;
  }

  /** Makes the table agree with the claims. */
  #settle(wanted: Wanted): void {
    const { installed } = wanted;
    const route = this.#routeOf(wanted);
    if (route === undefined) this.#wanted.delete(formatPrefix(wanted.prefix));
    if (installed !== undefined && route?.type !== installed.type) {
      wanted.installed = undefined;
      this.#rtnetlink.deleteRoute(installed);
    }
    if (route === undefined || sameRoute(route, wanted.installed)) return;
    wanted.installed = this.#replace(route);
  }

  #routeOf(wanted: Wanted): Route | undefined {
    const route = {
      destination: wanted.prefix,
      table: ROUTE_TABLE,
      protocol: PROTOCOL_TSGW,
    };
    if (wanted.tunnelled.size > 0) {
      const preferredSource = [...wanted.tunnelled.values()].find((source) => source !== undefined);
      return {
        ...route,
        type: RouteType.UNICAST,
        interfaceIndex: this.#interfaceIndex,
        ...(preferredSource === undefined ? {} : { preferredSource }),
      };
    }
    return wanted.local.size > 0 ? { ...route, type: RouteType.THROW } : undefined;
  }

  /** An address may go between being listed and being named: then the route does without it. */
  #replace(route: Route): Route {
    try {
      this.#rtnetlink.replaceRoute(route);
      return route;
    } catch (error) {
      const refused = error instanceof NetlinkError && error.errno === Errno.EINVAL;
      if (!refused || route.preferredSource === undefined) throw error;
      const { preferredSource: _gone, ...without } = route;
      this.#rtnetlink.replaceRoute(without);
      return without;
    }
  }
}

/** Removes routes and rules that carry our protocol number. */
export function sweepRoutes(rtnetlink: Rtnetlink): void {
  for (const family of [4, 6] as const) {
    for (const rule of rtnetlink.rules(family)) {
      if (rule.protocol === PROTOCOL_TSGW) rtnetlink.deleteRule(rule);
    }
    for (const route of rtnetlink.routes(family, ROUTE_TABLE, PROTOCOL_TSGW)) {
      rtnetlink.deleteRoute(route);
    }
  }
}

function ruleOf(family: 4 | 6): Rule {
  return {
    family,
    priority: ROUTE_TABLE,
    table: ROUTE_TABLE,
    protocol: PROTOCOL_TSGW,
    mark: OUTER_MARK,
    invert: true,
  };
}

function prefixesOf(selectors: readonly { readonly range: AddressRange }[]): readonly Prefix[] {
  return selectors.flatMap(({ range }) => rangePrefixes(range));
}

function strictlyContains(outer: Prefix, inner: Prefix): boolean {
  return outer.length < inner.length && rangeContains(prefixRange(outer), inner.address);
}

function sameRoute(a: Route, b: Route | undefined): boolean {
  return (
    a.type === b?.type && a.preferredSource?.octets.join() === b.preferredSource?.octets.join()
  );
}
