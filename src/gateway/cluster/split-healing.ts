/**
 * After a split: what this node makes of IKE SAs and numbers that another one used after this one had taken
 * them over.
 *
 * This node's epoch is the higher one, so that it goes on. An IKE SA over which the other one alone went on with
 * the peer is taken from there; one that is not known here too. Of any other nothing is taken: where its peer
 * stands is found out, and it shall forget Child SAs of which there is nothing here. Either way all others get
 * new keys.
 */
import type { Segment } from '../../cluster/ballot.ts';
import type { Input } from '../../ike/action.ts';
import type { IkeSa } from '../../ike/ike-sa.ts';
import type { IkeSpi } from '../../ike/message/message.ts';
import { type IkeSaSnapshot, ownSpiOf } from '../../ike/snapshot.ts';
import type { Instant } from '../../wire/instant.ts';
import type { ChildRenewal } from './child-renewal.ts';
import type { IkeMirrorParts } from './ike-mirror-action.ts';

export interface SplitHealingParts extends Pick<IkeMirrorParts, 'engine' | 'view'> {
  readonly renewal: ChildRenewal;
  readonly segmentOf: (spi: IkeSpi) => Segment;
  readonly handle: (input: Input, now: Instant) => void;
}

/** What another node had changed. */
export function heal(
  parts: SplitHealingParts,
  snapshots: readonly IkeSaSnapshot[],
  now: Instant,
): void {
  const { engine, view, segmentOf } = parts;
  const active = new Map(engine.ikeSas().map((sa) => [sa.ownSpi, sa]));
  for (const snapshot of snapshots) {
    const spi = ownSpiOf(snapshot);
    if (!view.owns(segmentOf(spi))) continue;
    const sa = active.get(spi);
    if (!sa || wentOnThere(sa, snapshot)) adopt(parts, snapshot, now);
    else keep(parts, sa, snapshot, now);
  }
}

/** The peer spoke with the other node in both directions at least as far as with us, and in one farther. */
function wentOnThere({ window }: IkeSa, { window: there }: IkeSaSnapshot): boolean {
  const [sent, received] = [there.nextId - window.nextId, there.expectedId - window.expectedId];
  return sent >= 0 && received >= 0 && sent + received > 0;
}

/** Goes on from the other node's state, as if it were newer than all that was told of ours. */
function adopt(
  { engine, view, segmentOf, handle }: SplitHealingParts,
  theirs: IkeSaSnapshot,
  now: Instant,
): void {
  const spi = ownSpiOf(theirs);
  handle({ kind: 'deactivate', spis: [spi] }, now);
  const ours = engine.passiveSnapshots().find(({ snapshot }) => ownSpiOf(snapshot) === spi);
  const order = Math.max(theirs.order, ours?.snapshot.order ?? 0) + 1;
  const snapshot = { ...theirs, epoch: view.ownEpoch(segmentOf(spi)), order };
  handle({ kind: 'install-snapshots', bundle: { snapshots: [snapshot], gone: [] } }, now);
  handle({ kind: 'activate', spis: [spi], unsure: true, unvouched: true, paced: true }, now);
}

function keep(
  { renewal, handle }: SplitHealingParts,
  sa: IkeSa,
  theirs: IkeSaSnapshot,
  now: Instant,
): void {
  const children = new Set([...sa.children.values()].map(({ childSa }) => childSa.spiIn));
  const agreed = theirs.children.flatMap(({ held, childSa }) => (held ? [childSa.spiIn] : []));
  const strangers = agreed.filter((spiIn) => !children.has(spiIn));
  handle({ kind: 'make-sure', spi: sa.ownSpi, strangers }, now);
  renewal.mark(children, 'unsynced', now);
}
