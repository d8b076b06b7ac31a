/**
 * Initiators by the thousand, in one process of a namespace: `node build/bench/load-initiator.js`.
 *
 * Orders come as JSON lines on stdin, one answer as a JSON line on stdout for each:
 *
 *   {"kind":"run","method":31,"first":0,"count":2000,"concurrency":32}   as fast as they are served
 *   {"kind":"run",...,"perSecond":20}                                    at a rate, however slow
 *   {"kind":"delete","first":0,"count":2000,"concurrency":32}
 *
 * A request that is not answered is repeated as a real initiator would; after `TRIES` the client
 * counts as failed.
 */
import { randomBytes } from 'node:crypto';
import { createInterface } from 'node:readline';
import { keyExchangeMethod } from '../src/crypto/key-exchange.ts';
import { SecretBytes } from '../src/crypto/secret-bytes.ts';
import { decodeHeader } from '../src/ike/message/header.ts';
import { ExchangeType } from '../src/ike/message/message.ts';
import { parseAddress } from '../src/wire/address.ts';
import { clientOf, LoadClient, type LoadTerms, type Step } from './load-client.ts';
import { gatewayAddress, innerAddressOf, outerAddressOf } from './load-network.ts';
import type { LoadOrder, LoadResult } from './load-protocol.ts';
import { loadSecret } from './load-responder.ts';
import { LoadSockets } from './load-sockets.ts';

/** A client with a request on its way. */
interface Waiting {
  readonly client: LoadClient;
  step: Step;
  awaits: 'ike-sa-init' | 'ike-auth' | 'delete';
  readonly startedAt: number;
  /** Transmissions of `step` so far, and when to repeat it. */
  sent: number;
  repeatAt: number;
}

const TRIES = 6;
const FIRST_REPEAT_MS = 500;

class LoadInitiator {
  readonly #gateway = mustParse(gatewayAddress);
  readonly #sockets = new LoadSockets(this.#gateway, (octets) => this.#answered(octets));
  readonly #established = new Map<number, LoadClient>();
  readonly #waiting = new Map<number, Waiting>();
  #failures = new Map<string, number>();
  #milliseconds: number[] = [];
  #repeats = 0;
  #ended = (): void => {};

  /** Carries out one order to its end. */
  async perform(order: LoadOrder): Promise<LoadResult> {
    this.#failures = new Map();
    this.#milliseconds = [];
    this.#repeats = 0;
    const begin = performance.now();
    const start = order.kind === 'run' ? this.#starter(order.method) : this.#deleter();
    const repeating = setInterval(() => this.#repeat(), 50);
    await this.#drive(order, start);
    clearInterval(repeating);
    const seconds = (performance.now() - begin) / 1000;
    return {
      ...{ seconds, done: this.#milliseconds.length, repeats: this.#repeats },
      failures: Object.fromEntries(this.#failures),
      milliseconds: this.#milliseconds,
    };
  }

  /** Starts each client when the order says so; resolves when none is on its way any more. */
  #drive(order: LoadOrder, start: (client: number) => void): Promise<void> {
    const end = order.first + order.count;
    let next = order.first;
    return new Promise((resolve) => {
      const fill = (): void => {
        while (next < end && this.#waiting.size < order.concurrency) start(next++);
        if (next === end && this.#waiting.size === 0) resolve();
      };
      this.#ended = fill;
      if (order.perSecond === undefined) return fill();
      this.#ended = () => next === end && this.#waiting.size === 0 && resolve();
      const pace = setInterval(() => {
        start(next++);
        if (next === end) clearInterval(pace);
      }, 1000 / order.perSecond);
    });
  }

  #starter(method: number): (client: number) => void {
    const terms = termsOf(method);
    return (number) => {
      const addresses = { outer: outerAddressOf(number), inner: innerAddressOf(number) };
      const client = new LoadClient(number, terms, addresses);
      this.#await(client, client.initRequest(), 'ike-sa-init', performance.now());
    };
  }

  #deleter(): (client: number) => void {
    return (number) => {
      const client = this.#established.get(number);
      if (!client) return this.#ended();
      this.#established.delete(number);
      this.#await(client, client.deleteRequest(), 'delete', performance.now());
    };
  }

  #await(client: LoadClient, step: Step, awaits: Waiting['awaits'], startedAt: number): void {
    const repeatAt = performance.now() + FIRST_REPEAT_MS;
    this.#waiting.set(client.number, { client, step, awaits, startedAt, sent: 1, repeatAt });
    this.#sockets.send(outerAddressOf(client.number), step);
  }

  #answered(octets: Uint8Array): void {
    const waiting = this.#waiting.get(clientOf(octets));
    if (!waiting) return;
    const { client, awaits, startedAt } = waiting;
    const { exchangeType, isResponse } = decodeHeader(octets);
    if (!isResponse || exchangeType !== EXCHANGES[awaits]) return;
    try {
      if (awaits === 'ike-sa-init') {
        const step = client.afterInit(octets);
        this.#await(client, step, step.port === 500 ? 'ike-sa-init' : 'ike-auth', startedAt);
        return;
      }
      if (awaits === 'ike-auth') {
        client.afterAuth(octets);
        this.#established.set(client.number, client);
      }
      this.#milliseconds.push(performance.now() - startedAt);
      this.#finish(waiting);
    } catch (error) {
      this.#fail(waiting, error instanceof Error ? error.message : String(error));
    }
  }

  #repeat(): void {
    const now = performance.now();
    for (const waiting of this.#waiting.values()) {
      if (now < waiting.repeatAt) continue;
      if (waiting.sent === TRIES) {
        this.#fail(waiting, `${waiting.awaits} is not answered`);
        continue;
      }
      waiting.repeatAt = now + FIRST_REPEAT_MS * 2 ** waiting.sent;
      waiting.sent += 1;
      this.#repeats += 1;
      this.#sockets.send(outerAddressOf(waiting.client.number), waiting.step);
    }
  }

  #fail(waiting: Waiting, why: string): void {
    this.#failures.set(why, (this.#failures.get(why) ?? 0) + 1);
    this.#finish(waiting);
  }

  #finish({ client }: Waiting): void {
    this.#waiting.delete(client.number);
    this.#ended();
  }
}

/** One key exchange value for all clients. */
function termsOf(method: number): LoadTerms {
  const keyExchange = keyExchangeMethod(method)?.generate((length) => {
    // Eight octets that matter: for MODP a short exponent, which costs the load next to nothing.
    const octets = new Uint8Array(length);
    octets.set(randomBytes(8), length - 8);
    return octets;
  });
  if (!keyExchange) throw new Error(`no key exchange method ${method}`);
  return {
    ...{ method, keyExchange, gateway: mustParse(gatewayAddress) },
    secret: new SecretBytes(new TextEncoder().encode(loadSecret)),
    random: (length) => new Uint8Array(randomBytes(length)),
  };
}

function mustParse(text: string) {
  const address = parseAddress(text);
  if (!address) throw new Error(`${text} is no address`);
  return address;
}

const EXCHANGES = {
  'ike-sa-init': ExchangeType.IKE_SA_INIT,
  'ike-auth': ExchangeType.IKE_AUTH,
  delete: ExchangeType.INFORMATIONAL,
} as const;

const initiator = new LoadInitiator();
console.log('ready');
for await (const line of createInterface({ input: process.stdin })) {
  const order: LoadOrder = JSON.parse(line);
  console.log(JSON.stringify(await initiator.perform(order)));
}
process.exit(0);
