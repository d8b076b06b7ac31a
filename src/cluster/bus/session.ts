/**
 * One session between two nodes: a key and a 64-bit counter for each direction, and a replay window.
 *
 * The nonce is the counter, which is never used twice under a key: a new session has new keys, and a
 * session that nears its last counter seals nothing more. The counter is judged before the tag costs
 * anything, and taken in only after the tag was found right.
 */
import { open, seal } from '../../crypto/message-cipher.ts';
import { ReplayVerdict, ReplayWindow } from '../../ipsec/replay-window.ts';
import type { Instant } from '../../wire/instant.ts';
import { concatOctets } from '../../wire/octets.ts';
import type { NodeId } from '../node-id.ts';
import type { BusCounter } from './bus-counters.ts';
import { DatagramKind, encodeHeader, SEALED_HEADER_OCTETS } from './datagram.ts';
import { AES_GCM, type NoiseKeys, noiseCipherKey } from './noise.ts';

export interface SessionSettings {
  readonly local: NodeId;
  readonly peer: NodeId;
  /** What the peer writes to mean this session, and what we write. */
  readonly localIndex: number;
  readonly peerIndex: number;
  /** Drawn anew by each start of the peer's process. */
  readonly peerIncarnation: string;
  readonly version: number;
  readonly initiator: boolean;
  readonly keyId: number;
  readonly keys: NoiseKeys;
  readonly now: Instant;
}

export class Session {
  readonly settings: SessionSettings;
  readonly #sendKey: Uint8Array;
  readonly #receiveKey: Uint8Array;
  readonly #window = new ReplayWindow(WINDOW, true);
  #sent = 0;
  #lastReceived: Instant | undefined;

  constructor(settings: SessionSettings) {
    this.settings = settings;
    this.#sendKey = noiseCipherKey(settings.keys.send);
    this.#receiveKey = noiseCipherKey(settings.keys.receive);
  }

  /** Datagrams sealed so far. */
  get sent(): number {
    return this.#sent;
  }

  /** When the peer last proved that it holds the session; undefined before it did. */
  get lastReceived(): Instant | undefined {
    return this.#lastReceived;
  }

  /** A datagram, or undefined where the counter has come to its end. */
  seal(plaintext: Uint8Array): Uint8Array | undefined {
    if (this.#sent >= LAST_COUNTER) return undefined;
    this.#sent++;
    const { local, peer, peerIndex, version } = this.settings;
    const kind = DatagramKind.SEALED;
    const header = encodeHeader({ kind, version, from: local, to: peer, number: peerIndex });
    const iv = counterOctets(this.#sent);
    const aad = concatOctets(header, iv);
    return concatOctets(aad, seal({ algorithm: AES_GCM, key: this.#sendKey, iv, aad, plaintext }));
  }

  /** What a datagram for this session carries, or the counter that says why it is refused. */
  open(datagram: Uint8Array, now: Instant): Uint8Array | BusCounter {
    const view = new DataView(datagram.buffer, datagram.byteOffset);
    const [high, low] = [view.getUint32(8), view.getUint32(12)];
    const verdict = this.#window.check(low);
    if (this.#window.high === high && verdict === ReplayVerdict.REPLAYED) return 'replayed';
    const aad = datagram.subarray(0, SEALED_HEADER_OCTETS);
    const iv = datagram.subarray(8, SEALED_HEADER_OCTETS);
    const ciphertext = datagram.subarray(SEALED_HEADER_OCTETS);
    const plaintext = open({ algorithm: AES_GCM, key: this.#receiveKey, iv, aad, ciphertext });
    if (plaintext === undefined) return 'bad-tag';
    const taken = this.#window.update(high, low);
    if (taken === ReplayVerdict.REPLAYED) return 'replayed';
    if (taken !== ReplayVerdict.FRESH) return 'left-of-window';
    this.#lastReceived = now;
    return plaintext;
  }

  /** Overwrites the keys; the session is unusable afterwards. */
  wipe(): void {
    this.#sent = LAST_COUNTER;
    for (const key of [this.#sendKey, this.#receiveKey]) key.fill(0);
    this.settings.keys.send.wipe();
    this.settings.keys.receive.wipe();
  }
}

/** Datagrams of two paths with some milliseconds between them. */
const WINDOW = 4096;
/** Far below where AES-GCM under one key weakens, far above what an hour needs. */
const LAST_COUNTER = 2 ** 34;

function counterOctets(counter: number): Uint8Array {
  const octets = new Uint8Array(8);
  const view = new DataView(octets.buffer);
  view.setUint32(0, Math.floor(counter / 2 ** 32));
  view.setUint32(4, counter % 2 ** 32);
  return octets;
}
