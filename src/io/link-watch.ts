/**
 * Whether links have somebody at their other ends: looked at now and then, for a link that dies says so to
 * nobody who did not ask.
 */
import type { Rtnetlink } from './rtnetlink.ts';

export class LinkWatch {
  readonly #rtnetlink: Pick<Rtnetlink, 'link'>;
  readonly #timer: NodeJS.Timeout;

  /** `look` is called every so many milliseconds. */
  constructor(rtnetlink: Pick<Rtnetlink, 'link'>, milliseconds: number, look: () => void) {
    this.#rtnetlink = rtnetlink;
    this.#timer = setInterval(look, milliseconds);
  }

  /** All of these devices are there and run. */
  run(devices: Iterable<string>): boolean {
    return [...devices].every((name) => this.#rtnetlink.link({ name })?.running === true);
  }

  close(): void {
    clearInterval(this.#timer);
  }
}
