/**
 * What scripts write to the FIFO of a cluster, in the words of charon's: `+3`, `-3`, `*3`, segments counted
 * from 1. Here they are counted from 0.
 */
import { type HaCommand, parseHaCommands } from '../../cluster/charon-ha/fifo-command.ts';
import { compareAdverts } from '../../cluster/demotion.ts';
import type { ClusterOrder, ClusterView, MemberView } from '../../vici/cluster-view.ts';

export interface FifoOrders {
  readonly orders: readonly ClusterOrder[];
  /** What is no command, or cannot be done now, in words. */
  readonly refused: readonly string[];
}

/** More at once was written by no command. */
const MOST_CHARACTERS = 4096;

export function fifoOrders(text: string, view: ClusterView): FifoOrders {
  if (text.length > MOST_CHARACTERS) {
    return { orders: [], refused: [`${text.length} characters at once: a command is a line`] };
  }
  const { commands, refused } = parseHaCommands(text, view.segments);
  const said = refused.map((line) => {
    return `${JSON.stringify(line)}: write +n, -n or *n with n from 1 to ${view.segments}`;
  });
  const orders: ClusterOrder[] = [];
  for (const command of commands) {
    const order = orderOf(command, view);
    if (typeof order === 'string') said.push(order);
    else orders.push(order);
  }
  return { orders, refused: said };
}

function orderOf({ kind, segment }: HaCommand, view: ClusterView): ClusterOrder | string {
  const segments = [segment - 1];
  if (kind === 'take') return { kind, segments };
  // Other nodes have all state as it changes: what is left of charon's resync is new keys.
  if (kind === 'resync') return { kind: 'rekey', segments };
  const heir = heirOf(view);
  if (heir) return { kind: 'give', segments, node: heir.name };
  return `-${segment}: no other node is there to have segment ${segment}`;
}

/** The fittest other node, of equals the one with the fewest segments. */
function heirOf({ members }: ClusterView): MemberView | undefined {
  const fit = members.filter(({ state, weight, synced }) => state === 'up' && weight > 0 && synced);
  const advert = (one: MemberView) => ({
    node: 0,
    demotion: one.demotion ?? 0,
    advbase: one.advbase ?? 1,
    advskew: one.advskew ?? 0,
  });
  return fit.toSorted((a, b) => {
    return compareAdverts(advert(a), advert(b)) || a.owned - b.owned || a.nodeId - b.nodeId;
  })[0];
}
