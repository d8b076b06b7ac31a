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
import { InitiationAttempts, retryMilliseconds } from './initiation-attempts.ts';
import { Session } from './session.ts';
import { Sessions } from './sessions.ts';

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
  readonly #sessions = new Sessions();
  #attempts: InitiationAttempts | undefined;
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
        if (!this.#attempts) this.#initiate(now);
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
    const current = this.#sessions.current;
    const isCalm = this.#attempts === undefined;
    return earliest(
      this.#attempts?.at,
      this.#confirm?.at,
      this.#sessions.nextDeadline(),
      current && isCalm ? this.#rollAt(current) : undefined,
      current && after(current.settings.now, this.#rollMilliseconds + EXPIRY_MILLISECONDS),
      this.#silentSince !== undefined && isCalm
        ? after(this.#silentSince, SILENCE_MILLISECONDS)
        : undefined,
    );
  }

  /** A datagram with the plaintext, or undefined while there is no session. */
  seal(plaintext: Uint8Array, now: Instant): Uint8Array | undefined {
    const sealed = this.#sessions.current?.seal(plaintext);
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
    if (this.#attempts?.isFresh && this.#settings.local < this.#settings.peer) {
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
    this.#sessions.offer(
      new Session({
        ...this.#ends(now),
        localIndex: index,
        peerIndex: payload.index,
        peerIncarnation: payload.incarnation,
        version,
        initiator: false,
        keyId: key.id,
        keys: answer.keys,
      }),
    );
    // The challenge proves the initiation fresh: whoever was there before is gone.
    const known = this.#sessions.current?.settings.peerIncarnation;
    if (known !== undefined && known !== payload.incarnation) this.#close('restarted');
    this.#attempts?.rest(now);
    this.#send(path, answer.datagram);
    return undefined;
  }

  #onChallenge(keyId: number, octets: Uint8Array, now: Instant): BusCounter | undefined {
    const attempts = this.#attempts;
    if (attempts?.initiation.key.id !== keyId) return 'unexpected-challenge';
    const challenge = attempts.initiation.readChallenge(octets);
    if (challenge === undefined) return 'unexpected-challenge';
    this.#peerChallenge = challenge;
    this.#send(undefined, attempts.challenged(now));
    return undefined;
  }

  #onResponse(index: number, octets: Uint8Array, now: Instant): BusCounter | undefined {
    const initiation = this.#attempts?.initiation;
    if (initiation?.index !== index) return 'unexpected-response';
    const read = initiation.read(octets);
    if (read === undefined) return 'bad-handshake';
    const { payload, keys } = read;
    const { oldest, newest } = this.#settings.versions;
    if (payload.version < oldest || payload.version > newest) {
      return 'no-common-version';
    }
    this.#attempts = undefined;
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
    const session = this.#sessions.byIndex(index);
    if (session === undefined) return 'unknown-session';
    if (version !== session.settings.version) return 'wrong-version';
    const opened = session.open(octets, now);
    if (typeof opened === 'string') return opened;
    this.#silentSince = undefined;
    if (this.#confirm?.session === session) this.#confirm = undefined;
    if (session === this.#sessions.unconfirmed) {
      this.#attempts = undefined;
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
    const known = this.#sessions.current?.settings.peerIncarnation;
    if (known !== undefined && known !== incarnation) this.#close('restarted');
    this.#sessions.use(session);
    if (this.#isUp) return;
    this.#isUp = true;
    this.#actions.push({ kind: 'up', incarnation, version });
  }

  #close(reason: 'restarted' | 'key-withdrawn' | 'expired'): void {
    this.#sessions.close();
    this.#confirm = undefined;
    this.#silentSince = undefined;
    if (!this.#isUp) return;
    this.#isUp = false;
    this.#actions.push({ kind: 'down', reason });
  }

  #keys(ring: KeyRing, now: Instant): void {
    this.#ring = ring;
    const isValid = (keyId: number): boolean => ring.byId(keyId) !== undefined;
    this.#sessions.keep(isValid);
    this.#answered = undefined;
    const { current } = this.#sessions;
    if (current && !isValid(current.settings.keyId)) this.#close('key-withdrawn');
    if (this.#sessions.current?.settings.keyId !== ring.first.id) this.#initiate(now);
  }

  #time(now: Instant): void {
    this.#sessions.time(now);
    if (this.#sessions.unconfirmed === undefined) this.#answered = undefined;
    const { current } = this.#sessions;
    if (current) {
      const expiry = this.#rollMilliseconds + EXPIRY_MILLISECONDS;
      if (now >= after(current.settings.now, expiry)) this.#close('expired');
      const silent =
        this.#silentSince !== undefined && now >= after(this.#silentSince, SILENCE_MILLISECONDS);
      const due = now >= this.#rollAt(current);
      if (!this.#attempts && (silent || due)) this.#initiate(now);
    }
    this.#repeatConfirmation(now);
    const repeated = this.#attempts?.repeat(now);
    if (repeated) this.#send(undefined, repeated);
  }

  #initiate(now: Instant): void {
    const draft = (row: number): Initiation =>
      new Initiation(
        this.#settings,
        this.#ring.forAttempt(row),
        this.#drawIndex(),
        this.#peerChallenge,
      );
    this.#attempts = new InitiationAttempts(draft, now);
    this.#silentSince = undefined;
    this.#send(undefined, this.#attempts.initiation.datagram);
  }

  #repeatConfirmation(now: Instant): void {
    const confirm = this.#confirm;
    if (!confirm || now < confirm.at) return;
    if (confirm.tries === MOST_CONFIRMATIONS) {
      this.#confirm = undefined;
      if (!this.#attempts) this.#initiate(now);
      return;
    }
    confirm.at = after(now, retryMilliseconds(confirm.tries++));
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
    for (;;) {
      const index = Number.parseInt(toHex(this.#settings.random(4)), 16);
      const isTaken = index === this.#attempts?.initiation.index;
      if (!isTaken && this.#sessions.byIndex(index) === undefined) return index;
    }
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

const NOTHING = new Uint8Array(0);
const ROLL_MILLISECONDS = 3_600_000;
const ROLL_DATAGRAMS = 2 ** 30;
/** A session that could not be replaced for so long after its time is used no more. */
const EXPIRY_MILLISECONDS = 600_000;
const STEP_IN_MILLISECONDS = 30_000;
const SILENCE_MILLISECONDS = 1000;
const MOST_CONFIRMATIONS = 6;
