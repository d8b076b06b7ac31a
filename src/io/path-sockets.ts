/**
 * One UDP socket for each path between the nodes of a cluster, and nothing that looks into a datagram.
 *
 * A datagram from an address that is no configured peer's on that path is counted before anything looks at it.
 */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { NodeId } from '../cluster/node-id.ts';
import { type Endpoint, formatAddress } from '../wire/address.ts';

/** An address of ours, and one of each peer that is reached from there. */
export interface BusPath {
  readonly local: Endpoint;
  readonly peers: ReadonlyMap<NodeId, Endpoint>;
}

/** Where a datagram of a stranger is counted. */
export interface SourceCounter {
  count(name: 'unknown-source'): void;
}

export interface PathSocketsSettings {
  readonly paths: readonly BusPath[];
  readonly counters: SourceCounter;
  readonly onDatagram: (path: number, octets: Uint8Array) => void;
}

export class PathSockets {
  readonly #settings: PathSocketsSettings;
  readonly #sockets: readonly Socket[];
  #isClosed = false;

  private constructor(settings: PathSocketsSettings) {
    this.#settings = settings;
    this.#sockets = settings.paths.map(({ local }) =>
      createSocket({ type: local.address.family === 4 ? 'udp4' : 'udp6', reuseAddr: false }),
    );
  }

  /** Binds every path; rejects with the system's error where one cannot be bound. */
  static async open(settings: PathSocketsSettings): Promise<PathSockets> {
    const opened = new PathSockets(settings);
    try {
      for (const [path, socket] of opened.#sockets.entries()) await opened.#bind(path, socket);
    } catch (error) {
      opened.close();
      throw error;
    }
    return opened;
  }

  /** A path that leads nowhere loses it, as a network would. */
  send(peer: NodeId, path: number, octets: Uint8Array): void {
    const to = this.#settings.paths[path]?.peers.get(peer);
    if (to && !this.#isClosed) {
      this.#sockets[path]?.send(octets, to.port, formatAddress(to.address));
    }
  }

  /** The port a path has, where it was left to the system. */
  portOf(path: number): number {
    return this.#sockets[path]?.address().port ?? 0;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
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
      else this.#settings.onDatagram(path, octets);
    });
    // A send that fails is a datagram that is lost.
    socket.on('error', () => {});
  }
}

function sourceText({ address, port }: Endpoint): string {
  return `${formatAddress(address)} ${port}`;
}

/** As much as the system lets us have. */
const BUFFER_OCTETS = 4 << 20;
