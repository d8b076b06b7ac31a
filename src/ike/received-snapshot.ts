/**
 * A snapshot as it came to this process: its times on our clock, its names in our numbers.
 */
import type { Connection } from '../ipsec/connection.ts';
import type { Spi } from '../ipsec/spi.ts';
import { after, type Instant } from '../wire/instant.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { IkeSaSnapshot, Offset } from './snapshot.ts';
import type { IkeEnvironment } from './turn.ts';

/** A snapshot that came here, and the numbers that its SAs have in this process. */
export interface Received {
  readonly snapshot: IkeSaSnapshot;
  /** The snapshot's moment on our clock: when it came. */
  readonly at: Instant;
  readonly id: number;
  readonly connection: Connection;
}

/** What restoring needs of where it happens. */
export interface Restoring {
  readonly environment: IkeEnvironment;
  readonly registry: SaRegistry;
  readonly now: Instant;
  /** How long what is due already waits. */
  readonly graceMs: number;
  childSaId(spiIn: Spi): number;
  reqid(connection: string, child: string): number;
}

/** A point in time of a snapshot on our clock. */
export function instantOf({ at }: Pick<Received, 'at'>, offset: Offset): Instant {
  return after(at, offset);
}

/** The same of something to be done then; not before `graceMs` where that is over. */
export function dueAt(restoring: Restoring, received: Received, offset: Offset): Instant {
  const at = instantOf(received, offset);
  return at > restoring.now ? at : after(restoring.now, restoring.graceMs);
}
