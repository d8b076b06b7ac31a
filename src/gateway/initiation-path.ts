/**
 * Where a connection is initiated from and to: the first usable of its configured addresses.
 *
 * Names are resolved through the system; our own address, where it is open, is the one the routes
 * prefer for the peer.
 */
import type { AddressMatch, Connection } from '../ipsec/connection.ts';
import type { Endpoint, IpAddress } from '../wire/address.ts';
import { formatAddress } from '../wire/address.ts';

/** What the host knows: names, and which of our addresses a packet to a destination would carry. */
export interface AddressBook {
  resolve(name: string): Promise<readonly IpAddress[]>;
  sourceFor(destination: IpAddress): IpAddress | undefined;
}

export interface InitiationPath {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** Throws an `Error` that says which address is missing. */
export async function initiationPath(
  connection: Connection,
  book: AddressBook,
): Promise<InitiationPath> {
  const [remote] = await definite(connection.remoteAddresses, book);
  if (!remote) {
    throw new Error(`connection ${connection.name} has no remote address to initiate to`);
  }
  const own = await definite(connection.localAddresses, book);
  const local = own.find(({ family }) => family === remote.family) ?? book.sourceFor(remote);
  if (!local) throw new Error(`no local address and no route for ${formatAddress(remote)}`);
  return {
    local: { address: local, port: connection.localPort },
    remote: { address: remote, port: connection.remotePort },
  };
}

/** The addresses that are one host each. */
async function definite(
  matches: readonly AddressMatch[],
  book: AddressBook,
): Promise<readonly IpAddress[]> {
  const found = await Promise.all(
    matches.map((match) => {
      if (match.kind === 'address') return [match.address];
      return match.kind === 'name' ? book.resolve(match.name) : [];
    }),
  );
  return found.flat();
}
