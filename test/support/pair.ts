/**
 * Two IKE engines and a wire between them on a simulated clock.
 *
 * The wire loses, delays, reorders and duplicates as its seed decides; `at` puts the clock forward.
 * What each side performed is kept as a list, the exchange as a ladder of lines.
 */

import type { Event } from '../../src/events/event.ts';
import type { Action, Carriage, Input, Outcome, VirtualSettings } from '../../src/ike/action.ts';
import { IkeEndpoint } from '../../src/ike/endpoint.ts';
import type { KeyingWatch } from '../../src/ike/keying-watch.ts';
import type { IkeSpi } from '../../src/ike/message/message.ts';
import { DEFAULT_IKE_SETTINGS, type IkeSettings } from '../../src/ike/settings.ts';
import type { ChildSequences } from '../../src/ike/snapshot.ts';
import type { IkeEnvironment } from '../../src/ike/turn.ts';
import { AddressPools, type LeasePools } from '../../src/ipsec/address-pools.ts';
import type { ChildSa, OutboundUse } from '../../src/ipsec/child-sa.ts';
import { IvPartition } from '../../src/ipsec/iv-partition.ts';
import { Pad } from '../../src/ipsec/pad.ts';
import {
  type Endpoint,
  equalEndpoints,
  type IpAddress,
  parseAddress,
} from '../../src/wire/address.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';
import { seededNumbers, seededRandom } from './seeded-random.ts';

export interface WireOptions {
  /** Share of datagrams lost. */
  readonly loss?: number;
  /** Share of datagrams that arrive twice. */
  readonly duplicate?: number;
  readonly delayMs?: number;
  /** Random extra delay: reorders. */
  readonly jitterMs?: number;
}

/** Rewrites a datagram's addresses on its way; undefined loses it. */
export type Translate = (flight: Flight) => Flight | undefined;

export interface Flight {
  readonly from: Endpoint;
  readonly to: Endpoint;
  readonly octets: Uint8Array;
  readonly carriage?: Carriage;
}

/** One of several nodes that take each other's place. */
export interface Node {
  readonly sid: number;
  readonly skewMs: number;
  readonly keyingWatch?: KeyingWatch;
  readonly epochOf?: (spi: IkeSpi) => number;
  readonly heardSequences?: IkeEnvironment['heardSequences'];
  /** Unset: pools of its own. */
  readonly pools?: LeasePools;
}

export class Side {
  readonly name: string;
  readonly pad = new Pad();
  readonly pools = new AddressPools();
  readonly engine: IkeEndpoint;
  readonly children = new Map<number, ChildSa>();
  readonly events: Event[] = [];
  readonly outcomes = new Map<number, Outcome>();
  /** Which installed Child SAs send. */
  readonly outbound = new Map<number, OutboundUse>();
  readonly reinitiated: string[] = [];
  /** Sequence numbers that are left out (RFC 6311). */
  readonly skipped: Extract<Action, { readonly kind: 'skip-numbers' }>[] = [];
  /** Those of the new starts that a gateway asked for. */
  readonly redirects: Extract<Action, { readonly kind: 'reinitiate' }>[] = [];
  readonly traps: string[] = [];
  readonly virtual = new Map<number, VirtualSettings>();
  /** Child SAs of IKE SAs that another node has, by their inbound SPI. */
  readonly passive = new Map<number, ChildSa>();
  /** What the packet loop would say of how far a Child SA has counted. */
  sequences: ChildSequences | undefined = {
    outboundReserved: { high: 0, low: 1000 },
    inboundEdge: { high: 0, low: 0 },
    ...{ octetsIn: 0, packetsIn: 0, octetsOut: 0, packetsOut: 0 },
  };
  /** What other nodes said of the same since they sent snapshots. */
  heard: ChildSequences | undefined;
  /** Its clock shows so much more than the pair's. */
  readonly skewMs: number;
  keepalives = 0;
  /** SPIs whose packets wait for their SA. */
  readonly expected = new Set<number>();
  /** Addresses at which the side is reached besides its first one. */
  readonly places: string[] = [];
  /** Child SAs that send, the one in use last; and those that wait for a packet first. */
  #sending: number[] = [];
  #waiting = new Set<number>();
  packetsSent = 0;
  packetsLost = 0;
  /** What the routing table would say; unset = nothing. */
  sourceFor: (destination: IpAddress) => IpAddress | undefined = () => undefined;
  /** What stands before the engine and performs what it wants; unset = the pair. */
  through: ((input: Input) => void) | undefined;
  /** Who chooses SPIs; unset = chance. */
  spis: ConstructorParameters<typeof IkeEndpoint>[0]['spis'];
  /** What the packet loop would say about traffic. */
  lastInbound: Instant | undefined;
  lastOutbound: Instant | undefined;

  constructor(name: string, seed: number, settings: Partial<IkeSettings>, node?: Node) {
    this.name = name;
    this.skewMs = node?.skewMs ?? 0;
    this.engine = new IkeEndpoint({
      ...(node && {
        replicated: true,
        ivs: new IvPartition(node.sid),
        sequences: () => this.sequences,
        heardSequences: (spiIn, then) => this.heard ?? node.heardSequences?.(spiIn, then),
      }),
      ...(node?.epochOf && { epochOf: node.epochOf }),
      ...(node?.keyingWatch && { keyingWatch: node.keyingWatch }),
      random: seededRandom(seed),
      pad: this.pad,
      pools: node?.pools ?? this.pools,
      settings: { ...DEFAULT_IKE_SETTINGS, ...settings },
      traffic: { lastInbound: () => this.lastInbound, lastOutbound: () => this.lastOutbound },
      sourceFor: (destination) => this.sourceFor(destination),
      keyLog: false,
      spis: {
        ikeSpi: (wish) => this.spis?.ikeSpi(wish),
        espSpi: (wish) => this.spis?.espSpi(wish),
      },
    });
  }

  /** What the packet loop makes of `install-child-sa` and `set-outbound`. */
  use(childSaId: number, outbound: OutboundUse): void {
    this.outbound.set(childSaId, outbound);
    this.#sending = this.#sending.filter((id) => id !== childSaId);
    this.#waiting.delete(childSaId);
    if (outbound === 'now') this.#sending.push(childSaId);
    if (outbound === 'after-inbound') this.#waiting.add(childSaId);
  }

  removeChild(childSaId: number): void {
    this.use(childSaId, 'never');
    this.children.delete(childSaId);
    this.outbound.delete(childSaId);
  }

  /** The SPI a packet leaves with; undefined where no SA is up. */
  sendPacket(): number | undefined {
    const last = this.#sending.at(-1);
    return last === undefined ? undefined : this.children.get(last)?.spiOut;
  }

  /** A packet of the peer arrives: is there an SA that takes it? */
  takePacket(spi: number): boolean {
    const found = [...this.children.values()].find(({ spiIn }) => spiIn === spi);
    if (found && this.#waiting.has(found.id)) this.use(found.id, 'now');
    return found !== undefined;
  }

  /** Events of one kind, in order. */
  seen<Kind extends Event['kind']>(kind: Kind): readonly (Event & { readonly kind: Kind })[] {
    return this.events.filter(
      (event): event is Event & { readonly kind: Kind } => event.kind === kind,
    );
  }

  get established(): number {
    return this.engine.ikeSas().filter(({ state }) => state.name === 'Established').length;
  }
}

export class Pair {
  a: Side;
  b: Side;
  /** What of a turn's actions is performed. */
  settle: (side: Side, actions: readonly Action[]) => readonly Action[] = (_, actions) => actions;
  readonly ladder: string[] = [];
  /** Every datagram put on the wire, lost ones too. */
  readonly flights: Flight[] = [];
  wire: WireOptions;
  translate: Translate = (flight) => flight;
  #now = 0;
  #order = 0;
  #queue: { at: number; order: number; flight: Flight }[] = [];
  #packets: { at: number; to: Side; from: Side; spi: number }[] = [];
  /** Each side sends a packet of ESP as often as this; 0 = never. */
  trafficEveryMs = 0;
  /** How much slower than messages packets are at most. */
  trafficDelayMs = 0;
  #nextPacket = 0;
  readonly #chance: () => number;

  constructor(
    options: {
      seed?: number;
      wire?: WireOptions;
      a?: Partial<IkeSettings>;
      b?: Partial<IkeSettings>;
      nodes?: { a?: Node; b?: Node };
    } = {},
  ) {
    const seed = options.seed ?? 1;
    this.a = new Side('a', seed * 2 + 1, options.a ?? {}, options.nodes?.a);
    this.b = new Side('b', seed * 2 + 2, options.b ?? {}, options.nodes?.b);
    this.wire = options.wire ?? {};
    this.#chance = seededNumbers(seed);
  }

  get now(): Instant {
    return instant(this.#now);
  }

  handle(side: Side, input: Input): void {
    if (side.through) side.through(input);
    else this.perform(side, this.settle(side, side.engine.handle(input, this.clock(side))));
  }

  /** What the clock of a side shows. */
  clock({ skewMs }: Side): Instant {
    return instant(this.#now + skewMs);
  }

  launch({ local, remote, octets, carriage }: Extract<Action, { readonly kind: 'send' }>): void {
    this.#launch({ from: local, to: remote, octets, ...(carriage && { carriage }) });
  }

  /** Sends octets as if a stranger had. */
  inject(flight: Flight): void {
    this.#launch(flight);
  }

  /** Runs until `milliseconds` on the clock, or until `done` says so. */
  run(milliseconds: number, done: () => boolean = () => false): void {
    for (let turns = 0; turns < 100_000; turns++) {
      if (done()) return;
      const next = this.#nextTime();
      if (next === undefined || next > milliseconds) break;
      this.#now = Math.max(this.#now, next);
      this.#deliver();
      this.#carryPackets();
      for (const side of [this.a, this.b]) this.#expire(side);
    }
    if (!done()) this.#now = Math.max(this.#now, milliseconds);
  }

  /** The clock goes on and nobody is awake. */
  skip(milliseconds: number): void {
    this.#now += milliseconds;
  }

  #nextTime(): number | undefined {
    const times = [
      ...this.#queue.map(({ at }) => at),
      ...this.#packets.map(({ at }) => at),
      this.trafficEveryMs > 0 ? Math.max(this.#now, this.#nextPacket) : undefined,
      ...[this.a, this.b].map((side) => this.#deadline(side)),
    ].filter((time) => time !== undefined);
    return times.length > 0 ? Math.min(...times) : undefined;
  }

  #deadline({ engine, skewMs }: Side): number | undefined {
    const deadline = engine.nextDeadline();
    return deadline === undefined ? undefined : deadline - skewMs;
  }

  #expire(side: Side): void {
    const deadline = this.#deadline(side);
    if (deadline !== undefined && deadline <= this.#now) this.handle(side, { kind: 'deadline' });
  }

  #deliver(): void {
    const due = this.#queue
      .filter(({ at }) => at <= this.#now)
      .sort((x, y) => x.at - y.at || x.order - y.order);
    this.#queue = this.#queue.filter(({ at }) => at > this.#now);
    for (const { flight } of due) {
      const side = this.#owner(flight.to);
      if (!side) continue;
      const { from, to, octets } = flight;
      this.handle(side, { kind: 'datagram', local: to, remote: from, octets });
    }
  }

  #carryPackets(): void {
    for (const packet of this.#packets.filter(({ at }) => at <= this.#now)) {
      if (!packet.to.takePacket(packet.spi)) packet.from.packetsLost++;
    }
    this.#packets = this.#packets.filter(({ at }) => at > this.#now);
    if (this.trafficEveryMs === 0 || this.#now < this.#nextPacket) return;
    this.#nextPacket = this.#now + this.trafficEveryMs;
    for (const [from, to] of [
      [this.a, this.b],
      [this.b, this.a],
    ] as const) {
      const spi = from.sendPacket();
      from.packetsSent++;
      // Packets take the fastest way or the slowest: they overtake messages and are overtaken.
      const { delayMs = 1, jitterMs = 0 } = this.wire;
      const slow = Math.max(jitterMs, this.trafficDelayMs);
      const at = this.#now + delayMs + (from.packetsSent % 2) * slow;
      if (spi === undefined) from.packetsLost++;
      else this.#packets.push({ at, from, to, spi });
    }
  }

  #owner(to: Endpoint): Side | undefined {
    const same = (text: string) => equalEndpoints(to, endpoint(text, to.port));
    if ([A, ...this.a.places].some(same)) return this.a;
    return [B, ...this.b.places].some(same) ? this.b : undefined;
  }

  perform(side: Side, actions: readonly Action[]): void {
    for (const action of actions) {
      switch (action.kind) {
        case 'send':
          this.launch(action);
          break;
        case 'install-child-sa':
          side.children.set(action.childSa.id, action.childSa);
          side.use(action.childSa.id, action.childSa.outbound);
          break;
        case 'remove-child-sa':
          side.removeChild(action.childSa.id);
          side.passive.delete(action.childSa.spiIn);
          break;
        case 'install-passive-child-sa':
          side.passive.set(action.childSa.spiIn, action.childSa);
          break;
        case 'activate-child-sa':
          side.passive.delete(action.childSa.spiIn);
          side.children.set(action.childSa.id, action.childSa);
          side.use(action.childSa.id, action.childSa.outbound);
          break;
        case 'deactivate-child-sa':
          side.removeChild(action.childSa.id);
          side.passive.set(action.childSa.spiIn, action.childSa);
          break;
        case 'complete':
          side.outcomes.set(action.request, action.outcome);
          break;
        case 'reinitiate':
          side.reinitiated.push(`${action.connection}/${action.child}`);
          if (action.redirected) side.redirects.push(action);
          break;
        case 'send-nat-keepalive':
          side.keepalives++;
          break;
        case 'emit':
          side.events.push(action.event);
          if (action.event.kind === 'message' && action.event.direction === 'sent') {
            const { exchange, response, messageId, payloads } = action.event;
            const arrow = side === this.a ? '->' : '<-';
            const kind = response ? 'response' : 'request';
            // Every IKE_AUTH says this alike; `ike-message-id-sync.test.ts` is about it.
            const said = payloads.filter((one) => !one.endsWith('_SYNC_SUPPORTED)'));
            this.ladder.push(`${arrow} ${exchange} ${kind} ${messageId} [${said.join(' ')}]`);
          }
          break;
        case 'skip-numbers':
          side.skipped.push(action);
          break;
        case 'set-outbound':
          side.use(action.childSaId, action.outbound);
          break;
        case 'move-child-sa': {
          const moved = side.children.get(action.childSaId);
          if (!moved) throw new Error(`side ${side.name}: no child SA ${action.childSaId} to move`);
          const { local, remote, udpEncapsulation } = action;
          side.children.set(moved.id, { ...moved, local, remote, udpEncapsulation });
          break;
        }
        case 'trap':
          side.traps.push(`${action.connection}/${action.child}`);
          break;
        case 'install-virtual':
          side.virtual.set(action.ikeSa, action.virtual);
          break;
        case 'remove-virtual':
          side.virtual.delete(action.ikeSa);
          break;
        case 'expect-spi':
          side.expected.add(action.spiIn);
          break;
        case 'key-log':
          break;
        default:
          action satisfies never;
      }
    }
  }

  #launch(flight: Flight): void {
    this.flights.push(flight);
    const { loss = 0, duplicate = 0, delayMs = 1, jitterMs = 0 } = this.wire;
    const copies = this.#chance() < duplicate ? 2 : 1;
    for (let copy = 0; copy < copies; copy++) {
      const moved = this.#chance() < loss ? undefined : this.translate(flight);
      if (!moved) continue;
      const at = this.#now + delayMs + this.#chance() * jitterMs;
      this.#queue.push({ at, order: this.#order++, flight: moved });
    }
  }
}

export const A = '192.0.2.1';
export const B = '192.0.2.2';

export function endpoint(text: string, port = 500): Endpoint {
  const address = parseAddress(text);
  if (!address) throw new Error(`not an address: ${text}`);
  return { address, port };
}
