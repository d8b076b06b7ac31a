/**
 * Has our IKE engine follow what a charon tells of its IKE SAs: what the node of a strongSwan HA cluster
 * wants done, as inputs of the engine.
 */
import { HaExtension } from '../../cluster/charon-ha/attribute.ts';
import { haIkeSaKey, type MirroredIkeSa } from '../../cluster/charon-ha/mirrored-ike-sa.ts';
import type { HaAction } from '../../cluster/charon-ha/node.ts';
import type { Input } from '../../ike/action.ts';
import { type IkeSpi, ikeSpi } from '../../ike/message/message.ts';
import type { GoneIkeSa, IkeSaSnapshot, SnapshotOrder } from '../../ike/snapshot.ts';
import type { Connection } from '../../ipsec/connection.ts';
import type { Instant } from '../../wire/instant.ts';
import { fromHex } from '../../wire/octets.ts';
import { snapshotOfMirrored } from './snapshot.ts';

export class CharonHaFollowing {
  readonly #connection: (name: string) => Connection | undefined;
  /** An IKE SA that this node gave back has changed here: its snapshots are of another epoch. */
  readonly #orders = new Map<IkeSpi, SnapshotOrder>();
  /** IKE SAs that were replaced, by the one that replaces them, until that one is whole. */
  readonly #replaced = new Map<string, MirroredIkeSa[]>();
  #isLost = false;

  constructor(connection: (name: string) => Connection | undefined) {
    this.#connection = connection;
  }

  /** What the engine is told; what is not about IKE SAs is nothing. */
  inputs(action: HaAction, now: Instant): readonly Input[] {
    switch (action.kind) {
      case 'ike-sa-installed':
      case 'ike-sa-updated':
      case 'child-sa-installed':
      case 'child-sa-removed':
        return this.#install([action.ikeSa], now);
      case 'ike-sa-replaced':
        this.#inherit(action.ikeSa, action.old);
        return [];
      case 'ike-sa-removed':
        return [
          { kind: 'install-snapshots', bundle: { snapshots: [], gone: this.#end(action.ikeSa) } },
        ];
      case 'activate':
        // With numbers of this moment.
        return [...this.#install(action.ikeSas, now), ...this.#activations(action.ikeSas)];
      case 'deactivate':
        for (const ikeSa of action.ikeSas) this.#nextEpoch(ownSpi(ikeSa));
        return [{ kind: 'deactivate', spis: action.ikeSas.map(ownSpi) }];
      case 'rekey-children':
        return [
          { kind: 'replace-child-sas', spisIn: action.ikeSa.children.map(({ spiIn }) => spiIn) },
        ];
      case 'other-lost':
      case 'other-back':
        this.#isLost = action.kind === 'other-lost';
        return [];
      case 'send':
      case 'refused':
      case 'close-ike-sas':
        return [];
      default:
        return action satisfies never;
    }
  }

  /**
   * charon may have fallen silent behind messages that it told nobody of. Peers that can say where they stand
   * are asked; to others that would be one more round trip.
   */
  #activations(ikeSas: readonly MirroredIkeSa[]): readonly Input[] {
    const can = (ikeSa: MirroredIkeSa) => (ikeSa.extensions & HaExtension.MESSAGE_ID_SYNC) !== 0;
    const unsure = this.#isLost ? ikeSas.filter(can) : [];
    const sure = ikeSas.filter((ikeSa) => !unsure.includes(ikeSa));
    return [
      { kind: 'activate', spis: unsure.map(ownSpi), unsure: true, paced: true } as const,
      { kind: 'activate', spis: sure.map(ownSpi), paced: true } as const,
    ].filter(({ spis }) => spis.length > 0);
  }

  #install(ikeSas: readonly MirroredIkeSa[], now: Instant): readonly Input[] {
    const snapshots: IkeSaSnapshot[] = [];
    const gone: GoneIkeSa[] = [];
    for (const ikeSa of ikeSas) {
      const snapshot = this.#snapshot(ikeSa, now);
      if (snapshot === undefined) continue;
      snapshots.push(snapshot);
      const key = haIkeSaKey(ikeSa.id);
      for (const old of this.#replaced.get(key) ?? []) gone.push(...this.#end(old));
      this.#replaced.delete(key);
    }
    return snapshots.length === 0
      ? []
      : [{ kind: 'install-snapshots', bundle: { snapshots, gone } }];
  }

  #snapshot(ikeSa: MirroredIkeSa, now: Instant): IkeSaSnapshot | undefined {
    const connection = this.#connection(ikeSa.connection ?? '');
    if (connection === undefined) return undefined;
    const spi = ownSpi(ikeSa);
    const { epoch, order } = this.#orders.get(spi) ?? FIRST;
    const next = { epoch, order: order + 1 };
    const snapshot = snapshotOfMirrored(ikeSa, connection, next, now);
    if (snapshot !== undefined) this.#orders.set(spi, next);
    return snapshot;
  }

  /** Its Child SAs are the new one's; until that is whole they stay where they are. */
  #inherit(heir: MirroredIkeSa, old: MirroredIkeSa): void {
    const before = this.#replaced.get(haIkeSaKey(old.id)) ?? [];
    this.#replaced.delete(haIkeSaKey(old.id));
    this.#replaced.set(haIkeSaKey(heir.id), [...before, old]);
  }

  #end(ikeSa: MirroredIkeSa): readonly GoneIkeSa[] {
    const key = haIkeSaKey(ikeSa.id);
    const all = [...(this.#replaced.get(key) ?? []), ikeSa];
    this.#replaced.delete(key);
    return all.map((one) => {
      const spi = ownSpi(one);
      const { epoch, order } = this.#orders.get(spi) ?? FIRST;
      this.#orders.delete(spi);
      return { spi, epoch, order: order + 1 };
    });
  }

  #nextEpoch(spi: IkeSpi): void {
    const { epoch } = this.#orders.get(spi) ?? FIRST;
    this.#orders.set(spi, { epoch: epoch + 1, order: 0 });
  }
}

const FIRST: SnapshotOrder = { epoch: 0, order: 0 };

function ownSpi({ id }: MirroredIkeSa): IkeSpi {
  return ikeSpi(fromHex(id.initiator ? id.initiatorSpi : id.responderSpi));
}
