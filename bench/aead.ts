/**
 * What does it cost to seal and to open a packet, by library and cipher?
 *
 * The native layer alone, on this thread: batches of 32 packets in one arena, which the caches hold, no
 * device and no socket. Every case has its turn in every round; a figure is the middle one of a round's
 * calls, over the packets of a call. ESP's header is authenticated, its IV and ICV are there, so the
 * packet is a little longer than its body.
 */
import { EncryptionId, IntegrityId } from '../src/crypto/transform.ts';
import { ORIGIN_OCTETS, WORDS, Word } from '../src/esp/batch.ts';
import { ESP_HEADER, type EspSuite, type EspTransforms, espSuite } from '../src/esp/esp-suite.ts';
import { trialKeys } from '../src/io/back-end-trial.ts';
import { hasSuite } from '../src/io/back-ends.ts';
import { contextOptions } from '../src/io/esp-contexts.ts';
import { type BackEndName, native } from '../src/io/native.ts';
import { type Spread, spread } from './statistics.ts';

export interface AeadOptions {
  readonly rounds: number;
  /** Calls of each case in a round. */
  readonly calls: number;
  readonly progress: (line: string) => void;
}

export interface AeadReport {
  readonly question: string;
  readonly rounds: number;
  readonly batch: number;
  readonly cases: readonly AeadCaseReport[];
}

export interface AeadCaseReport {
  readonly cipher: string;
  /** With its version. */
  readonly library: string;
  readonly bodyOctets: number;
  readonly sealNanoseconds: Spread;
  readonly openNanoseconds: Spread;
}

const BATCH = 32;
const SLOT = 1536;
/** Blocks of 16 divide the first one; of the second, a CBC cipher gets as many as fit. */
const BODIES = [64, 1400];

const { AES_GCM_16, AES_CBC, AES_CTR, CHACHA20_POLY1305 } = EncryptionId;
const integ = { id: IntegrityId.AUTH_HMAC_SHA2_256_128 };
const WAYS: readonly EspTransforms[] = [
  { encr: { id: AES_GCM_16, keyLength: 128 } },
  { encr: { id: AES_GCM_16, keyLength: 256 } },
  { encr: { id: CHACHA20_POLY1305 } },
  { encr: { id: AES_CBC, keyLength: 256 }, integ },
  { encr: { id: AES_CTR, keyLength: 256 }, integ },
];

export async function measureAead({ rounds, calls, progress }: AeadOptions): Promise<AeadReport> {
  const cases = allCases();
  const measured = cases.map(() => ({ seal: [0].slice(1), open: [0].slice(1) }));
  for (let round = 1; round <= rounds; round++) {
    progress(`round ${round} of ${rounds}`);
    for (const [at, one] of cases.entries()) {
      const { seal, open } = one.measure(calls);
      measured[at]?.seal.push(seal);
      measured[at]?.open.push(open);
    }
  }
  return {
    question: 'sealing and opening a packet, ns',
    rounds,
    batch: BATCH,
    cases: cases.map((one, at) => ({
      cipher: one.cipher,
      library: one.library,
      bodyOctets: one.bodyOctets,
      sealNanoseconds: spread(measured[at]?.seal ?? []),
      openNanoseconds: spread(measured[at]?.open ?? []),
    })),
  };
}

function allCases(): readonly AeadCase[] {
  const libraries = native()
    .backEnds()
    .flatMap((one) => ('version' in one ? [one] : []));
  return WAYS.flatMap((way) =>
    BODIES.flatMap((octets) =>
      libraries
        .filter(({ name }) => hasSuite(name, espSuite(way)))
        .map(({ name, version }) => new AeadCase(way, octets, name, `${name} ${version}`)),
    ),
  );
}

/** One cipher by one library on packets of one size. */
class AeadCase {
  readonly cipher: string;
  readonly library: string;
  readonly bodyOctets: number;
  readonly #arena = new Uint8Array(new SharedArrayBuffer(BATCH * SLOT));
  readonly #words = new Int32Array(new SharedArrayBuffer(BATCH * WORDS * 4));
  readonly #batch: number;
  readonly #sealing: number;
  readonly #opening: number;

  constructor(transforms: EspTransforms, octets: number, backEnd: BackEndName, library: string) {
    const suite = espSuite(transforms);
    this.cipher = suite.mac === undefined ? suite.cipher : `${suite.cipher}-${suite.mac}`;
    this.library = library;
    this.bodyOctets = octets - (octets % suite.alignment);
    const origins = new Uint8Array(new SharedArrayBuffer(BATCH * ORIGIN_OCTETS));
    this.#batch = native().batch(this.#arena, this.#words, origins);
    const keys = trialKeys(transforms);
    const context = (seal: boolean): number =>
      native().context(contextOptions(suite, keys, { esn: true, seal, backEnd }));
    this.#sealing = context(true);
    this.#opening = context(false);
    this.#fill(suite);
  }

  /** Nanoseconds for a packet. */
  measure(calls: number): { readonly seal: number; readonly open: number } {
    const seals: number[] = [];
    const opens: number[] = [];
    for (let call = 0; call < calls; call++) {
      seals.push(this.#time(this.#sealing, (batch) => native().seal(batch, 0, BATCH)));
      opens.push(this.#time(this.#opening, (batch) => native().open(batch, 0, BATCH)));
    }
    return { seal: spread(seals).median, open: spread(opens).median };
  }

  #time(context: number, act: (batch: number) => number): number {
    for (let row = 0; row < BATCH; row++) this.#words[row * WORDS + Word.CONTEXT] = context;
    const start = process.hrtime.bigint();
    const done = act(this.#batch);
    const end = process.hrtime.bigint();
    if (done !== BATCH) throw new Error(`${this.library}, ${this.cipher}: ${done} of ${BATCH}`);
    return Number(end - start) / BATCH;
  }

  #fill({ ivLength, icvLength }: EspSuite): void {
    for (let row = 0; row < BATCH; row++) {
      const at = row * WORDS;
      this.#words[at + Word.OFFSET] = row * SLOT;
      this.#words[at + Word.LENGTH] = ESP_HEADER + ivLength + this.bodyOctets + icvLength;
    }
  }
}
