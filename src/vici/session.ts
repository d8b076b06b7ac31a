/**
 * One client of the vici server: its stream, its registrations, and its requests one after another.
 *
 * What a client may hold of us is bounded: requests it sent ahead, octets it does not read, and
 * how long an answer waits for it. Past a bound the connection is closed, never the daemon.
 */
import type { Socket } from 'node:net';
import { MalformedError } from '../wire/octets.ts';
import { failure } from './answers.ts';
import { EVENT_NAMES } from './events.ts';
import type { ViciSection } from './message.ts';
import { decodePacket, encodeSegment, type Packet, SegmentReader } from './packet.ts';

/** Octets that may wait for a client that does not read. */
export const MAX_BACKLOG_OCTETS = 1024 * 1024;
/** Requests and registrations a client may send without waiting for their answers. */
export const MAX_REQUESTS_AHEAD = 16;

/** An answer is sent on in pieces: the next row waits while more than this is unread. */
const PAUSE_OCTETS = 128 * 1024;

export interface SessionOptions {
  /** Runs one command; undefined where the name is unknown. */
  run(session: Session, name: string, request: ViciSection): Promise<ViciSection | undefined>;
  registered(session: Session): void;
  closed(session: Session): void;
  /** How long an answer waits for a client that does not read. */
  readonly stallMilliseconds: number;
}

export class Session {
  readonly #socket: Socket;
  readonly #options: SessionOptions;
  readonly #reader = new SegmentReader();
  readonly #events = new Set<string>();
  readonly #waiting: Packet[] = [];
  readonly #local: boolean;
  #busy = false;

  constructor(socket: Socket, options: SessionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#local = socket.remoteAddress === undefined;
    socket.on('data', (octets) => this.#receive(octets));
    // A client that goes away in the middle is no fault of ours; `close` follows.
    socket.on('error', () => {});
    socket.on('close', () => options.closed(this));
  }

  hears(event: string): boolean {
    return this.#events.has(event);
  }

  /** Sends an event to a client that registered for it; one that reads too slowly is cut off. */
  raise(name: string, message: ViciSection): void {
    if (!this.hears(name)) return;
    this.#write({ kind: 'event', name, message });
    if (this.#socket.writableLength > MAX_BACKLOG_OCTETS) this.close();
  }

  /** Sends an event, or answers false where the client is behind or does not hear it. */
  offer(name: string, message: ViciSection): boolean {
    if (!this.hears(name) || this.#socket.writableLength > MAX_BACKLOG_OCTETS / 2) return false;
    this.#write({ kind: 'event', name, message });
    return this.open;
  }

  /** Sends one row of an answer, at the pace of the client. False: the client is gone. */
  async row(name: string, message: ViciSection): Promise<boolean> {
    if (this.hears(name)) this.#write({ kind: 'event', name, message });
    if (this.#socket.writableLength > PAUSE_OCTETS) await this.#drained();
    return !this.#socket.destroyed;
  }

  /** Whether the client is on this machine, at a socket whose file says who may open it. */
  get local(): boolean {
    return this.#local;
  }

  get open(): boolean {
    return !this.#socket.destroyed;
  }

  close(): void {
    this.#socket.destroy();
  }

  #receive(octets: Uint8Array): void {
    const cut = this.#reader.push(octets);
    if (cut.kind === 'malformed') {
      this.close();
      return;
    }
    for (const one of cut.packets) {
      const packet = decode(one);
      if (packet === undefined || this.#waiting.length >= MAX_REQUESTS_AHEAD) {
        this.close();
        return;
      }
      this.#waiting.push(packet);
    }
    if (!this.#busy) void this.#work();
  }

  /** Answers what came, in its order. */
  async #work(): Promise<void> {
    this.#busy = true;
    for (let packet = this.#waiting.shift(); packet && this.open; packet = this.#waiting.shift()) {
      await this.#handle(packet);
    }
    this.#busy = false;
  }

  async #handle(packet: Packet): Promise<void> {
    switch (packet.kind) {
      case 'register':
      case 'unregister':
        this.#register(packet.name, packet.kind === 'register');
        return;
      case 'request': {
        const answer = await this.#options.run(this, packet.name, packet.message);
        if (answer === undefined) this.#write({ kind: 'command-unknown' });
        else this.#answer(answer);
        return;
      }
      default:
        // Only a server sends the others.
        this.close();
    }
  }

  #register(name: string, on: boolean): void {
    if (!EVENT_NAMES.has(name) || (!on && !this.#events.has(name))) {
      this.#write({ kind: 'event-unknown' });
      return;
    }
    if (on) this.#events.add(name);
    else this.#events.delete(name);
    this.#options.registered(this);
    this.#write({ kind: 'event-confirm' });
  }

  #answer(message: ViciSection): void {
    try {
      this.#write({ kind: 'response', message });
    } catch (error) {
      // Too long for one packet, or a name too long for its length octet.
      if (!(error instanceof RangeError)) throw error;
      this.#write({ kind: 'response', message: failure(error.message) });
    }
  }

  #write(packet: Packet): void {
    if (this.open) this.#socket.write(encodeSegment(packet));
  }

  async #drained(): Promise<void> {
    const socket = this.#socket;
    if (socket.destroyed || !socket.writableNeedDrain) return;
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(stalled);
        socket.off('drain', done);
        socket.off('close', done);
        resolve();
      };
      const stalled = setTimeout(() => this.close(), this.#options.stallMilliseconds);
      socket.on('drain', done);
      socket.on('close', done);
    });
  }
}

function decode(octets: Uint8Array): Packet | undefined {
  try {
    return decodePacket(octets);
  } catch (error) {
    if (error instanceof MalformedError) return undefined;
    throw error;
  }
}
