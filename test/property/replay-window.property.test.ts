import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ReplayVerdict, ReplayWindow } from '../../src/ipsec/replay-window.ts';

const HALF = 2n ** 32n;

/** The rule itself: a set of all numbers ever accepted, and the highest. */
class PlainWindow {
  readonly #seen = new Set<bigint>();
  #top = 0n;
  readonly #size: bigint;
  readonly #limit: bigint;

  constructor(size: number, esn: boolean) {
    this.#size = BigInt(size);
    this.#limit = esn ? HALF * HALF : HALF;
  }

  get top(): bigint {
    return this.#top;
  }

  /** Every high half is tried: the one that puts the number in or right of the window, nearest. */
  infer(low: bigint, esn: boolean): bigint {
    if (!esn) return 0n;
    const bottom = this.#top - this.#size + 1n;
    let high = this.#top / HALF + 1n;
    while ((high - 1n) * HALF + low >= bottom) high--;
    return high;
  }

  receive(number: bigint): number {
    if (number <= 0n || number >= this.#limit) return ReplayVerdict.LEFT_OF_WINDOW;
    if (number + this.#size <= this.#top) return ReplayVerdict.LEFT_OF_WINDOW;
    if (this.#seen.has(number)) return ReplayVerdict.REPLAYED;
    this.#seen.add(number);
    if (number > this.#top) this.#top = number;
    return ReplayVerdict.FRESH;
  }
}

/** Where the sender starts; then by how much each packet is off, or which one comes again. */
const journeys = fc.record({
  size: fc.constantFrom(1, 7, 32, 64, 65, 1024, 4096, 65_536),
  start: fc.oneof(
    fc.constant(0n),
    fc.bigInt(0n, 10n),
    fc.bigInt(HALF - 300n, HALF + 300n),
    fc.bigInt(5n * HALF - 300n, 5n * HALF + 300n),
  ),
  steps: fc.array(
    fc.oneof(
      { weight: 6, arbitrary: fc.integer({ min: -40, max: 60 }) },
      { weight: 2, arbitrary: fc.integer({ min: -2000, max: 3000 }) },
      { weight: 1, arbitrary: fc.integer({ min: -70_000, max: 140_000 }) },
      { weight: 4, arbitrary: fc.record({ again: fc.nat(30) }) },
    ),
    { maxLength: 150, size: 'max' },
  ),
});

interface Journey {
  readonly size: number;
  readonly start: bigint;
  readonly steps: readonly (number | { readonly again: number })[];
}

function compare(esn: boolean, { size, start, steps }: Journey): void {
  const window = new ReplayWindow(size, esn);
  const plain = new PlainWindow(size, esn);
  if (start > 0n && (esn || start < HALF)) {
    window.update(Number(start / HALF), Number(start % HALF));
    plain.receive(start);
  }
  const sent = [start];
  for (const step of steps) {
    const last = sent.at(-1) ?? 0n;
    const number = typeof step === 'number' ? last + BigInt(step) : (sent.at(-step.again) ?? last);
    sent.push(number);
    const low = ((number % HALF) + HALF) % HALF;
    const verdict = window.check(Number(low));
    const high = plain.infer(low, esn);
    const expected = plain.receive(high * HALF + low);
    assert.equal(verdict, expected);
    if (verdict !== ReplayVerdict.FRESH) continue;
    assert.equal(BigInt(window.high), high);
    assert.equal(window.update(window.high, Number(low)), ReplayVerdict.FRESH);
    assert.equal(BigInt(window.topHigh) * HALF + BigInt(window.topLow), plain.top);
  }
}

describe('Replay window against a plain set (RFC 4303 §3.4.3, Appendix A)', () => {
  it('agrees without ESN', () => {
    fc.assert(
      fc.property(journeys, (journey) => compare(false, journey)),
      { numRuns: 200 },
    );
  });

  it('agrees with ESN, around the wraps too', () => {
    fc.assert(
      fc.property(journeys, (journey) => compare(true, journey)),
      { numRuns: 300 },
    );
  });
});
