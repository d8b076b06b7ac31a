/**
 * An address pool that all nodes of a cluster lease from, and never one address to two clients.
 *
 * The right to lease an address is its home segment's (`home-segments.ts`), and the node that owns the segment
 * becomes the holder of its share by compare-and-set. From then on it leases without a round trip. A few
 * addresses of each share are offered: whoever's segment has none left borrows one of them by
 * compare-and-set, and it goes back when its client leaves. A pool with fewer addresses than segments is
 * offered whole. What nobody can have is answered at once.
 *
 * Leases are records of the bus: an answer must not leave before a majority holds the record it names, and a node
 * says `owned` once it has the records of a majority; then no lease is forgotten by who takes a segment over.
 * What a partition separates from a majority leases only from the shares it held.
 */
import { type Identity, identityKey } from '../../ipsec/identity.ts';
import type { AddressRange, IpAddress } from '../../wire/address.ts';
import type { Segment, Sid } from '../ballot.ts';
import type { BusEvent, BusRecord, BusRequest } from '../bus/bus.ts';
import type { SegmentHash } from '../segment-hash.ts';
import { HeldShare } from './held-share.ts';
import { HomeSegments } from './home-segments.ts';
import { LeaseTable } from './lease-table.ts';
import { decodePoolLease, encodePoolLease, leasePrefix, type PoolLease } from './pool-lease.ts';
import { type Loan, MOST_LISTED, type Share, sharePrefix } from './share.ts';
import { type Outcome, ShareWriter } from './share-writer.ts';

/** What keeps an address from being leased twice, by name; tests switch one off to show that it is needed. */
export type PoolRule =
  /** Only what its holder offered is borrowed. */
  | 'offered-first'
  /** A change of a share counts when it is written, not when it may be. */
  | 'written-only'
  /** Only the holder of a share leases from it without asking. */
  | 'holder-leases'
  /** What is offered is the holder's no more from before it says so. */
  | 'list-before';

export interface ClusterPoolSettings {
  readonly name: string;
  readonly range: AddressRange;
  readonly hash: SegmentHash;
  /** Of this process. */
  readonly sid: Sid;
  /** How many are configured. */
  readonly nodes: number;
  /** By `identityKey`: addresses that nobody else ever gets. */
  readonly statics?: ReadonlyMap<string, IpAddress>;
  /** Somebody here has this address, whatever the records say. */
  readonly isTaken?: (address: IpAddress) => boolean;
  /** This is one of two nodes, and the other is not there: nobody is waited for. */
  readonly isAlone?: () => boolean;
  /** This is the only node that runs, as somebody vouches: no share is anybody else's. */
  readonly isLast?: () => boolean;
  /** Shares that are asked for at each tick before a client needs them; unset: all at once, when they are owned. */
  readonly grantsAtOnce?: number;
  readonly without?: ReadonlySet<PoolRule>;
}

export interface PoolRequest {
  /** Comes back with the answer. */
  readonly id: number;
  /** Of the client's IKE SA; this node owns it. */
  readonly segment: Segment;
  readonly identity: Identity;
  /** 0.0.0.0 and :: leave the choice to the pool. */
  readonly requested: IpAddress;
}

export type PoolInput =
  /** The segment is this node's, and its copy of the leases is that of a majority. */
  | { readonly kind: 'owned'; readonly segment: Segment }
  | { readonly kind: 'released'; readonly segment: Segment }
  | ({ readonly kind: 'acquire' } & PoolRequest)
  /** The client is gone. Also said of leases without an IKE SA once a segment is owned. */
  | { readonly kind: 'leave'; readonly address: IpAddress; readonly identity: Identity }
  /** A record whose key begins as one of `prefixes` says. */
  | { readonly kind: 'record'; readonly record: BusRecord }
  /** What came of a request of this pool, by the id it gave it. */
  | { readonly kind: 'event'; readonly event: BusEvent }
  /** Once a second or so: tries again what no majority was there for. */
  | { readonly kind: 'tick' };

export type PoolAction =
  /**
   * Its events come back with the same id, counted by each pool from 1. `isHeld`: it changes a share whose
   * holder this node is.
   */
  | { readonly kind: 'request'; readonly request: BusRequest; readonly isHeld?: boolean }
  /** The answer may leave when a majority, this node counted, has what request `record` wrote. */
  | {
      readonly kind: 'leased';
      readonly id: number;
      readonly address: IpAddress;
      readonly record: number;
    }
  | { readonly kind: 'none'; readonly id: number };

/** A client left, and others are told. */
interface Leaving {
  readonly lease: PoolLease;
  holders: number;
  /** Nodes that are known not to have it. */
  lacking: number;
}

/** A request on its way, with the places that were somebody else's when it came to them. */
interface Attempt {
  readonly request: PoolRequest;
  readonly tried: Set<number>;
}

type Choice = { readonly kind: 'own' | 'borrow'; readonly place: number };

export class ClusterPool {
  /** Keys of what is to be watched. */
  readonly prefixes: readonly string[];
  readonly #settings: ClusterPoolSettings;
  readonly #homes: HomeSegments;
  readonly #leases: LeaseTable;
  readonly #shares: ShareWriter;
  readonly #statics = new Set<number>();
  readonly #owned = new Set<Segment>();
  readonly #held = new Map<Segment, HeldShare>();
  /** Segments whose share is being asked for, or offered from. */
  readonly #granting = new Set<Segment>();
  readonly #offering = new Set<Segment>();
  /** What is answered when it is known whether this node holds the share. */
  readonly #waiting = new Set<Attempt>();
  /** Segments that were owned while enough others were on their way to be held. */
  readonly #ungranted = new Set<Segment>();
  /** Clients that left while no majority could hear of it. */
  readonly #stalled = new Set<PoolLease>();
  /** Places that are being borrowed or given back. */
  readonly #moving = new Map<number, number>();
  /** By request that wrote that a client left: what follows once a majority has it. */
  readonly #leaving = new Map<number, Leaving>();
  #actions: PoolAction[] = [];
  #lastId = 0;

  constructor(settings: ClusterPoolSettings) {
    const { name, range, hash, statics = new Map<string, IpAddress>() } = settings;
    this.#settings = settings;
    this.#homes = new HomeSegments(name, range, hash);
    this.#leases = new LeaseTable((place) => this.#homes.home(place));
    this.#shares = new ShareWriter(name, (request, segment) =>
      this.#request(request, this.#held.has(segment)),
    );
    this.prefixes = [sharePrefix(name), leasePrefix(name)];
    for (const address of statics.values()) {
      const place = this.#homes.place(address);
      if (place !== undefined) this.#statics.add(place);
    }
  }

  handle(input: PoolInput): readonly PoolAction[] {
    switch (input.kind) {
      case 'owned':
        this.#owned.add(input.segment);
        if (this.#settings.grantsAtOnce === undefined) this.#grant(input.segment);
        for (const segment of this.#shares.segments) this.#tidy(segment);
        break;
      case 'released':
        this.#owned.delete(input.segment);
        this.#held.delete(input.segment);
        break;
      case 'acquire':
        this.#grant(input.segment);
        this.#attempt({ request: input, tried: new Set() });
        break;
      case 'leave':
        this.#leave(input.address, input.identity);
        break;
      case 'record':
        this.#heard(input.record);
        break;
      case 'event':
        if (!this.#shares.handle(input.event)) this.#settle(input.event);
        break;
      default:
        this.#retry();
    }
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  /** Every lease, also of clients that are away. */
  leases(): readonly (PoolLease & { readonly address: IpAddress })[] {
    return [...this.#leases.all()].map((lease) => ({
      ...lease,
      address: this.#homes.address(lease.place),
    }));
  }

  /** Every address has a client. */
  get isFull(): boolean {
    return this.#leases.onlineCount >= this.#homes.size;
  }

  /** Of an address; undefined where nobody ever had it. */
  lease(address: IpAddress): PoolLease | undefined {
    const place = this.#homes.place(address);
    return place === undefined ? undefined : this.#leases.get(place);
  }

  /** What this identity has or had. */
  leasesOf(identity: Identity): readonly (PoolLease & { readonly address: IpAddress })[] {
    return [...this.#leases.placesOf(identity)].flatMap((place) => {
      const lease = this.#leases.get(place);
      return lease ? [{ ...lease, address: this.#homes.address(place) }] : [];
    });
  }

  // --- leasing

  #attempt(attempt: Attempt): void {
    const { request, tried } = attempt;
    const { id, segment } = request;
    const isLast = !this.#owned.has(segment) || tried.size >= MOST_TRIES;
    const choice = isLast ? undefined : this.#choose(attempt);
    if (!choice && !isLast && this.#granting.has(segment)) {
      this.#waiting.add(attempt);
      return;
    }
    if (!choice) {
      this.#actions.push({ kind: 'none', id });
      return;
    }
    tried.add(choice.place);
    if (choice.kind === 'borrow') this.#borrow(choice.place, attempt);
    else {
      this.#lease(choice.place, request, this.#held.get(this.#homes.home(choice.place)), false);
    }
  }

  #lease(
    place: number,
    { id, identity, segment }: PoolRequest,
    right: { readonly epoch: number } | undefined,
    isBorrowed: boolean,
  ): void {
    const { sid: lessor } = this.#settings;
    const epoch = right?.epoch ?? 0;
    const record = this.#put({
      place,
      identity,
      segment,
      lessor,
      isOnline: true,
      isBorrowed,
      epoch,
    });
    this.#actions.push({ kind: 'leased', id, address: this.#homes.address(place), record });
    this.#offer(this.#homes.home(place));
  }

  /** What a client had before goes before what is new to it, and what nobody had before what somebody may miss. */
  #choose({ request, tried }: Attempt): Choice | undefined {
    const { segment } = request;
    const suited = (place: number | undefined) => {
      const is = place !== undefined && !tried.has(place) && !this.#moving.has(place);
      return is ? this.#suited(place, segment) : undefined;
    };
    for (const place of this.#wanted(request)) {
      const choice = suited(place);
      if (choice) return choice;
    }
    const isFull = this.#leases.awayCount >= MOST_AWAY;
    const own = isFull ? undefined : suited(this.#held.get(segment)?.unused(this.#leases));
    if (own) return own;
    for (const isFresh of [true, false]) {
      if (!isFresh) {
        for (const place of this.#leases.away(segment)) {
          const choice = suited(place);
          if (choice?.kind === 'own') return choice;
        }
      }
      for (const place of this.#borrowable(segment, isFresh)) {
        const choice = this.#statics.has(place) ? undefined : suited(place);
        if (choice) return choice;
      }
    }
    return undefined;
  }

  /** The address made for this identity, those it had, the one it asks for. */
  *#wanted({ identity, requested }: PoolRequest): Iterable<number> {
    const fixed = this.#settings.statics?.get(identityKey(identity));
    const place = fixed && this.#homes.place(fixed);
    if (place !== undefined) yield place;
    const asked = this.#homes.place(requested);
    const former = [...this.#leases.placesOf(identity)].filter((one) => !this.#statics.has(one));
    if (asked !== undefined && former.includes(asked)) yield asked;
    yield* former;
    if (asked === undefined || this.#statics.has(asked)) return;
    if (this.#leases.get(asked) === undefined) yield asked;
  }

  /** Whether and how a client of a segment gets a place now. */
  #suited(place: number, segment: Segment): Choice | undefined {
    if (this.#settings.isTaken?.(this.#homes.address(place))) return undefined;
    const home = this.#homes.home(place);
    const held = this.#held.get(home);
    const lease = this.#leases.get(place);
    if (held?.isPrivate(place)) {
      if (lease?.isOnline) return undefined;
      return { kind: home === segment ? 'own' : 'borrow', place };
    }
    if (this.#isLentHere(lease)) return undefined;
    // Shares of who is not there cannot be changed.
    if (!held && this.#isAlone && !this.#isLast) return undefined;
    const { offered, loans } = this.#shares.known(home);
    const isLent = loans.some((loan) => loan.place === place);
    const isFree = offered.includes(place) || (this.#statics.has(place) && !isLent);
    if (isFree || this.#isOff('offered-first', lease)) return { kind: 'borrow', place };
    return undefined;
  }

  /** Whatever an older value of the share says: a client of ours has it. */
  #isLentHere(lease: PoolLease | undefined): boolean {
    return lease?.isOnline === true && lease.isBorrowed && lease.lessor === this.#settings.sid;
  }

  /** Places of other segments and offered ones of this, nobody's yet or of clients that are away. */
  *#borrowable(segment: Segment, isFresh: boolean): Iterable<number> {
    const others = [...this.#shares.segments].filter((one) => one !== segment);
    for (const home of [segment, ...others]) {
      for (const place of this.#shares.known(home).offered) {
        if ((this.#leases.get(place) === undefined) === isFresh) yield place;
      }
    }
    for (const [home, held] of this.#held) {
      if (home === segment) continue;
      if (!isFresh) yield* this.#leases.away(home);
      const fresh = isFresh ? held.unused(this.#leases) : undefined;
      if (fresh !== undefined) yield fresh;
    }
    if (this.#settings.without?.has('offered-first')) {
      for (let place = 0; place < this.#homes.size; place++) yield place;
    }
  }

  // --- borrowing and giving back

  #borrow(place: number, attempt: Attempt): void {
    const { sid } = this.#settings;
    const { request } = attempt;
    const { segment } = request;
    const home = this.#homes.home(place);
    const held = this.#held.get(home);
    const wasPrivate = held?.isPrivate(place) === true;
    if (wasPrivate) held.listed.add(place);
    this.#hold(place);
    const loan = { place, segment, sid };
    const apply = (share: Share) =>
      this.#lent(share, loan, wasPrivate && this.#held.get(home) === held);
    const done = (outcome: Outcome) => {
      this.#letGo(place);
      if (wasPrivate && outcome.kind === 'refused') held.unlist(place);
      const isGood =
        outcome.kind === 'written' ||
        (outcome.kind === 'unsettled' && this.#settings.without?.has('written-only'));
      const isTaken = this.#settings.isTaken?.(this.#homes.address(place)) === true;
      if (isGood && this.#owned.has(segment) && !isTaken) {
        const epoch = outcome.kind === 'written' ? outcome.revision.number : 0;
        this.#lease(place, request, { epoch }, true);
        return;
      }
      this.#tidy(home);
      this.#attempt(attempt);
    };
    this.#shares.change(home, { apply, done });
  }

  /** The share with the loan, where it may be made. */
  #lent(share: Share, loan: Loan, fromPrivate: boolean): Share | undefined {
    const { place } = loan;
    const { sid } = this.#settings;
    const there = share.loans.find((one) => one.place === place);
    if (this.#isLentHere(this.#leases.get(place))) return undefined;
    // Of an attempt of which nobody knows whether it counted: written again, it does.
    if (there) return there.sid === sid && there.segment === loan.segment ? share : undefined;
    const isOffered = share.offered.includes(place);
    const isPrivate = fromPrivate && share.holder === sid;
    const isFree = isOffered || isPrivate || this.#statics.has(place);
    if (!isFree && !this.#settings.without?.has('offered-first')) return undefined;
    if (!isOffered && share.offered.length + share.loans.length >= MOST_LISTED) return undefined;
    const offered = share.offered.filter((one) => one !== place);
    return { ...share, offered, loans: [...share.loans, loan] };
  }

  #leave(address: IpAddress, identity: Identity): void {
    const place = this.#homes.place(address);
    const lease = place === undefined ? undefined : this.#leases.get(place);
    if (!lease?.isOnline || !this.#owned.has(lease.segment)) return;
    if (identityKey(lease.identity) !== identityKey(identity)) return;
    const away = { ...lease, isOnline: false };
    const id = this.#put(away);
    if (!lease.isBorrowed) {
      this.#offer(this.#homes.home(lease.place));
      return;
    }
    this.#hold(lease.place);
    this.#leaving.set(id, { lease: away, holders: 0, lacking: 0 });
  }

  /** A record of ours has come to others: what it said may be acted upon. */
  #settle(event: BusEvent): void {
    const leaving = 'id' in event ? this.#leaving.get(event.id) : undefined;
    if (!leaving || !('id' in event)) return;
    const { nodes } = this.#settings;
    if (event.kind === 'written' || event.kind === 'held') leaving.holders++;
    else if (event.kind === 'not-held' && ++leaving.lacking < nodes / 2) return;
    else {
      this.#leaving.delete(event.id);
      this.#stalled.add(leaving.lease);
      return;
    }
    if (leaving.holders <= nodes / 2 && !this.#isAlone) return;
    this.#leaving.delete(event.id);
    this.#letGo(leaving.lease.place);
    this.#giveBack(leaving.lease);
  }

  #retry(): void {
    this.#grantSome();
    for (const segment of this.#held.keys()) this.#offer(segment, true);
    for (const segment of this.#shares.segments) this.#tidy(segment);
    for (const lease of this.#stalled) {
      const isOurs = this.#owned.has(lease.segment);
      if (isOurs) this.#leaving.set(this.#put(lease), { lease, holders: 0, lacking: 0 });
      else this.#letGo(lease.place);
    }
    this.#stalled.clear();
  }

  /** Shares that no client needs yet, a few at a time: a take-over is no time for much else. */
  #grantSome(): void {
    let left = this.#settings.grantsAtOnce ?? Number.POSITIVE_INFINITY;
    for (const segment of this.#owned) {
      const isThere = this.#held.has(segment) || this.#granting.has(segment);
      if (isThere || this.#homes.piece(segment).size === 0) continue;
      if (left-- <= 0) return;
      this.#grant(segment);
    }
  }

  #giveBack({ place, segment, lessor }: Pick<PoolLease, 'place' | 'segment' | 'lessor'>): void {
    const isOurs = (loan: Loan) =>
      loan.place === place && loan.segment === segment && loan.sid === lessor;
    if (this.#moving.has(place)) return;
    this.#hold(place);
    this.#shares.change(this.#homes.home(place), {
      apply: (share) => {
        if (!this.#owned.has(segment) || !share.loans.some(isOurs)) return undefined;
        const loans = share.loans.filter((loan) => !isOurs(loan));
        const offered = this.#statics.has(place) ? share.offered : [...share.offered, place];
        return { ...share, offered, loans };
      },
      done: () => {
        this.#letGo(place);
      },
    });
  }

  /** Loans to segments of ours that no client has: of a process that died, or of an attempt that came to nothing. */
  #tidy(home: Segment): void {
    for (const { place, segment, sid } of this.#shares.known(home).loans) {
      if (!this.#owned.has(segment) || this.#moving.has(place)) continue;
      const lease = this.#leases.get(place);
      const isUsed = lease?.isOnline && lease.isBorrowed && lease.segment === segment;
      if (!isUsed) this.#giveBack({ place, segment, lessor: sid });
    }
  }

  #hold(place: number): void {
    this.#moving.set(place, (this.#moving.get(place) ?? 0) + 1);
  }

  #letGo(place: number): void {
    const left = (this.#moving.get(place) ?? 0) - 1;
    if (left > 0) this.#moving.set(place, left);
    else this.#moving.delete(place);
  }

  // --- shares

  #grant(segment: Segment): void {
    if (!this.#owned.has(segment) || this.#held.has(segment) || this.#granting.has(segment)) return;
    if (this.#isAlone && !this.#isLast) return;
    const { sid } = this.#settings;
    const piece = this.#homes.piece(segment);
    if (piece.size === 0) return;
    if (this.#granting.size >= MOST_GRANTS) {
      this.#ungranted.add(segment);
      return;
    }
    this.#ungranted.delete(segment);
    this.#granting.add(segment);
    const hold = (epoch: number, { offered, loans }: Share) => {
      const listed = [...offered, ...loans.map(({ place }) => place)];
      this.#held.set(
        segment,
        new HeldShare(epoch, listed, piece, (place) => this.#statics.has(place)),
      );
      this.#offer(segment);
    };
    this.#shares.change(segment, {
      apply: (share) => (this.#owned.has(segment) ? { ...share, holder: sid } : undefined),
      done: (outcome) => {
        this.#granting.delete(segment);
        const isHeld = outcome.kind === 'written' && this.#owned.has(segment);
        if (isHeld) hold(outcome.revision.number, outcome.share);
        for (const next of this.#ungranted) this.#grant(next);
        for (const attempt of [...this.#waiting]) {
          if (attempt.request.segment !== segment) continue;
          this.#waiting.delete(attempt);
          this.#attempt(attempt);
        }
      },
    });
    if (this.#isOff('holder-leases')) hold(1, this.#shares.known(segment));
  }

  /** Sees to it that others find something to borrow, and clients that are away what they had. */
  #offer(segment: Segment, again = false): void {
    const held = this.#held.get(segment);
    if (!held || this.#offering.has(segment)) return;
    const lost = again ? this.#unsettledOffers(segment, held) : [];
    const places = [...lost, ...this.#toOffer(segment, held)];
    if (places.length === 0) return;
    const early = !this.#isOff('list-before');
    if (early) for (const place of places) held.listed.add(place);
    this.#offering.add(segment);
    const { sid } = this.#settings;
    this.#shares.change(segment, {
      apply: (share) => {
        const isFull = share.offered.length + share.loans.length + places.length > MOST_LISTED;
        if (share.holder !== sid || this.#held.get(segment) !== held || isFull) return undefined;
        // An attempt that may have counted is made again: somebody may have borrowed since.
        const listed = new Set([...share.offered, ...share.loans.map(({ place }) => place)]);
        const added = places.filter((place) => !listed.has(place));
        return { ...share, offered: [...share.offered, ...added] };
      },
      done: (outcome) => {
        this.#offering.delete(segment);
        if (outcome.kind === 'refused') {
          for (const place of places) if (!lost.includes(place)) held.unlist(place);
        } else if (outcome.kind === 'written') {
          for (const place of places) held.listed.add(place);
          this.#offer(segment);
        }
      },
    });
  }

  /** Listed, and of no effect: nobody can say what became of the change that was to offer them. */
  #unsettledOffers(segment: Segment, held: HeldShare): readonly number[] {
    const { offered, loans } = this.#shares.known(segment);
    const there = new Set([...offered, ...loans.map(({ place }) => place)]);
    return [...held.listed].filter((place) => !there.has(place) && !this.#moving.has(place));
  }

  #toOffer(segment: Segment, held: HeldShare): readonly number[] {
    const { offered } = this.#shares.known(segment);
    const fresh = offered.filter((place) => this.#leases.get(place) === undefined).length;
    const private_ = held.someUnused(2 * MOST_FRESH, this.#leases);
    const target = Math.min(MOST_FRESH, Math.ceil((fresh + private_.length) / 2));
    const some = 2 * fresh < target ? private_.slice(0, target - fresh) : [];
    const away: number[] = [];
    for (const place of this.#leases.away(segment)) {
      if (offered.length + some.length + away.length >= MOST_OFFERED) break;
      if (held.isPrivate(place) && !this.#moving.has(place)) away.push(place);
    }
    return [...some, ...away];
  }

  // --- records

  #put(lease: PoolLease): number {
    this.#leases.put(lease);
    const key = `${leasePrefix(this.#settings.name)}${lease.place}`;
    const value = encodePoolLease(lease);
    return this.#request({ kind: 'put', key, value, epoch: lease.epoch });
  }

  #heard({ key, value, epoch, revision }: BusRecord): void {
    const { name } = this.#settings;
    const rest = (prefix: string) =>
      key.startsWith(prefix) ? key.slice(prefix.length) : undefined;
    const segment = numberOf(rest(sharePrefix(name)), this.#homes.segments);
    if (segment !== undefined) {
      this.#shares.heard(segment, value, revision);
      // Another node holds it: what it leases from now on is not ours to lease.
      if (this.#shares.known(segment).holder !== this.#settings.sid) this.#held.delete(segment);
      this.#tidy(segment);
      this.#offer(segment);
    }
    const place = numberOf(rest(leasePrefix(name)), this.#homes.size);
    if (place === undefined) return;
    const lease = value && decodePoolLease(value, place, epoch);
    if (lease) this.#leases.put(lease);
    else this.#leases.remove(place);
  }

  #request(request: WithoutId<BusRequest>, isHeld = false): number {
    const id = ++this.#lastId;
    this.#actions.push({ kind: 'request', request: { ...request, id }, isHeld });
    return id;
  }

  get #isAlone(): boolean {
    return this.#settings.isAlone?.() === true;
  }

  get #isLast(): boolean {
    return this.#settings.isLast?.() === true;
  }

  #isOff(rule: PoolRule, lease?: PoolLease): boolean {
    return this.#settings.without?.has(rule) === true && !lease?.isOnline;
  }
}

type WithoutId<T> = T extends unknown ? Omit<T, 'id'> : never;

/** A number as keys have it; undefined for anything else. */
function numberOf(text: string | undefined, end: number): number | undefined {
  if (text === undefined || !/^(0|[1-9]\d{0,9})$/.test(text)) return undefined;
  const value = Number(text);
  return value < end ? value : undefined;
}

/** Addresses nobody had that a share offers, at most. */
const MOST_FRESH = 8;
/** Shares asked for at one time: the bus has room for so many registers at work. */
const MOST_GRANTS = 32;
/** Clients that are away and remembered before their addresses go to others rather than new ones. */
const MOST_AWAY = 65_536;
/** With those of clients that are away. */
const MOST_OFFERED = 256;
/** Addresses that a request finds taken before it is told that there is none. */
const MOST_TRIES = 4;
