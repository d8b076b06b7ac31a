/**
 * Reverse path filtering where it would drop what a peer sends us (ip-sysctl, `rp_filter`): traffic to
 * the peer's own address is routed to the TUN device, hence a strict filter takes packets that arrive
 * from it elsewhere for forged. The filter does not see the mark that our own packets carry.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SETTINGS = '/proc/sys/net/ipv4/conf';
const STRICT = 1;
/** No interfaces: the greater of `all` and the interface's own counts, `default` is for new ones. */
const NO_DEVICES: ReadonlySet<string> = new Set(['all', 'default', 'lo']);

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
