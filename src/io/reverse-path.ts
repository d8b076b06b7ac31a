/**
 * Reverse path filtering where it would drop what a peer sends us (ip-sysctl, `rp_filter`): traffic to
 * the peer's own address is routed to the TUN device, hence a strict filter takes packets that arrive
 * from it elsewhere for forged. The filter does not see the mark that our own packets carry.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import { formatAddress, type IpAddress, rangeContains } from '../wire/address.ts';

const SETTINGS = '/proc/sys/net/ipv4/conf';
const STRICT = 1;
/** No interfaces: the greater of `all` and the interface's own counts, `default` is for new ones. */
const NO_DEVICES: ReadonlySet<string> = new Set(['all', 'default', 'lo']);

/** Said once: what a peer sends from an address that is behind the device may not arrive. */
export class ReversePathAdvice {
  readonly #device: string;
  readonly #warn: (what: string) => void;
  #isSaid = false;

  constructor(device: string, warn: (what: string) => void) {
    this.#device = device;
    this.#warn = warn;
  }

  /** A Child SA with that peer is installed. */
  consider(peer: IpAddress, remoteTs: readonly TrafficSelector[]): void {
    const covered = remoteTs.some(({ range }) => rangeContains(range, peer));
    if (this.#isSaid || !covered || peer.family !== 4) return;
    const [strict] = strictInterfaces(this.#device);
    if (strict === undefined) return;
    this.#isSaid = true;
    this.#warn(
      `packets of ${formatAddress(peer)} may be dropped on arrival, for its address is routed to ` +
        `${this.#device} and reverse path filtering is strict: ` +
        `write net.ipv4.conf.${strict}.rp_filter = 2`,
    );
  }
}

/** Interfaces besides our own whose filter is strict. */
export function strictInterfaces(own: string, settings = SETTINGS): readonly string[] {
  try {
    const all = modeOf(settings, 'all');
    return readdirSync(settings)
      .filter((device) => device !== own && !NO_DEVICES.has(device))
      .filter((device) => Math.max(all, modeOf(settings, device)) === STRICT)
      .toSorted();
  } catch {
    // Where the settings cannot be read nothing is known about them.
    return [];
  }
}

function modeOf(settings: string, device: string): number {
  return Number(readFileSync(join(settings, device, 'rp_filter'), 'utf8'));
}
