/**
 * Trying a library that ciphers packets: whether its packets are right, and how fast it makes them.
 *
 * Right is what OpenSSL finds right, in both directions, and with an AEAD the ICV that is known of one
 * packet: an ICV covers all of the ciphertext.
 */
import {
  type CipherName,
  encryptionAlgorithm,
  encryptionKeyOctets,
  integrityAlgorithm,
} from '../crypto/algorithms.ts';
import { ORIGIN_OCTETS, WORDS, Word } from '../esp/batch.ts';
import { ESP_HEADER, type EspSuite, type EspTransforms, espSuite } from '../esp/esp-suite.ts';
import { equalOctets, toHex } from '../wire/octets.ts';
import { contextOptions, type DirectionKeys } from './esp-contexts.ts';
import type { BackEndName, Native } from './native.ts';

const ROWS = 32;
const SLOT = 1536;
/** Octets of a full-size body; blocks divide it. */
const FULL = 1408;
/**
 * Bodies of the test: none, blocks, and more of them than a library takes at once; full size last. So
 * many in one call are done side by side where a library can.
 */
const BODIES = [0, 16, 32, 48, 112, 496, FULL];
/** Rounds of the race; the first one warms up. */
const ROUNDS = 4;
/** High half of the sequence number: with ESN more is authenticated. */
const SEQUENCE_HIGH = 1;

export class BackEndTrial {
  readonly #native: Native;
  readonly #clock: () => number;
  readonly #arena = new Uint8Array(new SharedArrayBuffer(ROWS * SLOT));
  /** Every packet before it is sealed. */
  readonly #pattern = patterned(SLOT, 0);
  readonly #words = new Int32Array(new SharedArrayBuffer(ROWS * WORDS * 4));
  readonly #batch: number;

  /** The clock says milliseconds. */
  constructor(native: Native, clock: () => number) {
    this.#native = native;
    this.#clock = clock;
    const origins = new Uint8Array(new SharedArrayBuffer(ROWS * ORIGIN_OCTETS));
    this.#batch = native.batch(this.#arena, this.#words, origins);
  }

  close(): void {
    this.#native.freeBatch(this.#batch);
  }

  /** What is wrong with the library's packets; undefined when nothing is. */
  fault(transforms: EspTransforms, backEnd: BackEndName): string | undefined {
    const ways = [
      [backEnd, 'evp'],
      ['evp', backEnd],
    ] as const;
    for (const [sealing, opening] of ways) {
      const fault = this.#with(transforms, [sealing, opening], (ends) => this.#faultOf(ends));
      if (fault !== undefined) return `sealed by ${sealing} and opened by ${opening}, ${fault}`;
    }
    return undefined;
  }

  /** Milliseconds for a batch of full-size packets to be sealed and opened, in the best round. */
  time(transforms: EspTransforms, backEnd: BackEndName): number {
    return this.#with(transforms, [backEnd, backEnd], (ends) => {
      const bodies = Array<number>(ROWS).fill(FULL);
      const times = Array.from({ length: ROUNDS }, () => {
        const start = this.#clock();
        this.#seal(ends, bodies);
        this.#open(ends, bodies);
        return this.#clock() - start;
      });
      // What else the machine does only makes a round longer.
      return Math.min(...times);
    });
  }

  #faultOf(ends: Ends): string | undefined {
    const { suite } = ends;
    const bodies = BODIES.filter((length) => length > 0 || suite.alignment === 4);
    const last = bodies.length - 1;
    for (const row of bodies.keys()) this.#arena.set(this.#pattern, row * SLOT);
    if (this.#seal(ends, bodies) !== bodies.length) return 'not every packet was sealed';
    const icv = toHex(this.#packet(suite, last, FULL).subarray(-suite.icvLength));
    const known = KNOWN_ICVS[suite.cipher];
    if (known !== undefined && icv !== known) return `the ICV is ${icv} and not ${known}`;
    if (this.#open(ends, bodies) !== bodies.length) return 'not every packet was opened';
    for (const [row, length] of bodies.entries()) {
      const opened = this.#packet(suite, row, length);
      const [from, to] = [ESP_HEADER + suite.ivLength, opened.length - suite.icvLength];
      const before = this.#pattern.subarray(from, to);
      if (!equalOctets(opened.subarray(from, to), before))
        return `a body of ${length} octets changed`;
    }
    this.#seal(ends, [FULL]);
    const changed = this.#packet(suite, 0, FULL);
    changed[changed.length - 1] = (changed.at(-1) ?? 0) ^ 1;
    return this.#open(ends, [FULL]) === 0 ? undefined : 'a wrong ICV was found right';
  }

  #seal({ suite, seals }: Ends, bodies: readonly number[]): number {
    this.#fill(suite, seals, bodies);
    return this.#native.seal(this.#batch, 0, bodies.length);
  }

  #open({ suite, opens }: Ends, bodies: readonly number[]): number {
    this.#fill(suite, opens, bodies);
    return this.#native.open(this.#batch, 0, bodies.length);
  }

  #fill(suite: EspSuite, context: number, bodies: readonly number[]): void {
    this.#words.fill(0);
    for (const [row, body] of bodies.entries()) {
      const at = row * WORDS;
      this.#words[at + Word.OFFSET] = row * SLOT;
      this.#words[at + Word.LENGTH] = packetLength(suite, body);
      this.#words[at + Word.CONTEXT] = context;
      this.#words[at + Word.SEQUENCE_HIGH] = SEQUENCE_HIGH;
    }
  }

  #packet(suite: EspSuite, row: number, body: number): Uint8Array {
    return this.#arena.subarray(row * SLOT, row * SLOT + packetLength(suite, body));
  }

  #with<Result>(
    transforms: EspTransforms,
    [sealing, opening]: readonly [BackEndName, BackEndName],
    act: (ends: Ends) => Result,
  ): Result {
    const suite = espSuite(transforms);
    const keys = trialKeys(transforms);
    const context = (backEnd: BackEndName, seal: boolean): number =>
      this.#native.context(contextOptions(suite, keys, { esn: true, seal, backEnd }));
    const ends = { suite, seals: context(sealing, true), opens: context(opening, false) };
    const result = act(ends);
    this.#native.freeContext(ends.seals);
    this.#native.freeContext(ends.opens);
    return result;
  }
}

/** Contexts of both directions with the same keys. */
interface Ends {
  readonly suite: EspSuite;
  readonly seals: number;
  readonly opens: number;
}

/** Octets that are all different from their neighbours, the same each time. */
export function patterned(length: number, seed: number): Uint8Array {
  return Uint8Array.from({ length }, (_, at) => at * 7 + (at >> 8) + seed);
}

export function trialKeys({ encr, integ }: EspTransforms): DirectionKeys {
  const encryption = encryptionAlgorithm(encr.id);
  if (encryption === undefined) throw new RangeError(`no encryption algorithm ${encr.id}`);
  const bits = encr.keyLength ?? encryption.keyLengths[0] ?? 0;
  const integrity = integ && integrityAlgorithm(integ.id);
  return {
    encryption: patterned(encryptionKeyOctets(encryption, bits), 1),
    integrity: patterned(integrity?.keyLength ?? 0, 2),
  };
}

function packetLength({ ivLength, icvLength }: EspSuite, body: number): number {
  return ESP_HEADER + ivLength + body + icvLength;
}

/** Of a patterned packet with a full-size body; the reference implementation says so, too. */
export const KNOWN_ICVS: Readonly<Partial<Record<CipherName, string>>> = {
  'aes-128-gcm': 'b80392ee29e398430f8db34907c367fb',
  'aes-192-gcm': 'fbf78c18bc1a640981d6df51998a3453',
  'aes-256-gcm': '3cf0c96b0899bd13cf62a51c1d0b0036',
  'chacha20-poly1305': 'f785ea732175e82cc9ba25e0a75a7a0a',
};
