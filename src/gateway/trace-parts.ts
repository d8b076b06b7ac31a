/**
 * What a trace of a packet looks at: policies, SAs and the path as they are now.
 */
import type { HeldChild } from '../ike/held-child.ts';
import type { IkeSa } from '../ike/ike-sa.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { Connection } from '../ipsec/connection.ts';
import type { SpdRow } from '../ipsec/spd.ts';
import type { TracedRoute } from '../vici/trace-view.ts';
import type { IpAddress } from '../wire/address.ts';
import type { KnownPath, ReachedLimit } from './child-sas.ts';
import type { ViewContext } from './sa-views.ts';

/** What the gateway knows of the packet loop and of its device. */
export interface TraceSources {
  /** The device that the inside sees, and the most it takes. */
  device(): { readonly name: string; readonly mtu: number };
  /** Whether a packet to that address comes to the device. */
  routeTo(destination: IpAddress): TracedRoute;
  mssClamp(): boolean;
  /** By Child SA. */
  path(childSaId: number): KnownPath | undefined;
  reachedLimit(childSaId: number): ReachedLimit;
}

/** Everything a trace looks at, as it is now. */
export interface TraceParts {
  /** Outbound policies in the order of look-up. */
  readonly rows: readonly SpdRow[];
  readonly childSas: readonly ChildSa[];
  readonly ikeSas: readonly IkeSa[];
  readonly connections: readonly Connection[];
  readonly context: ViewContext;
  readonly sources: TraceSources;
  /** Whose a policy without an SA is. */
  owner(id: number): { readonly ike: string; readonly child: string } | undefined;
}

/** As many policies are shown as people read; the nearest where there are more. */
export const SHOWN_POLICIES = 32;

/** A Child SA with the IKE SA that holds it. */
export interface Carrier {
  readonly childSa: ChildSa;
  readonly held: HeldChild;
  readonly ikeSa: IkeSa;
}

/** Undefined once its IKE SA has let go of it, or it is not installed. */
export function carrierOf(
  childSaId: number,
  { childSas, ikeSas }: Pick<TraceParts, 'childSas' | 'ikeSas'>,
): Carrier | undefined {
  const childSa = childSas.find(({ id }) => id === childSaId);
  const ikeSa = ikeSas.find(({ children }) => children.has(childSaId));
  const held = ikeSa?.children.get(childSaId);
  return childSa && ikeSa && held && { childSa, ikeSa, held };
}

/** Whose a policy of the SPD is. */
export function ownerOf(
  id: number,
  { owner, childSas }: Pick<TraceParts, 'owner' | 'childSas'>,
): { readonly ike: string; readonly child: string; readonly childSa?: ChildSa } {
  const found = owner(id);
  if (found) return found;
  const childSa = childSas.find((one) => one.id === id);
  if (!childSa) return { ike: '', child: '' };
  return { ike: childSa.connection, child: childSa.name, childSa };
}
