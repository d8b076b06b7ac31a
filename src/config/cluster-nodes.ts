/**
 * The section `cluster { nodes { } }`: who belongs to the cluster and how each is reached.
 */
import { formatAddress, type IpAddress, isUnicastAddress, parseAddress } from '../wire/address.ts';
import type { ClusterNode } from './cluster-config.ts';
import type { Findings } from './findings.ts';
import type { SettingsReader } from './settings-reader.ts';
import { parseBoolean, parseInteger, refuse, type Setting } from './values.ts';

export const LAST_NODE = 64;
const DEFAULT_WEIGHT = 100;
const MOST_PATHS = 2;

/** The nodes in the order of the file; what is wrong with them is noted. */
export function readClusterNodes(
  reader: SettingsReader | undefined,
  findings: Findings,
): readonly ClusterNode[] {
  if (reader === undefined) return [];
  const nodes = reader
    .sections()
    .map(({ name, reader: node }, index) => ({ at: node.at, node: readNode(name, node, index) }));
  for (const [index, { at, node }] of nodes.entries()) {
    const before = nodes.slice(0, index).map((each) => each.node);
    const same = before.find(({ id }) => id === node.id);
    if (same !== undefined) {
      const how = 'write an id of its own from 1 to 64';
      findings.error(at, `cluster.nodes.${node.name}: ${same.name} has id ${node.id}, too; ${how}`);
    }
    for (const address of node.addresses) {
      const text = formatAddress(address);
      const other = before.find(({ addresses }) => addresses.map(formatAddress).includes(text));
      if (other !== undefined) {
        findings.error(at, `cluster.nodes.${node.name}: ${other.name} has ${text}, too`);
      }
    }
    const [first] = before;
    if (first !== undefined && first.addresses.length !== node.addresses.length) {
      const counts = `${node.addresses.length} paths, ${first.name} has ${first.addresses.length}`;
      findings.error(at, `cluster.nodes.${node.name}.addrs: ${counts}`);
    }
  }
  return nodes.map(({ node }) => node);
}

function readNode(name: string, reader: SettingsReader, index: number): ClusterNode {
  const addresses = reader.readList('addrs', parseNodeAddress, []);
  if (addresses.length === 0 || addresses.length > MOST_PATHS) {
    const what = `${addresses.length} addresses: write one for each path, ${MOST_PATHS} at most`;
    reader.findings.error(reader.at, `${reader.path}.addrs: ${what}`);
  }
  const witness = reader.read('witness', parseBoolean, false);
  const weight = reader.read('weight', (setting) => parseInteger(setting, 1, 1000), DEFAULT_WEIGHT);
  const setting = reader.setting('weight');
  if (witness && setting !== undefined) {
    reader.findings.warn(setting.at, `${setting.path} has no effect: a witness serves nobody`);
  }
  return {
    name,
    id: reader.read('id', (id) => parseInteger(id, 1, LAST_NODE), index + 1),
    addresses,
    weight: witness ? 0 : weight,
    advskew: reader.read('advskew', (skew) => parseInteger(skew, 0, 254), 0),
  };
}

function parseNodeAddress(setting: Setting): IpAddress {
  const address = parseAddress(setting.text);
  if (address !== undefined && isUnicastAddress(address)) return address;
  return refuse(setting, 'write an address of the node, such as 10.77.0.1');
}
