/**
 * A client of the vici protocol with promises: one request at a time, events to listeners.
 */
import { connect, type Socket } from 'node:net';
import { MalformedError } from '../wire/octets.ts';
import { type ViciSection, viciSection } from './message.ts';
import { decodePacket, encodeSegment, type Packet, SegmentReader } from './packet.ts';
import { parseViciUri } from './uri.ts';

/** Nobody answers at the address, or the connection broke. */
export class NotConnectedError extends Error {
  override readonly name = 'NotConnectedError';
}

/** The server does not know the command or the event. */
export class UnknownNameError extends Error {
  override readonly name = 'UnknownNameError';
}

export type EventListener = (message: ViciSection) => void;

interface Waiting {
  readonly what: string;
  readonly resolve: (packet: Packet) => void;
  readonly reject: (error: Error) => void;
}

export class ViciClient {
  readonly #socket: Socket;
  readonly #uri: string;
  readonly #reader = new SegmentReader();
  readonly #waiting: Waiting[] = [];
  readonly #listeners = new Map<string, Set<EventListener>>();
  readonly #closed: Promise<void>;
  #fault: string | undefined;

  private constructor(socket: Socket, uri: string) {
    this.#socket = socket;
    this.#uri = uri;
    this.#closed = new Promise((resolve) => {
      socket.on('close', () => {
        this.#rejectAll();
        resolve();
      });
    });
    socket.on('data', (octets) => this.#receive(octets));
    socket.on('error', (error) => {
      this.#fault ??= error.message;
    });
  }

  /** Rejects with `NotConnectedError` where nobody answers. */
  static async connect(uri: string): Promise<ViciClient> {
    const address = parseViciUri(uri);
    if (typeof address === 'string') throw new NotConnectedError(address);
    const socket = address.kind === 'unix' ? connect(address.path) : connect(address);
    await new Promise<void>((resolve, reject) => {
      const refused = (error: Error): void => reject(notConnected(uri, error.message));
      socket.once('error', refused);
      socket.once('connect', () => {
        socket.off('error', refused);
        resolve();
      });
    });
    return new ViciClient(socket, uri);
  }

  /** Settles when the connection is gone. */
  get closed(): Promise<void> {
    return this.#closed;
  }

  /** The server's answer. `UnknownNameError` where it has no such command. */
  async request(name: string, message: ViciSection = viciSection([])): Promise<ViciSection> {
    const answer = await this.#ask(name, { kind: 'request', name, message });
    if (answer.kind === 'response') return answer.message;
    throw new UnknownNameError(`the daemon at ${this.#uri} has no command ${name}`);
  }

  /** Everything a listing streams. */
  async list(
    name: string,
    event: string,
    message: ViciSection = viciSection([]),
  ): Promise<readonly ViciSection[]> {
    const rows: ViciSection[] = [];
    const stop = await this.listen(event, (row) => rows.push(row));
    try {
      await this.request(name, message);
    } finally {
      await stop();
    }
    return rows;
  }

  /** Registers for an event; answers how to stop. `UnknownNameError` where there is none such. */
  async listen(event: string, listener: EventListener): Promise<() => Promise<void>> {
    const before = this.#listeners.get(event);
    const listeners = before ?? new Set();
    this.#listeners.set(event, listeners.add(listener));
    if (before === undefined) {
      const answer = await this.#ask(event, { kind: 'register', name: event });
      if (answer.kind !== 'event-confirm') {
        this.#listeners.delete(event);
        throw new UnknownNameError(`the daemon at ${this.#uri} has no event ${event}`);
      }
    }
    return async () => {
      listeners.delete(listener);
      if (listeners.size > 0 || this.#listeners.get(event) !== listeners) return;
      this.#listeners.delete(event);
      if (!this.#socket.destroyed) await this.#ask(event, { kind: 'unregister', name: event });
    };
  }

  close(): void {
    this.#socket.destroy();
  }

  #ask(what: string, packet: Packet): Promise<Packet> {
    return new Promise((resolve, reject) => {
      if (this.#socket.destroyed) {
        reject(notConnected(this.#uri, this.#fault ?? 'the connection is closed'));
        return;
      }
      this.#waiting.push({ what, resolve, reject });
      this.#socket.write(encodeSegment(packet));
    });
  }

  #receive(octets: Uint8Array): void {
    const cut = this.#reader.push(octets);
    if (cut.kind === 'malformed') {
      this.#breakOff(cut.what);
      return;
    }
    for (const one of cut.packets) {
      try {
        this.#take(decodePacket(one));
      } catch (error) {
        if (!(error instanceof MalformedError)) throw error;
        this.#breakOff(error.message);
        return;
      }
    }
  }

  #take(packet: Packet): void {
    if (packet.kind === 'event') {
      for (const listener of this.#listeners.get(packet.name) ?? []) listener(packet.message);
      return;
    }
    this.#waiting.shift()?.resolve(packet);
  }

  #breakOff(what: string): void {
    this.#fault ??= what;
    this.#socket.destroy();
  }

  #rejectAll(): void {
    for (const { what, reject } of this.#waiting.splice(0)) {
      reject(notConnected(this.#uri, `${what}: ${this.#fault ?? 'the daemon closed'}`));
    }
  }
}

function notConnected(uri: string, why: string): NotConnectedError {
  return new NotConnectedError(`no daemon at ${uri}: ${why}`);
}
