/**
 * The connection of an IKE SA, and the policy of a Child SA, as they are loaded now.
 *
 * What is up keeps what it was made under; what takes its place is made under this. Of a connection
 * that is gone, or means other peers by now, an IKE SA keeps what it has.
 */
import {
  type Authentication,
  type ChildPolicy,
  type Connection,
  isProtecting,
} from '../ipsec/connection.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Turn } from './turn.ts';

export function currentConnection({ environment }: Turn, { connection }: IkeSa): Connection {
  const loaded = environment.pad.connection(connection.name);
  if (!loaded) return connection;
  // The peer proved itself to the connection as it was.
  const same = isSame(loaded.local, connection.local) && isSame(loaded.remote, connection.remote);
  return same ? loaded : connection;
}

export function currentPolicy(turn: Turn, sa: IkeSa, policy: ChildPolicy): ChildPolicy {
  const { children } = currentConnection(turn, sa);
  const loaded = children.find(({ name }) => name === policy.name);
  return loaded && isProtecting(loaded.mode) ? loaded : policy;
}

function isSame(a: Authentication, b: Authentication): boolean {
  return a.method === b.method && a.id?.text === b.id?.text;
}
