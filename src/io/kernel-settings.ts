/**
 * Settings of the kernel (Linux `ip-sysctl`) that an interface with shared addresses needs: looked at by name,
 * set where that is wanted, and put back.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** One setting, as `sysctl` names it, with a slash for each level. */
export interface KernelSetting {
  readonly name: string;
  readonly wanted: number;
  /** What goes wrong otherwise. */
  readonly why: string;
}

/** A setting that is another one; `found` is undefined where the kernel has none of that name. */
export interface WrongSetting extends KernelSetting {
  readonly found: number | undefined;
}

/** What shared addresses need of the interface they are shared on; the addresses themselves are on `lo`. */
export function sharedAddressSettings(device: string): readonly KernelSetting[] {
  const four = `net/ipv4/conf/${device}`;
  return [
    {
      name: `${four}/arp_ignore`,
      wanted: 1,
      why: 'the kernel would answer ARP for shared addresses with a hardware address of its own',
    },
    {
      name: `${four}/arp_announce`,
      wanted: 2,
      why: 'the kernel would ask its neighbours in the name of a shared address',
    },
    // Either of both drops; IPv6 knows only the interface's.
    ...['net/ipv4/conf/all', four, `net/ipv6/conf/${device}`].map((at) => ({
      name: `${at}/drop_unicast_in_l2_multicast`,
      wanted: 0,
      why: "the kernel would drop what comes to the cluster's hardware address",
    })),
  ];
}

/** Those of the settings that are not as wanted. */
export function wrongSettings(
  settings: readonly KernelSetting[],
  root = SETTINGS,
): readonly WrongSetting[] {
  return settings.flatMap((setting) => {
    const found = readSetting(setting.name, root);
    // Without IPv6 there is nothing that could be wrong with it.
    if (found === undefined && setting.name.startsWith('net/ipv6/')) return [];
    return found === setting.wanted ? [] : [{ ...setting, found }];
  });
}

/** `net.ipv4.conf.wan.arp_ignore is 0 and must be 1: ...` */
export function settingText({ name, found, wanted, why }: WrongSetting): string {
  const is = found === undefined ? 'is not there' : `is ${found}`;
  // As `sysctl` has it: dots between levels, slashes for the dots of a name.
  const dotted = name.split('/').map((level) => level.replaceAll('.', '/'));
  return `${dotted.join('.')} ${is} and must be ${wanted}: ${why}`;
}

/** Sets them; what is returned puts back what was there before. Throws where the kernel refuses one. */
export function applySettings(settings: readonly KernelSetting[], root = SETTINGS): () => void {
  const before: { readonly name: string; readonly value: number }[] = [];
  const restore = (): void => {
    for (const { name, value } of before.splice(0).toReversed()) tryWrite(name, value, root);
  };
  try {
    for (const setting of wrongSettings(settings, root)) {
      if (setting.found === undefined) throw new Error(settingText(setting));
      writeSetting(setting.name, setting.wanted, root);
      before.push({ name: setting.name, value: setting.found });
    }
  } catch (error) {
    restore();
    throw error;
  }
  return restore;
}

function readSetting(name: string, root: string): number | undefined {
  try {
    return Number(readFileSync(join(root, name), 'utf8'));
  } catch {
    return undefined;
  }
}

function writeSetting(name: string, value: number, root: string): void {
  try {
    writeFileSync(join(root, name), `${value}\n`, { flag: 'r+' });
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`${name} is not set to ${value}: ${reason}`, { cause: error });
  }
}

/** On the way out the interface may be gone, and its settings with it. */
function tryWrite(name: string, value: number, root: string): void {
  try {
    writeSetting(name, value, root);
  } catch {
    // Nothing is left to put back.
  }
}

const SETTINGS = '/proc/sys';
