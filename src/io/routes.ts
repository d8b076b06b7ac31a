/**
 * Routes of the policies: what their remote selectors cover goes to the TUN device, be it for a Child
 * SA, a trap or a discard, and packets that start here get a source that the policy covers.
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
 * behind us stays behind us. So does what a bypass lets pass (`passed-prefixes.ts`).
 *
 * Routes over the device vanish with it; rules and throw routes do not. All carry our protocol
 * number, so the next start removes what a killed process left.
 */
import {
  type AddressRange,
  formatAddress,
  formatPrefix,
  type IpAddress,
  type Prefix,
  prefixRange,
  rangeContains,
  rangePrefixes,
} from '../wire/address.ts';
import { after, type Instant } from '../wire/instant.ts';
import { addressInside, localAddresses } from './addresses.ts';
import { Claims } from './claims.ts';
import { now } from './clock.ts';
import { Errno, NetlinkError } from './netlink.ts';
import { OUTER_MARK } from './outer-sockets.ts';
import { PassedPrefixes, type RoutedPolicy } from './passed-prefixes.ts';
import type { Rtnetlink } from './rtnetlink.ts';
import { PROTOCOL_TSGW, type Route, RouteType, type Rule } from './rtnetlink-message.ts';

/** The table's number and its rule's priority, as strongSwan's users know them. */
export const ROUTE_TABLE = 220;

/** An address that comes later than this before an SA is preferred as its source. */
const ADDRESSES_AGE_MS = 1000;

/** Where packets that start here may come from, and the address that is. */
interface Source {
  readonly ranges: readonly AddressRange[];
  readonly address: IpAddress | undefined;
}

/** What the table says of a prefix: to the device, or around it. */
interface Way {
  readonly type: RouteType;
  readonly preferredSource: IpAddress | undefined;
}

/** Who wants a prefix in the table: a policy's id, with the source it would prefer. */
interface Wanted {
  readonly prefix: Prefix;
  readonly tunnelled: Claims<Source>;
  readonly local: Claims<true>;
  installed: Way | undefined;
}

const AROUND: Way = { type: RouteType.THROW, preferredSource: undefined };

export class Routes {
  readonly #rtnetlink: Rtnetlink;
  readonly #interfaceIndex: number;
  readonly #wanted = new Map<string, Wanted>();
  /** By policy: what it wants. */
  readonly #claims = new Map<number, readonly Wanted[]>();
  readonly #passed = new PassedPrefixes();
  #addresses: readonly IpAddress[] = [];
  #addressesAt: Instant | undefined;
  /** The addresses that every source was last chosen from. */
  #refreshedFor = '';

  /** Removes what an earlier process left and adds the rules. The device must be ours already. */
  constructor(rtnetlink: Rtnetlink, interfaceIndex: number) {
    this.#rtnetlink = rtnetlink;
    this.#interfaceIndex = interfaceIndex;
    sweepRoutes(rtnetlink);
    for (const family of [4, 6] as const) rtnetlink.addRule(ruleOf(family));
  }

  /**
   * Routes the remote selectors of a policy, be it of a Child SA, to the device; those of a bypass
   * go around it where that is safe. Prefixes that others routed already are shared.
   */
  install(policy: RoutedPolicy): void {
    try {
      this.#settleAll(this.#passed.add(policy));
      if (policy.action !== 'bypass') this.#claim(policy);
    } catch (error) {
      this.remove(policy.id);
      throw error;
    }
  }

  /** Takes a policy's claims back; a route goes with the last claim on it. */
  remove(id: number): void {
    const claimed = this.#claims.get(id) ?? [];
    this.#claims.delete(id);
    for (const wanted of claimed) {
      wanted.tunnelled.delete(id);
      wanted.local.delete(id);
      this.#settle(wanted);
    }
    this.#settleAll(this.#passed.remove(id));
  }

  /** An address came or went: the next Child SA looks again. */
  forgetAddresses(): void {
    this.#addressesAt = undefined;
  }

  /**
   * Addresses came or went: sources are chosen anew. A route that names an address that is gone
   * sends nothing of ours; some kernels remove it, others keep it.
   */
  refresh(): void {
    this.forgetAddresses();
    const addresses = this.#localAddresses();
    const present = new Set(addresses.map(formatAddress));
    const known = [...present].join();
    if (known === this.#refreshedFor) return;
    this.#refreshedFor = known;
    for (const wanted of this.#wanted.values()) {
      const { family } = wanted.prefix.address;
      for (const [id, { ranges }] of wanted.tunnelled.entries()) {
        const address = addressInside(addresses, ranges, family);
        wanted.tunnelled.set(id, { ranges, address });
      }
      const source = wanted.installed?.preferredSource;
      if (source !== undefined && !present.has(formatAddress(source))) wanted.installed = undefined;
      this.#settle(wanted);
    }
  }

  /** Removes every route and rule of ours. */
  close(): void {
    this.#wanted.clear();
    this.#claims.clear();
    sweepRoutes(this.#rtnetlink);
  }

  /** What goes to the device, with its source, and what lies behind us and stays there. */
  #claim({ id, localTs, remoteTs }: RoutedPolicy): void {
    const ranges = localTs.map(({ range }) => range);
    const remote = prefixesOf(remoteTs);
    const addresses = this.#localAddresses();
    for (const prefix of remote) {
      const address = addressInside(addresses, ranges, prefix.address.family);
      const wanted = this.#want(id, prefix);
      wanted.tunnelled.set(id, { ranges, address });
      this.#settle(wanted);
    }
    for (const prefix of prefixesOf(localTs)) {
      if (!remote.some((one) => strictlyContains(one, prefix))) continue;
      const wanted = this.#want(id, prefix);
      wanted.local.set(id, true);
      this.#settle(wanted);
    }
  }

  #want(id: number, prefix: Prefix): Wanted {
    const wanted = this.#wantedFor(prefix);
    const claims = this.#claims.get(id) ?? [];
    // A literal of both would have room for more, in each of thousands.
    if (!claims.includes(wanted)) this.#claims.set(id, claims.concat(wanted));
    return wanted;
  }

  #wantedFor(prefix: Prefix): Wanted {
    const key = formatPrefix(prefix);
    const known = this.#wanted.get(key);
    if (known !== undefined) return known;
    const wanted: Wanted = {
      prefix,
      tunnelled: new Claims(),
      local: new Claims(),
      installed: undefined,
    };
    this.#wanted.set(key, wanted);
    return wanted;
  }

  #settleAll(prefixes: readonly Prefix[]): void {
    for (const prefix of prefixes) this.#settle(this.#wantedFor(prefix));
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
    const { prefix, installed } = wanted;
    const way = this.#wayTo(wanted);
    if (way === undefined) this.#wanted.delete(formatPrefix(prefix));
    if (installed !== undefined && way?.type !== installed.type) {
      wanted.installed = undefined;
      this.#rtnetlink.deleteRoute(this.#route(prefix, installed));
    }
    if (way === undefined || sameWay(way, wanted.installed)) return;
    wanted.installed = this.#replace(prefix, way);
  }

  #wayTo({ prefix, tunnelled, local }: Wanted): Way | undefined {
    if (this.#passed.has(prefix)) return AROUND;
    if (tunnelled.size > 0) {
      const preferredSource = tunnelled
        .entries()
        .map(([, { address }]) => address)
        .find((address) => address !== undefined);
      return { type: RouteType.UNICAST, preferredSource };
    }
    return local.size > 0 ? AROUND : undefined;
  }

  #route(destination: Prefix, { type, preferredSource }: Way): Route {
    return {
      destination,
      table: ROUTE_TABLE,
      protocol: PROTOCOL_TSGW,
      type,
      ...(type === RouteType.UNICAST && { interfaceIndex: this.#interfaceIndex }),
      ...(preferredSource !== undefined && { preferredSource }),
    };
  }

  /** An address may go between being listed and being named: then the route does without it. */
  #replace(prefix: Prefix, way: Way): Way {
    try {
      this.#rtnetlink.replaceRoute(this.#route(prefix, way));
      return way;
    } catch (error) {
      const refused = error instanceof NetlinkError && error.errno === Errno.EINVAL;
      if (!refused || way.preferredSource === undefined) throw error;
      const without = { type: way.type, preferredSource: undefined };
      this.#rtnetlink.replaceRoute(this.#route(prefix, without));
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

function sameWay(a: Way, b: Way | undefined): boolean {
  return (
    a.type === b?.type && a.preferredSource?.octets.join() === b.preferredSource?.octets.join()
  );
}
