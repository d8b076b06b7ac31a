/**
 * IKE SAs that go on at another node, kept here so that they can go on at this one: PASSIVE, as
 * strongSwan calls them. They answer nothing, send nothing and have no deadlines.
 *
 * What came is kept as it came; an IKE SA is made of it when somebody looks, or when it becomes active.
 */
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { Connection } from '../ipsec/connection.ts';
import type { Spi } from '../ipsec/spi.ts';
import { type Endpoint, equalEndpoints } from '../wire/address.ts';
import type { Instant } from '../wire/instant.ts';
import type { IkeSa } from './ike-sa.ts';
import type { IkeSpi } from './message/message.ts';
import type { Received, Restoring } from './received-snapshot.ts';
import { childSaOf } from './restored-children.ts';
import type { Initiation, SaRegistry } from './sa-registry.ts';
import {
  type GoneIkeSa,
  type IkeSaSnapshot,
  isNewer,
  ownSpiOf,
  type SnapshotBundle,
  type SnapshotOrder,
} from './snapshot.ts';
import { restoreIkeSas } from './snapshot-restoring.ts';
import type { IkeEnvironment, Turn } from './turn.ts';

/** Ends of IKE SAs that are remembered, so that an older snapshot does not bring them back. */
const MAX_REMEMBERED_ENDS = 16_384;

/** One IKE SA. Holds the leases of its client meanwhile. */
export class PassiveSa {
  readonly spi: IkeSpi;
  readonly id: number;
  snapshot: IkeSaSnapshot;
  /** The moment of the snapshot on our clock. */
  at: Instant;
  /** As it would be here, once somebody looked. */
  view: IkeSa | undefined;
  /** Undefined as long as nobody here has a connection of its name. */
  connection: Connection | undefined;

  constructor(spi: IkeSpi, id: number, snapshot: IkeSaSnapshot, at: Instant) {
    this.spi = spi;
    this.id = id;
    this.snapshot = snapshot;
    this.at = at;
  }

  get ownSpi(): IkeSpi {
    return this.spi;
  }

  get remote(): Endpoint {
    return this.snapshot.path.remote;
  }

  get isClosing(): boolean {
    const { name } = this.snapshot.state;
    return name === 'AwaitingDelete' || name === 'AwaitingDeleteResponse' || name === 'Closed';
  }
}

export class PassiveSas {
  readonly #environment: IkeEnvironment;
  readonly #registry: SaRegistry;
  readonly #sas = new Map<IkeSpi, PassiveSa>();
  readonly #ended = new Map<IkeSpi, SnapshotOrder>();
  /** Child SAs that the packet loop was told of, and their numbers here. */
  readonly #children = new Map<Spi, ChildSa>();
  readonly #childIds = new Map<Spi, number>();
  /** The IKE SA that had a Child SA last. */
  readonly #owners = new Map<Spi, IkeSpi>();

  constructor(environment: IkeEnvironment, registry: SaRegistry) {
    this.#environment = environment;
    this.#registry = registry;
  }

  get size(): number {
    return this.#sas.size;
  }

  has(spi: IkeSpi): boolean {
    return this.#sas.has(spi);
  }

  get(spi: IkeSpi): PassiveSa | undefined {
    return this.#sas.get(spi);
  }

  spis(): Iterable<IkeSpi> {
    return this.#sas.keys();
  }

  /** As they came. */
  all(): Iterable<PassiveSa> {
    return this.#sas.values();
  }

  /** What is older than what is here, and what is active here, is left where it is. */
  install(turn: Turn, { snapshots, gone }: SnapshotBundle): void {
    const before = new Set<Spi>();
    const taken: PassiveSa[] = [];
    for (const snapshot of snapshots) {
      const spi = ownSpiOf(snapshot);
      if (!this.#isNews(spi, snapshot)) continue;
      for (const spiIn of heldBy(this.#sas.get(spi)?.snapshot)) before.add(spiIn);
      taken.push(this.#take(turn, spi, snapshot));
    }
    for (const one of taken) this.#lease(one);
    for (const one of gone) {
      if (!this.#isNews(one.spi, one)) continue;
      for (const spiIn of heldBy(this.#sas.get(one.spi)?.snapshot)) before.add(spiIn);
      this.#end(turn, one);
    }
    for (const one of taken) this.#tellChildren(turn, one);
    // What one lost another may have got.
    for (const spiIn of before) if (!this.#isHeld(spiIn)) this.#forgetChild(turn, spiIn);
  }

  /** One that was active here. Its snapshot shares its keys. */
  keep(turn: Turn, sa: IkeSa, snapshot: IkeSaSnapshot): void {
    const passive = new PassiveSa(sa.ownSpi, sa.id, snapshot, turn.now);
    passive.connection = sa.connection;
    this.#sas.set(passive.spi, passive);
    this.#registry.reserve(passive.spi, initiationOf(snapshot));
    this.#claimSpis(turn, passive);
    turn.environment.pools.handOver(sa, passive);
    for (const { childSa, outbound } of sa.children.values()) {
      const kept = { ...childSa, outbound };
      this.#childIds.set(childSa.spiIn, childSa.id);
      this.#children.set(childSa.spiIn, kept);
      turn.push({ kind: 'deactivate-child-sa', childSa: kept });
    }
  }

  /** Takes it out, to become active: its Child SAs are the IKE SA's from now on. */
  release({ spi, snapshot }: PassiveSa): void {
    this.#sas.delete(spi);
    this.#registry.unreserve(spi);
    for (const spiIn of heldBy(snapshot)) {
      this.#children.delete(spiIn);
      this.#childIds.delete(spiIn);
      this.#owners.delete(spiIn);
    }
  }

  /** What restoring needs; undefined as long as there is no connection of its name. */
  received(one: PassiveSa): Received | undefined {
    one.connection ??= this.#environment.pad.connection(one.snapshot.connection);
    const { id, snapshot, at, connection } = one;
    return connection && { id, snapshot, at, connection };
  }

  restoring(turn: Pick<Turn, 'now' | 'numbers'>, graceMs: number): Restoring {
    const { numbers, now } = turn;
    return {
      environment: this.#environment,
      registry: this.#registry,
      now,
      graceMs,
      childSaId: (spiIn) => this.#childId(turn, spiIn),
      reqid: (connection, child) => numbers.reqid(connection, child),
    };
  }

  /** As they would be here: to be looked at. */
  views(turn: Pick<Turn, 'now' | 'numbers'>): readonly IkeSa[] {
    const restoring = this.restoring(turn, 0);
    return [...this.#sas.values()].flatMap((one) => {
      const received = this.received(one);
      if (received && !one.view) [one.view] = restoreIkeSas(restoring, [received]);
      // What only lingers to answer repetitions is listed nowhere.
      return one.view && one.view.state.name !== 'Closed' ? one.view : [];
    });
  }

  #isNews(spi: IkeSpi, order: SnapshotOrder): boolean {
    const known = this.#sas.get(spi)?.snapshot ?? this.#ended.get(spi);
    return !this.#registry.bySpi(spi) && (!known || isNewer(order, known));
  }

  #take(turn: Turn, spi: IkeSpi, snapshot: IkeSaSnapshot): PassiveSa {
    const known = this.#sas.get(spi);
    const one = known ?? new PassiveSa(spi, turn.numbers.newIkeSaId(), snapshot, turn.now);
    if (known) {
      releaseSpis(turn, known.snapshot);
      known.snapshot = snapshot;
      known.at = turn.now;
      known.view = undefined;
    } else {
      this.#sas.set(spi, one);
      this.#registry.reserve(spi, initiationOf(snapshot));
    }
    this.#claimSpis(turn, one);
    return one;
  }

  /** Nobody here shall draw what may go on here. */
  #claimSpis({ numbers }: Turn, { spi, snapshot }: PassiveSa): void {
    for (const spiIn of heldBy(snapshot)) {
      this.#owners.set(spiIn, spi);
      numbers.claimSpi(spiIn);
    }
    for (const spiIn of spisUnderWay(snapshot)) numbers.claimSpi(spiIn);
  }

  /** Its client keeps the addresses that its node gave it. */
  #lease(one: PassiveSa): void {
    const { pools } = this.#environment;
    const { remoteVips, state } = one.snapshot;
    pools.release(one);
    const connection = this.received(one)?.connection;
    if (!connection || !('peer' in state)) return;
    const identity = state.peer.remoteId;
    for (const requested of remoteVips) {
      pools.claim(connection.pools, { identity, requested, holder: one });
    }
  }

  #end(turn: Turn, { spi, epoch, order }: GoneIkeSa): void {
    this.#ended.delete(spi);
    this.#ended.set(spi, { epoch, order });
    for (const oldest of this.#ended.keys()) {
      if (this.#ended.size <= MAX_REMEMBERED_ENDS) break;
      this.#ended.delete(oldest);
    }
    const known = this.#sas.get(spi);
    if (!known) return;
    releaseSpis(turn, known.snapshot);
    this.#sas.delete(spi);
    this.#registry.unreserve(spi);
    this.#environment.pools.release(known);
    wipeKeys(known.snapshot);
  }

  #isHeld(spiIn: Spi): boolean {
    const owner = this.#owners.get(spiIn);
    return owner !== undefined && heldBy(this.#sas.get(owner)?.snapshot).includes(spiIn);
  }

  /** The packet loop hears of Child SAs that came, and where they are now. */
  #tellChildren(turn: Turn, one: PassiveSa): void {
    const received = this.received(one);
    if (!received) return;
    for (const child of one.snapshot.children) {
      if (!child.held || this.#owners.get(child.childSa.spiIn) !== one.spi) continue;
      const known = this.#children.get(child.childSa.spiIn);
      const childSa = childSaOf(this.restoring(turn, 0), received, child);
      const { id: childSaId, spiIn, local, remote, udpEncapsulation } = childSa;
      this.#children.set(spiIn, childSa);
      if (!known) {
        const { sequences } = child;
        turn.push({ kind: 'install-passive-child-sa', childSa, sequences });
      } else if (!equalEndpoints(known.local, local) || !equalEndpoints(known.remote, remote)) {
        turn.push({ kind: 'move-child-sa', childSaId, local, remote, udpEncapsulation });
      }
    }
  }

  #forgetChild(turn: Turn, spiIn: Spi): void {
    const childSa = this.#children.get(spiIn);
    this.#children.delete(spiIn);
    this.#childIds.delete(spiIn);
    this.#owners.delete(spiIn);
    turn.numbers.releaseSpi(spiIn);
    if (!childSa) return;
    turn.push({ kind: 'remove-child-sa', childSa, reason: 'its node deleted it' });
  }

  #childId({ numbers }: Pick<Turn, 'numbers'>, spiIn: Spi): number {
    const id = this.#childIds.get(spiIn) ?? numbers.newChildSaId();
    this.#childIds.set(spiIn, id);
    return id;
  }
}

/** SPIs of ours that a peer may be answering to. */
export function spisUnderWay({ state, window }: IkeSaSnapshot): readonly Spi[] {
  const purpose = window.inFlight?.purpose;
  const asked = purpose?.kind === 'create-child' ? purpose.attempt?.spiIn : undefined;
  const first = state.name === 'AwaitingIkeAuthResponse' ? state.spiIn : undefined;
  return [asked, first].filter((spiIn) => spiIn !== undefined);
}

/** Of a responder: the request that made it may come again. */
function initiationOf({ requestDigest, spiI, initiation }: IkeSaSnapshot): Initiation | undefined {
  return requestDigest === undefined ? undefined : { spiI, remote: initiation.remote };
}

function heldBy(snapshot: IkeSaSnapshot | undefined): readonly Spi[] {
  const held = snapshot?.children.filter((child) => child.held) ?? [];
  return held.map(({ childSa }) => childSa.spiIn);
}

function releaseSpis({ numbers }: Turn, snapshot: IkeSaSnapshot): void {
  for (const spiIn of spisUnderWay(snapshot)) numbers.releaseSpi(spiIn);
}

// RFC 7296 §2.12: keys of an SA that is gone must be forgotten.
function wipeKeys({ state }: IkeSaSnapshot): void {
  if (!('secured' in state) || !state.secured) return;
  const { skD, skAi, skAr, skEi, skEr, skPi, skPr } = state.secured;
  for (const key of [skD, skAi, skAr, skEi, skEr, skPi, skPr]) key?.wipe();
}
