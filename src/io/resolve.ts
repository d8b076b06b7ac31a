/**
 * Names to addresses through the system's resolver.
 */
import { lookup } from 'node:dns/promises';
import { type IpAddress, parseAddress } from '../wire/address.ts';

/** The addresses of a name in the resolver's order; throws the resolver's error. */
export async function resolveName(name: string): Promise<readonly IpAddress[]> {
  const found = await lookup(name, { all: true, verbatim: true });
  return found.flatMap(({ address }) => parseAddress(address) ?? []);
}
