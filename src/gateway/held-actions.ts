/**
 * Messages and answers that wait until the packet loop has the Child SAs they are about: a peer that
 * hears of an SA, or is offered the SPI of one, may send on it at once, an operator may start traffic,
 * and whoever hears that an SA goes forgets it, although packets may still leave under it.
 *
 * The packet loop answers within a millisecond or so. Should it not, they go all the same.
 */
import type { Action } from '../ike/action.ts';

type InstallAction = Extract<Action, { readonly kind: 'install-child-sa' }>;

/** What is performed as it comes, or waits. */
export type OtherAction = Exclude<Action, InstallAction>;

/** A peer repeats its request after seconds; this is well before. */
const PATIENCE_MS = 200;

interface Held {
  /** Child SAs by `sa` and number, SPIs by `spi`. */
  readonly awaits: Set<string>;
  readonly actions: readonly OtherAction[];
  readonly timer: NodeJS.Timeout;
}

export class HeldActions {
  readonly #perform: (action: OtherAction) => void;
  readonly #held = new Set<Held>();
  /** What the packet loop has not answered, where several turns make one message. */
  readonly #awaited = new Set<string>();

  constructor(perform: (action: OtherAction) => void) {
    this.#perform = perform;
  }

  /**
   * Performs the actions of one turn in order; those that tell somebody outside of a Child SA wait
   * for it. `install` answers whether the packet loop will report the SA. `turns`: whether what tells of
   * it comes with it, or may come with a later turn.
   */
  performAll(
    actions: readonly Action[],
    install: (childSa: InstallAction) => boolean,
    turns: 'one' | 'several' = 'one',
  ): void {
    const awaits = new Set<string>(turns === 'several' ? this.#awaited : []);
    const waiting: OtherAction[] = [];
    const awaitAnswer = (what: string): void => {
      awaits.add(what);
      if (turns === 'several') this.#awaited.add(what);
    };
    for (const action of actions) {
      if (action.kind === 'install-child-sa') {
        if (install(action)) awaitAnswer(`sa ${action.childSa.id}`);
      } else if (awaits.size > 0 && (action.kind === 'send' || action.kind === 'complete')) {
        waiting.push(action);
      } else {
        this.#perform(action);
        if (action.kind === 'set-outbound') awaitAnswer(`sa ${action.childSaId}`);
        if (action.kind === 'expect-spi') awaitAnswer(`spi ${action.spiIn}`);
      }
    }
    if (waiting.length === 0) return;
    const held: Held = {
      awaits,
      actions: waiting,
      timer: setTimeout(() => this.#release(held), PATIENCE_MS),
    };
    this.#held.add(held);
  }

  /** The packet loop did what it was told of a Child SA, or the SA is gone again. */
  settled(childSaId: number): void {
    this.#settle(`sa ${childSaId}`);
  }

  /** The packet loop keeps packets of this SPI for the SA to come. */
  expected(spiIn: number): void {
    this.#settle(`spi ${spiIn}`);
  }

  /** Nothing waits any more. */
  close(): void {
    for (const held of this.#held) this.#release(held);
  }

  #settle(awaited: string): void {
    this.#awaited.delete(awaited);
    for (const held of this.#held) {
      if (held.awaits.delete(awaited) && held.awaits.size === 0) this.#release(held);
    }
  }

  #release(held: Held): void {
    clearTimeout(held.timer);
    if (!this.#held.delete(held)) return;
    // After so long the packet loop will not answer.
    for (const awaited of held.awaits) this.#awaited.delete(awaited);
    for (const action of held.actions) this.#perform(action);
  }
}
