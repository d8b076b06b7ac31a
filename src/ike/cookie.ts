/**
 * Stateless cookies for IKE_SA_INIT under load (RFC 7296 §2.6).
 *
 * A cookie is a MAC over nonce, address and SPI of the initiator under a secret that changes every
 * minute; the one before stays good, so a cookie lives one to two minutes.
 */
import { equalSecrets } from '../crypto/constant-time.ts';
import { digest } from '../crypto/digest.ts';
import type { RandomBytes } from '../crypto/random.ts';
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { IpAddress } from '../wire/address.ts';
import { after, type Instant } from '../wire/instant.ts';
import { concatOctets, fromHex } from '../wire/octets.ts';
import type { IkeSpi } from './message/message.ts';

const SECRET_LIFETIME_MS = 60_000;
const SECRET_OCTETS = 32;
const COOKIE_OCTETS = 20;

export interface CookieSubject {
  readonly nonceI: Uint8Array;
  readonly address: IpAddress;
  readonly spiI: IkeSpi;
}

/** What several nodes make tokens for strangers with. */
export interface SharedSecrets {
  readonly current: SecretBytes;
  /** Still good. */
  readonly previous?: SecretBytes;
  /** Good already: the clocks of nodes are not quite the same. */
  readonly next?: SecretBytes;
}

export class CookieJar {
  readonly #random: RandomBytes;
  #current: Uint8Array;
  #previous: Uint8Array | undefined;
  #next: Uint8Array | undefined;
  #renewAt: Instant | undefined;
  /** The secrets are those of several nodes, and somebody else renews them. */
  #shared = false;

  constructor(random: RandomBytes) {
    this.#random = random;
    this.#current = random(SECRET_OCTETS);
  }

  /**
   * From now on cookies are made with a secret that other nodes have too, and those made with the one
   * before are good. Whoever gives secrets gives a new one every minute or so (RFC 7296 §2.6).
   */
  share({ current, previous, next }: SharedSecrets): void {
    this.#shared = true;
    this.#current = current.reveal();
    this.#previous = previous?.reveal();
    this.#next = next?.reveal();
  }

  issue(subject: CookieSubject, now: Instant): Uint8Array {
    this.#renew(now);
    return cookie(subject, this.#current);
  }

  verify(offered: Uint8Array, subject: CookieSubject, now: Instant): boolean {
    this.#renew(now);
    const isMadeWith = (secret: Uint8Array | undefined): boolean =>
      secret !== undefined && equalSecrets(offered, cookie(subject, secret));
    return [this.#current, this.#previous, this.#next].some(isMadeWith);
  }

  #renew(now: Instant): void {
    if (this.#shared) return;
    if (this.#renewAt === undefined) {
      this.#renewAt = after(now, SECRET_LIFETIME_MS);
      return;
    }
    if (now < this.#renewAt) return;
    // Idle longer than two lifetimes: what the current secret signed is too old as well.
    const stale = now >= after(this.#renewAt, SECRET_LIFETIME_MS);
    this.#previous = stale ? undefined : this.#current;
    this.#current = this.#random(SECRET_OCTETS);
    this.#renewAt = after(now, SECRET_LIFETIME_MS);
  }
}

/** The secret comes first and last, so that no suffix of the subject can be swapped. */
function cookie(subject: CookieSubject, secret: Uint8Array): Uint8Array {
  const { nonceI, address, spiI } = subject;
  // The length of the address too: what follows a nonce of any length must not be read two ways.
  const parts = [nonceI, address.octets, Uint8Array.of(address.octets.length), fromHex(spiI)];
  return digest('sha256', concatOctets(secret, ...parts, secret)).slice(0, COOKIE_OCTETS);
}
