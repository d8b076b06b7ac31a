/**
 * The pair handshake of two nodes: Noise NNpsk0 made fresh by a challenge.
 *
 *   initiator                                   responder
 *   INITIATION(challenge unknown)      ───►
 *                                      ◄───     CHALLENGE     (stateless, shorter, authenticated)
 *   INITIATION(challenge)              ───►     honoured once: the challenge is replaced
 *                                      ◄───     RESPONSE(next challenge)
 *   SEALED                             ───►     the session is confirmed
 *
 * A recorded initiation names a challenge that is gone: it costs its tag and gets a shorter answer, never
 * a key exchange or a session. A recorded challenge names another initiation and is dropped. Any holder of
 * the cluster key can speak for any node: the key is the cluster's, not a node's.
 */
import { equalSecrets } from '../../crypto/constant-time.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import { concatOctets, OctetReader, OctetWriter, toHex } from '../../wire/octets.ts';
import type { NodeId } from '../node-id.ts';
import type { ClusterKey } from './cluster-key.ts';
import {
  CHALLENGE_OCTETS,
  DatagramKind,
  encodeHeader,
  HANDSHAKE_VERSION,
  HEADER_OCTETS,
} from './datagram.ts';
import { NoiseInitiator, type NoiseKeys, NoiseResponder } from './noise.ts';

export const INCARNATION_OCTETS = 8;

/** Wire versions a node speaks: the newest, and the one before it while a cluster is upgraded. */
export interface WireVersions {
  readonly oldest: number;
  readonly newest: number;
}

/** Who speaks to whom, and as whom. */
export interface HandshakeSettings {
  readonly local: NodeId;
  readonly peer: NodeId;
  /** Drawn anew by each start of the process. */
  readonly incarnation: Uint8Array;
  readonly versions: WireVersions;
  readonly random: RandomBytes;
}

/** What an initiation says of its sender. */
export interface InitiationPayload {
  readonly incarnation: string;
  readonly index: number;
  readonly versions: WireVersions;
  readonly challenge: Uint8Array;
}

/** What a response says. */
export interface ResponsePayload {
  readonly incarnation: string;
  readonly index: number;
  readonly version: number;
  readonly challenge: Uint8Array;
}

/** An initiation of ours that waits for its answer. */
export class Initiation {
  readonly key: ClusterKey;
  readonly index: number;
  readonly datagram: Uint8Array;
  readonly #noise: NoiseInitiator;

  constructor(settings: HandshakeSettings, key: ClusterKey, index: number, challenge: Uint8Array) {
    const { local, peer, incarnation, versions, random } = settings;
    const prefix = encodeHeader(header(DatagramKind.INITIATION, local, peer, key.id));
    const payload = new OctetWriter()
      .octets(incarnation)
      .u32(index)
      .u8(versions.oldest)
      .u8(versions.newest)
      .u16(0)
      .octets(challenge)
      .finish();
    this.key = key;
    this.index = index;
    this.#noise = new NoiseInitiator({ psk: key.psk, prologue: prefix, random });
    this.datagram = concatOctets(prefix, this.#noise.write(payload));
  }

  /** What the response says, with the keys; undefined where it answers something else. */
  read(
    response: Uint8Array,
  ): { readonly payload: ResponsePayload; readonly keys: NoiseKeys } | undefined {
    const read = this.#noise.read(response.subarray(HEADER_OCTETS));
    if (read === undefined) return undefined;
    const reader = new OctetReader(read.payload);
    const incarnation = toHex(reader.take(INCARNATION_OCTETS, 'incarnation'));
    const [index, version] = [reader.u32('index'), reader.u8('version')];
    reader.skip(3, 'reserved');
    const challenge = reader.take(CHALLENGE_OCTETS, 'challenge');
    return { payload: { incarnation, index, version, challenge }, keys: read.keys };
  }

  /** The challenge of a datagram that answers this initiation, or undefined. */
  readChallenge(datagram: Uint8Array): Uint8Array | undefined {
    const challenge = datagram.slice(HEADER_OCTETS, HEADER_OCTETS + CHALLENGE_OCTETS);
    const front = datagram.subarray(0, HEADER_OCTETS + CHALLENGE_OCTETS);
    const tag = this.key.challengeTag(front, this.datagram);
    const sent = datagram.subarray(HEADER_OCTETS + CHALLENGE_OCTETS);
    return equalSecrets(tag, sent) ? challenge : undefined;
  }
}

/** An initiation of the peer whose tag was right. */
export class ReceivedInitiation {
  readonly payload: InitiationPayload;
  readonly key: ClusterKey;
  readonly #settings: HandshakeSettings;
  readonly #datagram: Uint8Array;
  readonly #noise: NoiseResponder;

  private constructor(
    settings: HandshakeSettings,
    received: Pick<ReceivedInitiation, 'payload' | 'key'>,
    datagram: Uint8Array,
    noise: NoiseResponder,
  ) {
    this.payload = received.payload;
    this.key = received.key;
    this.#settings = settings;
    this.#datagram = datagram;
    this.#noise = noise;
  }

  /** Undefined where the tag is wrong. Costs no key exchange. */
  static open(
    settings: HandshakeSettings,
    key: ClusterKey,
    datagram: Uint8Array,
  ): ReceivedInitiation | undefined {
    const prologue = datagram.subarray(0, HEADER_OCTETS);
    const noise = new NoiseResponder({ psk: key.psk, prologue, random: settings.random });
    const octets = noise.read(datagram.subarray(HEADER_OCTETS));
    if (octets === undefined) return undefined;
    const reader = new OctetReader(octets);
    const incarnation = toHex(reader.take(INCARNATION_OCTETS, 'incarnation'));
    const index = reader.u32('index');
    const versions = { oldest: reader.u8('oldest version'), newest: reader.u8('newest version') };
    reader.skip(2, 'reserved');
    const challenge = reader.take(CHALLENGE_OCTETS, 'challenge');
    const payload = { incarnation, index, versions, challenge };
    return new ReceivedInitiation(settings, { payload, key }, datagram, noise);
  }

  /** The answer to who does not know our challenge. */
  challenge(challenge: Uint8Array): Uint8Array {
    const { local, peer } = this.#settings;
    const prefix = encodeHeader(header(DatagramKind.CHALLENGE, local, peer, this.key.id));
    const front = concatOctets(prefix, challenge);
    return concatOctets(front, this.key.challengeTag(front, this.#datagram));
  }

  /** The response and the keys; undefined where the public value is unusable. */
  answer(
    said: Omit<ResponsePayload, 'incarnation'>,
  ): { readonly datagram: Uint8Array; readonly keys: NoiseKeys } | undefined {
    const { local, peer, incarnation } = this.#settings;
    const payload = new OctetWriter()
      .octets(incarnation)
      .u32(said.index)
      .u8(said.version)
      .octets(new Uint8Array(3))
      .octets(said.challenge)
      .finish();
    const written = this.#noise.write(payload);
    if (written === undefined) return undefined;
    const prefix = encodeHeader(header(DatagramKind.RESPONSE, local, peer, this.payload.index));
    return { datagram: concatOctets(prefix, written.message), keys: written.keys };
  }
}

/** The newest version both speak, or undefined. */
export function commonVersion(one: WireVersions, other: WireVersions): number | undefined {
  const newest = Math.min(one.newest, other.newest);
  return newest >= Math.max(one.oldest, other.oldest) ? newest : undefined;
}

function header(
  kind: number,
  from: NodeId,
  to: NodeId,
  number: number,
): {
  readonly kind: number;
  readonly version: number;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly number: number;
} {
  return { kind, version: HANDSHAKE_VERSION, from, to, number };
}
