/**
 * Where a connection is initiated from and to: the first of its configured addresses that can be
 * used, on both ends.
 *
 * Names are resolved through the system; our own address, where it is open, is the one the routes
 * prefer for the peer.
 */
import { matchAddress, type ResolvedNames } from '../ipsec/address-match.ts';
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
  const remotes = await definite(connection.remoteAddresses, book);
  if (remotes.length === 0) {
    throw new Error(`connection ${connection.name} has no remote address to initiate to`);
  }
  const own = await definite(connection.localAddresses, book);
  for (const remote of remotes) {
    const local =
      own.find(({ family }) => family === remote.family) ?? openSource(connection, remote, book);
    if (!local) continue;
    return {
      local: { address: local, port: connection.localPort },
      remote: { address: remote, port: connection.remotePort },
    };
  }
  const peers = remotes.map(formatAddress).join(', ');
  throw new Error(`no local address and no route for ${peers}`);
}

/** The source the routes prefer, where `local_addrs` leaves it to them. */
function openSource(connection: Connection, remote: IpAddress, book: AddressBook) {
  const source = book.sourceFor(remote);
  const allowed = source && matchAddress(connection.localAddresses, source, NO_NAMES) > 0;
  return allowed ? source : undefined;
}

/** The addresses that are one host each; a name without any is a fault where nothing else is left. */
async function definite(
  matches: readonly AddressMatch[],
  book: AddressBook,
): Promise<readonly IpAddress[]> {
  const answers = await Promise.allSettled(
    matches.map((match) => {
      if (match.kind === 'address') return [match.address];
      return match.kind === 'name' ? book.resolve(match.name) : [];
    }),
  );
  const found = answers.flatMap((one) => (one.status === 'fulfilled' ? one.value : []));
  const failed = answers.find((one) => one.status === 'rejected');
  if (found.length === 0 && failed) throw failed.reason;
  return found;
}

/** Names that resolve are definite addresses and looked at before. */
const NO_NAMES: ResolvedNames = new Map();
