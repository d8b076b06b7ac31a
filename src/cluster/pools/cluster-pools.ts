/**
 * The address pools of a gateway that is a node of a cluster, as its IKE engine and its operators know pools.
 *
 * A request for addresses is held until it is decided: a pool of the cluster gave them (`cluster-pool.ts`) and a
 * majority of the nodes has the record, or there are none. What IKE SAs have here, PASSIVE ones too, goes to
 * nobody else, whatever the records say; a lease that no IKE SA here has, in a segment of this node, ends.
 *
 * `take` and `release` say which segments are this node's, `handle` what time it is; `drain` what is to be done.
 */
import { digest } from '../../crypto/digest.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import type { LeaseHolder, LeaseRequest, PoolPolicy } from '../../ipsec/address-pool.ts';
import type {
  Acquired,
  LeasePools,
  LeaseView,
  ManagedPools,
  PoolView,
} from '../../ipsec/address-pools.ts';
import type { Identity } from '../../ipsec/identity.ts';
import {
  addressDistance,
  compareAddresses,
  equalAddresses,
  equalEndpoints,
  formatAddress,
  type IpAddress,
  rangeContains,
} from '../../wire/address.ts';
import { after, earliest, type Instant, instant } from '../../wire/instant.ts';
import { fromHex, octetsOfLatin1, toHex } from '../../wire/octets.ts';
import type { Segment, Sid } from '../ballot.ts';
import type { BusEvent, BusRecord, BusRequest } from '../bus/bus.ts';
import type { Delivery } from '../bus/channel.ts';
import type { BusMessage } from '../bus/message.ts';
import type { NodeId } from '../node-id.ts';
import { type SegmentHash, segmentOfIkeSpi } from '../segment-hash.ts';
import { ClusterPool, type PoolAction, type PoolInput } from './cluster-pool.ts';
import { HeldAddresses } from './held-addresses.ts';
import { decodeRecords, encodeRecords } from './pool-message.ts';
import { PoolRecords } from './pool-records.ts';
import { SegmentReadiness } from './segment-readiness.ts';

export interface ClusterPoolsSettings {
  readonly hash: SegmentHash;
  readonly self: NodeId;
  /** All that are configured. */
  readonly nodes: readonly NodeId[];
  /** Of this process. */
  readonly sid: Sid;
  readonly random: RandomBytes;
}

export type ClusterPoolsAction =
  /** To another node; what it says there is for `received`. */
  | {
      readonly kind: 'tell';
      readonly to: NodeId;
      readonly message: BusMessage;
      readonly delivery: Delivery;
    }
  /** For the IKE engine (`addresses-decided`); `settle` once it was told. */
  | { readonly kind: 'decided'; readonly spi: string };

interface Joined {
  policy: PoolPolicy;
  readonly key: string;
  readonly pool: ClusterPool;
  readonly held: HeldAddresses;
}

interface Holding {
  readonly joined: Joined;
  readonly address: IpAddress;
  readonly identity: Identity;
}

/** One address that a request asks for. */
interface Want {
  readonly decision: Decision;
  readonly request: LeaseRequest;
  /** The best first. */
  pools: readonly Joined[];
  /** Pools that were not asked yet. */
  candidates: Joined[];
  given: Holding | undefined;
  isDone: boolean;
  isTaken: boolean;
}

interface Decision {
  readonly holder: LeaseHolder;
  readonly segment: Segment;
  readonly names: readonly string[];
  readonly wants: Want[];
  until: Instant | undefined;
}

/** Of a pool to the records. */
interface Request {
  readonly joined: Joined;
  /** The number it has in the pool. */
  readonly id: number;
  readonly isPut: boolean;
  /** Nodes that have not said whether they have what was written. */
  awaited: number;
}

export class ClusterPools implements LeasePools, ManagedPools {
  readonly #settings: ClusterPoolsSettings;
  readonly #records: PoolRecords;
  readonly #readiness: SegmentReadiness;
  readonly #pools = new Map<string, Joined>();
  readonly #holdings = new Map<LeaseHolder, Holding[]>();
  /** By SPI of the IKE SA whose request is held. */
  readonly #decisions = new Map<string, Decision>();
  readonly #begun = new Set<Decision>();
  /** Addresses that nobody here has any more. */
  #gone: Holding[] = [];
  /** By the number of what a pool asked for. */
  readonly #asks = new Map<number, Want>();
  /** Those whose segments are not ready. */
  readonly #parked = new Set<Want>();
  /** Those that got none and will ask again. */
  readonly #again = new Set<Want>();
  /** By request to the records. */
  readonly #requests = new Map<number, Request>();
  /** By request that wrote a lease: how many nodes have it. */
  readonly #recording = new Map<number, { readonly want: Want; holders: number }>();
  /** Leases that no IKE SA here had at the last look. */
  #unclaimed = new Set<string>();
  #lastId = 0;
  #tickAt: Instant = instant(0);
  #poolsAt: Instant = instant(0);
  #sweepAt: Instant = instant(0);
  #connected: readonly NodeId[] = [];
  #hasWork = false;
  #actions: ClusterPoolsAction[] = [];

  constructor(settings: ClusterPoolsSettings) {
    const { self, nodes, sid, random } = settings;
    this.#settings = settings;
    const peers = nodes.filter((node) => node !== self);
    this.#records = new PoolRecords({ local: self, peers, incarnation: sid, random });
    this.#readiness = new SegmentReadiness(nodes.length);
  }

  // --- operators

  load(policy: PoolPolicy): 'loaded' | 'online' {
    const key = keyOf(policy);
    const there = this.#pools.get(policy.name);
    if (there?.key === key) {
      there.policy = policy;
      return 'loaded';
    }
    if (there && isOnline(there)) return 'online';
    const { hash, sid, nodes } = this.#settings;
    const { range } = policy;
    const held = new HeldAddresses();
    const isTaken = (address: IpAddress) => held.get(address) !== undefined;
    const isAlone = () => this.#isAlone;
    const isLast = () => this.#records.isLast;
    const pool = new ClusterPool({
      ...{ name: key, range, hash, sid, nodes: nodes.length },
      ...{ isTaken, isAlone, isLast, grantsAtOnce: GRANTS_AT_ONCE },
    });
    const joined = { policy, key, pool, held };
    this.#pools.set(policy.name, joined);
    for (const prefix of pool.prefixes) {
      for (const record of this.#records.withPrefix(prefix)) {
        this.#give(joined, { kind: 'record', record });
      }
    }
    for (const segment of this.#readiness.ready) this.#give(joined, { kind: 'owned', segment });
    return 'loaded';
  }

  unload(name: string): 'unloaded' | 'unknown' | 'online' {
    const there = this.#pools.get(name);
    if (!there) return 'unknown';
    if (isOnline(there)) return 'online';
    this.#pools.delete(name);
    return 'unloaded';
  }

  views(name?: string, withLeases = true): readonly PoolView[] {
    const pools = [...this.#pools.values()].filter(
      ({ policy }) => name === undefined || policy.name === name,
    );
    return pools.map((joined) => {
      const leases = leaseViews(joined);
      const online = leases.filter((lease) => lease.online).length;
      const { base, range } = joined.policy;
      return {
        name: joined.policy.name,
        base,
        size: Number(addressDistance(range.first, range.last)) + 1,
        online,
        offline: leases.length - online,
        leases: withLeases ? leases : [],
      };
    });
  }

  // --- the IKE engine

  isDecided(names: readonly string[], requests: readonly LeaseRequest[]): boolean {
    const holder = requests[0]?.holder;
    if (!holder) return true;
    const there = this.#decisions.get(holder.ownSpi);
    if (there?.holder === holder) return there.wants.every(({ isDone }) => isDone);
    // What is not decided upon is given nothing.
    if (this.#decisions.size >= MOST_HELD) return true;
    const { hash } = this.#settings;
    const segment = segmentOfIkeSpi(fromHex(holder.ownSpi), hash);
    const decision: Decision = { holder, segment, names, wants: [], until: undefined };
    for (const request of requests) {
      decision.wants.push({
        ...{ decision, request, pools: [], candidates: [], given: undefined },
        ...{ isDone: false, isTaken: false },
      });
    }
    this.#decisions.set(holder.ownSpi, decision);
    this.#begun.add(decision);
    this.#hasWork = true;
    return false;
  }

  acquire(_: readonly string[], { holder, requested }: LeaseRequest): Acquired | undefined {
    const decision = this.#decisions.get(holder.ownSpi);
    const want = decision?.wants.find(
      (one) => one.given && !one.isTaken && equalAddresses(one.request.requested, requested),
    );
    if (!want?.given || decision?.holder !== holder) return undefined;
    want.isTaken = true;
    return { address: want.given.address, pool: want.given.joined.policy };
  }

  claim(names: readonly string[], request: LeaseRequest): Acquired | undefined {
    const { requested: address, identity, holder } = request;
    const joined = names
      .flatMap((name) => this.#pools.get(name) ?? [])
      .find(({ policy }) => rangeContains(policy.range, address));
    if (!joined) return undefined;
    this.#hold({ joined, address, identity }, holder);
    return { address, pool: joined.policy };
  }

  release(holder: LeaseHolder, addresses?: readonly IpAddress[]): void {
    if (!addresses) this.#forget(holder);
    const isMeant = ({ address }: Holding) =>
      addresses?.some((one) => equalAddresses(one, address)) ?? true;
    for (const holding of [...(this.#holdings.get(holder) ?? [])]) {
      if (isMeant(holding)) this.#drop(holding, holder);
    }
  }

  handOver(from: LeaseHolder, to: LeaseHolder): void {
    const decision = this.#forget(from);
    if (decision) this.#actions.push({ kind: 'decided', spi: from.ownSpi });
    this.#hasWork = true;
    for (const holding of [...(this.#holdings.get(from) ?? [])]) {
      this.#hold(holding, to);
      this.#drop(holding, from);
    }
  }

  /** The engine was told of what was decided: what it did not take is nobody's. */
  settle(spi: string): void {
    const decision = this.#decisions.get(spi);
    if (decision?.wants.every(({ isDone }) => isDone)) this.#forget(decision.holder);
  }

  // --- the cluster

  /** Something happened since `drain`: it is not to wait for `nextDeadline`. */
  get hasWork(): boolean {
    return this.#hasWork;
  }

  /** Records of an earlier life (`state`). Throws `MalformedError`. */
  restore(octets: Uint8Array): void {
    this.#records.restore(decodeRecords(octets));
    this.#onRecords(instant(0));
  }

  /** All that a later life of this node is to know. */
  state(): Iterable<Uint8Array> {
    return encodeRecords(this.#records.withPrefix(''));
  }

  /** Counts what happened to `state`. */
  get changes(): number {
    return this.#records.changes;
  }

  /** Other nodes that are there and can be told something. */
  connect(nodes: readonly NodeId[], now: Instant): void {
    this.#readiness.now = now;
    this.#connected = nodes;
    this.#records.connect(nodes, now);
  }

  /** An operator, or a fence, vouches that the process of this node does not run. */
  vouchDead(node: NodeId): void {
    this.#records.vouchDead(node);
  }

  /** These segments are this node's. */
  take(segments: readonly Segment[], now: Instant): void {
    if (segments.length === 0) return;
    this.#hasWork = true;
    this.#readiness.take(segments, now);
    this.#records.compare(this.#connected);
  }

  /** These are not any more. */
  giveUp(segments: Iterable<Segment>): void {
    for (const segment of segments) {
      this.#readiness.release(segment);
      for (const joined of this.#pools.values()) this.#give(joined, { kind: 'released', segment });
    }
  }

  /** What another node told. Throws `MalformedError`. */
  received(from: NodeId, message: BusMessage, now: Instant): void {
    this.#hasWork = true;
    this.#records.received(from, message, now);
    this.#heed(now);
  }

  /** After each turn of the engine, and at `nextDeadline` at the latest. */
  drain(now: Instant): readonly ClusterPoolsAction[] {
    this.#hasWork = false;
    this.#records.time(now);
    this.#leaveGone(now);
    for (const decision of this.#begun) this.#begin(decision, now);
    this.#heed(now);
    if (now >= this.#tickAt) this.#tick(now);
    for (const decision of [...this.#decisions.values()]) {
      if (decision.until !== undefined && now >= decision.until) this.#expire(decision);
    }
    this.#onRecords(now);
    this.#leaveGone(now);
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  nextDeadline(): Instant {
    const [first] = this.#decisions.values();
    return earliest(this.#records.nextDeadline(), first?.until, this.#tickAt) ?? this.#tickAt;
  }

  // --- deciding

  #begin(decision: Decision, now: Instant): void {
    this.#begun.delete(decision);
    decision.until = after(now, PATIENCE_MS);
    for (const want of decision.wants) {
      const { family } = want.request.requested;
      const pools = decision.names
        .flatMap((name) => this.#pools.get(name) ?? [])
        .filter(({ policy }) => policy.base.family === family);
      this.#reuse(want, pools, now);
      const { identity, requested } = want.request;
      // Over all pools, what a client had before goes before what is new to it.
      const isKnown = ({ pool, policy }: Joined) =>
        pool.leasesOf(identity).length > 0 || rangeContains(policy.range, requested);
      want.pools = [...pools.filter(isKnown), ...pools.filter((one) => !isKnown(one))];
      want.candidates = [...want.pools];
      if (!want.isDone) this.#ask(want, now);
    }
  }

  /** A client that comes again has what it had: of an IKE SA on its way out, or that nobody has. */
  #reuse(want: Want, pools: readonly Joined[], now: Instant): void {
    const { holder, identity, requested } = want.request;
    for (const joined of pools) {
      for (const { address, holders } of joined.held.of(identity)) {
        const isClosing = [...holders].every((one) => one.isClosing);
        const isSame =
          equalAddresses(address, requested) &&
          [...holders].some((one) => one !== holder && equalEndpoints(one.remote, holder.remote));
        if (!isClosing && !isSame) continue;
        if (joined.pool.lease(address)?.segment === want.decision.segment) {
          this.#done(want, { joined, address, identity });
          return;
        }
        if (!isClosing) continue;
        for (const one of holders) this.#drop({ joined, address, identity }, one);
      }
      for (const { address, segment, isOnline } of joined.pool.leasesOf(identity)) {
        const isOurs = this.#readiness.isSettled(segment, now);
        if (!isOnline || !isOurs || joined.held.get(address)) continue;
        if (segment === want.decision.segment) {
          this.#done(want, { joined, address, identity });
          return;
        }
        this.#give(joined, { kind: 'leave', address, identity });
      }
    }
    this.#leaveGone(now);
  }

  #ask(want: Want, now: Instant): void {
    const { decision, request } = want;
    const { segment } = decision;
    if (!this.#readiness.isReady(segment)) {
      if (this.#readiness.isTaken(segment)) this.#parked.add(want);
      else this.#done(want, undefined);
      return;
    }
    const joined = want.candidates.shift();
    if (!joined) {
      // There are some, but others have the say about them: who does may change.
      if (want.pools.every(({ pool }) => pool.isFull)) this.#done(want, undefined);
      else this.#again.add(want);
      return;
    }
    const id = ++this.#lastId;
    this.#asks.set(id, want);
    const { identity, requested } = request;
    const input = { kind: 'acquire', id, segment, identity, requested } as const;
    this.#perform(joined, joined.pool.handle(input), now);
  }

  #done(want: Want, given: Holding | undefined): void {
    if (want.isDone) return;
    const { decision } = want;
    const { holder } = decision;
    want.isDone = true;
    this.#parked.delete(want);
    this.#again.delete(want);
    if (given && !want.given) this.#hold(given, holder);
    if (!given && want.given) this.#drop(want.given, holder);
    want.given = given;
    const isAll = decision.wants.every(({ isDone }) => isDone);
    if (isAll) this.#actions.push({ kind: 'decided', spi: holder.ownSpi });
  }

  #expire({ wants }: Decision): void {
    for (const want of wants) this.#done(want, undefined);
  }

  #forget(holder: LeaseHolder): Decision | undefined {
    const decision = this.#decisions.get(holder.ownSpi);
    if (decision?.holder !== holder) return undefined;
    this.#decisions.delete(holder.ownSpi);
    this.#begun.delete(decision);
    for (const want of decision.wants) {
      want.isDone = true;
      this.#parked.delete(want);
      this.#again.delete(want);
      if (want.given && !want.isTaken) this.#drop(want.given, holder);
    }
    return decision;
  }

  // --- who has what here

  #hold(holding: Holding, holder: LeaseHolder): void {
    const { joined, address, identity } = holding;
    joined.held.add(address, identity, holder);
    const holdings = this.#holdings.get(holder);
    if (!holdings) this.#holdings.set(holder, [holding]);
    else if (!holdings.some((one) => isSame(one, holding))) holdings.push(holding);
  }

  #drop(holding: Holding, holder: LeaseHolder): void {
    const holdings = this.#holdings.get(holder) ?? [];
    const left = holdings.filter((one) => !isSame(one, holding));
    if (left.length > 0) this.#holdings.set(holder, left);
    else this.#holdings.delete(holder);
    if (!holding.joined.held.remove(holding.address, holder)) return;
    this.#gone.push(holding);
    this.#hasWork = true;
  }

  #leaveGone(now: Instant): void {
    for (const { joined, address, identity } of this.#gone.splice(0)) {
      // Another may have got it in the same turn.
      if (joined.held.get(address)) continue;
      this.#perform(joined, joined.pool.handle({ kind: 'leave', address, identity }), now);
    }
  }

  // --- pools and records

  #give(joined: Joined, input: PoolInput): void {
    this.#hasWork = true;
    this.#perform(joined, joined.pool.handle(input), this.#readiness.now);
  }

  #perform(joined: Joined, actions: readonly PoolAction[], now: Instant): void {
    const ids = new Map<number, number>();
    for (const action of actions) {
      switch (action.kind) {
        case 'request': {
          const id = ++this.#lastId;
          ids.set(action.request.id, id);
          const isPut = action.request.kind === 'put';
          this.#requests.set(id, { joined, id: action.request.id, isPut, awaited: 0 });
          this.#request(id, action.request, action.isHeld === true, now);
          break;
        }
        case 'leased': {
          const record = ids.get(action.record);
          if (record !== undefined) this.#leased(joined, action.id, action.address, record);
          break;
        }
        case 'none': {
          const want = this.#asks.get(action.id);
          this.#asks.delete(action.id);
          if (want && !want.isDone) this.#ask(want, now);
          break;
        }
        default:
          action satisfies never;
      }
    }
  }

  #request(id: number, request: BusRequest, isHeld: boolean, now: Instant): void {
    if (request.kind === 'put') this.#records.put({ ...request, id }, now);
    else if (request.kind === 'compare-and-set') {
      this.#records.compareAndSet({ ...request, id }, isHeld, now);
    }
  }

  /** A pool gave an address; it is the client's once the record is where it must be. */
  #leased(joined: Joined, ask: number, address: IpAddress, record: number): void {
    const want = this.#asks.get(ask);
    this.#asks.delete(ask);
    if (!want) return;
    const { identity, holder } = want.request;
    const holding = { joined, address, identity };
    if (want.isDone) {
      this.#gone.push(holding);
      return;
    }
    want.given = holding;
    this.#hold(holding, holder);
    this.#recording.set(record, { want, holders: 0 });
  }

  #onRecords(now: Instant): void {
    for (let some = this.#records.drain(); some.length > 0; some = this.#records.drain()) {
      for (const action of some) {
        switch (action.kind) {
          case 'tell':
            this.#actions.push(action);
            break;
          case 'event':
            this.#onEvent(action.event, now);
            break;
          case 'record':
            this.#onRecord(action.record, now);
            break;
          case 'compared':
            this.#readiness.compared(action.by);
            break;
          default:
            action satisfies never;
        }
      }
    }
  }

  #onEvent(event: BusEvent, now: Instant): void {
    if (!('id' in event)) return;
    const recording = this.#recording.get(event.id);
    if (recording) this.#recorded(event, recording);
    const request = this.#requests.get(event.id);
    if (!request) return;
    const others = this.#settings.nodes.length - 1;
    if (event.kind === 'written' && request.isPut) request.awaited = others;
    else if (event.kind === 'held' || event.kind === 'not-held') request.awaited--;
    if (request.awaited <= 0) this.#requests.delete(event.id);
    const { joined, id } = request;
    this.#perform(joined, joined.pool.handle({ kind: 'event', event: { ...event, id } }), now);
  }

  #recorded(event: BusEvent, recording: { readonly want: Want; holders: number }): void {
    if (event.kind === 'written' || event.kind === 'held') recording.holders++;
    if (event.kind === 'refused') this.#done(recording.want, undefined);
    this.#lookAtRecorded();
  }

  /** Who is left alone of two has nobody to wait for. */
  #lookAtRecorded(): void {
    const { nodes } = this.#settings;
    for (const [id, { want, holders }] of this.#recording) {
      if (want.isDone) this.#recording.delete(id);
      else if (this.#isAlone || holders > nodes.length / 2) {
        this.#recording.delete(id);
        this.#done(want, want.given);
      }
    }
  }

  #onRecord(record: BusRecord, now: Instant): void {
    for (const joined of this.#pools.values()) {
      if (!joined.pool.prefixes.some((prefix) => record.key.startsWith(prefix))) continue;
      this.#perform(joined, joined.pool.handle({ kind: 'record', record }), now);
    }
  }

  /** One of two, and the other is not there; or the last of all. */
  get #isAlone(): boolean {
    const isOfTwo = this.#settings.nodes.length <= 2 && this.#connected.length === 0;
    return isOfTwo || this.#records.isLast;
  }

  /** Segments whose leases are known here by now. */
  #heed(now: Instant): void {
    this.#onRecords(now);
    const { votes, isLast } = this.#records;
    for (const segment of this.#readiness.become(this.#connected.length, votes, isLast)) {
      for (const joined of this.#pools.values()) this.#give(joined, { kind: 'owned', segment });
    }
    for (const want of [...this.#parked]) {
      if (!this.#readiness.isReady(want.decision.segment)) continue;
      this.#parked.delete(want);
      this.#ask(want, now);
    }
    this.#lookAtRecorded();
    this.#onRecords(now);
  }

  #tick(now: Instant): void {
    this.#tickAt = after(now, TICK_MS);
    if (this.#readiness.isWaiting) this.#records.compare(this.#connected);
    const again = [...this.#again];
    this.#again.clear();
    for (const want of again) {
      want.candidates = [...want.pools];
      this.#ask(want, now);
    }
    if (now < this.#poolsAt) return;
    this.#poolsAt = after(now, POOLS_MS);
    for (const joined of this.#pools.values()) this.#give(joined, { kind: 'tick' });
    if (now < this.#sweepAt) return;
    this.#sweepAt = after(now, SWEEP_MS);
    this.#sweep(now);
  }

  /** Leases of segments of ours that no IKE SA here has, twice in a row: their IKE SAs are lost. */
  #sweep(now: Instant): void {
    const before = this.#unclaimed;
    this.#unclaimed = new Set();
    for (const joined of this.#pools.values()) {
      for (const { address, identity, segment, isOnline } of joined.pool.leases()) {
        const isOurs = isOnline && this.#readiness.isReady(segment);
        if (!isOurs || joined.held.get(address)) continue;
        const name = `${joined.key} ${formatAddress(address)}`;
        if (before.has(name)) this.#give(joined, { kind: 'leave', address, identity });
        else this.#unclaimed.add(name);
      }
    }
    this.#onRecords(now);
  }
}

function isSame(one: Holding, other: Holding): boolean {
  return one.joined === other.joined && equalAddresses(one.address, other.address);
}

function isOnline({ pool, held }: Joined): boolean {
  return held.size > 0 || pool.leases().some((lease) => lease.isOnline);
}

/** In the order of the addresses. */
function leaseViews({ pool, held }: Joined): readonly LeaseView[] {
  const views = new Map<string, LeaseView>();
  for (const { address, identity, isOnline: online } of pool.leases()) {
    views.set(formatAddress(address), { address, identity, online });
  }
  for (const { address, identity } of held.all()) {
    views.set(formatAddress(address), { address, identity, online: true });
  }
  return [...views.values()].sort((one, other) => compareAddresses(one.address, other.address));
}

/** Other addresses under the same name are another pool: places in it mean something else. */
function keyOf({ name, range }: PoolPolicy): string {
  const text = `${name}\n${formatAddress(range.first)}\n${formatAddress(range.last)}`;
  return toHex(digest('sha256', octetsOfLatin1(encodeURIComponent(text)))).slice(0, 32);
}

/** Requests that wait at one time. */
const MOST_HELD = 4096;
/**
 * How long: a node that starts knows what others do by then. Clients are known that never ask again for an
 * address that they were refused (strongSwan 5.9).
 */
const PATIENCE_MS = 10_000;
const TICK_MS = 250;
const POOLS_MS = 1000;
const GRANTS_AT_ONCE = 16;
const SWEEP_MS = 3000;
