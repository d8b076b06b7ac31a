/**
 * The configuration file of a node of a cluster of tsgw: all of it in one file, as an administrator has it,
 * so that a node that comes back knows its connections before it hears of their SAs.
 */
import {
  type ClusterNodeName,
  clusterAddresses,
  numberOf,
  syncAddresses,
} from './cluster-network.ts';
import { ESP_PROPOSALS, IKE_PROPOSALS, identities, sharedSecret } from './roadwarrior.ts';
import type { Family } from './topology.ts';

export const clusterModes = ['active-passive', 'active-active', 'forward'] as const;
export type ClusterModeName = (typeof clusterModes)[number];

export interface TsgwClusterSettings {
  /** `active-passive` unless told. */
  readonly mode?: ClusterModeName;
  /** Two unless told. */
  readonly nodes?: 2 | 3;
  /** Of the tunnel, outside; IPv4 unless told. */
  readonly family?: Family;
  /** After a take-over; `bounded` unless told. */
  readonly replay?: 'bounded' | 'strict';
  readonly espProposals?: string;
  readonly ikeProposals?: string;
  /** Of the client, and of the connection that it uses. */
  readonly mobike?: boolean;
  /** Further lines of the section `cluster { }`. */
  readonly cluster?: readonly string[];
  /** Further lines of the section `gateway { }`. */
  readonly gateway?: readonly string[];
  /** The whole file of node a, in place of all that: others have it with their own name in it. */
  readonly file?: string;
}

/** What one node has otherwise than the others, for a cluster that must not come about. */
export interface NodeDifference {
  readonly secret?: string;
  readonly cluster?: readonly string[];
  /** Of its Child SA. */
  readonly espProposals?: string;
}

export const CLUSTER_SECRET = `0x${'5a'.repeat(32)}`;

export function nodeConf(
  node: ClusterNodeName,
  nodes: readonly ClusterNodeName[],
  settings: TsgwClusterSettings = {},
  difference: NodeDifference = {},
): string {
  const own = { ...settings, ...difference };
  if (settings.file !== undefined) return settings.file.replace('self = a', `self = ${node}`);
  return [
    `gateway {\n  resolv_conf = no\n${lines(settings.gateway ?? [], 2)}}\n`,
    clusterSection(node, nodes, settings, difference),
    connections(own),
    sharedSecret,
    `pools {\n  rw {\n    addrs = ${clusterAddresses.pool}\n  }\n}\n`,
  ].join('');
}

function clusterSection(
  node: ClusterNodeName,
  nodes: readonly ClusterNodeName[],
  settings: TsgwClusterSettings,
  difference: NodeDifference,
): string {
  const members = nodes.map(
    (name) =>
      `    ${name} {\n      id = ${numberOf(name)}\n      addrs = ${syncAddresses(name).join(', ')}\n    }\n`,
  );
  const { gateway, lan } = clusterAddresses;
  return `cluster {
  self = ${node}
  name = lab
  secret = ${difference.secret ?? CLUSTER_SECRET}
  mode = ${settings.mode ?? 'active-passive'}
  nodes {
${members.join('')}  }
  addresses {
    wan {
      addrs = ${gateway.ipv4}, ${gateway.ipv6}
      device = wan
      prefer = a
    }
    lan {
      addrs = ${lan}
      device = lan
      side = lan
      prefer = a
    }
  }
  replay {
    takeover = ${settings.replay ?? 'bounded'}
  }
${lines([...(settings.cluster ?? []), ...(difference.cluster ?? [])], 2)}}
`;
}

function connections(settings: TsgwClusterSettings): string {
  return `connections {
  rw {
    version = 2
    mobike = ${settings.mobike === true ? 'yes' : 'no'}
    local_addrs = ${clusterAddresses.gateway[settings.family ?? 'ipv4']}
    remote_addrs = %any
    proposals = ${settings.ikeProposals ?? IKE_PROPOSALS}
    pools = rw
    unique = never
    local {
      auth = psk
      id = ${identities.gateway}
    }
    remote {
      auth = psk
      id = ${identities.client}
    }
    children {
      net {
        local_ts = ${clusterAddresses.lanNet}
        esp_proposals = ${settings.espProposals ?? ESP_PROPOSALS}
      }
    }
  }
}
`;
}

function lines(text: readonly string[], indent: number): string {
  return text.map((line) => `${' '.repeat(indent)}${line}\n`).join('');
}
