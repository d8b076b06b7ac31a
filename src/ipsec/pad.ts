/**
 * The Peer Authorization Database (RFC 4301 §4.4.3): which peers may come from where under which
 * identity, what they must show, and the secrets shared with them.
 *
 * Connections keep the order in which they were loaded; of equally good ones the first is used.
 * Chooses the way strongSwan reads swanctl.conf. Resolves no names: the gateway supplies addresses.
 */
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { IpAddress } from '../wire/address.ts';
import { matchAddress } from './address-match.ts';
import type { Connection } from './connection.ts';
import { type Identity, type IdentityPattern, matchIdentity } from './identity.ts';

/** A pre-shared key. Without owners it may serve any two identities. */
export interface SharedSecret {
  readonly id: string;
  readonly owners: readonly IdentityPattern[];
  readonly secret: SecretBytes;
}

export class Pad {
  readonly #connections = new Map<string, Connection>();
  readonly #secrets = new Map<string, SharedSecret>();
  readonly #names = new Map<string, readonly IpAddress[]>();

  /** A connection of the same name is replaced and keeps its place. */
  load(connection: Connection): void {
    this.#connections.set(connection.name, connection);
  }

  unload(name: string): boolean {
    return this.#connections.delete(name);
  }

  connection(name: string): Connection | undefined {
    return this.#connections.get(name);
  }

  connections(): readonly Connection[] {
    return [...this.#connections.values()];
  }

  /** A secret of the same id is replaced. */
  loadShared(secret: SharedSecret): void {
    this.#secrets.set(secret.id, secret);
  }

  unloadShared(id: string): boolean {
    return this.#secrets.delete(id);
  }

  sharedIds(): readonly string[] {
    return [...this.#secrets.keys()];
  }

  /** Forgets all shared secrets. */
  clear(): void {
    this.#secrets.clear();
  }

  /** Tells which addresses a name in `local_addrs` or `remote_addrs` stands for from now on. */
  resolve(name: string, addresses: readonly IpAddress[]): void {
    this.#names.set(name, addresses);
  }

  /** Names that connections use as addresses. */
  names(): readonly string[] {
    const used = this.connections().flatMap((connection) =>
      [...connection.localAddresses, ...connection.remoteAddresses].flatMap((match) =>
        match.kind === 'name' ? [match.name] : [],
      ),
    );
    return [...new Set(used)];
  }

  /** Connections between these addresses, narrowest description of the ends first. */
  candidates(local: IpAddress, remote: IpAddress): readonly Connection[] {
    return best(this.connections(), (connection) => this.#matchEnds(connection, local, remote));
  }

  /**
   * Connections between these addresses whose identities fit IDi and IDr, the most exact first.
   * As initiator IDi is ours, as responder it is the peer's; an absent IDr fits any.
   */
  choose(
    local: IpAddress,
    remote: IpAddress,
    idI: Identity,
    idR: Identity | undefined,
    role: 'initiator' | 'responder' = 'responder',
  ): readonly Connection[] {
    const [ours, theirs] = role === 'initiator' ? [idI, idR] : [idR, idI];
    return best(this.candidates(local, remote), (connection) =>
      both(matchSide(connection.local.id, ours), matchSide(connection.remote.id, theirs)),
    );
  }

  /**
   * The secret whose owners fit best: both identities before one, an identity before a pattern,
   * a pattern before `%any` or no owner.
   */
  sharedSecret(local: Identity, remote: Identity): SecretBytes | undefined {
    const [found] = best([...this.#secrets.values()], ({ owners }) => {
      if (owners.length === 0) return 2;
      return matchOwners(owners, local) + matchOwners(owners, remote);
    });
    return found?.secret;
  }

  #matchEnds(connection: Connection, local: IpAddress, remote: IpAddress): number {
    return both(
      matchAddress(connection.localAddresses, local, this.#names),
      matchAddress(connection.remoteAddresses, remote, this.#names),
    );
  }
}

function matchSide(pattern: IdentityPattern | undefined, identity: Identity | undefined): number {
  return identity === undefined ? 1 : matchIdentity(pattern, identity);
}

function matchOwners(owners: readonly IdentityPattern[], identity: Identity): number {
  return owners.reduce((best, owner) => Math.max(best, matchIdentity(owner, identity)), 0);
}

/** The sum of two qualities, or 0 when one of the two does not match. */
function both(one: number, other: number): number {
  return one === 0 || other === 0 ? 0 : one + other;
}

/** Those with a quality above 0, best first; equals keep their order. */
function best<T>(items: readonly T[], quality: (item: T) => number): readonly T[] {
  return items
    .map((item) => ({ item, value: quality(item) }))
    .filter(({ value }) => value > 0)
    .sort((a, b) => b.value - a.value)
    .map(({ item }) => item);
}
