/**
 * Writes swanctl.conf for the two gateways of the topology: one connection seen from both ends.
 *
 * The text is the same for charon and for tsgw; that is the point.
 */
import {
  type Family,
  type GatewayNode,
  natAddress,
  outerAddress,
  protectedNet,
  type Topology,
} from './topology.ts';

/** What one end says; what is left out is the same at both ends or has a plain default. */
export interface EndSettings {
  readonly proposals?: string;
  readonly espProposals?: string;
  readonly localTs?: string;
  readonly remoteTs?: string;
  readonly remoteAddress?: string;
  readonly secret?: string;
  /** Further `key = value` of the connection. */
  readonly connection?: Readonly<Record<string, string>>;
  /** Further `key = value` of the child. */
  readonly child?: Readonly<Record<string, string>>;
}

/** One connection between g1 and g2. */
export interface PairSettings extends EndSettings {
  readonly name?: string;
  readonly childName?: string;
  readonly outer?: Family;
  readonly inner?: Family;
  /** Who the gateways are in this connection; `g1.lab` and `g2.lab` unless told. */
  readonly identities?: Readonly<Record<GatewayNode, string>>;
  readonly g1?: EndSettings;
  readonly g2?: EndSettings;
  /** Children beside the one that the settings describe. */
  readonly furtherChildren?: readonly FurtherChild[];
}

/** Another child of the same connection, and what each gateway protects. */
export interface FurtherChild {
  readonly name: string;
  readonly g1: string;
  readonly g2: string;
  /** Those of the first child unless told. */
  readonly espProposals?: string;
}

export const connectionName = 'peer';
export const childName = 'net';

/** swanctl.conf of one gateway, for one or more connections. */
export function swanctlConf(
  topology: Topology,
  node: GatewayNode,
  pairs: readonly PairSettings[],
): string {
  const connections = pairs.map((pair) => connection(topology, node, pair));
  // Connections of the same two identities share the secret of the first.
  const secrets = new Map(
    pairs
      .toReversed()
      .map((pair) => [identities(pair).g1 + identities(pair).g2, secret(node, pair)]),
  );
  return [
    `connections {\n${connections.join('\n')}\n}`,
    `secrets {\n${[...secrets.values()].join('\n')}\n}`,
    '',
  ].join('\n');
}

function identities(pair: PairSettings): Readonly<Record<GatewayNode, string>> {
  return pair.identities ?? { g1: 'g1.lab', g2: 'g2.lab' };
}

function secret(node: GatewayNode, pair: PairSettings): string {
  const { g1, g2 } = identities(pair);
  const octets = pair[node]?.secret ?? pair.secret ?? 'a secret only the lab knows';
  // vici has one octet for the length of a name; an identity may be longer.
  return `  ike-${g1.replace('.', '-').slice(0, 100)} {
    id-1 = ${g1}
    id-2 = ${g2}
    secret = "${octets}"
  }`;
}

function connection(topology: Topology, node: GatewayNode, pair: PairSettings): string {
  const other: GatewayNode = node === 'g1' ? 'g2' : 'g1';
  const outer = pair.outer ?? 'ipv4';
  const inner = pair.inner ?? 'ipv4';
  const settings: EndSettings = { ...pair, ...pair[node] };
  const proposals = settings.proposals ?? 'aes256-sha256-x25519';
  const remote =
    settings.remoteAddress ??
    (topology.nat && other === 'g1' ? natAddress : outerAddress(topology, other, outer));
  return `  ${pair.name ?? connectionName} {
    version = 2
    mobike = no
    local_addrs = ${outerAddress(topology, node, outer)}
    remote_addrs = ${remote}
    proposals = ${proposals}
${entries({ ...pair.connection, ...settings.connection }, 4)}    local {
      auth = psk
      id = ${identities(pair)[node]}
    }
    remote {
      auth = psk
      id = ${identities(pair)[other]}
    }
    children {
      ${pair.childName ?? childName} {
        local_ts = ${settings.localTs ?? protectedNet(node, inner)}
        remote_ts = ${settings.remoteTs ?? protectedNet(other, inner)}
        esp_proposals = ${settings.espProposals ?? 'aes128gcm16'}
${entries({ ...pair.child, ...settings.child }, 8)}      }
${furtherChildren(pair, node, other, settings)}    }
  }`;
}

function furtherChildren(
  pair: PairSettings,
  node: GatewayNode,
  other: GatewayNode,
  settings: EndSettings,
): string {
  const children = (pair.furtherChildren ?? []).map((child) => {
    const policy = {
      local_ts: child[node],
      remote_ts: child[other],
      esp_proposals: child.espProposals ?? settings.espProposals ?? 'aes128gcm16',
    };
    return `      ${child.name} {\n${entries(policy, 8)}      }\n`;
  });
  return children.join('');
}

function entries(pairs: Readonly<Record<string, string>>, indent: number): string {
  return Object.entries(pairs)
    .map(([key, value]) => `${' '.repeat(indent)}${key} = ${value}\n`)
    .join('');
}
