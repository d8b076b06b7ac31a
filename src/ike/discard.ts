/**
 * Messages that nobody is served with: counted by reason, never logged at length.
 */
import { type Endpoint, formatEndpoint } from '../wire/address.ts';
import type { Turn } from './turn.ts';

export function drop(turn: Turn, { remote }: { readonly remote: Endpoint }, reason: string): void {
  turn.emit({ kind: 'ike-drop', reason, peer: formatEndpoint(remote) });
}
