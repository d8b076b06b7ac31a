/**
 * Clients that want virtual addresses of a cluster: real engines at both ends, and a wire on which every node that
 * believes a segment its own hears the clients of that segment.
 *
 * The oracle is on the side of the clients: an address that one of them has no other one ever gets (P8).
 */
import { segmentOfAddress, segmentOfIkeSpi } from '../../src/cluster/segment-hash.ts';
import { ClusterSpis } from '../../src/gateway/cluster-spis.ts';
import type { Action } from '../../src/ike/action.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { type IkeSpi, NO_IKE_SPI } from '../../src/ike/message/message.ts';
import type { PoolPolicy } from '../../src/ipsec/address-pool.ts';
import { type Endpoint, formatAddress, formatEndpoint } from '../../src/wire/address.ts';
import { instant } from '../../src/wire/instant.ts';
import { fromHex } from '../../src/wire/octets.ts';
import { type Clustered, ClusterWorld, HASH } from './clustered-nodes.ts';
import {
  AES_GCM_256,
  child,
  connection,
  fqdn,
  ikeProposal,
  loadSecret,
  network,
  PRF_SHA2_256,
  X25519,
} from './connections.ts';
import { B, endpoint, Side } from './pair.ts';
import { address } from './pools.ts';
import { seededNumbers, seededRandom } from './seeded-random.ts';

export class DoubleLease extends Error {}

export interface PooledOptions {
  readonly seed?: number;
  readonly nodes?: number;
  readonly clients?: number;
  readonly pool: PoolPolicy;
}

const SOURCE_SEED = 0xabcdef;
const DYNAMIC = { kind: 'dynamic', protocol: 0, startPort: 0, endPort: 65_535 } as const;
const PROPOSALS = [ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519)];
const HOST_DELAY_MS = 1;
const STEP_MS = 2;
/** Who is forgotten must know before anybody could get what it had; who is gone is soon found out. */
const IMPATIENT = { retransmitTimeoutSeconds: 0.3, retransmitTries: 2, retransmitBase: 1 };

export class Client {
  readonly side: Side;
  readonly place: Endpoint;
  requests = 0;
  /** Its address as it last had one. */
  last: string | undefined;

  constructor(index: number, seed: number, name = `c${index}.lab`) {
    this.side = new Side('a', seed * 100 + index, IMPATIENT);
    this.place = endpoint(`192.0.2.${10 + index}`);
    this.side.pad.load(
      connection({
        proposals: PROPOSALS,
        local: { method: 'psk', id: { text: name, identity: fqdn(name) } },
        vips: [address('0.0.0.0')],
        dpdDelaySeconds: 0.5,
        children: [child({ localTs: [DYNAMIC], remoteTs: [network('0.0.0.0/0')] })],
      }),
    );
    loadSecret(this.side.pad, 'secret');
  }

  get addresses(): readonly string[] {
    return [...this.side.virtual.values()].flatMap(({ addresses }) => addresses.map(formatAddress));
  }
}

export class PooledClients {
  readonly world: ClusterWorld;
  readonly clients: Client[];
  /** IKE_AUTH requests that came to nodes. */
  given = 0;
  #later: { readonly at: number; readonly run: () => void }[] = [];
  #flights: {
    readonly at: number;
    readonly to: Endpoint;
    readonly from: Endpoint;
    readonly octets: Uint8Array;
  }[] = [];
  readonly chance: () => number;
  readonly #gaps = new Map<number, readonly IkeSpi[]>();
  #gapsAt = 0;

  constructor({ seed = 1, nodes = 2, clients = 2, pool }: PooledOptions) {
    this.chance = seededNumbers(seed);
    this.world = new ClusterWorld(seed, nodes, { pools: [pool], engine: IMPATIENT });
    this.clients = Array.from({ length: clients }, (_, index) => new Client(index, seed));
    for (const node of this.world.nodes) this.#join(node, pool.name);
    this.world.perform = (node, { action }) => this.#perform(node.side, action);
    this.world.start();
    this.run(3000);
  }

  get now(): number {
    return this.world.now;
  }

  client(index: number): Client {
    const client = this.clients[index];
    if (!client) throw new RangeError(`client ${index}`);
    return client;
  }

  /** The segment of a client's IKE SA. */
  segmentOf({ place }: Client): number {
    return segmentOfAddress(place.address, { ...HASH, seed: SOURCE_SEED });
  }

  initiate(client: Client): void {
    const request = ++client.requests;
    const remote = endpoint(B);
    const input = { request, connection: 'peer', child: 'net', local: client.place, remote };
    this.#hand(client.side, { kind: 'initiate', ...input });
  }

  terminate(client: Client): void {
    const request = ++client.requests;
    this.#hand(client.side, { kind: 'terminate', request, selector: {}, force: false });
  }

  /** Its process starts again: with what it has on disk, or nothing. */
  restart(id: number, boot: number, pool: PoolPolicy): void {
    this.world.restart(id, boot);
    this.#join(this.world.node(id), pool.name);
  }

  /** Everything this node knows goes to its disk. */
  save(id: number): void {
    const parts = [...(this.world.node(id).pools?.state() ?? [])];
    this.world.disks.set(id, Uint8Array.from(parts.flatMap((part) => [...part])));
  }

  at(at: number, run: () => void): void {
    this.#later.push({ at, run });
  }

  run(milliseconds: number, done: () => boolean = () => false): void {
    const end = this.world.now + milliseconds;
    while (this.world.now < end && !done()) {
      this.world.run(Math.min(STEP_MS, end - this.world.now));
      const due = this.#later.filter(({ at }) => at <= this.world.now);
      this.#later = this.#later.filter(({ at }) => at > this.world.now);
      for (const { run } of due) run();
      this.#deliver();
      this.#resolveGaps();
      for (const { side } of this.clients) {
        const due = side.engine.nextDeadline();
        if (due !== undefined && due <= this.world.now) this.#hand(side, { kind: 'deadline' });
      }
      this.#check();
    }
  }

  #join({ side, id, ...node }: Clustered, pool: string): void {
    side.pad.load(
      connection({
        name: 'rw',
        proposals: PROPOSALS,
        local: { method: 'psk', id: { text: 'b.lab', identity: fqdn('b.lab') } },
        remote: { method: 'psk' },
        pools: [pool],
        dpdDelaySeconds: 1,
        children: [child({ localTs: [network('10.2.0.0/16')], remoteTs: [DYNAMIC] })],
      }),
    );
    loadSecret(side.pad, 'secret');
    side.spis = new ClusterSpis({
      hash: HASH,
      sourceSeed: SOURCE_SEED,
      random: seededRandom(id * 77 + side.skewMs),
      own: () => [0, 1, 2, 3, 4, 5, 6, 7].filter((one) => node.node.coordinator.owns(one)),
    });
  }

  #hand(side: Side, input: Parameters<Side['engine']['handle']>[0]): void {
    for (const action of side.engine.handle(input, instant(this.world.now))) {
      this.#perform(side, action);
    }
  }

  #perform(side: Side, action: Action): void {
    switch (action.kind) {
      case 'send': {
        const { local: from, remote: to, octets } = action;
        this.#flights.push({ at: this.world.now + HOST_DELAY_MS, from, to, octets });
        break;
      }
      case 'install-virtual':
        side.virtual.set(action.ikeSa, action.virtual);
        this.given++;
        break;
      case 'remove-virtual':
        side.virtual.delete(action.ikeSa);
        break;
      case 'complete':
        side.outcomes.set(action.request, action.outcome);
        break;
      default:
        break;
    }
  }

  #deliver(): void {
    const due = this.#flights.filter(({ at }) => at <= this.world.now);
    this.#flights = this.#flights.filter(({ at }) => at > this.world.now);
    for (const { from, to, octets } of due) {
      const input = { kind: 'datagram', local: to, remote: from, octets } as const;
      const client = this.clients.find(({ place }) => formatEndpoint(place) === formatEndpoint(to));
      if (client) {
        this.#hand(client.side, input);
        continue;
      }
      const segment = this.#segmentOf(from, octets);
      for (const node of this.world.nodes) {
        const isTheirs = node.isUp && node.node.coordinator.owns(segment);
        if (isTheirs) this.world.give(node, { kind: 'ike', input });
      }
    }
  }

  /** IKE SAs of which nobody knows all do not stay as they are for ever: what becomes of them is asked of their peers. */
  #resolveGaps(): void {
    if (this.world.now < this.#gapsAt) return;
    this.#gapsAt = this.world.now + 500;
    for (const node of this.world.nodes.filter(({ isUp }) => isUp)) {
      const { coordinator } = node.node;
      const spis = node.side.engine
        .passiveSpis()
        .filter((spi) => coordinator.owns(segmentOfIkeSpi(fromHex(spi), HASH)));
      const before = this.#gaps.get(node.id) ?? [];
      const some = spis.filter((spi) => before.includes(spi));
      this.#gaps.set(node.id, spis);
      const input = { kind: 'activate', spis: some, unsure: true } as const;
      if (some.length > 0) this.world.give(node, { kind: 'ike', input });
    }
  }

  #segmentOf(from: Endpoint, octets: Uint8Array): number {
    const header = decodeHeader(octets);
    const ours = header.fromInitiator ? header.responderSpi : header.initiatorSpi;
    if (ours !== NO_IKE_SPI) return segmentOfIkeSpi(fromHex(ours), HASH);
    return segmentOfAddress(from.address, { ...HASH, seed: SOURCE_SEED });
  }

  #check(): void {
    const had = new Map<string, Client>();
    for (const client of this.clients) {
      for (const one of new Set(client.addresses)) {
        const other = had.get(one);
        if (other) throw new DoubleLease(`${one} at ${this.now} ms`);
        had.set(one, client);
        client.last = one;
      }
    }
  }
}
