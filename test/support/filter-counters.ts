/** What the counters of a node's packet filter say. */
import type { Network } from '../../lab/namespaces.ts';
import { FilterCounter } from '../../src/cluster/segment-filter.ts';
import { TABLE } from '../../src/cluster/segment-sets.ts';

export type FilterCounts = Readonly<Record<FilterCounter, number>>;

export async function filterCounts(network: Network, node: string): Promise<FilterCounts> {
  const argv = ['nft', 'list', 'counters', 'table', 'netdev', TABLE];
  const { stdout } = await network.exec(node, argv);
  const counts = noCounts();
  for (const name of Object.values(FilterCounter)) {
    const found = new RegExp(`counter ${name} {\\s+packets (\\d+)`).exec(stdout);
    counts[name] = Number(found?.[1]);
  }
  return counts;
}

export function noCounts(): Record<FilterCounter, number> {
  return {
    esp_own: 0,
    esp_sampled: 0,
    esp_foreign: 0,
    udp_esp_own: 0,
    udp_esp_sampled: 0,
    udp_esp_foreign: 0,
    ike_own: 0,
    ike_foreign: 0,
    source_own: 0,
    source_foreign: 0,
    fragment: 0,
    icmp_not_asking: 0,
    lan_own: 0,
    lan_foreign: 0,
  };
}
