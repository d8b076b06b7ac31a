/**
 * What a Child SA's end leads to: nothing, a trap that waits for its traffic, or a new start
 * (`close_action`, `dpd_action`).
 */
import { type DpdAction, type StartAction, wantsStart, wantsTrap } from '../ipsec/connection.ts';
import type { HeldChild } from './held-child.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Turn } from './turn.ts';

/** `closed`: the peer took them down or their life ended; `lost`: the peer is silent. */
export function reopen(
  turn: Turn,
  sa: IkeSa,
  children: readonly HeldChild[],
  cause: 'closed' | 'lost',
): void {
  const done = new Set<string>();
  for (const { policy } of children) {
    if (done.has(policy.name)) continue;
    done.add(policy.name);
    const action: StartAction | DpdAction =
      cause === 'closed' ? policy.closeAction : policy.dpdAction;
    const which = { connection: sa.connection.name, child: policy.name };
    if (wantsTrap(action)) turn.push({ kind: 'trap', ...which });
    if (wantsStart(action)) turn.push({ kind: 'reinitiate', ...which });
  }
}
