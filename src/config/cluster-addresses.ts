/**
 * The section `cluster { addresses { } }`: addresses that the nodes share.
 */
import {
  equalAddresses,
  formatAddress,
  type IpAddress,
  isUnicastAddress,
  parseAddress,
} from '../wire/address.ts';
import type { ClusterAddress, ClusterMode, ClusterNode } from './cluster-config.ts';
import type { Findings } from './findings.ts';
import { didYouMean } from './nearest-name.ts';
import type { SettingsReader } from './settings-reader.ts';
import { parseWord, refuse, type Setting } from './values.ts';

/** The addresses in the order of the file; what is wrong with them is noted. */
export function readClusterAddresses(
  reader: SettingsReader | undefined,
  nodes: readonly ClusterNode[],
  mode: ClusterMode,
  findings: Findings,
): readonly ClusterAddress[] {
  const sections = reader?.sections() ?? [];
  const read = sections.flatMap(({ name, reader: one }) => {
    const addresses = one.readList('addrs', parseSharedAddress, []);
    if (addresses.length === 0) findings.error(one.at, `${one.path}.addrs is unset`);
    const device = one.read('device', parseDevice, '');
    if (one.setting('device') === undefined) {
      findings.error(one.at, `${one.path}.device is unset`);
    }
    const mac = one.read('mac', (setting) => parseMac(setting, mode), '');
    const prefer = one.setting('prefer');
    const preferred = prefer && findings.attempt(() => parsePreferred(prefer, nodes));
    return [
      {
        name,
        addresses,
        device,
        side: one.read('side', (setting) => parseWord(setting, SIDES), 'wan'),
        ...(mac && { mac }),
        ...(preferred !== undefined && { preferred }),
        reader: one,
      },
    ];
  });
  for (const [index, { reader: at, ...one }] of read.entries()) {
    const fault = faultBeside(one, read.slice(0, index), mode);
    if (fault !== undefined) findings.error(at.at, `${at.path}: ${fault}`);
  }
  return read.map(({ reader: _, ...one }) => one);
}

/** What does not go together with the sections before. */
function faultBeside(
  one: ClusterAddress,
  before: readonly ClusterAddress[],
  mode: ClusterMode,
): string | undefined {
  for (const other of before) {
    const twice = one.addresses.find((address) =>
      other.addresses.some((each) => equalAddresses(each, address)),
    );
    if (twice !== undefined) return `${other.name} has ${formatAddress(twice)}, too`;
    // A switch knows one place of a hardware address: two masters would pull it to and fro.
    const sameMac = one.mac !== undefined && one.mac === other.mac && one.device === other.device;
    if (mode === 'active-passive' && sameMac) {
      return `${other.name} has mac = ${one.mac} on ${one.device}, too; write another or auto`;
    }
  }
  return undefined;
}

function parseDevice(setting: Setting): string {
  if (/^[\w.:@-]{1,15}$/.test(setting.text)) return setting.text;
  return refuse(setting, 'write the name of an interface, such as eth0');
}

const SIDES = { wan: 'wan', lan: 'lan' } as const;

function parseSharedAddress(setting: Setting): IpAddress {
  const address = parseAddress(setting.text);
  if (address !== undefined && isUnicastAddress(address)) return address;
  return refuse(setting, 'write an address that the nodes share, such as 192.0.2.100');
}

function parseMac(setting: Setting, mode: ClusterMode): string {
  const mac = setting.text.toLowerCase();
  if (mac === 'auto') return '';
  if (!/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) {
    return refuse(setting, 'write auto or six pairs of hex digits, such as 01:00:5e:00:00:20');
  }
  // IEEE 802.3 §3.2.3: the first bit on the wire tells a group from a single station.
  const isGroup = (Number.parseInt(mac.slice(0, 2), 16) & 1) === 1;
  if (mode === 'active-active' && (!isGroup || mac === 'ff:ff:ff:ff:ff:ff')) {
    return refuse(setting, 'all nodes hear it: write a multicast one, such as 01:00:5e:00:00:20');
  }
  if (mode === 'active-passive' && isGroup) {
    return refuse(setting, 'one node has it: write one of a single station, as 00:00:5e:00:01:07');
  }
  return mac;
}

function parsePreferred(setting: Setting, nodes: readonly ClusterNode[]): number {
  const found = nodes.find(({ name }) => name === setting.text);
  if (found !== undefined) return found.id;
  const names = nodes.map(({ name }) => name);
  return refuse(setting, `no such node in cluster.nodes${didYouMean(setting.text, names)}`);
}
