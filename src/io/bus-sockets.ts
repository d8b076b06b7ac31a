/**
 * The cluster bus on the network: one UDP socket for each path, a timer, and nothing of its own.
 *
 * A datagram from an address that is no configured peer's on that path is counted before anything looks at
 * it. What the bus wants sent in one turn goes out in one; its deadlines are looked at when the turn is over,
 * so that all that came together is answered together.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { BusCounters } from '../cluster/bus/bus-counters.ts';
import type { UdpBus, UdpBusAction, UdpBusInput } from '../cluster/bus/udp-bus.ts';
import type { NodeId } from '../cluster/node-id.ts';
import { type Endpoint, formatAddress } from '../wire/address.ts';
import { now } from './clock.ts';

/** An address of ours, and one of each peer that is reached from there. */
export interface BusPath {
  readonly local: Endpoint;
  readonly peers: ReadonlyMap<NodeId, Endpoint>;
}

/** What is not for the network. */
export type BusNews<Tag> = Exclude<UdpBusAction<Tag>, { readonly kind: 'send' }>;

export interface BusSocketsSettings<Tag> {
  readonly bus: UdpBus<Tag>;
  readonly counters: BusCounters;
  readonly paths: readonly BusPath[];
  readonly onNews: (news: BusNews<Tag>) => void;
}

export class BusSockets<Tag> {
  readonly #settings: BusSocketsSettings<Tag>;
  readonly #sockets: readonly Socket[];
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #isClosed = false;

  private constructor(settings: BusSocketsSettings<Tag>, sockets: readonly Socket[]) {
    this.#settings = settings;
    this.#sockets = sockets;
  }

  /** Binds every path and starts the bus. */
  static async open<Tag>(settings: BusSocketsSettings<Tag>): Promise<BusSockets<Tag>> {
    const sockets = settings.paths.map(({ local }) =>
      createSocket({ type: local.address.family === 4 ? 'udp4' : 'udp6', reuseAddr: false }),
    );
    const opened = new BusSockets(settings, sockets);
    try {
      for (const [path, socket] of sockets.entries()) await opened.#bind(path, socket);
    } catch (error) {
      opened.close();
      throw error;
    }
    opened.give({ kind: 'start' });
    return opened;
  }

  /** Hands the bus an input now; what it wants sent goes out in this turn. */
  give(input: UdpBusInput<Tag>): void {
    if (this.#isClosed) return;
    this.#perform(this.#settings.bus.handle(input, now()));
    this.#turn ??= setImmediate(() => this.#look());
  }

  /** The address a path has, where its port was left to the system. */
  portOf(path: number): number {
    return this.#sockets[path]?.address().port ?? 0;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    for (const socket of this.#sockets) socket.close();
  }

  async #bind(path: number, socket: Socket): Promise<void> {
    const { local, peers } = this.#settings.paths[path] ?? { local: undefined, peers: new Map() };
    if (!local) return;
    socket.bind(local.port, formatAddress(local.address));
    await once(socket, 'listening');
    socket.setRecvBufferSize(BUFFER_OCTETS);
    socket.setSendBufferSize(BUFFER_OCTETS);
    const sources = new Set([...peers.values()].map(sourceText));
    socket.on('message', (octets, { address, port }) => {
      if (!sources.has(`${address} ${port}`)) this.#settings.counters.count('unknown-source');
      else this.give({ kind: 'datagram', path, octets });
    });
    // A send that fails is a datagram that is lost.
    socket.on('error', () => {});
  }

  #look(): void {
    this.#turn = undefined;
    if (this.#isClosed) return;
    const deadline = this.#settings.bus.nextDeadline();
    const wait = deadline === undefined ? undefined : deadline - now();
    if (wait !== undefined && wait <= 0) {
      this.give({ kind: 'time' });
      return;
    }
    clearTimeout(this.#timer);
    this.#timer = undefined;
    if (wait === undefined) return;
    this.#timer = setTimeout(() => this.#look(), Math.ceil(wait));
  }

  #perform(actions: readonly UdpBusAction<Tag>[]): void {
    for (const action of actions) {
      if (action.kind === 'send') this.#send(action.peer, action.path, action.octets);
      else this.#settings.onNews(action);
    }
  }

  #send(peer: NodeId, path: number, octets: Uint8Array): void {
    const to = this.#settings.paths[path]?.peers.get(peer);
    if (to) this.#sockets[path]?.send(octets, to.port, formatAddress(to.address));
  }
}

function sourceText({ address, port }: Endpoint): string {
  return `${formatAddress(address)} ${port}`;
}

/** As much as the system lets us have. */
const BUFFER_OCTETS = 4 << 20;
