/**
 * The section `cluster { ha { } }`: the options of charon's `ha` plugin under their own names, for a
 * cluster of tsgw and a charon. With another bus it says who the two nodes are and how often they are
 * heard, so that a pair that has become tsgw twice only changes its bus.
 */
import {
  anyAddress,
  type Endpoint,
  formatAddress,
  isUnicastAddress,
  type Prefix,
  parseAddress,
  parsePrefix,
} from '../wire/address.ts';
import type { ClusterNode, HaSettings } from './cluster-config.ts';
import type { SettingsReader } from './settings-reader.ts';
import { parseBoolean, parseInteger, parseMilliseconds, refuse, type Setting } from './values.ts';

const PORT = 4510;
const MOST_SEGMENTS = 16;
const SMALLEST_POOL_BITS = 3;
const LARGEST_POOL_BITS = 24;
const LONGEST_MS = 600_000;

export function readHaSettings(reader: SettingsReader): HaSettings {
  const milliseconds = (key: string, otherwise: number): number =>
    reader.read(key, (setting) => parseMilliseconds(setting, 10, LONGEST_MS), otherwise);
  const integer = (key: string, least: number, most: number, otherwise: number): number =>
    reader.read(key, (setting) => parseInteger(setting, least, most), otherwise);
  const ends = { local: readEnd(reader, 'local'), remote: readEnd(reader, 'remote') };
  const [local, remote] = [ends.local, ends.remote].map(({ address }) => formatAddress(address));
  if (local === remote && reader.setting('local') !== undefined) {
    reader.findings.error(reader.at, `${reader.path}: local and remote are both ${local}`);
  }
  const [heartbeatDelay, heartbeatTimeout] = [
    milliseconds('heartbeat_delay', 1000),
    milliseconds('heartbeat_timeout', 2100),
  ];
  if (heartbeatTimeout <= heartbeatDelay) {
    const what = `heartbeat_timeout = ${heartbeatTimeout} with heartbeat_delay = ${heartbeatDelay}`;
    reader.findings.error(reader.at, `${reader.path}: ${what}: nobody would be heard in time`);
  }
  refuseSecret(reader);
  return {
    ...ends,
    version: reader.read('version', parseVersion, 3),
    segmentCount: integer('segment_count', 1, MOST_SEGMENTS, 1),
    heartbeatDelay,
    heartbeatTimeout,
    autobalance: integer('autobalance', 0, 86_400, 0),
    fifoInterface: reader.read('fifo_interface', parseBoolean, true),
    monitor: reader.read('monitor', parseBoolean, true),
    resync: reader.read('resync', parseBoolean, true),
    pools: readPools(reader),
  };
}

/** The two nodes of a pair: the one that reads comes first, numbers go by address. */
export function nodesOfHa({ local, remote }: HaSettings): readonly ClusterNode[] {
  const texts = [local, remote].map(({ address }) => formatAddress(address));
  const ids = (texts[0] ?? '') < (texts[1] ?? '') ? [1, 2] : [2, 1];
  return [local, remote].map(({ address }, index) => ({
    name: texts[index] ?? '',
    id: ids[index] ?? 0,
    addresses: [address],
    weight: 100,
    advskew: 0,
  }));
}

function readEnd(reader: SettingsReader, key: 'local' | 'remote'): Endpoint {
  const none = { address: anyAddress(4), port: PORT };
  if (reader.setting(key) === undefined) {
    const whose = key === 'local' ? 'this node' : 'the other node';
    reader.findings.error(
      reader.at,
      `${reader.path}.${key} is unset: write the address of ${whose}`,
    );
    return none;
  }
  return reader.read(
    key,
    (setting) => {
      const address = parseAddress(setting.text);
      if (address !== undefined && isUnicastAddress(address)) return { address, port: PORT };
      return refuse(setting, 'write the address of a node, such as 10.77.0.1');
    },
    none,
  );
}

/** charon makes an IPsec SA in transport mode between the nodes of it. */
function refuseSecret(reader: SettingsReader): void {
  const secret = reader.setting('secret');
  if (secret === undefined) return;
  const how = 'protect the link between the nodes by other means, or use bus = udp';
  reader.findings.error(secret.at, `${secret.path}: not implemented yet: ${how}`);
}

function parseVersion(setting: Setting): 3 | 4 | 5 {
  const version = VERSIONS.find((known) => `${known}` === setting.text);
  if (version !== undefined) return version;
  return refuse(setting, 'write 3 (strongSwan up to 6.0.0), 4 (6.0.1) or 5 (since 6.0.2)');
}

const VERSIONS = [3, 4, 5] as const;

function readPools(reader: SettingsReader): HaSettings['pools'] {
  const pools = reader.sections('pools').find(({ name }) => name === 'pools')?.reader;
  return (pools?.keys('') ?? []).flatMap((name) => {
    const setting = pools?.setting(name);
    const prefix = setting && reader.findings.attempt(() => parsePoolPrefix(setting));
    return prefix === undefined ? [] : [{ name, prefix }];
  });
}

function parsePoolPrefix(setting: Setting): Prefix {
  const prefix = setting.text.includes('/') ? parsePrefix(setting.text) : undefined;
  if (prefix === undefined) return refuse(setting, 'write a subnet such as 10.3.0.0/24');
  const bits = prefix.address.octets.length * 8 - prefix.length;
  if (bits >= SMALLEST_POOL_BITS && bits <= LARGEST_POOL_BITS) return prefix;
  const sizes = `${2 ** SMALLEST_POOL_BITS} to ${2 ** LARGEST_POOL_BITS} addresses`;
  return refuse(setting, `a pool of charon has ${sizes}`);
}
