import assert from 'node:assert/strict';
import fc from 'fast-check';
import { ENCRYPTION_ALGORITHMS, INTEGRITY_ALGORITHMS } from '../../src/crypto/algorithms.ts';
import { DropReason } from '../../src/events/drop-reason.ts';
import { SaCounter } from '../../src/events/shared-counters.ts';
import {
  type ChildSaOptions,
  childSa,
  EspGateway,
  espPair,
  RAW4,
  RAW6,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';

const FOUR = ['10.1.0.10', '10.2.0.10'] as const;
const SIX = ['2001:db8:1::10', '2001:db8:2::10'] as const;

/** Every cipher with every key length, with every integrity algorithm where it needs one. */
const transforms = fc.constantFrom(
  ...ENCRYPTION_ALGORITHMS.flatMap(({ id, aead, keyLengths, variableKey }) =>
    keyLengths.flatMap((keyLength) => {
      const encr = variableKey ? { id, keyLength } : { id };
      if (aead) return [{ encr }];
      return INTEGRITY_ALGORITHMS.map((integrity) => ({ encr, integ: { id: integrity.id } }));
    }),
  ),
);

const childOptions: fc.Arbitrary<ChildSaOptions> = fc
  .tuple(transforms, fc.boolean(), fc.boolean(), fc.constantFrom(0, 32, 64, 1024))
  .map(([algorithms, esn, udpEncapsulation, replayWindow]) => ({
    ...algorithms,
    esn,
    udpEncapsulation,
    replayWindow,
  }));

const innerPackets = fc.array(
  fc
    .tuple(fc.boolean(), fc.integer({ min: 0, max: 1300 }), fc.integer({ min: 0, max: 255 }))
    .map(([six, data, trafficClass]) => {
      const [source, destination] = six ? SIX : FOUR;
      return udpPacket(source, destination, data, { trafficClass });
    }),
  { minLength: 1, maxLength: 12 },
);

describe('Sealed by one engine, opened by the other', () => {
  it('is what was put in, for every algorithm, family, encapsulation and ESN', () => {
    fc.assert(
      fc.property(childOptions, innerPackets, (options, packets) => {
        const { a, b } = espPair(options);
        a.fromTun(...packets);
        assert.equal(a.sent.length, packets.length);
        const arrival = options.udpEncapsulation === false ? RAW6 : UDP;
        b.fromSocket(arrival, ...a.sent.map(({ octets, tos }) => ({ octets, tos })));
        assert.deepEqual(b.delivered, packets);
        assert.deepEqual(b.drops(), {});
        const octets = packets.reduce((sum, packet) => sum + packet.length, 0);
        assert.equal(a.counter(1, SaCounter.OCTETS), octets);
        assert.equal(b.counter(0, SaCounter.OCTETS), octets);
      }),
      { numRuns: 400 },
    );
  });
});

/** RFC 4303 §3.4.3 with a set instead of a bitmap. */
class PlainWindow {
  readonly #size: number;
  readonly #seen = new Set<number>();
  #top = 0;

  constructor(size: number) {
    this.#size = size;
  }

  accepts(sequence: number): boolean {
    if (this.#size === 0) return true;
    if (sequence <= this.#top - this.#size || this.#seen.has(sequence)) return false;
    this.#seen.add(sequence);
    this.#top = Math.max(this.#top, sequence);
    return true;
  }
}

describe('A wire that reorders, duplicates, loses and forges', () => {
  it('delivers what a plain model of the window lets pass, and counts the rest', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(32, 64),
        fc.boolean(),
        // The 32-bit boundary lies inside the run.
        fc.integer({ min: 0, max: 150 }),
        fc.array(
          fc.record({
            packet: fc.integer({ min: 0, max: 149 }),
            forged: fc.boolean(),
          }),
          { minLength: 1, maxLength: 300 },
        ),
        fc.integer({ min: 1, max: 128 }),
        (replayWindow, esn, before, arrivals, batch) => {
          const { a, b, saA, saB } = espPair({ replayWindow, esn });
          const first = esn ? 2 ** 32 - before : 1;
          if (esn) {
            saA.sequence.resumeAfter(0, 2 ** 32 - before - 1);
            saB.window.update(0, 2 ** 32 - before - 1);
          }
          a.fromTun(...Array.from({ length: 150 }, (_, data) => udpPacket(...FOUR, data)));
          const model = new PlainWindow(replayWindow);
          if (esn) model.accepts(first - 1);
          const expected: number[] = [];
          const datagrams = arrivals.map(({ packet, forged }) => {
            const octets = (a.sent[packet]?.octets ?? new Uint8Array(0)).slice();
            if (forged) octets[octets.length - 1] = (octets.at(-1) ?? 0) ^ 1;
            else if (model.accepts(first + packet)) expected.push(packet + 28);
            return { octets };
          });
          for (let at = 0; at < datagrams.length; at += batch) {
            b.fromSocket(UDP, ...datagrams.slice(at, at + batch));
          }
          assert.deepEqual(
            b.delivered.map(({ length }) => length),
            expected,
          );
          const dropped = b.counters.drops.reduce((sum, count) => sum + count, 0);
          assert.equal(dropped + expected.length, arrivals.length);
          assert.equal(b.counter(0, SaCounter.DROPS), dropped);
          assert.deepEqual(b.saDrops(0), b.drops());
        },
      ),
      { numRuns: 150 },
    );
  });
});

describe('Hostile octets at the doors', () => {
  const spi = Uint8Array.of(0xc0, 0, 0, 1);
  const octets = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.uint8Array({ maxLength: 200 }).map((rest) => Uint8Array.of(...spi, ...rest)),
    fc.uint8Array({ maxLength: 100 }).map((rest) => Uint8Array.of(0x45, ...rest)),
    fc.uint8Array({ maxLength: 100 }).map((rest) => Uint8Array.of(0x60, ...rest)),
  );

  it('are delivered nowhere from a socket, and each counts once', () => {
    fc.assert(
      fc.property(
        childOptions,
        fc.array(octets, { maxLength: 30 }),
        fc.constantFrom(UDP, RAW4, RAW6),
        (options, datagrams, arrival) => {
          const { a } = espPair(options);
          a.fromSocket(arrival, ...datagrams.map((one) => ({ octets: one })));
          assert.equal(a.delivered.length, 0);
          const dropped = a.counters.drops.reduce((sum, count) => sum + count, 0);
          assert.equal(dropped + a.ike.length, datagrams.length);
        },
      ),
      { numRuns: 200 },
    );
  });

  it('are sent nowhere from the device unless they are a packet, and each counts once', () => {
    fc.assert(
      fc.property(childOptions, fc.array(octets, { maxLength: 30 }), (options, packets) => {
        const { a } = espPair(options);
        a.fromTun(...packets);
        const dropped = a.counters.drops.reduce((sum, count) => sum + count, 0);
        assert.equal(dropped + a.sent.length, packets.length);
      }),
      { numRuns: 200 },
    );
  });

  it('mutate real packets without more than a drop', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 4 }),
        fc.nat({ max: 160 }),
        (changes, cut) => {
          const { a, b } = espPair();
          a.fromTun(udpPacket(...SIX, 80));
          const packet = (a.sent[0]?.octets ?? spi).slice(0, cut);
          for (const [at, value] of changes)
            if (packet.length > 0) packet[at % packet.length] = value;
          b.fromSocket(UDP, { octets: packet });
          const dropped = b.counters.drops.reduce((sum, count) => sum + count, 0);
          assert.equal(dropped + b.delivered.length + b.ike.length, 1);
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('Many SAs coming and going', () => {
  it('leave no packet with the wrong one', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(fc.boolean(), fc.integer({ min: 1, max: 12 }))), (steps) => {
        const gateway = new EspGateway();
        const installed = new Set<number>();
        for (const [install, id] of steps) {
          if (install && !installed.has(id)) {
            const sa = childSa({ id, spiIn: 0x1000 + id, spiOut: 0x2000 + id });
            gateway.install(sa, testKeys(sa, 1), testKeys(sa, 2));
            installed.add(id);
          } else if (!install) {
            assert.equal(
              gateway.engine.remove(id)?.parameters.id,
              installed.has(id) ? id : undefined,
            );
            installed.delete(id);
          }
          const before = gateway.sent.length;
          gateway.fromTun(udpPacket(...FOUR, 1));
          const path = gateway.sent[before]?.path;
          assert.ok(installed.size === 0 ? path === undefined : installed.has(path ?? 0));
        }
        assert.equal(
          gateway.counters.drops[DropReason['no-policy']]! + gateway.sent.length,
          steps.length,
        );
      }),
    );
  });
});
