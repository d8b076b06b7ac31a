/**
 * What other nodes must hear of: which IKE SAs changed, and their snapshots in order.
 *
 * A turn's changes are one bundle, because IKE SAs hand things to one another. A message leaves when the
 * bundles that name its IKE SA are acknowledged (`send` actions say which: `after`).
 */
import type { Instant } from '../wire/instant.ts';
import type { IkeSa } from './ike-sa.ts';
import type { IkeSpi } from './message/message.ts';
import type { PassiveSas } from './passive-sas.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { IkeSaSnapshot, SnapshotBundle, SnapshotOrder } from './snapshot.ts';
import { takeSnapshot } from './snapshot-taking.ts';
import type { IkeEnvironment } from './turn.ts';

const FIRST: SnapshotOrder = { epoch: 0, order: 0 };

export class Replication {
  readonly #environment: IkeEnvironment;
  readonly #registry: SaRegistry;
  readonly #passive: PassiveSas;
  /** The last snapshot taken of each active IKE SA. */
  readonly #orders = new Map<IkeSpi, SnapshotOrder>();
  readonly #changed = new Set<IkeSpi>();

  constructor(environment: IkeEnvironment, registry: SaRegistry, passive: PassiveSas) {
    this.#environment = environment;
    this.#registry = registry;
    this.#passive = passive;
  }

  /** These changed. Free where nobody follows. */
  note(spis: Iterable<IkeSpi>): void {
    if (!this.#environment.replicated) return;
    for (const spi of spis) this.#changed.add(spi);
  }

  /** What changed since the last call; undefined for nothing. */
  take(now: Instant): SnapshotBundle | undefined {
    if (this.#changed.size === 0) return undefined;
    const spis = [...this.#changed];
    this.#changed.clear();
    const snapshots = spis.flatMap((spi) => {
      const sa = this.#registry.bySpi(spi);
      return sa ? [this.snapshot({ now }, sa)] : [];
    });
    const gone = spis.flatMap((spi) => {
      const last = this.#orders.get(spi);
      if (!last || this.#registry.bySpi(spi) || this.#passive.has(spi)) return [];
      this.#orders.delete(spi);
      return [{ spi, ...this.#next(spi, last) }];
    });
    return snapshots.length + gone.length > 0 ? { snapshots, gone } : undefined;
  }

  /** As it is now, newer than all before. */
  snapshot({ now }: { readonly now: Instant }, sa: IkeSa): IkeSaSnapshot {
    const order = this.#next(sa.ownSpi, this.#orders.get(sa.ownSpi) ?? FIRST);
    this.#orders.set(sa.ownSpi, order);
    const { sequences = () => undefined } = this.#environment;
    return takeSnapshot(sa, order, { now, sequences });
  }

  /** It becomes active: its next snapshot is newer than the one it goes on from. */
  follow(spi: IkeSpi, { epoch, order }: SnapshotOrder): void {
    this.#orders.set(spi, { epoch, order });
  }

  /** It is not ours any more. */
  leave(spi: IkeSpi): void {
    this.#orders.delete(spi);
    this.#changed.delete(spi);
  }

  #next(spi: IkeSpi, { epoch, order }: SnapshotOrder): SnapshotOrder {
    const current = this.#environment.epochOf?.(spi) ?? 0;
    return { epoch: Math.max(epoch, current), order: order + 1 };
  }
}
