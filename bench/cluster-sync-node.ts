/**
 * One node of `cluster-sync` as a process. The first argument is a `SyncNodeSetup` as JSON; orders and answers go
 * over the channel to the parent.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { encodeBundle } from '../src/ike/snapshot-codec.ts';
import { now } from '../src/io/clock.ts';
import { goFirst } from '../src/io/system.ts';
import { clientOf } from './load-client.ts';
import { type Asked, SyncClients } from './sync-clients.ts';
import { type Cause, SyncNode, type SyncNodeSetup } from './sync-node.ts';
import type { SyncOrder, SyncState, Updates } from './sync-protocol.ts';

const setup: SyncNodeSetup = JSON.parse(process.argv[2] ?? '');
const sync = new SyncNode(setup);
const clients = new SyncClients();
const pauses = monitorEventLoopDelay({ resolution: 5 });
pauses.enable();
let syncedAfterMilliseconds = 0;
let syncCpuMilliseconds = 0;
/** When the last IKE SA of others came that was not here before, and how many there were then. */
let grown = { afterMilliseconds: 0, passive: 0 };

async function perform(order: SyncOrder): Promise<object> {
  switch (order.kind) {
    case 'establish':
      return establish(order.count);
    case 'update': {
      const requests = clients.requests(order.seconds * order.perSecond);
      return new Round(requests).atRate(order.perSecond);
    }
    case 'saturate': {
      const requests = clients.requests(MOST_A_SECOND * order.seconds);
      return new Round(requests).atOnce(order.outstanding, order.seconds);
    }
    case 'state':
      return state();
    default:
      return order satisfies never;
  }
}

/** Everybody comes, a few at a time. Who is not answered asks again. */
async function establish(count: number): Promise<object> {
  const begin = now();
  const waiting = new Map<number, { readonly input: Asked; at: number }>();
  let joined = 0;
  let done = 0;
  const ask = (input: Asked): void => {
    waiting.set(clientOf(input.octets), { input, at: now() });
    // Not within the turn that answers.
    setImmediate(() => sync.give({ kind: 'ike', input }));
  };
  const join = (): void => {
    if (joined++ < count) ask(clients.join());
  };
  const repeating = setInterval(() => {
    for (const one of waiting.values()) {
      if (now() - one.at < REPEAT_MS) continue;
      one.at = now();
      sync.give({ kind: 'ike', input: one.input });
    }
  }, REPEAT_MS / 5);
  await new Promise<void>((resolve) => {
    sync.onIke = (action) => {
      if (action.kind !== 'send') return;
      const { octets } = action;
      const awaits = waiting.get(clientOf(octets))?.input.octets[EXCHANGE_TYPE];
      if (octets[EXCHANGE_TYPE] !== awaits) return;
      waiting.delete(clientOf(octets));
      const next = clients.answered(octets, awaits === IKE_SA_INIT);
      if (next) ask(next);
      else {
        join();
        if (++done === count) resolve();
      }
    };
    for (let some = 0; some < COMING; some++) join();
  });
  clearInterval(repeating);
  return { seconds: (now() - begin) / 1000 };
}

/** Requests that are handed in one by one, and when their answers leave. */
class Round {
  readonly #requests: readonly Asked[];
  readonly #waiting = new Map<string, number>();
  readonly #milliseconds: number[] = [];
  readonly #begin = now();
  readonly #cpu = cpuMilliseconds();
  #asked = 0;
  #late = 0;
  #lastAt = this.#begin;
  #answered = (): void => {};

  constructor(requests: readonly Asked[]) {
    this.#requests = requests;
    sync.onIke = (action, cause) => {
      if (action.kind === 'send') this.#leaves(action.octets, cause);
    };
  }

  async atRate(perSecond: number): Promise<Updates> {
    await new Promise<void>((resolve) => {
      const pace = setInterval(() => {
        const due = Math.floor(((now() - this.#begin) / 1000) * perSecond);
        // What a machine that is late owes is not made up for in one piece.
        for (let some = 0; some < MOST_A_TURN && this.#asked < due; some++) this.#ask();
        if (this.#asked < this.#requests.length) return;
        clearInterval(pace);
        resolve();
      }, 1);
    });
    return this.#end();
  }

  async atOnce(outstanding: number, seconds: number): Promise<Updates> {
    const until = this.#begin + seconds * 1000;
    await new Promise<void>((resolve) => {
      // Whoever was told nothing because the lease was gone has no successor.
      setTimeout(resolve, seconds * 1000 + REPEAT_MS);
      this.#answered = () => {
        const isOver = now() >= until || this.#asked >= this.#requests.length;
        if (isOver) resolve();
        else setImmediate(() => this.#ask());
      };
      for (let some = 0; some < outstanding; some++) this.#ask();
    });
    return this.#end();
  }

  #ask(): void {
    const input = this.#requests[this.#asked];
    if (!input) return;
    this.#asked++;
    this.#waiting.set(keyOf(input.octets), now());
    sync.give({ kind: 'ike', input });
  }

  #leaves(octets: Uint8Array, cause: Cause): void {
    const key = keyOf(octets);
    const since = this.#waiting.get(key);
    if (since === undefined) return;
    this.#waiting.delete(key);
    this.#lastAt = now();
    this.#milliseconds.push(this.#lastAt - since);
    if (cause === 'time') this.#late++;
    this.#answered();
  }

  async #end(): Promise<Updates> {
    for (let tries = 0; this.#waiting.size > 0 && tries < 200; tries++) await sleep(5);
    return {
      asked: this.#asked,
      answered: this.#milliseconds.length,
      seconds: (this.#lastAt - this.#begin) / 1000,
      cpuMilliseconds: cpuMilliseconds() - this.#cpu,
      milliseconds: this.#milliseconds,
      late: this.#late,
    };
  }
}

function state(): SyncState {
  const { coordinator } = sync.node;
  const at = now();
  const [spi] = sync.engine.activeSpis();
  const snapshot = spi && sync.engine.snapshotOf(spi, at)?.snapshot;
  return {
    synced: sync.isSynced,
    others: coordinator.view.length,
    owned: coordinator.owned,
    active: sync.engine.ikeSas().length,
    passive: sync.engine.passive,
    cpuMilliseconds: cpuMilliseconds(),
    ...{ syncedAfterMilliseconds, syncCpuMilliseconds },
    heldAfterMilliseconds: grown.afterMilliseconds,
    snapshotOctets: snapshot ? encodeBundle({ snapshots: [snapshot], gone: [] }).length : 0,
    longestPauseMilliseconds: pauses.max / 1e6,
    counters: sync.counters,
  };
}

/** Client and message of a request, and of its answer. */
function keyOf(octets: Uint8Array): string {
  const view = new DataView(octets.buffer, octets.byteOffset);
  return `${view.getUint32(0)} ${view.getUint32(MESSAGE_ID)}`;
}

function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

function sleep(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

const EXCHANGE_TYPE = 18;
const MESSAGE_ID = 20;
const IKE_SA_INIT = 34;
/** Clients on their way at a time. */
const COMING = 64;
const REPEAT_MS = 500;
const LOOK_MS = 5;
/** Requests of one turn. */
const MOST_A_TURN = 50;
/** Requests that are made ready for a second without limit. */
const MOST_A_SECOND = 20_000;

const began = now();
const cpuBefore = cpuMilliseconds();
sync.onEvent = () => {
  if (syncedAfterMilliseconds > 0 || !sync.isSynced) return;
  syncedAfterMilliseconds = now() - began;
  syncCpuMilliseconds = cpuMilliseconds() - cpuBefore;
  process.send?.({ kind: 'synced', answer: true });
};
process.on('message', async (order: SyncOrder) => {
  process.send?.({ kind: order.kind, answer: await perform(order) });
});
process.on('disconnect', () => process.exit(0));
setInterval(() => {
  const { passive } = sync.engine;
  if (passive > grown.passive) grown = { afterMilliseconds: now() - began, passive };
}, LOOK_MS).unref();
goFirst();
await sync.start();
