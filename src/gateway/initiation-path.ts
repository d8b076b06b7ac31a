/**
 * Where a connection is initiated from and to: the first of its configured addresses that can be
 * used, on both ends.
 *
 * Names are resolved through the system; our own address, where it is open, is the one the routes
 * prefer for the peer. Our own port is the one that speaks as the peer's port does: with the non-ESP
 * marker or without.
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

/** The ports our sockets are bound to. */
export interface OwnPorts {
  readonly portIke: number;
  readonly portNatT: number;
}

/** Throws an `Error` that says which address is missing, or which port does not fit. */
export async function initiationPath(
  connection: Connection,
  book: AddressBook,
  ports: OwnPorts,
): Promise<InitiationPath> {
  const localPort = ownPort(connection, ports);
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
      local: { address: local, port: localPort },
      remote: { address: remote, port: connection.remotePort },
    };
  }
  const peers = remotes.map(formatAddress).join(', ');
  throw new Error(`no local address and no route for ${peers}`);
}

// RFC 7296 §3.1, RFC 3948 §2.2: IKE has a marker on port 4500 and none on port 500.
function ownPort({ name, localPort, remotePort }: Connection, ports: OwnPorts): number {
  const marked = remotePort !== IKE_PORT && remotePort !== ports.portIke;
  const port = marked ? ports.portNatT : ports.portIke;
  if (localPort === IKE_PORT || localPort === port) return port;
  throw new Error(
    `connection ${name}: local_port = ${localPort} does not go with remote_port = ${remotePort}: ` +
      `write local_port = ${port}`,
  );
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

/** Also what `local_port` and `remote_port` are where nobody wrote them. */
const IKE_PORT = 500;
