/**
 * The section `cluster { addresses { } }`: addresses that the nodes share.
 */
import { type IpAddress, isUnicastAddress, parseAddress } from '../wire/address.ts';
import type { ClusterAddress, ClusterNode } from './cluster-config.ts';
import type { Findings } from './findings.ts';
import { didYouMean } from './nearest-name.ts';
import type { SettingsReader } from './settings-reader.ts';
import { parseWord, refuse, type Setting } from './values.ts';

/** The addresses in the order of the file; what is wrong with them is noted. */
export function readClusterAddresses(
  reader: SettingsReader | undefined,
  nodes: readonly ClusterNode[],
  findings: Findings,
): readonly ClusterAddress[] {
  return (reader?.sections() ?? []).flatMap(({ name, reader: one }) => {
    const addresses = one.readList('addrs', parseSharedAddress, []);
    if (addresses.length === 0) findings.error(one.at, `${one.path}.addrs is unset`);
    const device = one.setting('device');
    if (device === undefined) findings.error(one.at, `${one.path}.device is unset`);
    const mac = one.read('mac', parseMac, '');
    const prefer = one.setting('prefer');
    const preferred = prefer && findings.attempt(() => parsePreferred(prefer, nodes));
    if (device === undefined) return [];
    return [
      {
        name,
        addresses,
        device: device.text,
        side: one.read('side', (setting) => parseWord(setting, SIDES), 'wan'),
        ...(mac && { mac }),
        ...(preferred !== undefined && { preferred }),
      },
    ];
  });
}

const SIDES = { wan: 'wan', lan: 'lan' } as const;

function parseSharedAddress(setting: Setting): IpAddress {
  const address = parseAddress(setting.text);
  if (address !== undefined && isUnicastAddress(address)) return address;
  return refuse(setting, 'write an address that the nodes share, such as 192.0.2.100');
}

function parseMac(setting: Setting): string {
  const mac = setting.text.toLowerCase();
  if (mac === 'auto') return '';
  if (/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/.test(mac)) return mac;
  return refuse(setting, 'write auto or six pairs of hex digits, such as 01:00:5e:00:00:20');
}

function parsePreferred(setting: Setting, nodes: readonly ClusterNode[]): number {
  const found = nodes.find(({ name }) => name === setting.text);
  if (found !== undefined) return found.id;
  const names = nodes.map(({ name }) => name);
  return refuse(setting, `no such node in cluster.nodes${didYouMean(setting.text, names)}`);
}
