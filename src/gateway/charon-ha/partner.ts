/**
 * This gateway as the other half of a strongSwan HA pair (`cluster { ha { } }`): what charon tells of its
 * IKE SAs the IKE engine follows, what changes in ours charon is told, and each serves its segments.
 *
 * charon's protocol has neither acknowledgements nor protection: what comes from another address or port
 * than the configured one is counted and not looked at, and so is what cannot be understood.
 */

import { parseHaCommands } from '../../cluster/charon-ha/fifo-command.ts';
import type { HaRefusal } from '../../cluster/charon-ha/mirror.ts';
import { CharonHaNode, type HaAction, type HaInput } from '../../cluster/charon-ha/node.ts';
import { CURRENT_HASH } from '../../cluster/charon-ha/segment-hash.ts';
import type { HaSettings } from '../../config/cluster-config.ts';
import type { Level } from '../../events/event.ts';
import type { Input } from '../../ike/action.ts';
import type { IkeSpi } from '../../ike/message/message.ts';
import type { SnapshotBundle } from '../../ike/snapshot.ts';
import { now } from '../../io/clock.ts';
import { CommandFifo } from '../../io/command-fifo.ts';
import { PathSockets } from '../../io/path-sockets.ts';
import type { Connection } from '../../ipsec/connection.ts';
import { formatAddress, formatEndpoint, type IpAddress } from '../../wire/address.ts';
import { CharonHaFollowing } from './following.ts';
import { haKeySchedule } from './keys.ts';
import { CharonHaTelling } from './telling.ts';

/** What the gateway around it does. */
export interface CharonHaSurroundings {
  /** To the IKE engine. */
  readonly follow: (input: Input) => void;
  readonly connection: (name: string) => Connection | undefined;
  /** Numbers of the Child SAs that an IKE SA has here, by our SPI of it. */
  readonly childSaIds: (spi: IkeSpi) => readonly number[];
  /** Other segments than before are served here. */
  readonly moved: () => void;
  readonly say: (level: Level, what: string) => void;
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
  #sockets: PathSockets | undefined;
  #fifo: CommandFifo | undefined;
  #timer: NodeJS.Timeout | undefined;
  #served: readonly number[] = [];
  /** Nobody was there to hand over to. */
  #isAlone = false;
  #isClosed = false;

  constructor(settings: HaSettings, around: CharonHaSurroundings) {
    this.#settings = settings;
    this.#around = around;
    this.#following = new CharonHaFollowing(around.connection, around.childSaIds);
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
    for (const input of this.keying.inputs(bundle, this.#node)) this.#handle(input);
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
    const actions = this.#node.handle(input, now());
    // charon hears of a move first: what it is told of our IKE SAs it takes for theirs then.
    for (const action of actions) {
      if (action.kind === 'send') this.#sockets?.send(CHARON, 0, action.octets);
    }
    for (const action of actions) this.#perform(action);
    this.#noteSegments();
    this.#schedule();
  }

  #perform(action: HaAction): void {
    for (const input of this.#following.inputs(action, now())) this.#around.follow(input);
    const charon = formatEndpoint(this.#settings.remote);
    if (action.kind === 'refused') this.#count(action.reason);
    if (action.kind === 'close-ike-sas') this.#isAlone = true;
    if (action.kind === 'other-lost') {
      const silence = `${this.#settings.heartbeatTimeout} ms without a heartbeat`;
      this.#around.say('notice', `cluster: ${silence} of charon at ${charon}`);
    }
    if (action.kind === 'other-back')
      this.#around.say('notice', `cluster: charon at ${charon} is back`);
  }

  #command(text: string): void {
    const { commands, refused } = parseHaCommands(text, this.#settings.segmentCount);
    for (const command of commands) this.#handle({ kind: 'command', command });
    for (const line of refused) {
      this.#count('unknown-command');
      this.#around.say('notice', `cluster: no command for the FIFO: ${JSON.stringify(line)}`);
    }
  }

  /** The first of a kind is told; whoever sends more of them fills no log. */
  #count(reason: CharonHaCount): void {
    const before = this.counts.get(reason) ?? 0;
    this.counts.set(reason, before + 1);
    if (before > 0 || QUIET.has(reason)) return;
    const from = `from charon at ${formatEndpoint(this.#settings.remote)}`;
    const what =
      reason === 'unknown-source' ? 'that is not charon’s' : `${from} was refused: ${reason}`;
    this.#around.say('notice', `cluster: a datagram ${what}; more of them are only counted`);
  }

  #noteSegments(): void {
    const served = this.#node.active;
    if (served.join() === this.#served.join()) return;
    this.#served = served;
    const which = served.length === 0 ? 'no segment' : `segments ${served.join(', ')}`;
    this.#around.say('notice', `cluster: ${which} of ${this.#settings.segmentCount} served here`);
    this.#around.moved();
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

/** What a path calls the other end. */
const CHARON = 1;
const LIMITS = { ikeSas: 65_536, children: 256 };
