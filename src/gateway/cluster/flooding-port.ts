/**
 * Carries out the tests whether frames reach all members: questions and answers between nodes, time, and who waits
 * for the end of a test.
 */
import type { Delivery } from '../../cluster/bus/channel.ts';
import type { BusMessage } from '../../cluster/bus/message.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import type { LinkInput } from '../../cluster/virtual-address/shared-link.ts';
import type { Instant } from '../../wire/instant.ts';
import { MalformedError } from '../../wire/octets.ts';
import type { LinkWord } from '../link-port.ts';
import {
  type FloodedDevice,
  type FloodingResult,
  FloodingWatch,
  type FloodingWord,
} from './flooding-watch.ts';
import { decodeProbeMessage, encodeProbeMessage, type ProbeMessage } from './probe-message.ts';

export interface FloodingPortParts {
  /** Of all nodes. */
  readonly names: ReadonlyMap<NodeId, string>;
  readonly devices: readonly FloodedDevice[];
  readonly now: () => Instant;
  readonly tell: (to: NodeId, message: BusMessage, delivery: Delivery) => void;
  readonly say: (level: 'error' | 'notice' | 'debug', what: string) => void;
  readonly toLink: (device: string, input: LinkInput) => void;
  /** Something is known that was not, or is not so any more. */
  readonly changed: () => void;
}

/** What a link has to say of tests. */
export type FloodingLinkWord = Exclude<LinkWord, { kind: 'conflict' }>;

interface Waiting {
  readonly devices: Set<string>;
  readonly resolve: () => void;
}

export class FloodingPort {
  readonly #parts: FloodingPortParts;
  readonly #watch: FloodingWatch;
  #waiting: Waiting[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: FloodingPortParts) {
    this.#parts = parts;
    this.#watch = new FloodingWatch(parts.names, parts.devices);
  }

  get refuses(): boolean {
    return this.#watch.refuses;
  }

  isDeafOn(device: string): boolean {
    return this.#watch.isDeafOn(device);
  }

  /** By device; none where no frames go to all nodes. */
  get results(): ReadonlyMap<string, FloodingResult> {
    const devices = this.#parts.devices.map(({ device }) => device);
    return new Map(
      devices.flatMap((device) => {
        const result = this.#watch.result(device);
        return result ? [[device, result]] : [];
      }),
    );
  }

  members(others: ReadonlySet<NodeId>): void {
    this.#heed(this.#watch.members(others));
  }

  /** Settles when each device was tested, which may be at once. */
  async test(): Promise<void> {
    const words = this.#watch.test();
    const devices = new Set(words.flatMap((one) => (one.kind === 'test' ? [one.device] : [])));
    const ended = new Promise<void>((resolve) => {
      if (devices.size === 0) resolve();
      else this.#waiting.push({ devices, resolve });
    });
    this.#heed(words);
    await ended;
  }

  linkSays(device: string, word: FloodingLinkWord): void {
    switch (word.kind) {
      case 'ask-probe':
        this.#tell(word.node, { kind: 'listen', device, nonce: word.nonce });
        break;
      case 'report-probe':
        this.#tell(word.node, { kind: 'report', device, nonce: word.nonce, heard: word.heard });
        break;
      case 'flooding-tested':
        this.#heed(this.#watch.tested(device, word.deaf, this.#parts.now()));
        this.#ended(device);
        break;
      default:
        word satisfies never;
    }
  }

  /** Of another node; false for what is not about tests. */
  told(from: NodeId, message: BusMessage): boolean {
    try {
      const probe = decodeProbeMessage(message);
      if (probe !== undefined) this.#hear(from, probe);
      return probe !== undefined;
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      this.#parts.say('debug', `PROBE of node ${from}: ${error.message}`);
      return true;
    }
  }

  close(): void {
    clearTimeout(this.#timer);
    for (const { resolve } of this.#waiting.splice(0)) resolve();
  }

  #tell(to: NodeId, message: ProbeMessage): void {
    this.#parts.tell(to, encodeProbeMessage(message), 'urgent');
  }

  #hear(from: NodeId, message: ProbeMessage): void {
    const { device } = message;
    switch (message.kind) {
      case 'listen':
        this.#parts.toLink(device, { kind: 'probe-asked', node: from, nonce: message.nonce });
        break;
      case 'report': {
        const { nonce, heard } = message;
        this.#parts.toLink(device, { kind: 'probe-reported', node: from, nonce, heard });
        break;
      }
      case 'verdict':
        this.#heed(this.#watch.verdict(from, device, message.heard));
        break;
      default:
        message satisfies never;
    }
  }

  #ended(device: string): void {
    for (const { devices } of this.#waiting) devices.delete(device);
    const done = this.#waiting.filter(({ devices }) => devices.size === 0);
    this.#waiting = this.#waiting.filter(({ devices }) => devices.size > 0);
    for (const { resolve } of done) resolve();
  }

  /** Carries out what tests want. */
  #heed(words: readonly FloodingWord[]): void {
    const { say, toLink, now, changed } = this.#parts;
    for (const word of words) {
      switch (word.kind) {
        case 'say':
          say(word.level, word.what);
          break;
        case 'tell':
          this.#tell(word.to, { kind: 'verdict', device: word.device, heard: word.heard });
          break;
        case 'test':
          toLink(word.device, { kind: 'test-flooding', members: word.members });
          break;
        default:
          word satisfies never;
      }
    }
    changed();
    clearTimeout(this.#timer);
    const deadline = this.#watch.nextDeadline();
    if (deadline === undefined) return;
    const wait = Math.max(0, Math.ceil(deadline - now()));
    this.#timer = setTimeout(() => this.#heed(this.#watch.due(now())), wait);
  }
}
