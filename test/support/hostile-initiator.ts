/**
 * A peer that has a secret of its own, proves it to a running gateway and then says what no honest one
 * says: the cases of the table for an established IKE SA, and messages of strongSwan with anything changed.
 *
 *     node build/test/support/hostile-initiator.js < options.json
 *
 * Prints what it counted, as JSON. Bounded in messages; each waits for its answer.
 */
import { createSocket, type Socket } from 'node:dgram';
import { text } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { IkeEndpoint } from '../../src/ike/endpoint.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { encodeMessage, encodePayloads } from '../../src/ike/message/codec.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { type IkeHeader, messageId, type Payload } from '../../src/ike/message/message.ts';
import { payloadName } from '../../src/ike/message/payload-rules.ts';
import { openMessage } from '../../src/ike/protection.ts';
import { DEFAULT_IKE_SETTINGS } from '../../src/ike/settings.ts';
import { randomBytes } from '../../src/io/random.ts';
import { AddressPools } from '../../src/ipsec/address-pools.ts';
import { Pad } from '../../src/ipsec/pad.ts';
import { ProtocolId } from '../../src/ipsec/proposal.ts';
import { instant } from '../../src/wire/instant.ts';
import { readRecordedLater } from '../ike/recording-later.ts';
import { MESSAGES } from './bad-input.ts';
import { type Case, casesOf } from './bad-input-cases.ts';
import { baselineOf } from './bad-input-samples.ts';
import {
  AES_GCM_256,
  child,
  connection,
  espProposal,
  fqdn,
  ikeProposal,
  loadSecret,
  NO_ESN,
  network,
  PRF_SHA2_256,
  X25519,
} from './connections.ts';
import type { About } from './hostile-peer.ts';
import { mutate } from './mutations.ts';
import { endpoint } from './pair.ts';
import { rawSeal } from './raw-seal.ts';
import { seededNumbers } from './seeded-random.ts';

export interface HostileOptions {
  readonly local: string;
  readonly gateway: string;
  readonly id: string;
  readonly gatewayId: string;
  readonly secret: string;
  /** Ours and the gateway's. */
  readonly networks: readonly [string, string];
  /** Every so many of the table's cases. */
  readonly stride: number;
  readonly mutations: number;
}

export interface HostileCounts {
  readonly cases: number;
  readonly mutations: number;
  readonly ikeSas: number;
  /** Cases that were answered otherwise than the table has it. */
  readonly wrong: readonly string[];
  /** How often each answer came. */
  readonly answers: Readonly<Record<string, number>>;
}

const PORT = 5500;
const IKE_PORT = 500;
const ANSWER_MS = 10_000;
const PAUSE_MS = 1;

class HostileInitiator {
  readonly #options: HostileOptions;
  readonly #socket: Socket;
  #sa: IkeSa | undefined;
  #nextId = 0;
  #ikeSas = 0;
  readonly #answers: Record<string, number> = {};
  #heard: (octets: Uint8Array) => void = () => {};

  constructor(options: HostileOptions, socket: Socket) {
    this.#options = options;
    this.#socket = socket;
    socket.on('message', (octets) => this.#heard(new Uint8Array(octets)));
  }

  async run(): Promise<HostileCounts> {
    const cases = [...casesOf('established, responder')].filter(
      (_, index) => index % this.#options.stride === 0,
    );
    const wrong: string[] = [];
    for (const one of cases) {
      const came = await this.#runCase(one);
      if (came !== undefined) wrong.push(`${one.message} ${one.direction}, ${one.what}: ${came}`);
    }
    await this.#runMutations();
    return {
      cases: cases.length,
      mutations: this.#options.mutations,
      ikeSas: this.#ikeSas,
      wrong: wrong.slice(0, 20),
      answers: this.#answers,
    };
  }

  /** What came where another answer was expected. */
  async #runCase(one: Case): Promise<string | undefined> {
    const sa = await this.#established();
    const { exchangeType, sealed } = MESSAGES[one.message];
    const isResponse = one.direction === 'response';
    const about = { exchangeType, isResponse, ...(isResponse && { id: 0 }), ...one.about };
    const {
      payloads,
      clear = [],
      patch,
    } = one.spoil(baselineOf({ sa }, one.message, one.direction));
    const { first, octets } = encodePayloads(this.#adapted(payloads));
    const chain = patch?.(octets) ?? octets;
    const key = sa.secured?.sealing;
    if (!key) throw new Error('no keys');
    const make = (header: IkeHeader) => {
      if (sealed) return rawSeal(header, first, chain, key, clear);
      const whole = encodeMessage({ header, payloads: this.#adapted(payloads) });
      whole.set(chain, whole.length - chain.length);
      return whole;
    };
    if (one.expected.startsWith('drop ')) {
      this.#send(make(this.#header(sa, about)));
      return undefined;
    }
    const answer = await this.#ask(sa, about, make);
    const name = answer && `[${answer.map(payloadName).join(' ')}]`;
    await this.#settle(one, answer ?? []);
    if (name === undefined) return 'nothing';
    if (one.expected.startsWith('N(')) {
      return name === `[${one.expected.replace('!', '')}]` ? undefined : name;
    }
    return answer?.some((each) => each.kind === 'NOTIFY' && each.type < 16_384) ? name : undefined;
  }

  async #runMutations(): Promise<void> {
    const chance = seededNumbers(4555);
    const recorded = readRecordedLater();
    const chains = recorded.map(({ payloads }) => encodePayloads(payloads));
    const requests = recorded.filter(({ header }) => !header.isResponse);
    for (let round = 0; round < this.#options.mutations; round++) {
      const sa = await this.#established();
      const message = requests[Math.floor(chance() * requests.length)];
      const key = sa.secured?.sealing;
      if (!message || !key) throw new Error('nothing to send');
      const { first, octets } = mutate(encodePayloads(message.payloads), chains, chance);
      const { exchangeType } = message.header;
      const answer = await this.#ask(sa, { exchangeType }, (header) =>
        rawSeal(header, first, octets, key),
      );
      const quiet = answer?.length === 1 && answer[0]?.kind === 'NOTIFY' && answer[0].type !== 7;
      // What was granted, or ended, makes another state of it.
      if (!quiet && answer?.length !== 0) this.#sa = undefined;
    }
  }

  /** Where the table says that the IKE SA goes on, it does; what was made is deleted. */
  async #settle(one: Case, answer: readonly Payload[]): Promise<void> {
    const made = answer.find(({ kind }) => kind === 'SA');
    const stays = one.expected === 'handled' || one.expected === 'echoed';
    if (one.message === 'new Child SA' && stays && made?.kind === 'SA' && this.#sa) {
      const spis = [this.#lastSpi];
      const { exchangeType } = MESSAGES.INFORMATIONAL;
      const payload: Payload = { kind: 'DELETE', protocol: ProtocolId.ESP, spiSize: 4, spis };
      await this.#askSealed(this.#sa, exchangeType, [payload]);
    } else if (
      one.expected.endsWith('!') ||
      one.expected === 'ended' ||
      one.message.startsWith('rekeyed')
    ) {
      this.#sa = undefined;
    }
  }

  #lastSpi = new Uint8Array(4);

  /** Selectors between the networks there are. */
  #adapted(payloads: readonly Payload[]): readonly Payload[] {
    return payloads.map((one) => {
      if (one.kind === 'SA' && one.proposals[0]?.protocol === ProtocolId.ESP) {
        this.#lastSpi = new Uint8Array(one.proposals[0].spi);
      }
      if ((one.kind !== 'TSi' && one.kind !== 'TSr') || one.entries.length === 0) return one;
      const template = network(this.#options.networks[one.kind === 'TSi' ? 0 : 1]);
      if (template.kind !== 'fixed') throw new Error('a fixed network');
      return { ...one, entries: [{ kind: 'range', selector: template.selector }] };
    });
  }

  async #askSealed(sa: IkeSa, exchangeType: number, payloads: readonly Payload[]) {
    const key = sa.secured?.sealing;
    if (!key) throw new Error('no keys');
    const { first, octets } = encodePayloads(payloads);
    return this.#ask(sa, { exchangeType }, (header) => rawSeal(header, first, octets, key));
  }

  /** The payloads of the answer to a request; undefined where none comes. */
  async #ask(
    sa: IkeSa,
    about: About,
    make: (header: IkeHeader) => Uint8Array,
  ): Promise<readonly Payload[] | undefined> {
    // The machine is shared with the gateways and the hosts.
    await sleep(PAUSE_MS);
    const header = this.#header(sa, about);
    const octets = make(header);
    const answer = await new Promise<Uint8Array | undefined>((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ANSWER_MS);
      this.#heard = (datagram) => {
        const { isResponse, messageId: id } = decodeHeader(datagram);
        if (!isResponse || id !== header.messageId) return;
        clearTimeout(timer);
        resolve(datagram);
      };
      this.#send(octets);
    });
    this.#nextId++;
    const key = sa.secured?.opening;
    const payloads = answer && key && openMessage(answer, key);
    const name = payloads ? `[${payloads.map(payloadName).join(' ')}]` : 'nothing';
    this.#answers[name] = (this.#answers[name] ?? 0) + 1;
    if (!payloads) this.#sa = undefined;
    return payloads;
  }

  #header(
    sa: IkeSa,
    { exchangeType, id, isResponse = false, fromInitiator = true }: About,
  ): IkeHeader {
    return {
      initiatorSpi: sa.spiI,
      responderSpi: sa.spiR,
      majorVersion: 2,
      minorVersion: 0,
      exchangeType,
      fromInitiator,
      higherVersion: false,
      isResponse,
      messageId: messageId(id ?? this.#nextId),
    };
  }

  /** The IKE SA there is, or a new one, past its first request. */
  async #established(): Promise<IkeSa> {
    if (this.#sa) return this.#sa;
    const engine = this.#newEngine();
    const { local, gateway } = this.#options;
    const ends = { local: endpoint(local, PORT), remote: endpoint(gateway, IKE_PORT) };
    const sa = await new Promise<IkeSa>((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error('not admitted')), 10_000);
      const perform = (actions: ReturnType<IkeEndpoint['handle']>) => {
        for (const action of actions) {
          if (action.kind === 'send') this.#send(action.octets);
          if (action.kind !== 'complete') continue;
          clearTimeout(timer);
          const [up] = engine.ikeSas();
          if (action.outcome.kind === 'done' && up) resolve(up);
          else reject(new Error(JSON.stringify(action.outcome)));
        }
      };
      this.#heard = (octets) => {
        perform(engine.handle({ kind: 'datagram', ...ends, octets }, now()));
      };
      const wanted = { kind: 'initiate', request: 1, connection: 'peer', child: 'net' } as const;
      perform(engine.handle({ ...wanted, ...ends }, now()));
    });
    this.#sa = sa;
    this.#nextId = sa.window.nextId;
    this.#ikeSas++;
    await this.#askSealed(sa, MESSAGES.INFORMATIONAL.exchangeType, []);
    return sa;
  }

  #newEngine(): IkeEndpoint {
    const { id, gatewayId, secret, networks } = this.#options;
    const [ours, theirs] = networks;
    const pad = new Pad();
    pad.load(
      connection({
        proposals: [ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519)],
        local: { method: 'psk', id: { text: id, identity: fqdn(id) } },
        remote: { method: 'psk', id: { text: gatewayId, identity: fqdn(gatewayId) } },
        children: [
          child({
            proposals: [espProposal(AES_GCM_256, NO_ESN)],
            localTs: [network(ours)],
            remoteTs: [network(theirs)],
          }),
        ],
      }),
    );
    loadSecret(pad, secret);
    return new IkeEndpoint({
      random: randomBytes,
      pad,
      pools: new AddressPools(),
      settings: DEFAULT_IKE_SETTINGS,
      traffic: { lastInbound: () => undefined, lastOutbound: () => undefined },
      keyLog: false,
    });
  }

  #send(octets: Uint8Array): void {
    this.#socket.send(octets, IKE_PORT, this.#options.gateway);
  }
}

function now() {
  return instant(performance.now());
}

async function main(): Promise<void> {
  const options: HostileOptions = JSON.parse(await text(process.stdin));
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(PORT, options.local, resolve));
  try {
    console.log(JSON.stringify(await new HostileInitiator(options, socket).run()));
  } finally {
    socket.close();
  }
}

await main();
