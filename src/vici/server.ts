/**
 * The vici server: a unix socket (or TCP) on which swanctl and its like control the daemon.
 *
 * Nothing a client does escapes from here: a command that fails in us is answered with a vici error
 * and reported through `fault`.
 */
import type { Stats } from 'node:fs';
import { lstat, rm } from 'node:fs/promises';
import { connect, createServer, type Server, type Socket } from 'node:net';
import type { Event } from '../events/event.ts';
import { failure } from './answers.ts';
import { Captures } from './capture.ts';
import { COMMANDS } from './commands.ts';
import type { Control, ControlOutcome } from './control.ts';
import { alertMessage, controlLogMessages, eventMessage, logMessages } from './events.ts';
import type { ViciSection } from './message.ts';
import { viciSection } from './message.ts';
import type { Operation, OperationEnd } from './operation.ts';
import { SA_EVENTS, SaWatch } from './sa-watch.ts';
import { Session } from './session.ts';
import { parseViciUri, type ViciAddress } from './uri.ts';

export interface ViciServerOptions {
  readonly control: Control;
  /** An error that is ours: a command that threw what is no `ConfigError`. */
  readonly fault?: (error: unknown) => void;
  /** How long an answer waits for a client that does not read. */
  readonly stallMilliseconds?: number;
}

/** Clients at a time; the next one is turned away. */
export const MAX_CLIENTS = 256;

export class ViciServer {
  readonly #control: Control;
  readonly #fault: (error: unknown) => void;
  readonly #stallMilliseconds: number;
  readonly #captures: Captures;
  readonly #sessions = new Set<Session>();
  readonly #servers: Server[] = [];
  #unsubscribe: (() => void) | undefined;
  #watch: SaWatch | undefined;

  constructor(options: ViciServerOptions) {
    this.#control = options.control;
    this.#fault = options.fault ?? (() => {});
    this.#captures = new Captures(options.control, this.#fault);
    this.#stallMilliseconds = options.stallMilliseconds ?? 30_000;
  }

  /** Clients that are connected. */
  get clients(): number {
    return this.#sessions.size;
  }

  /**
   * Starts listening; may be called for several addresses. The socket file of a dead process is
   * replaced, that of a living one is not: the promise is rejected with an `Error` that says so.
   * Answers the port of a TCP address, where 0 asks for any.
   */
  async listen(uri: string): Promise<number | undefined> {
    const address = parseViciUri(uri);
    if (typeof address === 'string') throw new Error(address);
    if (address.kind === 'unix') await removeStale(address.path);
    const server = createServer((socket) => this.#accept(socket));
    await bind(server, address);
    this.#servers.push(server);
    this.#unsubscribe ??= this.#control.subscribe((event) =>
      this.#guard(() => this.#spread(event)),
    );
    const bound = server.address();
    return typeof bound === 'object' && bound !== null ? bound.port : undefined;
  }

  /** Stops listening and cuts every client off. */
  async close(): Promise<void> {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    const closed = this.#servers
      .splice(0)
      .map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    for (const session of this.#sessions) session.close();
    await Promise.all(closed);
  }

  #accept(socket: Socket): void {
    if (this.#sessions.size >= MAX_CLIENTS) {
      socket.on('error', () => {});
      socket.destroy();
      return;
    }
    this.#sessions.add(
      new Session(socket, {
        run: (session, name, request) => this.#run(session, name, request),
        registered: () => this.#guard(() => this.#attend()),
        closed: (session) => {
          this.#sessions.delete(session);
          this.#captures.closed(session);
          this.#guard(() => this.#attend());
        },
        stallMilliseconds: this.#stallMilliseconds,
      }),
    );
  }

  async #run(
    session: Session,
    name: string,
    request: ViciSection,
  ): Promise<ViciSection | undefined> {
    const command = COMMANDS.get(name);
    if (command === undefined) return undefined;
    try {
      switch (command.kind) {
        case 'answer':
          return command.answer(this.#control, request);
        case 'list':
          for (const row of command.rows(this.#control, request)) {
            if (!(await session.row(command.event, row))) break;
          }
          return viciSection([]);
        case 'capture':
          return command.begins
            ? await this.#captures.start(session, request)
            : await this.#captures.stop(session);
        case 'operation': {
          const prepared = command.prepare(this.#control, request);
          if (prepared.kind === 'refused') return prepared.answer;
          return await this.#operate(session, prepared.operation);
        }
      }
    } catch (error) {
      this.#fault(error);
      const what = error instanceof Error ? error.message : String(error);
      return failure(`${name}: internal error: ${what}`);
    }
  }

  async #operate(session: Session, operation: Operation): Promise<ViciSection> {
    const { timeoutMilliseconds } = operation;
    const unsubscribe = this.#control.subscribe((event) =>
      this.#guard(() => {
        if (timeoutMilliseconds < 0 || !session.hears('control-log')) return;
        if (!operation.concerns(event)) return;
        for (const message of controlLogMessages(event, operation.logLevel)) {
          session.raise('control-log', message);
        }
      }),
    );
    try {
      const outcome = operation.start();
      if (timeoutMilliseconds < 0) {
        outcome.catch((error) => this.#fault(error));
        return operation.answer({ kind: 'started' });
      }
      return operation.answer(await this.#within(outcome, timeoutMilliseconds));
    } finally {
      unsubscribe();
    }
  }

  /** The outcome, or `not-in-time`; what was started goes on. */
  async #within(outcome: Promise<ControlOutcome>, milliseconds: number): Promise<OperationEnd> {
    if (milliseconds === 0 || milliseconds > LONGEST_TIMER) return outcome;
    return new Promise((resolve, reject) => {
      let late = false;
      const timer = setTimeout(() => {
        late = true;
        resolve({ kind: 'not-in-time' });
      }, milliseconds);
      outcome
        .then(resolve, (error) => (late ? this.#fault(error) : reject(error)))
        .finally(() => {
          clearTimeout(timer);
        });
    });
  }

  /** Sends an event to every client that registered for what it becomes. */
  #spread(event: Event): void {
    const moved = this.#watch?.message(event);
    if (moved) this.#raise(moved.name, [moved.message]);
    if (this.#someoneHears('alert')) {
      const alert = alertMessage(event, () => this.#control.ikeSas());
      if (alert) this.#raise('alert', [alert]);
    }
    if (this.#someoneHears('log')) this.#raise('log', logMessages(event));
    if (this.#someoneHears('tsgw-event')) this.#raise('tsgw-event', [eventMessage(event)]);
  }

  /** What is done for clients never disturbs who emits the events. */
  #guard(act: () => void): void {
    try {
      act();
    } catch (error) {
      this.#fault(error);
    }
  }

  #raise(name: string, messages: readonly ViciSection[]): void {
    for (const session of this.#sessions) {
      for (const message of messages) session.raise(name, message);
    }
  }

  #someoneHears(name: string): boolean {
    return [...this.#sessions].some((session) => session.hears(name));
  }

  /** SAs are remembered only while someone wants to hear of them. */
  #attend(): void {
    const wanted = SA_EVENTS.some((name) => this.#someoneHears(name));
    if (!wanted) this.#watch = undefined;
    else this.#watch ??= new SaWatch(() => this.#control.ikeSas());
  }
}

/** setTimeout takes no more; a client that asks for more waits for ever. */
const LONGEST_TIMER = 0x7fff_ffff;

/** Octal: the owner and its group may control the daemon, nobody else. */
const SOCKET_MODE = 0o660;

async function bind(server: Server, address: ViciAddress): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const bound = (): void => {
      server.off('error', reject);
      // A client that broke while it was accepted costs only itself.
      server.on('error', () => {});
      resolve();
    };
    if (address.kind === 'tcp') {
      server.listen(address.port, address.host, bound);
      return;
    }
    // The file appears with its mode: nobody else can connect in between.
    const before = process.umask(0o777 & ~SOCKET_MODE);
    server.listen(address.path, bound);
    process.umask(before);
  });
}

/** Removes a socket file on which nothing answers. */
async function removeStale(path: string): Promise<void> {
  const found = await statusOf(path);
  if (found === undefined) return;
  if (!found.isSocket()) throw new Error(`${path} is in the way and is no socket: remove it`);
  if (await answers(path)) {
    throw new Error(`another daemon answers on ${path}: stop it or choose another --vici`);
  }
  await rm(path, { force: true });
}

/** Undefined where nothing has the name; what else is wrong with the path is the operator's to know. */
async function statusOf(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.on('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', (error) => {
      const code = 'code' in error ? error.code : undefined;
      if (code === 'ECONNREFUSED' || code === 'ENOENT') resolve(false);
      else reject(error);
    });
  });
}
