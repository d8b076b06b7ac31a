import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { Input } from '../../src/ike/action.ts';
import type { Instant } from '../../src/wire/instant.ts';
import { child, connection, mirrored } from '../support/connections.ts';
import type { Pair, Side } from '../support/pair.ts';
import { initiate, sites, terminate } from '../support/sites.ts';

/** Every call of an engine is followed by the question whether it would call at once again. */
function watched(pair: Pair): Pair {
  for (const side of [pair.a, pair.b]) {
    const { engine } = side;
    const handle = engine.handle.bind(engine);
    engine.handle = (input: Input, now: Instant) => {
      const actions = handle(input, now);
      if (input.kind === 'deadline') {
        const next = engine.nextDeadline();
        assert.ok(next === undefined || next > now, `${side.name} at ${now}: again at ${next}`);
      }
      return actions;
    };
  }
  return pair;
}

type Deed = (pair: Pair, side: Side, request: number) => void;

const DEEDS: readonly Deed[] = [
  (pair, side, request) => initiate(pair, side, { request }),
  (pair, side, request) => terminate(pair, side, request),
  (pair, side, request) => terminate(pair, side, request, true),
  (pair, side, request) =>
    pair.handle(side, { kind: 'terminate', request, selector: { child: 'net' }, force: false }),
  (pair, side, request) => pair.handle(side, { kind: 'shutdown', request }),
  (pair, side) => {
    side.lastInbound = pair.now;
    side.lastOutbound = pair.now;
  },
  (pair) => {
    pair.wire = { loss: 1 };
  },
  (pair) => {
    pair.wire = { loss: 0.2, duplicate: 0.2, delayMs: 5, jitterMs: 2000 };
  },
  (pair, side) => pair.handle(side, { kind: 'deadline' }),
];

const deeds = fc.array(
  fc.record({
    deed: fc.nat(DEEDS.length - 1),
    atA: fc.boolean(),
    wait: fc.oneof(fc.nat(3000), fc.nat(60_000)),
    slept: fc.boolean(),
  }),
  { maxLength: 25 },
);

describe('Whatever happens to IKE SAs (RFC 7296 §2.4)', () => {
  it('no deadline stays in the past, nobody waits for ever, nothing is left', () => {
    const one = connection({
      dpdDelaySeconds: 20,
      keyingTries: 2,
      encap: true,
      unique: 'replace',
      children: [child({ dpdAction: 'restart', closeAction: 'start' })],
    });
    fc.assert(
      fc.property(fc.nat(1000), deeds, (seed, script) => {
        const pair = watched(sites(one, mirrored(one), { seed }));
        const asked = { a: new Set<number>(), b: new Set<number>() };
        for (const [index, { deed, atA, wait, slept }] of script.entries()) {
          const side = atA ? pair.a : pair.b;
          DEEDS[deed]?.(pair, side, index);
          if (deed < 5) asked[atA ? 'a' : 'b'].add(index);
          // A machine that slept finds every deadline passed.
          if (slept) pair.skip(wait);
          else pair.run(pair.now + wait);
        }
        for (const side of [pair.a, pair.b]) {
          pair.handle(side, { kind: 'shutdown', request: 1000 });
        }
        pair.run(pair.now + 600_000);
        for (const [side, requests] of [
          [pair.a, asked.a],
          [pair.b, asked.b],
        ] as const) {
          for (const request of requests) assert.ok(side.outcomes.has(request), `${request}`);
          assert.deepEqual(side.engine.ikeSas(), []);
          assert.equal(side.engine.nextDeadline(), undefined);
          assert.equal(side.children.size, 0);
        }
      }),
      { numRuns: 150 },
    );
  });

  it('is called no more often than there is something to do', () => {
    const pair = watched(sites(connection({ dpdDelaySeconds: 30 })));
    initiate(pair);
    pair.run(1000);
    let calls = 0;
    for (let second = 0; second < 600; second++) {
      pair.a.lastInbound = pair.now;
      const next = pair.a.engine.nextDeadline();
      if (next !== undefined && next <= pair.now) calls++;
      pair.run(pair.now + 1000);
    }
    assert.ok(calls <= 21, `${calls} calls`);
  });
});
