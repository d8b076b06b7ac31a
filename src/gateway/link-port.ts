/**
 * Carries out what the shared addresses of a link ask for: frames out, hardware addresses to listen to, timers. The
 * rest, what other nodes and the operator are to know, goes to who opened it.
 */
import type { LinkAction, LinkInput, SharedLink } from '../cluster/virtual-address/shared-link.ts';
import type { LinkSocket } from '../io/link-socket.ts';
import type { Instant } from '../wire/instant.ts';

/** What is not the link's to do: messages to other nodes, results, conflicts. */
export type LinkWord = Exclude<LinkAction, { kind: 'send' | 'listen' }>;

export interface LinkPortOptions {
  readonly link: SharedLink;
  readonly socket: Pick<LinkSocket, 'onFrame' | 'send' | 'listen'>;
  readonly now: () => Instant;
  readonly told: (word: LinkWord) => void;
}

export class LinkPort {
  readonly #options: LinkPortOptions;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: LinkPortOptions) {
    this.#options = options;
    options.socket.onFrame((octets) => this.handle({ kind: 'frame', octets }));
    this.handle({ kind: 'start' });
  }

  handle(input: LinkInput): void {
    if (this.#closed) return;
    const { link, now } = this.#options;
    this.#perform(link.handle(input, now()));
    this.#arm();
  }

  /** The socket stays its opener's. */
  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
  }

  #perform(actions: readonly LinkAction[]): void {
    const { socket, told } = this.#options;
    const frames = actions.flatMap((action) => (action.kind === 'send' ? [action.frame] : []));
    for (const action of actions) {
      if (action.kind === 'listen') socket.listen(action.hardwareAddress, action.on);
    }
    if (frames.length > 0) socket.send(frames);
    for (const action of actions) {
      if (action.kind !== 'listen' && action.kind !== 'send') told(action);
    }
  }

  #arm(): void {
    clearTimeout(this.#timer);
    const { link, now } = this.#options;
    const deadline = link.nextDeadline();
    if (deadline === undefined) return;
    const wait = Math.max(0, Math.ceil(deadline - now()));
    this.#timer = setTimeout(() => this.handle({ kind: 'timer' }), wait);
  }
}
