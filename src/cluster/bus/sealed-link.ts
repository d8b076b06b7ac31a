/**
 * The sealed link between this node and one other: handshakes, sessions, key roll, restart of the peer.
 *
 * `handle(input, now)` answers what must happen, `nextDeadline()` when to call again; `seal` makes a
 * datagram of the session in use. State is bounded: one initiation of ours, at most three sessions,
 * one challenge and one remembered response, whatever arrives. What is not authenticated costs at most
 * one tag and a counter, and is answered, if at all, by fewer or as many octets.
 */
import type { RandomBytes } from '../../crypto/random.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';
import { toHex } from '../../wire/octets.ts';
import type { NodeId } from '../node-id.ts';
import type { BusCounter, BusCounters } from './bus-counters.ts';
import type { KeyRing } from './cluster-key.ts';
import { CHALLENGE_OCTETS, DatagramKind, decodeHeader, sameDatagram } from './datagram.ts';
import {
  commonVersion,
  type HandshakeSettings,
  Initiation,
  ReceivedInitiation,
  type WireVersions,
} from './handshake.ts';
import { Session } from './session.ts';

export interface LinkSettings {
  readonly local: NodeId;
  readonly peer: NodeId;
  /** Drawn anew by each start of the process: 8 octets. */
  readonly incarnation: Uint8Array;
  readonly versions: WireVersions;
  readonly random: RandomBytes;
  readonly counters: BusCounters;
  /** A session in use for so long, or for so many datagrams, is replaced. */
  readonly rollMilliseconds?: number;
  readonly rollDatagrams?: number;
}

export type LinkInput =
  | { readonly kind: 'start' }
  | { readonly kind: 'datagram'; readonly path: number; readonly octets: Uint8Array }
  | { readonly kind: 'keys'; readonly ring: KeyRing }
  | { readonly kind: 'time' };

export type LinkAction =
  /** Without a path: on all of them. */
  | { readonly kind: 'send'; readonly path: number | undefined; readonly octets: Uint8Array }
  /** An authenticated datagram, never seen before. Empty ones carry nothing but that. */
  | { readonly kind: 'opened'; readonly path: number; readonly plaintext: Uint8Array }
  /** Both sides hold a session. A new incarnation is a peer that knows nothing of what was before. */
  | { readonly kind: 'up'; readonly incarnation: string; readonly version: number }
  | { readonly kind: 'down'; readonly reason: 'restarted' | 'key-withdrawn' | 'expired' }
  /** An authenticated peer speaks no version of ours. */
  | { readonly kind: 'incompatible'; readonly versions: WireVersions };

export class SealedLink {
  readonly #settings: LinkSettings & HandshakeSettings;
  readonly #rollMilliseconds: number;
  readonly #rollDatagrams: number;
  #ring: KeyRing;
  #actions: LinkAction[] = [];
  #pending: PendingInitiation | undefined;
  #current: Session | undefined;
  /** Replaced, but the peer may still send under it. */
  #previous: Session | undefined;
  /** We answered; the peer has not yet shown that it holds the keys. */
  #unconfirmed: Session | undefined;
  /** Confirmation of a session we initiated, until anything arrives under it. */
  #confirm: { readonly session: Session; at: Instant; tries: number } | undefined;
  #ownChallenge: Uint8Array;
  #peerChallenge: Uint8Array = new Uint8Array(CHALLENGE_OCTETS);
  /** The last initiation we honoured, and its response: for repetitions and the second path. */
  #answered: { readonly initiation: Uint8Array; readonly response: Uint8Array } | undefined;
  #isUp = false;
  /** Since when something was sent and nothing came. */
  #silentSince: Instant | undefined;

  constructor(settings: LinkSettings, ring: KeyRing) {
    this.#settings = settings;
    this.#ring = ring;
    this.#rollMilliseconds = settings.rollMilliseconds ?? ROLL_MILLISECONDS;
    this.#rollDatagrams = settings.rollDatagrams ?? ROLL_DATAGRAMS;
    this.#ownChallenge = settings.random(CHALLENGE_OCTETS);
  }

  handle(input: LinkInput, now: Instant): readonly LinkAction[] {
    switch (input.kind) {
      case 'start':
        if (!this.#pending) this.#initiate(now);
        break;
      case 'datagram':
        this.#count(this.#datagram(input.path, input.octets, now));
        break;
      case 'keys':
        this.#keys(input.ring, now);
        break;
      case 'time':
        break;
      default:
        input satisfies never;
    }
    this.#time(now);
    const actions = this.#actions;
    this.#actions = [];
    return actions;
  }

  nextDeadline(): Instant | undefined {
    const current = this.#current;
    return earliest(
      this.#pending?.at,
      this.#confirm?.at,
      this.#pending || !current ? undefined : this.#rollAt(current),
      current && after(current.settings.now, this.#rollMilliseconds + EXPIRY_MILLISECONDS),
      this.#previous && after(lastUse(this.#previous), PREVIOUS_MILLISECONDS),
      this.#unconfirmed && after(this.#unconfirmed.settings.now, PREVIOUS_MILLISECONDS),
      this.#pending || this.#silentSince === undefined
        ? undefined
        : after(this.#silentSince, SILENCE_MILLISECONDS),
    );
  }

  /** A datagram with the plaintext, or undefined while there is no session. */
  seal(plaintext: Uint8Array, now: Instant): Uint8Array | undefined {
    const sealed = this.#current?.seal(plaintext);
    if (sealed !== undefined && plaintext.length > 0) this.#silentSince ??= now;
    return sealed;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** The name to count it under, where it is not simply taken. */
  #datagram(path: number, octets: Uint8Array, now: Instant): BusCounter | undefined {
    const header = decodeHeader(octets);
    if (typeof header === 'string') return header;
    if (header.from !== this.#settings.peer || header.to !== this.#settings.local) {
      return 'unknown-node';
    }
    switch (header.kind) {
      case DatagramKind.INITIATION:
        return this.#onInitiation(path, header.number, octets, now);
      case DatagramKind.CHALLENGE:
        return this.#onChallenge(header.number, octets, now);
      case DatagramKind.RESPONSE:
        return this.#onResponse(header.number, octets, now);
      default:
        return this.#onSealed(path, header.number, header.version, octets, now);
    }
  }

  #onInitiation(
    path: number,
    keyId: number,
    octets: Uint8Array,
    now: Instant,
  ): BusCounter | undefined {
    if (this.#answered && sameDatagram(this.#answered.initiation, octets)) {
      this.#send(path, this.#answered.response);
      return 'repeated-initiation';
    }
    const key = this.#ring.byId(keyId);
    if (key === undefined) return 'unknown-key';
    const received = ReceivedInitiation.open(this.#settings, key, octets);
    if (received === undefined) return 'bad-handshake';
    const { payload } = received;
    if (!sameDatagram(this.#ownChallenge, payload.challenge)) {
      this.#send(path, received.challenge(this.#ownChallenge));
      return 'challenged';
    }
    const version = commonVersion(this.#settings.versions, payload.versions);
    if (version === undefined) {
      this.#actions.push({ kind: 'incompatible', versions: payload.versions });
      return 'no-common-version';
    }
    // Both initiated: the initiation of the lower number goes on.
    if (this.#pending && this.#pending.tries === 0 && this.#settings.local < this.#settings.peer) {
      return 'crossed-initiation';
    }
    return this.#answer(path, received, octets, version, now);
  }

  #answer(
    path: number,
    received: ReceivedInitiation,
    octets: Uint8Array,
    version: number,
    now: Instant,
  ): BusCounter | undefined {
    const { payload, key } = received;
    // Each challenge is honoured once.
    const challenge = this.#settings.random(CHALLENGE_OCTETS);
    const index = this.#drawIndex();
    const answer = received.answer({ index, version, challenge });
    if (answer === undefined) return 'bad-handshake';
    this.#ownChallenge = challenge;
    this.#answered = { initiation: octets.slice(), response: answer.datagram };
    this.#unconfirmed?.wipe();
    this.#unconfirmed = new Session({
      ...this.#ends(now),
      localIndex: index,
      peerIndex: payload.index,
      peerIncarnation: payload.incarnation,
      version,
      initiator: false,
      keyId: key.id,
      keys: answer.keys,
    });
    // The challenge proves the initiation fresh: whoever was there before is gone.
    if (this.#current && this.#current.settings.peerIncarnation !== payload.incarnation) {
      this.#close('restarted');
    }
    // An initiation of ours that crossed it rests, in case this session is never confirmed.
    if (this.#pending) this.#pending.at = after(now, LAST_RETRY_MILLISECONDS);
    this.#send(path, answer.datagram);
    return undefined;
  }

  #onChallenge(keyId: number, octets: Uint8Array, now: Instant): BusCounter | undefined {
    const pending = this.#pending;
    if (!pending || pending.initiation.key.id !== keyId) return 'unexpected-challenge';
    const challenge = pending.initiation.readChallenge(octets);
    if (challenge === undefined) return 'unexpected-challenge';
    this.#peerChallenge = challenge;
    this.#send(undefined, this.#draft(pending, now));
    return undefined;
  }

  #onResponse(index: number, octets: Uint8Array, now: Instant): BusCounter | undefined {
    const initiation = this.#pending?.initiation;
    if (initiation?.index !== index) return 'unexpected-response';
    const read = initiation.read(octets);
    if (read === undefined) return 'bad-handshake';
    const { payload, keys } = read;
    const { oldest, newest } = this.#settings.versions;
    if (payload.version < oldest || payload.version > newest) {
      return 'no-common-version';
    }
    this.#pending = undefined;
    this.#peerChallenge = payload.challenge;
    // An initiation of the peer's earlier life that is still on its way must not find its challenge.
    this.#ownChallenge = this.#settings.random(CHALLENGE_OCTETS);
    this.#answered = undefined;
    const session = new Session({
      ...this.#ends(now),
      localIndex: initiation.index,
      peerIndex: payload.index,
      peerIncarnation: payload.incarnation,
      version: payload.version,
      initiator: true,
      keyId: initiation.key.id,
      keys,
    });
    this.#use(session);
    this.#confirm = { session, at: now, tries: 0 };
    return undefined;
  }

  #onSealed(
    path: number,
    index: number,
    version: number,
    octets: Uint8Array,
    now: Instant,
  ): BusCounter | undefined {
    const session = [this.#current, this.#unconfirmed, this.#previous].find(
      (one) => one?.settings.localIndex === index,
    );
    if (session === undefined) return 'unknown-session';
    if (version !== session.settings.version) return 'wrong-version';
    const opened = session.open(octets, now);
    if (typeof opened === 'string') return opened;
    this.#silentSince = undefined;
    if (this.#confirm?.session === session) this.#confirm = undefined;
    if (session === this.#unconfirmed) {
      this.#unconfirmed = undefined;
      this.#pending = undefined;
      this.#use(session);
      const answer = session.seal(NOTHING);
      if (answer) this.#send(undefined, answer);
    }
    this.#actions.push({ kind: 'opened', path, plaintext: opened });
    return undefined;
  }

  /** Makes a session the one to send with. */
  #use(session: Session): void {
    const { peerIncarnation: incarnation, version } = session.settings;
    const known = this.#current?.settings.peerIncarnation;
    if (known !== undefined && known !== incarnation) this.#close('restarted');
    this.#previous?.wipe();
    this.#previous = this.#current;
    this.#current = session;
    if (this.#isUp) return;
    this.#isUp = true;
    this.#actions.push({ kind: 'up', incarnation, version });
  }

  #close(reason: 'restarted' | 'key-withdrawn' | 'expired'): void {
    for (const session of [this.#current, this.#previous]) session?.wipe();
    this.#current = undefined;
    this.#previous = undefined;
    this.#confirm = undefined;
    this.#silentSince = undefined;
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#actions.push({ kind: 'down', reason });
  }

  #keys(ring: KeyRing, now: Instant): void {
    this.#ring = ring;
    const valid = (session: Session | undefined): boolean =>
      session !== undefined && ring.byId(session.settings.keyId) !== undefined;
    if (this.#previous && !valid(this.#previous)) this.#dropPrevious();
    if (this.#unconfirmed && !valid(this.#unconfirmed)) this.#dropUnconfirmed();
    this.#answered = undefined;
    if (this.#current && !valid(this.#current)) this.#close('key-withdrawn');
    if (this.#current?.settings.keyId !== ring.first.id) this.#initiate(now);
  }

  #time(now: Instant): void {
    const current = this.#current;
    if (this.#previous && now >= after(lastUse(this.#previous), PREVIOUS_MILLISECONDS)) {
      this.#dropPrevious();
    }
    const unconfirmed = this.#unconfirmed;
    if (unconfirmed && now >= after(unconfirmed.settings.now, PREVIOUS_MILLISECONDS)) {
      this.#dropUnconfirmed();
    }
    if (current) {
      const expiry = this.#rollMilliseconds + EXPIRY_MILLISECONDS;
      if (now >= after(current.settings.now, expiry)) this.#close('expired');
      const silent =
        this.#silentSince !== undefined && now >= after(this.#silentSince, SILENCE_MILLISECONDS);
      const due = now >= this.#rollAt(current);
      if (!this.#pending && (silent || due)) this.#initiate(now);
    }
    this.#repeatConfirmation(now);
    this.#repeatInitiation(now);
  }

  #initiate(now: Instant): void {
    this.#pending = { initiation: this.#newInitiation(0), row: 0, tries: 0, at: now };
    this.#silentSince = undefined;
    this.#sendInitiation(this.#pending, now);
  }

  /** The same octets a few times, for a slow answer; then new ones, under the other key if there is. */
  #repeatInitiation(now: Instant): void {
    const pending = this.#pending;
    if (!pending || now < pending.at) return;
    pending.tries++;
    if (pending.tries % TRIES_PER_ROW === 0) {
      pending.row++;
      pending.initiation = this.#newInitiation(pending.row);
    }
    this.#sendInitiation(pending, now);
  }

  #sendInitiation(pending: PendingInitiation, now: Instant): void {
    const wait = Math.min(FIRST_RETRY_MILLISECONDS * 2 ** pending.tries, LAST_RETRY_MILLISECONDS);
    pending.at = after(now, wait);
    this.#send(undefined, pending.initiation.datagram);
  }

  /** The same initiation again, with the challenge that the peer just gave. */
  #draft(pending: PendingInitiation, now: Instant): Uint8Array {
    pending.initiation = this.#newInitiation(pending.row);
    pending.at = after(now, FIRST_RETRY_MILLISECONDS);
    pending.tries = 0;
    return pending.initiation.datagram;
  }

  #newInitiation(row: number): Initiation {
    const key = this.#ring.forAttempt(row);
    return new Initiation(this.#settings, key, this.#drawIndex(), this.#peerChallenge);
  }

  #repeatConfirmation(now: Instant): void {
    const confirm = this.#confirm;
    if (!confirm || now < confirm.at) return;
    if (confirm.tries === MOST_CONFIRMATIONS) {
      this.#confirm = undefined;
      if (!this.#pending) this.#initiate(now);
      return;
    }
    confirm.at = after(now, FIRST_RETRY_MILLISECONDS * 2 ** confirm.tries++);
    const octets = confirm.session.seal(NOTHING);
    if (octets) this.#send(undefined, octets);
  }

  /** The initiator rolls; the other side steps in where that did not happen. */
  #rollAt(session: Session): Instant {
    const { initiator, now } = session.settings;
    if (session.sent >= this.#rollDatagrams) return now;
    return after(now, this.#rollMilliseconds + (initiator ? 0 : STEP_IN_MILLISECONDS));
  }

  #drawIndex(): number {
    const taken = [this.#current, this.#previous, this.#unconfirmed].map(
      (session) => session?.settings.localIndex,
    );
    for (;;) {
      const index = Number.parseInt(toHex(this.#settings.random(4)), 16);
      if (!taken.includes(index) && index !== this.#pending?.initiation.index) return index;
    }
  }

  #dropPrevious(): void {
    this.#previous?.wipe();
    this.#previous = undefined;
  }

  #dropUnconfirmed(): void {
    this.#unconfirmed?.wipe();
    this.#unconfirmed = undefined;
    this.#answered = undefined;
  }

  #ends(now: Instant): { readonly local: NodeId; readonly peer: NodeId; readonly now: Instant } {
    return { local: this.#settings.local, peer: this.#settings.peer, now };
  }

  #send(path: number | undefined, octets: Uint8Array): void {
    this.#actions.push({ kind: 'send', path, octets });
  }

  #count(name: BusCounter | undefined): void {
    if (name !== undefined) this.#settings.counters.count(name);
  }
}

interface PendingInitiation {
  initiation: Initiation;
  /** Rows of tries: each has a key of its own from the ring. */
  row: number;
  tries: number;
  at: Instant;
}

function lastUse(session: Session): Instant {
  return session.lastReceived ?? session.settings.now;
}

const NOTHING = new Uint8Array(0);
const ROLL_MILLISECONDS = 3_600_000;
const ROLL_DATAGRAMS = 2 ** 30;
/** A session that could not be replaced for so long after its time is used no more. */
const EXPIRY_MILLISECONDS = 600_000;
const STEP_IN_MILLISECONDS = 30_000;
const PREVIOUS_MILLISECONDS = 10_000;
const SILENCE_MILLISECONDS = 1000;
const FIRST_RETRY_MILLISECONDS = 50;
const LAST_RETRY_MILLISECONDS = 1000;
const TRIES_PER_ROW = 5;
const MOST_CONFIRMATIONS = 6;
