/**
 * The cluster bus on the network: its paths' sockets, a timer, and nothing of its own.
 *
 * What the bus wants sent in one turn goes out in one; its deadlines are looked at when the turn is over, so
 * that all that came together is answered together.
 */
import type { BusCounters } from '../cluster/bus/bus-counters.ts';
import type { UdpBus, UdpBusAction, UdpBusInput } from '../cluster/bus/udp-bus.ts';
import { now } from './clock.ts';
import { type BusPath, PathSockets } from './path-sockets.ts';

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
  #sockets: PathSockets | undefined;
  #timer: NodeJS.Timeout | undefined;
  #turn: NodeJS.Immediate | undefined;
  #isClosed = false;

  private constructor(settings: BusSocketsSettings<Tag>) {
    this.#settings = settings;
  }

  /** Binds every path and starts the bus. */
  static async open<Tag>(settings: BusSocketsSettings<Tag>): Promise<BusSockets<Tag>> {
    const opened = new BusSockets(settings);
    const { paths, counters } = settings;
    opened.#sockets = await PathSockets.open({
      paths,
      counters,
      onDatagram: (path, octets) => opened.give({ kind: 'datagram', path, octets }),
    });
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
    return this.#sockets?.portOf(path) ?? 0;
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    clearImmediate(this.#turn);
    this.#sockets?.close();
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
      if (action.kind === 'send') this.#sockets?.send(action.peer, action.path, action.octets);
      else this.#settings.onNews(action);
    }
  }
}
