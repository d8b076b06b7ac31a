/**
 * How often each connection was sent to another gateway lately (RFC 5685 §10): two gateways that send
 * a client to each other would keep it busy for ever.
 */
import type { Instant } from '../wire/instant.ts';

/** RFC 5685 §10: MAX_REDIRECTS within REDIRECT_LOOP_DETECT_PERIOD. */
const MAX_REDIRECTS = 5;
const PERIOD_MS = 300_000;

export class RedirectHistory {
  readonly #followed = new Map<string, Instant[]>();

  /** Whether one more may be followed; counts it if so. */
  admit(connection: string, now: Instant): boolean {
    const recent = (this.#followed.get(connection) ?? []).filter((at) => now - at < PERIOD_MS);
    if (recent.length >= MAX_REDIRECTS) return false;
    this.#followed.set(connection, [...recent, now]);
    return true;
  }
}
