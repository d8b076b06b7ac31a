/**
 * Single inner addresses that are pinned to segments, as the kernel's packet filter has them: what is different
 * from one list to the next goes there as changes of a map, so that a client that comes costs nothing of the others.
 */
import type { PinnedHost } from '../../cluster/pinned-ranges.ts';
import { FilterMap } from '../../cluster/segment-sets.ts';
import type { MapChange } from '../../io/nft-sets.ts';
import { markOctets } from './filter-text.ts';

/** Of one batch of changes. */
const MOST_AT_ONCE = 2_000;

export class PinnedHosts {
  #known: ReadonlyMap<string, PinnedHost> = new Map();

  /** The filter was filled with these. */
  filled(hosts: ReadonlyMap<string, PinnedHost>): void {
    this.#known = hosts;
  }

  /** In batches, what makes of the last list this one. */
  changesTo(hosts: ReadonlyMap<string, PinnedHost>): readonly (readonly MapChange[])[] {
    const before = this.#known;
    this.#known = hosts;
    const differs = (one: PinnedHost | undefined, other: PinnedHost | undefined) =>
      one?.segment !== other?.segment;
    const gone = [...before].filter(([text, one]) => differs(one, hosts.get(text)));
    const come = [...hosts].filter(([text, one]) => differs(one, before.get(text)));
    const batches: MapChange[][] = [];
    for (const list of inParts(gone)) {
      batches.push(
        mapChanges(
          list.map(([, host]) => host),
          [],
        ),
      );
    }
    for (const list of inParts(come)) {
      batches.push(
        mapChanges(
          [],
          list.map(([, host]) => host),
        ),
      );
    }
    return batches;
  }
}

function inParts<One>(list: readonly One[]): readonly (readonly One[])[] {
  const parts: (readonly One[])[] = [];
  for (let at = 0; at < list.length; at += MOST_AT_ONCE)
    parts.push(list.slice(at, at + MOST_AT_ONCE));
  return parts;
}

function mapChanges(gone: readonly PinnedHost[], come: readonly PinnedHost[]): MapChange[] {
  return ([4, 6] as const).map((family) => ({
    map: family === 4 ? FilterMap.HOSTS_4 : FilterMap.HOSTS_6,
    gone: gone
      .filter(({ address }) => address.family === family)
      .map(({ address }) => address.octets),
    come: come
      .filter(({ address }) => address.family === family)
      .map(({ address, segment }) => ({ key: address.octets, value: markOctets(segment) })),
  }));
}
