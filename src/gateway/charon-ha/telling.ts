/**
 * Has a charon follow our IKE engine: what changed in our IKE SAs, as the node of a strongSwan HA cluster
 * tells it. charon derives keys itself, so what they are made of is kept until it is told.
 */
import { HaCondition, HaExtension, type HaIkeSaId } from '../../cluster/charon-ha/attribute.ts';
import type { HaChildMaterial } from '../../cluster/charon-ha/child-add.ts';
import type { HaIkeDetails } from '../../cluster/charon-ha/ike-update.ts';
import { haIkeSaKey, type MirroredIkeSa } from '../../cluster/charon-ha/mirrored-ike-sa.ts';
import type { CharonHaNode, HaInput } from '../../cluster/charon-ha/node.ts';
import { equalSecrets } from '../../crypto/constant-time.ts';
import type { SecretBytes } from '../../crypto/secret-bytes.ts';
import type { ChildSaKeying, IkeKeying, KeyingWatch } from '../../ike/keying-watch.ts';
import { NotifyType } from '../../ike/message/notify-types.ts';
import type { IkeSaSnapshot, SnapshotBundle } from '../../ike/snapshot.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type { TrafficSelector } from '../../ipsec/traffic-selector.ts';
import { equalAddresses, equalEndpoints } from '../../wire/address.ts';

type Established = IkeSaSnapshot & { readonly state: { readonly name: 'Established' } };

/** What charon was told of, or told. */
type Known = Pick<CharonHaNode, 'find' | 'ikeSas'>;

export class CharonHaTelling implements KeyingWatch {
  readonly #ikeSas = new Map<string, IkeKeying>();
  readonly #children = new Map<Spi, ChildSaKeying>();
  /** IKE SAs that were replaced, as far as charon knows, and linger here. */
  readonly #over = new Set<string>();

  ikeSa(keying: IkeKeying): void {
    this.#ikeSas.set(keyOf(keying), keying);
  }

  childSa(keying: ChildSaKeying): void {
    this.#children.set(keying.childSa.spiIn, keying);
    // One that came to nothing is never told.
    for (const [spiIn, oldest] of this.#children) {
      if (this.#children.size <= MOST_CHILDREN) break;
      oldest.sharedSecret?.wipe();
      this.#children.delete(spiIn);
    }
  }

  /** What keys are made of that charon was not told yet. */
  get untold(): number {
    return this.#ikeSas.size + this.#children.size;
  }

  /** What changed, beside what the node knows. */
  inputs(bundle: SnapshotBundle, known: Known): readonly HaInput[] {
    const inputs: HaInput[] = [];
    for (const snapshot of bundle.snapshots) {
      const key = keyOf(snapshot);
      const before = known.find(idOf(snapshot));
      if (this.#over.has(key)) continue;
      if (snapshot.state.name === 'Closed' && before !== undefined) {
        // It lingers here to answer what comes late; nobody else has to.
        inputs.push({ kind: 'ike-closed', id: before.id });
        this.#over.add(key);
      }
      if (!isEstablished(snapshot)) continue;
      if (before !== undefined) inputs.push(...this.#changed(snapshot, before));
      else inputs.push(...this.#added(snapshot, known));
    }
    for (const { spi } of bundle.gone) {
      const ended = known.ikeSas.find(({ id }) => ownSpi(id) === spi);
      if (ended !== undefined && !this.#over.has(haIkeSaKey(ended.id))) {
        inputs.push({ kind: 'ike-closed', id: ended.id });
      }
      this.#forget(spi);
    }
    return inputs;
  }

  #added(snapshot: Established, known: Known): readonly HaInput[] {
    const keying = this.#ikeSas.get(keyOf(snapshot));
    if (keying === undefined) return [];
    this.#ikeSas.delete(keyOf(snapshot));
    const id = idOf(snapshot);
    const { old, proposal, nonceI, nonceR, sharedSecret } = keying;
    const replaced = old && known.ikeSas.find(({ keys }) => sameSecret(keys.skD, old.skD));
    if (replaced !== undefined) this.#over.add(haIkeSaKey(replaced.id));
    const { remote } = snapshot.path;
    const rekeyed = replaced && old && { id: replaced.id, ...old };
    const material = { id, proposal, nonceI, nonceR, sharedSecret, remote, additional: false };
    const inherited = replaced?.children ?? [];
    return [
      { kind: 'ike-keys', material: { ...material, ...(rekeyed && { rekeyed }) } },
      ...requests(snapshot, id, { nextRequest: 0, expectedRequest: 0 }),
      { kind: 'ike-details', details: detailsOf(snapshot, id) },
      ...this.#childrenOf(
        snapshot,
        id,
        inherited.map(({ spiIn }) => spiIn),
      ),
      ...virtualAddresses(snapshot, id, replaced?.remoteVips ?? []),
    ];
  }

  #changed(snapshot: Established, before: MirroredIkeSa): readonly HaInput[] {
    const { id, children } = before;
    const { local, remote } = snapshot.path;
    const moved =
      !equalEndpoints(remote, before.remote) ||
      (before.local !== undefined && !equalEndpoints(local, before.local));
    return [
      ...requests(snapshot, id, before),
      ...(moved ? [{ kind: 'ike-details', details: detailsOf(snapshot, id) } as const] : []),
      ...this.#childrenOf(
        snapshot,
        id,
        children.map(({ spiIn }) => spiIn),
      ),
      ...virtualAddresses(snapshot, id, before.remoteVips),
    ];
  }

  /** Those that came, and those that went. */
  #childrenOf(snapshot: Established, id: HaIkeSaId, before: readonly Spi[]): readonly HaInput[] {
    const held = snapshot.children
      .filter((child) => child.held)
      .map(({ childSa }) => childSa.spiIn);
    const came = held.filter((spiIn) => !before.includes(spiIn));
    return [
      ...came.flatMap((spiIn) => {
        const keying = this.#children.get(spiIn);
        this.#children.delete(spiIn);
        return keying ? [{ kind: 'child-keys', material: childMaterial(keying, id) } as const] : [];
      }),
      ...before
        .filter((spiIn) => !held.includes(spiIn))
        .map((spiIn) => ({ kind: 'child-closed', ikeSa: id, spiIn }) as const),
    ];
  }

  #forget(ownSpiOfGone: string): void {
    for (const key of [...this.#ikeSas.keys(), ...this.#over]) {
      if (!key.includes(ownSpiOfGone)) continue;
      this.#ikeSas.get(key)?.sharedSecret.wipe();
      this.#ikeSas.delete(key);
      this.#over.delete(key);
    }
  }
}

/** Child SAs that are under way at once, far beyond what there is. */
const MOST_CHILDREN = 4096;

function isEstablished(snapshot: IkeSaSnapshot): snapshot is Established {
  return snapshot.state.name === 'Established';
}

function keyOf({ spiI, spiR }: Pick<IkeSaSnapshot, 'spiI' | 'spiR'>): string {
  return haIkeSaKey({ initiatorSpi: spiI, responderSpi: spiR });
}

function idOf({ spiI, spiR, initiator }: IkeSaSnapshot): HaIkeSaId {
  return { ikeVersion: 2, initiatorSpi: spiI, responderSpi: spiR, initiator };
}

function ownSpi({ initiator, initiatorSpi, responderSpi }: HaIkeSaId): string {
  return initiator ? initiatorSpi : responderSpi;
}

/** Message ids that were used since. */
function requests(
  { window }: Established,
  id: HaIkeSaId,
  before: Pick<MirroredIkeSa, 'nextRequest' | 'expectedRequest'>,
): readonly HaInput[] {
  const told = (ours: boolean, next: number, known: number) =>
    next > known ? [{ kind: 'request', id, ours, messageId: next - 1 } as const] : [];
  return [
    ...told(true, window.nextId, before.nextRequest),
    ...told(false, window.expectedId, before.expectedRequest),
  ];
}

function detailsOf(snapshot: Established, id: HaIkeSaId): HaIkeDetails {
  const { path, connection, state, peerAddresses, announced, mobike, originalInitiator } = snapshot;
  const { nat, udpEncapsulation } = state.secured;
  const bits = (...list: readonly (readonly [boolean, number])[]) =>
    list.reduce((sum, [set, bit]) => (set ? sum | bit : sum), 0);
  return {
    id,
    localId: state.peer.localId,
    remoteId: state.peer.remoteId,
    ...path,
    conditions: bits(
      [udpEncapsulation, HaCondition.NAT_ANY],
      [nat.localBehindNat, HaCondition.NAT_HERE],
      [nat.remoteBehindNat, HaCondition.NAT_THERE],
      [originalInitiator, HaCondition.ORIGINAL_INITIATOR],
    ),
    extensions: bits(
      [nat.supported, HaExtension.NATT],
      [mobike, HaExtension.MOBIKE],
      [announced.includes(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED), HaExtension.IKE_FRAGMENTATION],
      [announced.includes(NotifyType.REDIRECT_SUPPORTED), HaExtension.REDIRECTION],
      [announced.includes(NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED), HaExtension.MESSAGE_ID_SYNC],
    ),
    connection,
    peerAddresses: peerAddresses.map((address) => ({ address, port: path.remote.port })),
  };
}

function virtualAddresses(
  { remoteVips }: Established,
  id: HaIkeSaId,
  before: MirroredIkeSa['remoteVips'],
): readonly HaInput[] {
  const news = remoteVips.some((vip) => !before.some((known) => equalAddresses(known, vip)));
  return news ? [{ kind: 'ike-details', details: { id, remoteVips } }] : [];
}

function childMaterial(keying: ChildSaKeying, ikeSa: HaIkeSaId): HaChildMaterial {
  const { childSa, proposal, initiator, nonceI, nonceR, sharedSecret } = keying;
  const { spiIn, spiOut, mode, name } = childSa;
  const told = (selector: TrafficSelector) => ({ selector, dynamic: false });
  return {
    ...{ ikeSa, initiator, spiIn, spiOut, mode, ipcomp: 0, name, proposal, nonceI, nonceR },
    ...(sharedSecret && { sharedSecret }),
    localTs: childSa.localTs.map(told),
    remoteTs: childSa.remoteTs.map(told),
    additional: false,
  };
}

function sameSecret(one: SecretBytes, other: SecretBytes): boolean {
  return equalSecrets(one.reveal(), other.reveal());
}
