/**
 * The address pools as vici sees them: loaded from settings, listed as text.
 *
 * Refusals are in strongSwan's words.
 */
import type { ConfigWarning } from '../config/findings.ts';
import { poolFromSettings } from '../config/pools.ts';
import { ConfigError, type Section } from '../config/section.ts';
import type { ManagedPools } from '../ipsec/address-pools.ts';
import { formatIdentity } from '../ipsec/identity.ts';
import type { PoolView } from '../vici/control.ts';
import { formatAddress } from '../wire/address.ts';

export class PoolPort {
  readonly #pools: ManagedPools;
  readonly #warn: (warnings: readonly ConfigWarning[]) => void;

  constructor(pools: ManagedPools, warn: (warnings: readonly ConfigWarning[]) => void) {
    this.#pools = pools;
    this.#warn = warn;
  }

  /** Throws `ConfigError`, also where addresses of the pool are in use that the new one may lack. */
  load(name: string, settings: Section): void {
    const { pool, warnings } = poolFromSettings(name, settings);
    if (this.#pools.load(pool) === 'online') {
      throw new ConfigError(settings.at, `vici pool ${name} has online leases, unable to replace`);
    }
    this.#warn(warnings);
  }

  /** False where there is none of the name. */
  unload(name: string): boolean {
    const outcome = this.#pools.unload(name);
    if (outcome === 'online') {
      const at = { file: 'vici', line: 0 };
      throw new ConfigError(at, `${name} has online leases, unable to unload`);
    }
    return outcome === 'unloaded';
  }

  views(): readonly PoolView[] {
    return this.#pools.views().map(({ name, base, size, online, offline, leases }) => ({
      name,
      base: formatAddress(base),
      size: Number(size),
      online,
      offline,
      leases: leases.map((lease) => ({
        address: formatAddress(lease.address),
        identity: formatIdentity(lease.identity),
        status: lease.online ? 'online' : 'offline',
      })),
    }));
  }
}
