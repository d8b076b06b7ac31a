/**
 * Clients of one IKE engine in its own process: they establish IKE SAs, and ask for signs of life afterwards.
 *
 * Each request is sealed before anything is measured, so that the time between is the engine's and the cluster's.
 */
import { keyExchangeMethod } from '../src/crypto/key-exchange.ts';
import { SecretBytes } from '../src/crypto/secret-bytes.ts';
import type { Input } from '../src/ike/action.ts';
import { randomBytes } from '../src/io/random.ts';
import { ipAddress } from '../src/wire/address.ts';
import { clientOf, endsOf, LoadClient, type LoadTerms, type Step } from './load-client.ts';
import { innerAddressOf, outerAddressOf } from './load-network.ts';
import { loadSecret } from './load-responder.ts';

/** What a client's datagram is to the engine. */
export type Asked = Extract<Input, { readonly kind: 'datagram' }>;

const GATEWAY = ipAddress(Uint8Array.of(10, 77, 0, 1));
const X25519 = 31;
/** IKE_SA_INIT and IKE_AUTH had 0 and 1. */
const FIRST_MESSAGE_ID = 2;

export class SyncClients {
  readonly #terms = terms();
  readonly #clients: LoadClient[] = [];
  /** Requests of each client so far. */
  readonly #asked: number[] = [];
  #next = 0;

  get count(): number {
    return this.#clients.length;
  }

  /** The first request of one more client. */
  join(): Asked {
    const number = this.#clients.length;
    const addresses = { outer: outerAddressOf(number), inner: innerAddressOf(number) };
    const client = new LoadClient(number, this.#terms, addresses);
    this.#clients.push(client);
    this.#asked.push(0);
    return asked(client, client.initRequest());
  }

  /** The request after an answer to IKE_SA_INIT; nothing once the client has what it wants. */
  answered(octets: Uint8Array, isFirst: boolean): Asked | undefined {
    const client = this.#clients[clientOf(octets)];
    if (!client) throw new Error('an answer to nobody');
    if (isFirst) return asked(client, client.afterInit(octets));
    client.afterAuth(octets);
    return undefined;
  }

  /** Requests for signs of life, of one client after the other. */
  requests(count: number): readonly Asked[] {
    return Array.from({ length: count }, () => {
      const number = this.#next++ % this.#clients.length;
      const client = this.#clients[number];
      if (!client) throw new Error('no clients');
      const id = FIRST_MESSAGE_ID + (this.#asked[number] ?? 0);
      this.#asked[number] = id - FIRST_MESSAGE_ID + 1;
      return asked(client, client.livenessRequest(id));
    });
  }
}

function asked(client: LoadClient, { octets, port }: Step): Asked {
  // A client is at its outer address; for the engine that is the remote end.
  const { local, remote } = endsOf(outerAddressOf(client.number), GATEWAY, port);
  return { kind: 'datagram', local: remote, remote: local, octets };
}

function terms(): LoadTerms {
  const keyExchange = keyExchangeMethod(X25519)?.generate(randomBytes);
  if (!keyExchange) throw new Error('no x25519');
  return {
    ...{ method: X25519, keyExchange, gateway: GATEWAY, random: randomBytes },
    secret: new SecretBytes(new TextEncoder().encode(loadSecret)),
  };
}
