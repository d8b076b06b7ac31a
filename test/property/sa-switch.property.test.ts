/**
 * Two engines over a wire that loses, delays, reorders and repeats, while their SA is replaced,
 * moved and removed: what the wire did not lose arrives, and arrives once (RFC 7296 §2.8).
 */
import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { OutboundUse } from '../../src/ipsec/child-sa.ts';
import { childSa, EspGateway, mirrored, testKeys, UDP } from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';

const THERE = ['10.1.0.10', '10.2.0.10'] as const;
const BACK = ['10.2.0.10', '10.1.0.10'] as const;

/** One direction: what is on the wire, and which packets it lost. */
class Wire {
  readonly #from: EspGateway;
  readonly #to: EspGateway;
  readonly #flying: Uint8Array[] = [];
  #sent = 0;
  #lost = 0;

  constructor(from: EspGateway, to: EspGateway) {
    this.#from = from;
    this.#to = to;
  }

  /** Packets whose lengths tell them apart. */
  send(addresses: readonly [string, string], count: number): void {
    const packets = Array.from({ length: count }, () => udpPacket(...addresses, this.#sent++));
    this.#from.fromTun(...packets);
    this.#flying.push(...this.#from.sent.splice(0).map(({ octets }) => octets));
  }

  lose(choice: number): void {
    if (this.#flying.splice(choice % (this.#flying.length || 1), 1).length > 0) this.#lost++;
  }

  deliver(choice: number, twice: boolean): void {
    const [octets] = this.#flying.splice(choice % (this.#flying.length || 1), 1);
    if (octets === undefined) return;
    this.#to.fromSocket(UDP, { octets }, ...(twice ? [{ octets }] : []));
  }

  drain(): void {
    while (this.#flying.length > 0) this.deliver(0, false);
  }

  check(): void {
    const lengths = this.#to.delivered.map(({ length }) => length);
    assert.equal(new Set(lengths).size, lengths.length, 'each packet once');
    assert.equal(lengths.length + this.#lost, this.#sent, 'what was not lost arrived');
  }
}

const step = fc.oneof(
  fc.record({ kind: fc.constant('send' as const), back: fc.boolean(), count: fc.nat({ max: 70 }) }),
  fc.record({
    kind: fc.constant('deliver' as const),
    back: fc.boolean(),
    choice: fc.nat(),
    twice: fc.boolean(),
  }),
  fc.record({
    kind: fc.constant('deliver' as const),
    back: fc.boolean(),
    choice: fc.nat(),
    twice: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('lose' as const), back: fc.boolean(), choice: fc.nat() }),
);

const steps = fc.array(step, { maxLength: 40 });

describe('A Child SA replaced under load', () => {
  it('loses nothing and repeats nothing, whatever the wire does meanwhile', () => {
    const use = fc.constantFrom<OutboundUse>('now', 'after-inbound');
    fc.assert(
      fc.property(steps, steps, steps, use, fc.boolean(), (before, during, after, waits, moves) => {
        const [a, b] = [new EspGateway(), new EspGateway()];
        const there = new Wire(a, b);
        const back = new Wire(b, a);
        const run = (some: typeof before): void => {
          for (const one of some) {
            const wire = one.back ? back : there;
            if (one.kind === 'send') wire.send(one.back ? BACK : THERE, one.count);
            else if (one.kind === 'lose') wire.lose(one.choice);
            else wire.deliver(one.choice, one.twice);
          }
        };
        const old = childSa({ replayWindow: 4096 });
        a.install(old, testKeys(old, 2), testKeys(old, 1));
        b.install(mirrored(old), testKeys(old, 1), testKeys(old, 2));
        run(before);
        // The responder has the successor first, and may wait for a packet on it.
        const next = { ...old, id: 2, spiIn: 0xc011, spiOut: 0xc012, rowIn: 2, rowOut: 3 };
        a.install({ ...next, outbound: 'never' }, testKeys(next, 4), testKeys(next, 3));
        b.install({ ...mirrored(next), outbound: waits }, testKeys(next, 3), testKeys(next, 4));
        run(during);
        const successor = a.engine.find(2);
        assert.ok(successor);
        a.engine.setOutbound(successor, 'now', a.now);
        if (moves) a.engine.move(successor, { ...successor.ends, udpEncapsulation: false }, 9);
        run(after);
        // Both have moved on and what was under way has arrived: the old one goes.
        const other = b.engine.find(2);
        assert.ok(other);
        b.engine.setOutbound(other, 'now', b.now);
        there.drain();
        back.drain();
        for (const side of [a, b]) side.engine.remove(1);
        there.send(THERE, 1);
        back.send(BACK, 1);
        there.drain();
        back.drain();
        there.check();
        back.check();
        for (const side of [a, b]) {
          const { 'replayed-sequence-number': _, ...others } = side.drops();
          assert.deepEqual(others, {});
        }
      }),
      { numRuns: 100 },
    );
  });
});
