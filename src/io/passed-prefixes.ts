/**
 * Destinations that may go around the TUN device: those of bypass policies (RFC 4301 §4.4.1) for
 * which a route says the same as the policy.
 *
 * A route sees only the destination. Where it would also take packets around that a stronger policy
 * or a policy for other sources protects, everything goes through the device and the packet loop
 * decides for each packet.
 */
import { entryPriorities, type SpdEntry } from '../ipsec/spd.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import {
  formatPrefix,
  type Prefix,
  prefixRange,
  rangeContains,
  rangePrefixes,
} from '../wire/address.ts';

/** A policy as routes see it. */
export type RoutedPolicy = Omit<SpdEntry, 'sa' | 'trap'>;

interface Passing {
  readonly policy: RoutedPolicy;
  readonly prefix: Prefix;
  /** Policies whose packets a route around the device would take along. */
  readonly obstacles: Set<number>;
}

export class PassedPrefixes {
  /** By the prefix in text. */
  readonly #passing = new Map<string, Passing[]>();
  readonly #others = new Map<number, RoutedPolicy>();

  /** Whether packets to the prefix go around the device. */
  has(prefix: Prefix): boolean {
    const passing = this.#passing.get(formatPrefix(prefix)) ?? [];
    return passing.some(({ obstacles }) => obstacles.size === 0);
  }

  /** Answers the prefixes for which `has` may answer something else now. */
  add(policy: RoutedPolicy): readonly Prefix[] {
    if (policy.action === 'bypass') return this.#pass(policy);
    this.#others.set(policy.id, policy);
    const hindered = this.#all().filter((passing) => isObstacle(policy, passing));
    for (const { obstacles } of hindered) obstacles.add(policy.id);
    return hindered.map(({ prefix }) => prefix);
  }

  /** As `add`. */
  remove(id: number): readonly Prefix[] {
    this.#others.delete(id);
    const freed = this.#all().filter(
      ({ policy, obstacles }) => policy.id === id || obstacles.delete(id),
    );
    for (const { policy, prefix } of freed) {
      if (policy.id !== id) continue;
      const key = formatPrefix(prefix);
      const left = (this.#passing.get(key) ?? []).filter((one) => one.policy.id !== id);
      if (left.length === 0) this.#passing.delete(key);
      else this.#passing.set(key, left);
    }
    return freed.map(({ prefix }) => prefix);
  }

  #pass(policy: RoutedPolicy): readonly Prefix[] {
    if (![...policy.localTs, ...policy.remoteTs].every(isWhole)) return [];
    const prefixes = policy.remoteTs.flatMap(({ range }) => rangePrefixes(range));
    for (const prefix of prefixes) {
      const passing = { policy, prefix, obstacles: new Set<number>() };
      for (const other of this.#others.values()) {
        if (isObstacle(other, passing)) passing.obstacles.add(other.id);
      }
      const key = formatPrefix(prefix);
      this.#passing.set(key, [...(this.#passing.get(key) ?? []), passing]);
    }
    return prefixes;
  }

  #all(): readonly Passing[] {
    return [...this.#passing.values()].flat();
  }
}

/** Addresses and nothing else: what a route can tell apart. */
function isWhole({ protocol, startPort, endPort }: TrafficSelector): boolean {
  return protocol === 0 && startPort === 0 && endPort === 0xffff;
}

/** Would a route around the device for the prefix take packets of `other` along that are not to pass? */
function isObstacle(other: RoutedPolicy, { policy, prefix }: Passing): boolean {
  const { family } = prefix.address;
  // A narrower route of the other policy stands beside the one around the device.
  const routed = other.remoteTs.some(({ range }) =>
    rangePrefixes(range).some(
      (wider) => wider.length <= prefix.length && rangeContains(prefixRange(wider), prefix.address),
    ),
  );
  if (!routed) return false;
  const covered = other.localTs
    .filter(({ range }) => range.first.family === family)
    .every(({ range }) =>
      policy.localTs.some(
        (own) => rangeContains(own.range, range.first) && rangeContains(own.range, range.last),
      ),
    );
  return !covered || entryPriorities(policy).weakest >= entryPriorities(other).strongest;
}
