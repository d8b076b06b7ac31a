/**
 * A whole cluster that leases from one pool: real pools and real registers on nodes that crash, are cut off, take
 * each other's segments and start anew, over a network that loses, delays and duplicates.
 *
 * The oracle is on the side of the clients: P8, an address whose client has it is given to no other.
 */
import type { BusEvent, BusRecord, BusRequest } from '../../../src/cluster/bus/bus.ts';
import { Acceptor, type CasMessage, Proposer } from '../../../src/cluster/bus/compare-and-set.ts';
import { RecordStore } from '../../../src/cluster/bus/record-store.ts';
import {
  ClusterPool,
  type PoolAction,
  type PoolRule,
} from '../../../src/cluster/pools/cluster-pool.ts';
import { segmentHash } from '../../../src/cluster/segment-hash.ts';
import { type Identity, identityKey } from '../../../src/ipsec/identity.ts';
import {
  addressAfter,
  formatAddress,
  type IpAddress,
  parseAddress,
} from '../../../src/wire/address.ts';
import { instant } from '../../../src/wire/instant.ts';
import { seededRandom } from '../../support/seeded-random.ts';
import { EventQueue } from '../model/event-queue.ts';

export interface WorldOptions {
  readonly seed: number;
  readonly without?: PoolRule;
}

export class DoubleLease extends Error {}

interface Client {
  readonly identity: Identity;
  state: 'idle' | 'asking' | 'has';
  attempt: number;
  segment: number;
  address: IpAddress | undefined;
}

interface Waiting {
  readonly client: Client;
  readonly attempt: number;
  readonly segment: number;
  address: IpAddress | undefined;
  /** The node was told that the client has no use for it. */
  isOver: boolean;
}

const SEGMENTS = 4;
const MAJORITY_WAIT = 300;
const LEASE = 250;
const GIVE_UP = 600;

class Node {
  readonly number: number;
  alive = true;
  life = 0;
  mayVote = true;
  store = new RecordStore();
  acceptor = new Acceptor();
  proposer: Proposer;
  pool: ClusterPool;
  readonly owned = new Set<number>();
  /** By the record an answer waits for. */
  awaited = new Map<number, { readonly waiting: Waiting; holders: number }>();
  /** By the id of the request. */
  asked = new Map<number, Waiting>();

  constructor(number: number, proposer: Proposer, pool: ClusterPool) {
    this.number = number;
    this.proposer = proposer;
    this.pool = pool;
  }
}

export class PoolWorld {
  readonly size: number;
  readonly clients: readonly Client[];
  leases = 0;
  refusals = 0;
  readonly #options: WorldOptions;
  readonly #queue = new EventQueue();
  readonly #octets: (count: number) => Uint8Array;
  readonly #nodes: Node[] = [];
  readonly #count: number;
  readonly #owner: (number | undefined)[] = [];
  readonly #cut = new Set<number>();
  readonly #first: IpAddress;
  #now = 0;
  #lastId = 0;
  #phase: 'busy' | 'quiet' | 'whole' = 'busy';

  constructor(options: WorldOptions) {
    this.#options = options;
    this.#octets = seededRandom(options.seed);
    this.#count = this.#chance(0.3) ? 2 : 3;
    this.size = 1 + this.#below(this.#chance(0.5) ? 6 : 40);
    const first = parseAddress(this.#chance(0.5) ? '10.0.0.1' : '2001:db8::1');
    if (!first) throw new Error('an address');
    this.#first = first;
    this.clients = Array.from({ length: this.size + 3 }, (_, index) => ({
      identity: { type: 11, data: Uint8Array.of(index) },
      state: 'idle',
      attempt: 0,
      segment: 0,
      address: undefined,
    }));
    for (let index = 0; index < this.#count; index++) {
      this.#nodes.push(new Node(index + 1, this.#proposer(index + 1, 0), this.#pool(index + 1, 0)));
    }
    for (let segment = 0; segment < SEGMENTS; segment++) {
      this.#own(this.#node((segment % this.#count) + 1), segment);
    }
  }

  /** Faults and clients for a few seconds, then peace, then nothing may be missing of the pool. */
  run(): void {
    for (const node of this.#nodes) this.#every(10, () => this.#tick(node));
    for (const node of this.#nodes) {
      this.#every(300, () => node.alive && this.#perform(node, node.pool.handle({ kind: 'tick' })));
    }
    for (const client of this.clients) this.#every(30 + this.#below(60), () => this.#live(client));
    this.#faults();
    this.#until(3500);
    this.#phase = 'quiet';
    this.#until(5000);
    for (const node of this.#nodes) for (const segment of node.owned) this.#missed(node, segment);
    this.#until(6000);
    this.#phase = 'whole';
    this.#checkWhole();
  }

  #checkWhole(): void {
    const some = this.clients.slice(0, this.size);
    for (let round = 0; round < 60; round++) {
      for (const client of some) if (client.state === 'idle') this.#ask(client);
      this.#until(this.#now + 100);
    }
    const without = some.filter(({ state }) => state !== 'has').length;
    if (without > 0) throw new Error(`${without} of ${this.size} addresses are lost`);
  }

  // --- faults

  #faults(): void {
    const victim = this.#node(1 + this.#below(this.#count));
    const at = 400 + this.#below(600);
    const kind = this.#below(4);
    if (kind === 0) this.#at(at, () => this.#crash(victim));
    else if (kind === 1) this.#at(at, () => this.#separate(victim));
    else if (kind === 2) this.#at(at, () => this.#restartAll());
    for (let index = 0; index < 6; index++) {
      this.#at(300 + this.#below(3000), () => this.#move(this.#below(SEGMENTS)));
    }
  }

  #crash(victim: Node): void {
    victim.alive = false;
    this.#lose(victim);
    this.#at(this.#now + MAJORITY_WAIT, () => this.#takeOver(victim));
    this.#at(this.#now + 900, () => this.#start(victim, new RecordStore()));
  }

  /** A node that comes back votes once it has what the others have, and what it may have promised is over. */
  #start(node: Node, store: RecordStore): void {
    node.alive = true;
    node.life++;
    node.mayVote = false;
    node.store = store;
    node.acceptor = new Acceptor();
    node.proposer = this.#proposer(node.number, node.life);
    node.pool = this.#pool(node.number, node.life);
    node.awaited = new Map();
    node.asked = new Map();
    for (const record of store.withPrefix(''))
      this.#perform(node, node.pool.handle({ kind: 'record', record }));
    this.#fetch(node);
    this.#at(this.#now + 600, () => {
      this.#fetch(node);
      node.mayVote = true;
    });
  }

  /** Everything goes off at once; records are on disk, clients have to begin anew. */
  #restartAll(): void {
    for (const node of this.#nodes) {
      node.alive = false;
      this.#lose(node);
    }
    for (const client of this.clients) forget(client);
    for (const node of this.#nodes) {
      this.#at(this.#now + 200 + this.#below(200), () => this.#start(node, node.store));
    }
    this.#at(this.#now + 1200, () => {
      for (let segment = 0; segment < SEGMENTS; segment++) {
        this.#own(this.#node((segment % this.#count) + 1), segment);
      }
    });
  }

  #separate(victim: Node): void {
    this.#cut.add(victim.number);
    if (this.#count > 2) this.#at(this.#now + LEASE, () => this.#lose(victim));
    this.#at(this.#now + MAJORITY_WAIT, () => this.#takeOver(victim));
    this.#at(this.#now + 1200, () => {
      this.#lose(victim);
      this.#cut.clear();
      for (const node of this.#nodes) this.#fetch(node);
      for (let segment = 0; segment < SEGMENTS; segment++) {
        const owner = this.#owner[segment];
        if (owner === undefined || !this.#node(owner).owned.has(segment)) {
          this.#own(this.#node(this.#count), segment);
        }
      }
    });
  }

  #takeOver(victim: Node): void {
    const others = this.#nodes.filter((node) => node !== victim && node.alive);
    this.#owner.forEach((owner, segment) => {
      const next = others[this.#below(others.length)];
      if (owner === victim.number && next) this.#own(next, segment);
    });
  }

  /** A planned move: who had the segment is silent first. */
  #move(segment: number): void {
    const next = this.#node(1 + this.#below(this.#count));
    const owner = this.#owner[segment];
    const is = owner !== undefined && owner !== next.number && this.#cut.size === 0;
    if (!is || !next.alive || !this.#node(owner).alive) return;
    const from = this.#node(owner);
    this.#release(from, segment);
    this.#own(next, segment);
  }

  #release(node: Node, segment: number): void {
    node.owned.delete(segment);
    dropped(node, segment);
    this.#perform(node, node.pool.handle({ kind: 'released', segment }));
  }

  #lose(node: Node): void {
    for (const segment of node.owned) {
      dropped(node, segment);
      if (node.alive) this.#perform(node, node.pool.handle({ kind: 'released', segment }));
    }
    node.owned.clear();
  }

  #own(node: Node, segment: number): void {
    if (node.owned.has(segment)) return;
    this.#fetch(node);
    for (const other of this.#nodes) {
      const is = other !== node && other.owned.has(segment) && this.#reaches(node, other);
      if (is) this.#release(other, segment);
    }
    this.#owner[segment] = node.number;
    node.owned.add(segment);
    this.#perform(node, node.pool.handle({ kind: 'owned', segment }));
    this.#missed(node, segment);
  }

  /** Leases that no client has: their IKE SAs are not there, or dead peers are found out. */
  #missed(node: Node, segment: number): void {
    for (const lease of node.pool.leases()) {
      if (!lease.isOnline || lease.segment !== segment) continue;
      const key = identityKey(lease.identity);
      const isThere = this.clients.some(
        ({ identity, address }) =>
          identityKey(identity) === key && address && same(address, lease.address),
      );
      const { identity, address } = lease;
      if (!isThere) this.#perform(node, node.pool.handle({ kind: 'leave', address, identity }));
    }
  }

  /** All that the nodes it reaches know. */
  #fetch(node: Node): void {
    for (const other of this.#nodes) {
      if (other === node || !this.#reaches(node, other)) continue;
      for (const record of other.store.withPrefix('')) this.#apply(node, record);
    }
  }

  // --- clients

  #live(client: Client): void {
    if (this.#phase === 'quiet') this.#leave(client);
    if (this.#phase !== 'busy') return;
    if (client.state === 'has' && this.#chance(0.3)) this.#leave(client);
    else if (client.state === 'idle' && this.#chance(0.6)) this.#ask(client);
  }

  #ask(client: Client): void {
    const segment = this.#below(SEGMENTS);
    const owner = this.#serving(segment);
    if (!owner) return;
    client.state = 'asking';
    client.segment = segment;
    const attempt = ++client.attempt;
    const waiting: Waiting = { client, attempt, segment, address: undefined, isOver: false };
    const id = ++this.#lastId;
    owner.asked.set(id, waiting);
    const { identity } = client;
    const any = this.#chance(0.8);
    const requested = any ? this.#any() : addressAfter(this.#first, this.#below(this.size));
    this.#perform(owner, owner.pool.handle({ kind: 'acquire', id, segment, identity, requested }));
    this.#at(this.#now + GIVE_UP, () => {
      if (client.attempt !== attempt || client.state !== 'asking') return;
      client.state = 'idle';
      client.attempt++;
      if (!waiting.address) return;
      waiting.isOver = true;
      this.#gone(segment, waiting.address, identity);
    });
  }

  #leave(client: Client): void {
    const { address, segment, identity } = client;
    if (client.state !== 'has' || !address || !this.#serving(segment)) return;
    forget(client);
    this.#gone(segment, address, identity);
  }

  #gone(segment: number, address: IpAddress, identity: Identity): void {
    const owner = this.#serving(segment);
    if (owner) this.#perform(owner, owner.pool.handle({ kind: 'leave', address, identity }));
  }

  /** The answer reaches the client. */
  #answer(node: Node, waiting: Waiting): void {
    const { client, attempt, address } = waiting;
    const isAsking = client.state === 'asking' && client.attempt === attempt;
    if (!address || waiting.isOver || !node.alive || !node.owned.has(waiting.segment)) return;
    waiting.isOver = true;
    if (!isAsking) {
      const { identity } = client;
      this.#perform(node, node.pool.handle({ kind: 'leave', address, identity }));
      return;
    }
    for (const other of this.clients) {
      if (other !== client && other.address && same(other.address, address)) {
        throw new DoubleLease(
          `seed ${this.#options.seed}, ${this.#now} ms: ${formatAddress(address)}`,
        );
      }
    }
    client.state = 'has';
    client.address = address;
    this.leases++;
  }

  /** Which node answers for a segment; of two in a partition, any that believes so. */
  #serving(segment: number): Node | undefined {
    const serving = this.#nodes.filter(({ alive, owned }) => alive && owned.has(segment));
    return serving[this.#below(Math.max(1, serving.length))];
  }

  // --- the bus

  #perform(node: Node, actions: readonly PoolAction[]): void {
    for (const action of actions) {
      if (action.kind === 'request') {
        this.#request(node, action.request);
        continue;
      }
      const waiting = node.asked.get(action.id);
      node.asked.delete(action.id);
      if (!waiting) continue;
      if (action.kind === 'none') {
        this.refusals++;
        const { client, attempt } = waiting;
        if (client.attempt === attempt && client.state === 'asking') client.state = 'idle';
        continue;
      }
      const { address } = action;
      waiting.address = address;
      if (waiting.isOver) {
        const { identity } = waiting.client;
        this.#perform(node, node.pool.handle({ kind: 'leave', address, identity }));
        continue;
      }
      // Of two in a partition none has a majority: what is answered then is flagged.
      const isSplit = this.#count === 2 && this.#cut.size > 0;
      if (isSplit) this.#answer(node, waiting);
      else this.#await(node, action.record, waiting);
    }
  }

  #await(node: Node, record: number, waiting: Waiting): void {
    node.awaited.set(record, { waiting, holders: 0 });
  }

  #event(node: Node, event: BusEvent): void {
    const awaited = 'id' in event ? node.awaited.get(event.id) : undefined;
    if (awaited && (event.kind === 'written' || event.kind === 'held')) awaited.holders++;
    if (awaited && 'id' in event && awaited.holders > this.#count / 2) {
      node.awaited.delete(event.id);
      this.#answer(node, awaited.waiting);
    }
    this.#perform(node, node.pool.handle({ kind: 'event', event }));
  }

  #request(node: Node, request: BusRequest): void {
    if (request.kind === 'compare-and-set') {
      if (!node.proposer.propose(request, node.store.highest, instant(this.#now))) {
        const event: BusEvent = { kind: 'refused', id: request.id, reason: 'full' };
        this.#at(this.#now, () => this.#event(node, event));
      }
      this.#flush(node);
      return;
    }
    if (request.kind !== 'put') throw new Error(request.kind);
    const { id, key, value, epoch } = request;
    const { number: writer, life: incarnation } = node;
    const revision = { number: node.store.highest + 1, writer, incarnation };
    const record = { key, value, epoch, revision };
    node.store.apply(record);
    const isSame = () => node.alive && node.life === incarnation;
    this.#at(
      this.#now,
      () => isSame() && this.#event(node, { kind: 'written', id, revision, awaited: [] }),
    );
    for (const other of this.#nodes)
      if (other !== node) this.#replicate(node, other, record, id, 0);
  }

  /** Again and again, until it is there. */
  #replicate(node: Node, other: Node, record: BusRecord, id: number, tries: number): void {
    const { life } = node;
    let isHeld = false;
    this.#send(node, other, () => {
      this.#apply(other, record);
      this.#send(other, node, () => {
        if (isHeld || node.life !== life) return;
        isHeld = true;
        this.#event(node, { kind: 'held', id, by: other.number });
      });
    });
    this.#at(this.#now + 50, () => {
      if (isHeld || !node.alive || node.life !== life) return;
      if (tries < 4) this.#replicate(node, other, record, id, tries + 1);
      else this.#event(node, { kind: 'not-held', id, by: other.number });
    });
  }

  #apply(node: Node, record: BusRecord): void {
    if (!node.store.apply(record)) return;
    this.#perform(node, node.pool.handle({ kind: 'record', record }));
  }

  #tick(node: Node): void {
    if (!node.alive) return;
    node.proposer.time(instant(this.#now));
    this.#flush(node);
  }

  #flush(node: Node): void {
    for (const action of node.proposer.take()) {
      if (action.kind === 'event') {
        const { life } = node;
        this.#at(
          this.#now,
          () => node.life === life && node.alive && this.#event(node, action.event),
        );
        continue;
      }
      for (const to of action.to) {
        const other = this.#node(to);
        this.#send(node, other, () => this.#register(node, other, action.message));
      }
    }
  }

  /** A proposer's word at an acceptor, and the answer back. */
  #register(from: Node, node: Node, message: CasMessage): void {
    let answer: CasMessage | undefined;
    if (message.kind === 'prepare') {
      answer = node.acceptor.prepare(message, node.store.get(message.key), node.mayVote);
    } else if (message.kind === 'accept') {
      const current = node.store.get(message.record.key);
      const granted = node.acceptor.accept(message, current, node.mayVote);
      if (granted) this.#apply(node, message.record);
      answer = { kind: 'accepted', ballot: message.ballot, granted };
    }
    const { life } = from;
    this.#send(node, from, () => {
      if (from.life !== life || !answer) return;
      if (answer.kind !== 'promise' && answer.kind !== 'accepted') return;
      from.proposer.answered(node.number, answer, instant(this.#now));
      this.#flush(from);
    });
  }

  #send(from: Node, to: Node, run: () => void): void {
    const times = this.#chance(0.05) ? 0 : this.#chance(0.05) ? 2 : 1;
    const { life } = to;
    const isLocal = from === to;
    for (let index = 0; index < (isLocal ? 1 : times); index++) {
      this.#at(this.#now + (isLocal ? 0 : 1 + this.#below(20)), () => {
        if (to.life === life && to.alive && (isLocal || this.#reaches(from, to, false))) run();
      });
    }
  }

  #reaches(from: Node, to: Node, alive = true): boolean {
    const isApart = this.#cut.has(from.number) !== this.#cut.has(to.number);
    return !isApart && (!alive || (from.alive && to.alive));
  }

  // --- parts

  #pool(node: number, life: number): ClusterPool {
    const { without } = this.#options;
    return new ClusterPool({
      name: 'rw',
      range: { first: this.#first, last: addressAfter(this.#first, this.size - 1) },
      hash: segmentHash(SEGMENTS, 0x5eed),
      sid: node * 100 + life,
      nodes: this.#count,
      ...(without === undefined ? {} : { without: new Set([without]) }),
    });
  }

  #proposer(local: number, incarnation: number): Proposer {
    const nodes = Array.from({ length: this.#count }, (_, index) => index + 1);
    return new Proposer({ local, incarnation, nodes, random: this.#octets });
  }

  #node(number: number): Node {
    const node = this.#nodes[number - 1];
    if (!node) throw new Error(`node ${number}`);
    return node;
  }

  #any(): IpAddress {
    return { family: this.#first.family, octets: new Uint8Array(this.#first.octets.length) };
  }

  // --- time and chance

  #at(at: number, run: () => void): void {
    this.#queue.push(at, run);
  }

  #every(period: number, run: () => void): void {
    this.#at(this.#now + period, () => {
      run();
      this.#every(period, run);
    });
  }

  #until(end: number): void {
    let isOver = false;
    this.#at(end, () => {
      isOver = true;
    });
    while (!isOver) {
      const event = this.#queue.pop();
      if (!event) return;
      this.#now = event.at;
      event.run();
    }
  }

  #below(end: number): number {
    const [high = 0, low = 0] = this.#octets(2);
    return (high * 256 + low) % end;
  }

  #chance(probability: number): boolean {
    return this.#below(1000) < probability * 1000;
  }
}

/** Its answers do not leave any more. */
function dropped(node: Node, segment: number): void {
  for (const { waiting } of node.awaited.values()) {
    if (waiting.segment === segment) waiting.isOver = true;
  }
  for (const waiting of node.asked.values()) {
    if (waiting.segment === segment) waiting.isOver = true;
  }
}

function forget(client: Client): void {
  client.state = 'idle';
  client.attempt++;
  client.address = undefined;
}

function same(one: IpAddress, other: IpAddress): boolean {
  return formatAddress(one) === formatAddress(other);
}
