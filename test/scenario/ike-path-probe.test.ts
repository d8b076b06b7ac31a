import assert from 'node:assert/strict';
import type { Outcome } from '../../src/ike/action.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { onlyIkeSa } from '../support/child-sas.ts';
import {
  AES_GCM_256,
  connection,
  ikeProposal,
  PRF_SHA2_256,
  X25519,
} from '../support/connections.ts';
import type { Flight, Pair } from '../support/pair.ts';
import { initiate, sites } from '../support/sites.ts';

const GCM = ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519);

/** IPv4 and UDP around an IKE message on port 500. */
const AROUND = 28;

/** A pair that is up, over a path that loses what is longer than `mtu` and must stay whole. */
function over(mtu: () => number, changes: Partial<Connection> = {}, delayMs = 5): Pair {
  const pair = sites(connection({ proposals: [GCM], ...changes }));
  pair.wire = { delayMs };
  initiate(pair);
  pair.run(5000, () => pair.a.outcomes.has(1));
  const tooLong = ({ octets, carriage }: Flight) =>
    carriage === 'whole' && octets.length + AROUND > mtu();
  pair.translate = (flight) => (tooLong(flight) ? undefined : flight);
  return pair;
}

function measure(pair: Pair, request = 2): Outcome | undefined {
  begin(pair, request);
  pair.run(pair.now + 30_000, () => pair.a.outcomes.has(request));
  return pair.a.outcomes.get(request);
}

function begin(pair: Pair, request: number): void {
  const { id } = onlyIkeSa(pair.a);
  pair.handle(pair.a, { kind: 'measure-path', request, ikeSaId: id, most: 1500 });
}

function measured(outcome: Outcome | undefined) {
  assert.ok(outcome?.kind === 'done' && outcome.measured, JSON.stringify(outcome));
  return outcome.measured;
}

/** Both ends still talk. */
function assertAlive(pair: Pair): void {
  for (const [request, side] of [[8, pair.a] as const, [9, pair.b] as const]) {
    const selector = { ike: 'peer' };
    const before = side.seen('ike-sa-rekeyed').length;
    pair.handle(side, { kind: 'rekey', request, selector, reauthenticate: false });
    pair.run(pair.now + 3000);
    assert.equal(side.seen('ike-sa-rekeyed').length - before, 1, `side ${side.name}`);
  }
  assert.deepEqual([pair.a.established, pair.b.established], [1, 1]);
}

describe('Measuring a path by INFORMATIONAL requests (RFC 7296 §1.4, §2.1)', () => {
  for (const fragmentation of ['yes', 'no'] as const) {
    it(`finds what passes whole, and leaves the window open: fragmentation = ${fragmentation}`, () => {
      for (const mtu of [576, 600, 1280, 1399, 1400, 1499]) {
        const pair = over(() => mtu, { fragmentation });
        const found = measured(measure(pair));
        assert.deepEqual([found.outerMtu, found.lostOctets], [mtu, mtu + 1]);
        assert.ok(found.probes <= 14 && found.milliseconds < 8000, JSON.stringify(found));
        assertAlive(pair);
      }
    });
  }

  it('is done after three where all passes', () => {
    const pair = over(() => 1500);
    const found = measured(measure(pair));
    assert.deepEqual([found.outerMtu, found.lostOctets, found.probes], [1500, undefined, 3]);
    assert.deepEqual(found.childSaIds, [...onlyIkeSa(pair.a).children.keys()]);
  });

  it('comes within a block where the cipher has blocks', () => {
    const { proposals } = connection();
    const found = measured(measure(over(() => 1400, { proposals })));
    assert.ok(found.outerMtu <= 1400 && found.outerMtu > 1400 - 16, `${found.outerMtu}`);
    assert.ok((found.lostOctets ?? 0) > 1400);
  });

  it('repeats a request that gets lost octet for octet, at last in fragments of IP (§2.1)', () => {
    for (const fragmentation of ['yes', 'no'] as const) {
      const pair = over(() => 1400, { fragmentation });
      const before = pair.flights.length;
      measure(pair);
      const sent = pair.flights.slice(before).filter(({ octets }) => octets.length > 1400 - AROUND);
      const [first, second, third] = sent;
      const carriages = [first, second, third].map((one) => one?.carriage);
      assert.deepEqual(carriages, ['whole', 'whole', 'in-fragments']);
      assert.deepEqual(second?.octets, first?.octets);
      assert.deepEqual(third?.octets, first?.octets);
    }
  });

  it('waits longer where answers take longer', () => {
    const found = measured(measure(over(() => 1400, {}, 300)));
    assert.equal(found.outerMtu, 1400);
  });

  it('does not take one lost packet for a limit', () => {
    let sent = 0;
    const pair = over(() => 1500);
    const whole = pair.translate;
    pair.translate = (flight) =>
      flight.carriage === 'whole' && sent++ % 2 === 0 ? undefined : whole(flight);
    assert.equal(measured(measure(pair)).outerMtu, 1500);
  });

  it('lets other requests pass in between', () => {
    const pair = over(() => 1400);
    begin(pair, 2);
    pair.handle(pair.a, {
      kind: 'rekey',
      request: 3,
      selector: { child: 'net' },
      reauthenticate: false,
    });
    pair.run(pair.now + 1000);
    assert.ok(pair.a.seen('child-sa-rekeyed').length === 1);
    pair.run(pair.now + 20_000, () => pair.a.outcomes.has(2));
    assert.equal(measured(pair.a.outcomes.get(2)).outerMtu, 1400);
  });

  it('comes through in fragments of IKE where those of IP are lost (RFC 7383)', () => {
    const pair = over(() => 1500, { fragmentation: 'yes' });
    pair.translate = (flight) => (flight.octets.length + AROUND > 1400 ? undefined : flight);
    assert.equal(measure(pair)?.kind, 'timeout');
    pair.run(pair.now + 10_000);
    assertAlive(pair);
  });

  it('says what stands in its way', () => {
    const pair = over(() => 1400);
    begin(pair, 2);
    assert.match(JSON.stringify(measure(pair, 3)), /is being measured already/);
    pair.handle(pair.a, { kind: 'measure-path', request: 4, ikeSaId: 77, most: 1500 });
    assert.match(JSON.stringify(pair.a.outcomes.get(4)), /IKE SA 77 is not established/);
    assert.match(JSON.stringify(measure(over(() => 500))), /the path carries less than 576 octets/);
  });

  it('gives up where nobody answers, long before the IKE SA does', () => {
    const pair = over(() => 1500);
    pair.translate = () => undefined;
    const { now } = pair;
    assert.equal(measure(pair)?.kind, 'timeout');
    assert.ok(pair.now - now < 8000);
    assert.equal(pair.a.established, 1);
    pair.run(now + 170_000);
    assert.equal(pair.a.established, 0, 'as after any request');
  });

  it('ends with its IKE SA', () => {
    const pair = over(() => 1400);
    begin(pair, 2);
    pair.handle(pair.a, { kind: 'terminate', request: 3, selector: { ike: 'peer' }, force: true });
    assert.equal(pair.a.outcomes.get(2)?.kind, 'failed');
  });
});
