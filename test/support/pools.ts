/** Pools and clients of them, for tests. */
import { poolFromSettings } from '../../src/config/pools.ts';
import type { LeaseHolder, PoolPolicy } from '../../src/ipsec/address-pool.ts';
import type { AddressPools, PoolView } from '../../src/ipsec/address-pools.ts';
import { formatIdentity } from '../../src/ipsec/identity.ts';
import { formatAddress, type IpAddress, parseAddress } from '../../src/wire/address.ts';
import { parse } from '../config/reading.ts';
import { fqdn } from './connections.ts';
import { endpoint } from './pair.ts';

/** The pool that `name { addrs = ... }` makes, with further lines in it. */
export function poolOf(name: string, addrs: string, lines = ''): PoolPolicy {
  return poolFromSettings(name, parse(`addrs = ${addrs}\n${lines}`)).pool;
}

/** An IKE SA, as far as a pool knows one. */
export function holder(remote = '198.51.100.1', port = 4500, isClosing = false): LeaseHolder {
  return { ownSpi: '0102030405060708', remote: endpoint(remote, port), isClosing };
}

export function address(text: string): IpAddress {
  const parsed = parseAddress(text);
  if (!parsed) throw new Error(`not an address: ${text}`);
  return parsed;
}

/** The address that `name` gets, as text. */
export function lease(
  pools: AddressPools,
  names: readonly string[],
  name: string,
  options: { readonly requested?: string; readonly holder?: LeaseHolder } = {},
): string | undefined {
  const acquired = pools.acquire(names, {
    identity: fqdn(name),
    requested: address(options.requested ?? '0.0.0.0'),
    holder: options.holder ?? holder(),
  });
  return acquired && formatAddress(acquired.address);
}

/** `10.3.0.1 alice online`, a line for each lease. */
export function listed(view: PoolView | undefined): readonly string[] {
  return (view?.leases ?? []).map(
    ({ address: leased, identity, online }) =>
      `${formatAddress(leased)} ${formatIdentity(identity)} ${online ? 'online' : 'offline'}`,
  );
}
