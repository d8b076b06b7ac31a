/**
 * This gateway as the other half of a strongSwan HA pair (`cluster { ha { } }`): what charon tells of its
 * IKE SAs the IKE engine follows, what changes in ours charon is told, and each serves its segments.
 *
 * charon's protocol has neither acknowledgements nor protection: what comes from another address or port
 * than the configured one is counted and not looked at, and so is what cannot be understood.
 */

import { type HaCommand, parseHaCommands } from '../../cluster/charon-ha/fifo-command.ts';
import type { HaRefusal } from '../../cluster/charon-ha/mirror.ts';
import { CharonHaNode, type HaAction, type HaInput } from '../../cluster/charon-ha/node.ts';
import { CURRENT_HASH } from '../../cluster/charon-ha/segment-hash.ts';
import type { HaSettings } from '../../config/cluster-config.ts';
import type { ClusterEvent } from '../../events/cluster-event.ts';
import type { Input } from '../../ike/action.ts';
import type { SnapshotBundle } from '../../ike/snapshot.ts';
import { now } from '../../io/clock.ts';
import { CommandFifo } from '../../io/command-fifo.ts';
import { PathSockets } from '../../io/path-sockets.ts';
import type { Connection } from '../../ipsec/connection.ts';
import { formatAddress, formatEndpoint, type IpAddress } from '../../wire/address.ts';
import { CharonHaFollowing } from './following.ts';
import { haKeySchedule } from './keys.ts';
import { PartnerTelling } from './partner-telling.ts';
import { CharonHaTelling } from './telling.ts';

/** What the gateway around it does. */
export interface CharonHaSurroundings {
  /** To the IKE engine. */
  readonly follow: (input: Input) => void;
  readonly connection: (name: string) => Connection | undefined;
  /** Other segments than before are served here. */
  readonly moved: () => void;
  readonly emit: (event: ClusterEvent) => void;
}

/** What was refused, and what came from strangers. */
export type CharonHaCount = HaRefusal | 'unknown-source' | 'unknown-command';

export class CharonHaPartner {
  /** Hears what keys are made of: charon makes its own of that. */
  readonly keying = new CharonHaTelling();
  readonly counts = new Map<CharonHaCount, number>();
  readonly #settings: HaSettings;
  readonly #around: CharonHaSurroundings;
  readonly #node: CharonHaNode;
  readonly #following: CharonHaFollowing;
  readonly #telling: PartnerTelling;
  #sockets: PathSockets | undefined;
  #fifo: CommandFifo | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Nobody was there to hand over to. */
  #isAlone = false;
  #isHandling = false;
  #isClosed = false;

  constructor(settings: HaSettings, around: CharonHaSurroundings) {
    this.#settings = settings;
    this.#around = around;
    this.#following = new CharonHaFollowing(around.connection);
    this.#node = new CharonHaNode(
      {
        version: settings.version,
        local: formatAddress(settings.local.address),
        remote: formatAddress(settings.remote.address),
        segmentCount: settings.segmentCount,
        hash: CURRENT_HASH,
        heartbeatDelayMilliseconds: settings.heartbeatDelay,
        heartbeatTimeoutMilliseconds: settings.heartbeatTimeout,
        autobalanceSeconds: settings.autobalance,
        monitor: settings.monitor,
        resync: settings.resync,
      },
      {
        keys: haKeySchedule,
        limits: LIMITS,
        knows: (name, child) => {
          const children = around.connection(name)?.children;
          return children?.some((one) => child === undefined || one.name === child) ?? false;
        },
      },
    );
    this.#telling = new PartnerTelling(settings, this.#node, around);
  }

  /** Connections are loaded: charon's IKE SAs need theirs. Rejects where there is no such address. */
  async open(fifo: string | undefined): Promise<void> {
    const { local, remote } = this.#settings;
    this.#sockets = await PathSockets.open({
      paths: [{ local, peers: new Map([[CHARON, remote]]) }],
      counters: { count: (name) => this.#count(name) },
      onDatagram: (_, octets) => this.#handle({ kind: 'datagram', octets }),
    });
    if (fifo !== undefined) {
      this.#fifo = await CommandFifo.open(fifo, (text) => this.#command(text));
    }
    this.#handle({ kind: 'start' });
  }

  /** To be looked at. */
  get node(): Pick<CharonHaNode, 'active' | 'other' | 'ikeSas' | 'segmentOf'> {
    return this.#node;
  }

  /** Segments that are served here. */
  get segments(): readonly number[] {
    return this.#node.active;
  }

  /** Whether a peer at this address is for this node. */
  serves(peer: IpAddress): boolean {
    return this.#node.serves(peer);
  }

  /** What a turn of the IKE engine changed; charon has been told when this returns. */
  changed(bundle: SnapshotBundle): void {
    for (const input of this.keying.inputs(bundle, this.#node)) {
      this.#handle(input);
      // charon has it, and nobody needs it again.
      if (input.kind === 'child-keys') input.material.sharedSecret?.wipe();
    }
  }

  /** What an operator wants. */
  command(command: HaCommand): void {
    this.#handle({ kind: 'command', command });
  }

  /** Connections came or went. */
  configured(): void {
    this.#handle({ kind: 'configured' });
  }

  /** Gives all segments to charon; answers whether it is there to take them. */
  handOver(): boolean {
    this.#isAlone = false;
    this.#handle({ kind: 'shutdown' });
    return !this.#isAlone;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    this.#fifo?.close();
    this.#sockets?.close();
  }

  #handle(input: HaInput): void {
    if (this.#isClosed) return;
    // What the IKE engine does of it comes back within.
    const isNested = this.#isHandling;
    this.#isHandling = true;
    const actions = this.#node.handle(input, now());
    // charon hears of a move first: what it is told of our IKE SAs it takes for theirs then.
    for (const action of actions) {
      if (action.kind === 'send') this.#sockets?.send(CHARON, 0, action.octets);
    }
    for (const action of actions) this.#perform(action);
    this.#isHandling = isNested;
    if (isNested) return;
    this.#telling.turn(input, now());
    this.#schedule();
  }

  #perform(action: HaAction): void {
    for (const input of this.#following.inputs(action, now())) this.#around.follow(input);
    if (action.kind === 'refused') this.#count(action.reason);
    if (action.kind === 'close-ike-sas') this.#isAlone = true;
  }

  #command(text: string): void {
    const { commands, refused } = parseHaCommands(text, this.#settings.segmentCount);
    for (const command of commands) {
      const { kind, segment } = command;
      const order = { order: ORDERS[kind], by: 'fifo', segments: `${segment - 1}` } as const;
      this.#around.emit({ kind: 'cluster-order', ...order });
      this.command(command);
    }
    for (const line of refused) {
      this.#count('unknown-command');
      const how = `write +n, -n or *n with n from 1 to ${this.#settings.segmentCount}`;
      const what = `${JSON.stringify(line)}: ${how}`;
      this.#around.emit({ kind: 'cluster-trouble', part: 'fifo', what });
    }
  }

  /** The first of a kind is told; whoever sends more of them fills no log. */
  #count(reason: CharonHaCount): void {
    const before = this.counts.get(reason) ?? 0;
    this.counts.set(reason, before + 1);
    if (before > 0 || QUIET.has(reason)) return;
    const from = `from charon at ${formatEndpoint(this.#settings.remote)}`;
    const why =
      reason === 'unknown-source' ? 'that is not charon’s' : `${from} was refused: ${reason}`;
    const what = `a datagram ${why}; more of them are only counted`;
    this.#around.emit({ kind: 'cluster-trouble', part: 'bus', what });
  }

  #schedule(): void {
    clearTimeout(this.#timer);
    const deadline = this.#node.nextDeadline();
    if (deadline === undefined || this.#isClosed) return;
    const wait = Math.ceil(Math.max(0, deadline - now()));
    this.#timer = setTimeout(() => this.#handle({ kind: 'time' }), wait);
  }
}

/**
 * What nobody has to do anything about: charon tells again of what is served here when it is asked for all it
 * has, it tells of IKE SAs that this node heard nothing of yet, and a line of the FIFO was said already.
 */
const QUIET: ReadonlySet<CharonHaCount> = new Set([
  'served-here',
  'unknown-ike-sa',
  'unknown-command',
]);

/** As orders of our own clusters are called. */
const ORDERS = { take: 'take', drop: 'give', resync: 'resync' } as const;

/** What a path calls the other end. */
const CHARON = 1;
const LIMITS = { ikeSas: 65_536, children: 256 };
