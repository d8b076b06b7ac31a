/**
 * Whom a `redirect` goes to (RFC 5685 §5), from the words of an operator.
 */
import { parseAddressMatch } from '../config/addresses.ts';
import { ConfigError } from '../config/section.ts';
import type { Input } from '../ike/action.ts';
import type { IkeSa } from '../ike/ike-sa.ts';
import { matchIdentity, parseIdentityPattern } from '../ipsec/identity.ts';
import type { RedirectSelector } from '../vici/control.ts';
import { type AddressRange, prefixRange, rangeContains } from '../wire/address.ts';

export type RedirectOrder = Omit<Extract<Input, { kind: 'redirect' }>, 'kind' | 'request'>;

/** The order, or what is wrong with the words, as strongSwan says it. */
export function redirectOrder(selector: RedirectSelector): RedirectOrder | string {
  const { ike, ikeId, peerAddress, peerId, gateway } = selector;
  const range = peerAddress === undefined ? undefined : addressRange(peerAddress);
  if (peerAddress !== undefined && range === undefined) return 'invalid peer IP selector';
  const pattern = peerId === undefined ? undefined : parseIdentityPattern(peerId);
  if (pattern && 'kind' in pattern) return `invalid peer ID selector: ${pattern.what}`;
  return {
    selector: { ...(ike !== undefined && { ike }), ...(ikeId !== undefined && { ikeSaId: ikeId }) },
    ...(range && { peerAddress: range }),
    ...(pattern && { peerId: pattern }),
    gateway,
  };
}

/** Is the order for this IKE SA? Only those that are up can be told. */
export function redirects(order: RedirectOrder, sa: IkeSa): boolean {
  const { selector, peerAddress, peerId } = order;
  if (sa.state.name !== 'Established') return false;
  if (selector.ike !== undefined && selector.ike !== sa.connection.name) return false;
  if (selector.ikeSaId !== undefined && selector.ikeSaId !== sa.id) return false;
  if (peerAddress && !rangeContains(peerAddress, sa.remote.address)) return false;
  return !peerId || matchIdentity(peerId, sa.state.peer.remoteId) > 0;
}

function addressRange(text: string): AddressRange | undefined {
  try {
    const match = parseAddressMatch({ path: 'peer-ip', text, at: { file: 'vici', line: 0 } });
    if (match.kind === 'address') return { first: match.address, last: match.address };
    if (match.kind === 'prefix') return prefixRange(match.prefix);
    return match.kind === 'range' ? match.range : undefined;
  } catch (error) {
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
}
