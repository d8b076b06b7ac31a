/**
 * The sessions of one link, three at most: the one in use, the one before it, and one that waits for the peer to
 * show that it holds the keys. What goes is overwritten.
 */
import { after, earliest, type Instant } from '../../wire/instant.ts';
import type { Session } from './session.ts';

export class Sessions {
  #current: Session | undefined;
  #previous: Session | undefined;
  #unconfirmed: Session | undefined;

  /** The one to send with. */
  get current(): Session | undefined {
    return this.#current;
  }

  get unconfirmed(): Session | undefined {
    return this.#unconfirmed;
  }

  byIndex(index: number): Session | undefined {
    return [this.#current, this.#unconfirmed, this.#previous].find(
      (session) => session?.settings.localIndex === index,
    );
  }

  /** We answered an initiation. */
  offer(session: Session): void {
    this.#unconfirmed?.wipe();
    this.#unconfirmed = session;
  }

  /** Both sides hold it. The peer may send under the one before a little longer. */
  use(session: Session): void {
    if (session === this.#unconfirmed) this.#unconfirmed = undefined;
    this.#previous?.wipe();
    this.#previous = this.#current;
    this.#current = session;
  }

  /** Nothing that was in use is used any more. */
  close(): void {
    for (const session of [this.#current, this.#previous]) session?.wipe();
    this.#current = undefined;
    this.#previous = undefined;
  }

  dropPrevious(): void {
    this.#previous?.wipe();
    this.#previous = undefined;
  }

  dropUnconfirmed(): void {
    this.#unconfirmed?.wipe();
    this.#unconfirmed = undefined;
  }

  /** Those that rest on a key which is not valid any more go, but for the one in use. */
  keep(isValid: (keyId: number) => boolean): void {
    if (this.#previous && !isValid(this.#previous.settings.keyId)) this.dropPrevious();
    if (this.#unconfirmed && !isValid(this.#unconfirmed.settings.keyId)) this.dropUnconfirmed();
  }

  time(now: Instant): void {
    if (this.#previous && now >= endOf(this.#previous)) this.dropPrevious();
    if (this.#unconfirmed && now >= endOf(this.#unconfirmed)) this.dropUnconfirmed();
  }

  nextDeadline(): Instant | undefined {
    return earliest(
      this.#previous && endOf(this.#previous),
      this.#unconfirmed && endOf(this.#unconfirmed),
    );
  }
}

/** Of a session that is not in use: so long after its last sign of life. */
function endOf(session: Session): Instant {
  return after(session.lastReceived ?? session.settings.now, UNUSED_MILLISECONDS);
}

const UNUSED_MILLISECONDS = 10_000;
