/**
 * What happens between this node and its charon, as events: charon that comes and falls silent, segments that
 * move. Segments count from 0 here, as in every cluster of ours.
 */
import type { CharonHaNode, HaInput } from '../../cluster/charon-ha/node.ts';
import type { HaSettings } from '../../config/cluster-config.ts';
import { nodesOfHa } from '../../config/ha-section.ts';
import type { ClusterEvent } from '../../events/cluster-event.ts';
import { formatSegments } from '../../vici/segment-list.ts';
import type { Instant } from '../../wire/instant.ts';

export interface PartnerTellingAround {
  readonly emit: (event: ClusterEvent) => void;
  /** Other segments than before are served here. */
  readonly moved: () => void;
}

export class PartnerTelling {
  readonly #charon: { readonly node: string; readonly nodeId: number };
  readonly #node: Pick<CharonHaNode, 'active' | 'other'>;
  readonly #around: PartnerTellingAround;
  #served: readonly number[] = [];
  #wasThere = false;
  #wasLost = false;

  constructor(
    settings: HaSettings,
    node: Pick<CharonHaNode, 'active' | 'other'>,
    around: PartnerTellingAround,
  ) {
    const [, charon] = nodesOfHa(settings);
    this.#charon = { node: charon?.name ?? '', nodeId: charon?.id ?? 0 };
    this.#node = node;
    this.#around = around;
  }

  /** After each input. */
  turn(input: HaInput, now: Instant): void {
    const { heardAt, lost } = this.#node.other;
    const there = heardAt !== undefined && !lost;
    if (there && !this.#wasThere) {
      this.#around.emit({ kind: 'cluster-node-up', sid: NO_SID, ...this.#charon });
    }
    const fellSilent = lost && !this.#wasLost;
    if (fellSilent) {
      this.#around.emit({ kind: 'cluster-node-down', reason: 'silent', ...this.#charon });
    }
    this.#wasThere = there;
    this.#wasLost = lost;
    const taken = this.#segmentsMoved(fellSilent ? 'silent' : REASONS[input.kind]);
    if (!fellSilent || heardAt === undefined || taken === 0) return;
    const milliseconds = Math.round(now - heardAt);
    this.#around.emit({ kind: 'cluster-take-over', count: taken, milliseconds, ...this.#charon });
  }

  #segmentsMoved(reason = 'told'): number {
    const before = this.#served;
    const served = this.#node.active;
    const taken = served.filter((segment) => !before.includes(segment));
    const released = before.filter((segment) => !served.includes(segment));
    this.#served = served;
    const about = (moved: readonly number[]) => ({
      segments: formatSegments(moved.map((segment) => segment - 1)),
      count: moved.length,
      owned: served.length,
      reason,
    });
    if (taken.length > 0) {
      this.#around.emit({ kind: 'cluster-segments-taken', gaps: 0, ...about(taken) });
    }
    if (released.length > 0) {
      this.#around.emit({ kind: 'cluster-segments-released', ...about(released) });
    }
    if (taken.length + released.length > 0) this.#around.moved();
    return taken.length;
  }
}

/** charon has none. */
const NO_SID = 0;
/** Why segments move, by what was heard last; anything else is charon's doing. */
const REASONS: Readonly<Partial<Record<HaInput['kind'], string>>> = {
  command: 'ordered',
  time: 'balance',
  shutdown: 'leaving',
};
