/**
 * Who gets in with a first request (RFC 7296 §2.6): there must be room for one more half-open IKE
 * SA, and where too many are open already, the sender must receive what we send to its address.
 *
 * Asked before a request is decoded: above the threshold it costs a cookie and nothing else.
 */
import type { RandomBytes } from '../crypto/random.ts';
import { formatEndpoint } from '../wire/address.ts';
import { CookieJar, type SharedSecrets } from './cookie.ts';
import type { Incoming } from './incoming.ts';
import { peekCookieRequest } from './message/cookie-request.ts';
import { NotifyType } from './message/notify-types.ts';
import { statusNotify } from './payload-access.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { Turn } from './turn.ts';
import { replyUnprotected } from './unprotected.ts';

/** Of the room for half-open IKE SAs, what one address may take: cookies cost it nothing. */
const ADDRESS_SHARE = 0.1;

type FirstRequest = Omit<Incoming, 'payloads'>;

export class Admission {
  readonly #registry: SaRegistry;
  readonly #cookies: CookieJar;

  constructor(registry: SaRegistry, random: RandomBytes) {
    this.#registry = registry;
    this.#cookies = new CookieJar(random);
  }

  /** Answers false for a request that ends here: counted, or answered with a cookie. */
  admit(turn: Turn, request: FirstRequest): boolean {
    const { settings } = turn.environment;
    const { halfOpen, size } = this.#registry;
    const fromAddress = this.#registry.halfOpenFrom(request.remote);
    if (
      halfOpen >= settings.maxHalfOpen ||
      fromAddress >= Math.max(1, settings.maxHalfOpen * ADDRESS_SHARE) ||
      size >= settings.maxIkeSas
    ) {
      const peer = formatEndpoint(request.remote);
      turn.emit({ kind: 'ike-drop', reason: 'too-many-ike-sas', peer });
      return false;
    }
    const crowded =
      halfOpen >= settings.cookieThreshold || fromAddress >= settings.cookieThresholdPerAddress;
    return !crowded || this.showsCookie(turn, request);
  }

  /** Any node takes the cookies of any other. */
  share(secrets: SharedSecrets): void {
    this.#cookies.share(secrets);
  }

  /** Does the sender receive what we send to its address? Otherwise it is asked to show it. */
  showsCookie(turn: Turn, request: FirstRequest): boolean {
    const { nonce, cookie } = peekCookieRequest(request.octets);
    const { address } = request.remote;
    const subject = { nonceI: nonce, address, spiI: request.header.initiatorSpi };
    if (cookie && this.#cookies.verify(cookie, subject, turn.now)) return true;
    const issued = this.#cookies.issue(subject, turn.now);
    replyUnprotected(turn, request, [statusNotify(NotifyType.COOKIE, issued)]);
    return false;
  }
}
