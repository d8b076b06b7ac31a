/**
 * This node's connections to all others: the direct message path of the cluster.
 *
 * The sender that a datagram names decides whose connection looks at it; that connection alone says whether
 * it is authentic. Nodes that are not configured are nobody.
 */
import type { RandomBytes } from '../../crypto/random.ts';
import { earliest, type Instant } from '../../wire/instant.ts';
import type { NodeId } from '../node-id.ts';
import type { BusCounters } from './bus-counters.ts';
import type { Channel, Delivery } from './channel.ts';
import type { KeyRing } from './cluster-key.ts';
import { decodeHeader } from './datagram.ts';
import { INCARNATION_OCTETS, type WireVersions } from './handshake.ts';
import type { BusMessage } from './message.ts';
import { type ConnectionAction, PeerConnection } from './peer-connection.ts';

/** Versions of what is said inside of sealed datagrams; the one before the newest is still spoken. */
export const WIRE_VERSIONS: WireVersions = { oldest: 1, newest: 1 };

export interface MeshSettings {
  readonly local: NodeId;
  readonly peers: readonly NodeId[];
  /** Paths to each peer. */
  readonly paths: number;
  readonly ring: KeyRing;
  readonly random: RandomBytes;
  readonly counters: BusCounters;
  readonly versions?: WireVersions;
  readonly rollMilliseconds?: number;
  readonly rollDatagrams?: number;
}

export type MeshInput<Tag> =
  | { readonly kind: 'start' }
  | { readonly kind: 'datagram'; readonly path: number; readonly octets: Uint8Array }
  /** To one node. `tag` comes back with what becomes of the message. */
  | {
      readonly kind: 'message';
      readonly to: NodeId;
      readonly message: BusMessage;
      readonly delivery: Delivery;
      readonly tag: Tag;
    }
  | { readonly kind: 'keys'; readonly ring: KeyRing }
  | { readonly kind: 'time' };

export type MeshAction<Tag> = ConnectionAction<Tag>;

export class Mesh<Tag> {
  readonly #settings: MeshSettings;
  readonly #connections: ReadonlyMap<NodeId, PeerConnection<Tag>>;

  constructor(settings: MeshSettings) {
    this.#settings = settings;
    const incarnation = settings.random(INCARNATION_OCTETS);
    const versions = settings.versions ?? WIRE_VERSIONS;
    this.#connections = new Map(
      settings.peers.map((peer) => {
        const connection = { ...settings, versions, incarnation, peer };
        return [peer, new PeerConnection<Tag>(connection, settings.ring)];
      }),
    );
  }

  handle(input: MeshInput<Tag>, now: Instant): readonly MeshAction<Tag>[] {
    switch (input.kind) {
      case 'datagram': {
        const header = decodeHeader(input.octets);
        if (typeof header === 'string') {
          this.#settings.counters.count(header);
          return [];
        }
        const connection = this.#connections.get(header.from);
        if (connection) return connection.handle(input, now);
        this.#settings.counters.count('unknown-node');
        return [];
      }
      case 'message': {
        const { to, tag } = input;
        const connection = this.#connections.get(to);
        if (connection) return connection.handle(input, now);
        return [{ kind: 'refused', peer: to, tag, reason: 'down' }];
      }
      case 'time':
        return this.#each((connection) => {
          const deadline = connection.nextDeadline();
          const due = deadline !== undefined && deadline <= now;
          return due ? connection.handle(input, now) : [];
        });
      default:
        return this.#each((connection) => connection.handle(input, now));
    }
  }

  nextDeadline(): Instant | undefined {
    return earliest(...[...this.#connections.values()].map((one) => one.nextDeadline()));
  }

  /** Peers with which a session is up: who is reachable is for heartbeats to say. */
  get connected(): readonly NodeId[] {
    return [...this.#connections].flatMap(([peer, { isUp }]) => (isUp ? [peer] : []));
  }

  /** What waits for a peer, and how long it takes to answer. */
  loadOf(peer: NodeId): Channel<Tag>['load'] | undefined {
    return this.#connections.get(peer)?.load;
  }

  /** When each path to a peer last brought something authentic. */
  heardFrom(peer: NodeId): readonly (Instant | undefined)[] {
    return this.#connections.get(peer)?.heard ?? [];
  }

  #each(
    handle: (connection: PeerConnection<Tag>) => readonly MeshAction<Tag>[],
  ): readonly MeshAction<Tag>[] {
    return [...this.#connections.values()].flatMap(handle);
  }
}
