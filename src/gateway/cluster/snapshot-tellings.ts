/**
 * Whole snapshots on their way to other nodes: every IKE SA that is here, a few at a time, as fast as whoever asked
 * takes them. Ten thousand in one turn would be more than waits for a node at most, and would keep this one from
 * its heartbeats.
 *
 * What changes meanwhile is in the log behind the position where the telling began: that position, and what the
 * node said of itself there, end it.
 */
import type { NodeId } from '../../cluster/node-id.ts';
import type { SnapshotOf } from '../../cluster/ownership.ts';
import type { IkeSpi } from '../../ike/message/message.ts';
import type { IkeSaSnapshot } from '../../ike/snapshot.ts';
import type { Instant } from '../../wire/instant.ts';
import type { IkeMirrorParts, Perform } from './ike-mirror-action.ts';
import { type Reservation, SAS_IN_ONE } from './state-message.ts';

export interface SnapshotTellingsParts extends Pick<IkeMirrorParts, 'engine' | 'sid' | 'view'> {
  readonly perform: Perform;
  /** How far this node's log goes. */
  readonly written: () => number;
  /** Numbers that are asked for, also those that no snapshot has yet. */
  readonly reservations: () => readonly Reservation[];
}

/** A node that is being told. */
interface Telling {
  readonly spis: readonly IkeSpi[];
  /** Told so far. */
  at: number;
  /** When it began. */
  readonly position: number;
  readonly head: SnapshotOf;
}

export class SnapshotTellings {
  readonly #parts: SnapshotTellingsParts;
  readonly #tellings = new Map<NodeId, Telling>();

  constructor(parts: SnapshotTellingsParts) {
    this.#parts = parts;
  }

  /** A node wants to know everything. Who asks again is told again from the beginning. */
  begin(to: NodeId, now: Instant): void {
    const { engine, view, written } = this.#parts;
    const spis = [...engine.activeSpis(), ...engine.passiveSpis()];
    this.#tellings.set(to, { spis, at: 0, position: written(), head: view.head() });
    this.goOn(now);
  }

  /** Tells more to those that have room for it. */
  goOn(now: Instant): void {
    for (const [to, telling] of this.#tellings) {
      if (!this.#parts.view.reachable().includes(to)) {
        // It asks when it is there again.
        this.#tellings.delete(to);
      } else if (this.#parts.view.hasRoom(to)) {
        this.#tellSome(to, telling, now);
        if (telling.at < telling.spis.length) continue;
        this.#tellings.delete(to);
        this.#tellEnd(to, telling);
      }
    }
  }

  #tellSome(to: NodeId, telling: Telling, now: Instant): void {
    const { engine, sid, perform } = this.#parts;
    let age = 0;
    let some: IkeSaSnapshot[] = [];
    const tell = (): void => {
      if (some.length === 0) return;
      const bundle = { snapshots: some, gone: [] };
      const message = { kind: 'snapshot-chunk', sid, age, bundle } as const;
      perform({ kind: 'tell', to, message, delivery: 'bulk' });
      some = [];
    };
    // What ended meanwhile is no reason to wait for room: nothing of it is on its way.
    for (let told = 0; told < SAS_IN_ONE_TURN; ) {
      const spi = telling.spis[telling.at];
      if (spi === undefined) break;
      telling.at++;
      const held = engine.snapshotOf(spi, now);
      if (!held) continue;
      const heldFor = Math.max(0, Math.round(now - held.at));
      if (heldFor !== age || some.length === SAS_IN_ONE) tell();
      age = heldFor;
      some.push(held.snapshot);
      told++;
    }
    tell();
  }

  #tellEnd(to: NodeId, { position, head: { synced, owns } }: Telling): void {
    const { sid, perform, reservations } = this.#parts;
    const all = reservations();
    for (let at = 0; at < all.length; at += RESERVATIONS_IN_ONE) {
      const some = all.slice(at, at + RESERVATIONS_IN_ONE);
      const message = { kind: 'reserve', sid, position: undefined, reservations: some } as const;
      perform({ kind: 'tell', to, message, delivery: 'bulk' });
    }
    const end = { kind: 'snapshot-end', sid, whole: true, position, synced, owns } as const;
    perform({ kind: 'tell', to, message: end, delivery: 'bulk' });
  }
}

/** A millisecond's worth: a record that is to be written ahead does not wait longer for it. */
const SAS_IN_ONE_TURN = 32;
const RESERVATIONS_IN_ONE = 1024;
