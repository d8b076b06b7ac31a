/**
 * Going where a gateway sends us, and sending clients elsewhere (RFC 5685).
 *
 * A client follows a few times and then no more: two gateways that send it to each other would keep it
 * busy for ever.
 */
import { matchIdentity } from '../ipsec/identity.ts';
import { formatAddress, rangeContains } from '../wire/address.ts';
import type { Input, Outcome } from './action.ts';
import type { IkeSa, RequestWish } from './ike-sa.ts';
import { ExchangeType, type NotifyPayload } from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';
import { decodeRedirect, encodeRedirect } from './message/redirect.ts';
import { statusNotify } from './payload-access.ts';
import { matchIkeSa } from './termination.ts';
import type { Turn } from './turn.ts';

const NO_NONCE = new Uint8Array();

/** For IKE_SA_INIT: that we can be sent elsewhere, or who sent us (§3, §4). */
export function redirectSupport(redirectedFrom: string | undefined): NotifyPayload {
  return redirectedFrom === undefined
    ? statusNotify(NotifyType.REDIRECT_SUPPORTED)
    : statusNotify(
        NotifyType.REDIRECTED_FROM,
        encodeRedirect({ gateway: redirectedFrom, nonce: NO_NONCE }),
      );
}

/**
 * Does what a REDIRECT asks of us; answers why not. `nonce`: what an answer to IKE_SA_INIT must
 * repeat, because nothing else shows that it is one (§3).
 */
export function follow(
  turn: Turn,
  sa: IkeSa,
  { data }: NotifyPayload,
  nonce?: Uint8Array,
): string | undefined {
  const redirect = decodeRedirect(data);
  if (!redirect) return 'REDIRECT names no gateway';
  if (nonce && !equal(redirect.nonce, nonce)) return 'REDIRECT without the nonce of the request';
  const { gateway } = redirect;
  const from = formatAddress(sa.remote.address);
  if (gateway === from) return `REDIRECT to ${gateway}, where we are`;
  if (!turn.redirects.admit(sa.connection.name, turn.now)) {
    return `REDIRECT to ${gateway}: too many in a short time`;
  }
  turn.emit({ kind: 'redirected', by: 'peer', gateway, ...sa.subject });
  const common = {
    kind: 'reinitiate',
    connection: sa.connection.name,
    redirected: { gateway, from, replaces: sa.id },
  } as const;
  for (const { policy, requests } of sa.wishes.splice(0)) {
    turn.push({ ...common, child: policy.name, requests: [...requests] });
  }
  for (const { policy } of sa.childrenUp) turn.push({ ...common, child: policy.name });
  if (sa.requests.size > 0) turn.push({ ...common, requests: [...sa.requests] });
  sa.requests.clear();
  return undefined;
}

/** Sends clients elsewhere that said they would go (§5). */
export function redirectClients(
  turn: Turn,
  sas: readonly IkeSa[],
  input: Extract<Input, { readonly kind: 'redirect' }>,
): void {
  const { request, selector, peerAddress, peerId, gateway } = input;
  const matching = sas.filter(
    (sa) =>
      sa.state.name === 'Established' &&
      !sa.originalInitiator &&
      matchIkeSa(sa, selector) &&
      (!peerAddress || rangeContains(peerAddress, sa.remote.address)) &&
      (!peerId || matchIdentity(peerId, sa.state.peer.remoteId) > 0),
  );
  const willing = matching.filter(({ announced }) =>
    announced.includes(NotifyType.REDIRECT_SUPPORTED),
  );
  for (const sa of willing) {
    turn.emit({ kind: 'redirected', by: 'us', gateway, ...sa.subject });
    sa.request(turn, redirection(gateway));
  }
  const unwilling = `${matching.length} SAs match, none of their clients can be redirected`;
  const outcome: Outcome =
    willing.length > 0
      ? { kind: 'done', matches: willing.length, terminated: 0 }
      : {
          kind: 'failed',
          what: matching.length > 0 ? unwilling : 'no matching SAs to redirect found',
        };
  turn.push({ kind: 'complete', request, outcome });
}

export function redirection(gateway: string): RequestWish {
  return {
    purpose: { kind: 'redirect', gateway },
    compose: () => ({
      exchangeType: ExchangeType.INFORMATIONAL,
      payloads: [statusNotify(NotifyType.REDIRECT, encodeRedirect({ gateway, nonce: NO_NONCE }))],
    }),
  };
}

function equal(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((octet, index) => octet === other[index]);
}
