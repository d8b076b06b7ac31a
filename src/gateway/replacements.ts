/**
 * SAs that an operator asked to replace, until each is replaced or will not be.
 *
 * The engine only begins; how it ends is told by the events.
 */
import type { Event, IkeSubject } from '../events/event.ts';
import type { Outcome } from '../ike/action.ts';
import type { IkeSaView, RekeySelector } from '../vici/control.ts';

/** What is to be replaced, by number: Child SAs with their IKE SA, or IKE SAs. */
export interface Replaceable {
  readonly kind: 'ike' | 'child';
  readonly id: number;
  readonly ikeSa: number;
  readonly connection: string;
}

/** What a selector names: Child SAs where it names a child, else IKE SAs. */
export function replaceable(
  views: readonly IkeSaView[],
  { ike, ikeId, child, childId }: RekeySelector,
): readonly Replaceable[] {
  const up = views.filter(
    ({ connection, uniqueId, state }) =>
      state === 'ESTABLISHED' &&
      (ike === undefined || ike === connection) &&
      (ikeId === undefined || ikeId === uniqueId),
  );
  if (child === undefined && childId === undefined) {
    return up.map(({ uniqueId, connection }) => ({
      kind: 'ike',
      id: uniqueId,
      ikeSa: uniqueId,
      connection,
    }));
  }
  return up.flatMap(({ uniqueId, connection, children }) =>
    children
      .filter(({ state }) => state === 'INSTALLED')
      .filter((one) => child === undefined || child === one.name)
      .filter((one) => childId === undefined || childId === one.uniqueId)
      .map((one) => ({ kind: 'child', id: one.uniqueId, ikeSa: uniqueId, connection }) as const),
  );
}

export class Replacements {
  readonly #pending: Replaceable[];
  readonly #matches: number;
  readonly #anew: boolean;
  #failure: Outcome | undefined;

  /** `anew`: IKE SAs are reauthenticated; the old ones end. */
  constructor(pending: readonly Replaceable[], anew: boolean) {
    this.#pending = [...pending];
    this.#matches = pending.length;
    this.#anew = anew;
  }

  /** How it ended; undefined while something is still under way. */
  get outcome(): Outcome | undefined {
    if (this.#pending.length > 0) return undefined;
    return this.#failure ?? { kind: 'done', matches: this.#matches, terminated: 0 };
  }

  /** Begins, and answers when each is replaced or will not be. */
  settled(
    subscribe: (listener: (event: Event) => void) => () => void,
    begin: () => Promise<Outcome>,
  ): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      const settle = () => {
        const { outcome } = this;
        if (!outcome) return;
        unsubscribe();
        resolve(outcome);
      };
      const unsubscribe = subscribe((event) => {
        this.hear(event);
        settle();
      });
      begin().then((begun) => {
        if (begun.kind === 'done') return settle();
        unsubscribe();
        resolve(begun);
      }, reject);
    });
  }

  hear(event: Event): void {
    switch (event.kind) {
      case 'child-sa-rekeyed':
        this.#settle('child', event.replaces);
        break;
      case 'ike-sa-rekeyed':
        this.#settle('ike', event.replaces);
        break;
      case 'child-sa-down':
        this.#settle('child', event.childSa, { kind: 'failed', what: event.reason });
        break;
      case 'ike-sa-down':
        if (this.#anew) this.#settle('ike', event.ikeSa);
        else this.#settle('ike', event.ikeSa, { kind: 'failed', what: event.reason });
        break;
      case 'refused':
      case 'peer-fault':
        this.#fail(event, { kind: 'refused', what: event.what });
        break;
      case 'authentication-failed':
        this.#fail(event, { kind: 'authentication-failed', what: event.what });
        break;
      case 'peer-unreachable':
        this.#fail(event, { kind: 'timeout', what: `${event.peer} does not answer` });
        break;
      default:
        break;
    }
  }

  #settle(kind: Replaceable['kind'], id: number, failure?: Outcome): void {
    const at = this.#pending.findIndex((one) => one.kind === kind && one.id === id);
    if (at === -1) return;
    this.#pending.splice(at, 1);
    this.#failure ??= failure;
  }

  /** Whatever was asked of this IKE SA came to nothing; one made anew has another number. */
  #fail({ ikeSa, connection }: IkeSubject, failure: Outcome): void {
    const about = this.#pending.filter(
      (one) => one.ikeSa === ikeSa || (this.#anew && one.connection === connection),
    );
    for (const one of about) this.#settle(one.kind, one.id, failure);
  }
}
