/**
 * A peer that holds the keys of an IKE SA and says with them what no honest one says.
 *
 * It stands in for site a of a pair: site a hears and says nothing any more, its keys seal what the
 * tests write and open what site b answers.
 */
import assert from 'node:assert/strict';
import type { Event } from '../../src/events/event.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import { decodeMessage } from '../../src/ike/message/codec.ts';
import { type IkeHeader, messageId, type Payload } from '../../src/ike/message/message.ts';
import { payloadName } from '../../src/ike/message/payload-rules.ts';
import { openMessage, sealMessage } from '../../src/ike/protection.ts';
import type { Flight, Pair, Side } from './pair.ts';
import { rawSeal } from './raw-seal.ts';
import { seededRandom } from './seeded-random.ts';

export interface Answer {
  readonly header: IkeHeader;
  readonly payloads: readonly Payload[];
  readonly octets: Uint8Array;
}

/** What a message brought about. */
export interface Reaction {
  /** What came back for the message, decoded. */
  readonly answers: readonly Answer[];
  /** The victim's events but `message`. */
  readonly events: readonly Event[];
}

/** What is in the header of a message, where it is not as it should be. */
export interface About {
  readonly exchangeType: number;
  readonly id?: number;
  readonly isResponse?: boolean;
  /** The I flag. */
  readonly fromInitiator?: boolean;
}

export class HostilePeer {
  readonly pair: Pair;
  readonly victim: Side;
  /** The hostile end of the IKE SA. */
  readonly sa: IkeSa;
  /** Id of its next request. */
  nextId: number;

  constructor(pair: Pair, sa: IkeSa | undefined = pair.a.engine.ikeSas()[0]) {
    assert.ok(sa?.secured, 'no IKE SA with keys');
    this.pair = pair;
    this.sa = sa;
    this.victim = pair.b;
    this.nextId = sa.window.nextId;
    pair.translate = () => undefined;
  }

  /** A request with these payloads; its id is used up if it was answered. */
  request(exchangeType: number, payloads: readonly Payload[]): Reaction {
    return this.send({ exchangeType }, payloads);
  }

  send(about: About, payloads: readonly Payload[]): Reaction {
    return this.deliver(about, (header) =>
      sealMessage(header, payloads, this.keys.sealing, seededRandom(5)),
    );
  }

  /** The same of octets that are no chain of payloads. */
  sendOctets(about: About, firstPayload: number, plaintext: Uint8Array): Reaction {
    return this.deliver(about, (header) =>
      rawSeal(header, firstPayload, plaintext, this.keys.sealing),
    );
  }

  /** A datagram that `make` makes of its header. */
  deliver(about: About, make: (header: IkeHeader) => Uint8Array): Reaction {
    const header = this.#header(about);
    const { pair, victim } = this;
    const [sent, seen] = [pair.flights.length, victim.events.length];
    // From and to where the victim believes the two ends are.
    const { local, remote } = this.sa;
    pair.handle(victim, { kind: 'datagram', local: remote, remote: local, octets: make(header) });
    const answers = pair.flights.slice(sent).map((flight) => this.#read(flight));
    const answered = answers.some((one) => one.header.isResponse && !header.isResponse);
    if (answered && about.id === undefined) this.nextId++;
    const events = victim.events.slice(seen).filter(({ kind }) => kind !== 'message');
    return { answers, events };
  }

  /** The victim's end of the IKE SA, while it is not closed. */
  get victimSa(): IkeSa | undefined {
    return this.victim.engine
      .ikeSas()
      .find(({ spiI, spiR }) => spiI === this.sa.spiI && spiR === this.sa.spiR);
  }

  get keys() {
    const { secured } = this.sa;
    assert.ok(secured);
    return secured;
  }

  #header({ exchangeType, id, isResponse = false, fromInitiator }: About): IkeHeader {
    return {
      initiatorSpi: this.sa.spiI,
      responderSpi: this.sa.spiR,
      majorVersion: 2,
      minorVersion: 0,
      exchangeType,
      fromInitiator: fromInitiator ?? this.sa.initiator,
      higherVersion: false,
      isResponse,
      messageId: messageId(id ?? this.nextId),
    };
  }

  #read({ octets }: Flight): Answer {
    const { header, payloads } = decodeMessage(octets);
    const sealed = payloads.at(-1)?.kind === 'SK';
    const opened = sealed ? openMessage(octets, this.keys.opening) : payloads;
    return { header, payloads: opened ?? payloads, octets };
  }
}

/** The responses of a reaction, as a ladder writes them: `[N(NO_PROPOSAL_CHOSEN)]`. */
export function responses({ answers }: Reaction): readonly string[] {
  return answers
    .filter(({ header }) => header.isResponse)
    .map(({ payloads }) => `[${payloads.map(payloadName).join(' ')}]`);
}

/** Everything a side holds for its peers, as text: equal before and after what had no side effect. */
export function holdings(side: Side): readonly string[] {
  const sas = side.engine
    .ikeSas()
    .flatMap((sa) => [
      `${sa.spiI} ${sa.spiR} ${sa.state.name} ${sa.queued.length} wishes ${sa.postponed.length}`,
      ...[...sa.children.values()].map(
        ({ childSa, state }) => `${childSa.spiIn} ${childSa.spiOut} ${state.name}`,
      ),
      ...sa.remoteVips.map(({ octets }) => `lease ${octets.join('.')}`),
    ]);
  const leases = side.pools.views().flatMap(({ name, online }) => `${name} ${online} leased`);
  const installed = [...side.children.values()].map(({ id, spiIn }) => `installed ${id} ${spiIn}`);
  return [...sas, ...leases, ...installed, `${side.engine.inboundSpis} SPIs`];
}

/** The IKE SA is gone at the victim, with all it had and was about to have. */
export function assertEnded(pair: Pair, about: string): void {
  assert.equal(pair.b.established, 0, about);
  assert.deepEqual(
    holdings(pair.b).filter((one) => !one.includes('Awaiting')),
    ['0 SPIs'],
    about,
  );
}
