/** An IKE SA that goes on although nobody knows all that was said: what is found out, and what if nothing is. */
import assert from 'node:assert/strict';
import { ownSpiOf, type SnapshotBundle } from '../../src/ike/snapshot.ts';
import { decodeBundle, encodeBundle } from '../../src/ike/snapshot-codec.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { loadSecret } from '../support/connections.ts';
import { firstNode } from '../support/fail-over.ts';
import { type Pair, Side } from '../support/pair.ts';
import { assertAgreement, rekey } from '../support/rekeying.ts';
import { initiate, sites } from '../support/sites.ts';
import { GCM, snapshotsOf } from '../support/snapshots.ts';

type Which = 'a' | 'b';

const WAIT_MS = 4000;

interface Options {
  /** Both said that they can be asked (RFC 6311). */
  readonly sync: boolean;
  /** Exchanges that the second node did not hear of. */
  readonly missed?: number;
  /** Done when the second node heard last, its message being lost. */
  readonly before?: (pair: Pair) => void;
}

/** A pair of which one side's second node goes on in doubt. */
function inDoubt(which: Which, { sync, missed = 0, before = () => {} }: Options) {
  const pair = sites(GCM, undefined, { nodes: firstNode(which) });
  initiate(pair);
  pair.run(1000);
  if (!sync) {
    for (const { engine } of [pair.a, pair.b]) for (const sa of engine.ikeSas()) sa.announced = [];
  }
  pair.wire = { loss: 1 };
  before(pair);
  const heard = decodeBundle(encodeBundle(snapshotsOf(pair, pair[which])));
  pair.wire = {};
  for (let at = 0; at < missed; at++) {
    for (const side of [pair.a, pair.b]) ask(pair, side);
    pair.run(pair.now + 10);
  }
  return { pair, node: goOn(pair, which, heard) };
}

function ask(pair: Pair, side: Side): void {
  const [sa] = side.engine.ikeSas();
  assert.ok(sa);
  pair.handle(side, { kind: 'measure-path', request: 100, ikeSaId: sa.id, most: 600 });
}

function goOn(pair: Pair, which: Which, heard: SnapshotBundle): Side {
  const node = new Side(which, 5150, {}, { sid: 7, skewMs: 123_456 });
  for (const one of pair[which].pad.connections()) node.pad.load(one);
  loadSecret(node.pad, 'secret');
  pair[which] = node;
  const spis = heard.snapshots.map(ownSpiOf);
  pair.handle(node, { kind: 'install-snapshots', bundle: heard });
  pair.ladder.length = 0;
  pair.handle(node, { kind: 'activate', spis, unsure: true, unvouched: true, paced: true });
  return node;
}

const doubts = ({ engine }: Side) => engine.ikeSas().filter((sa) => sa.doubt).length;

describe('An IKE SA in doubt (RFC 6311 §4.1)', () => {
  for (const which of ['a', 'b'] as const) {
    it(`of a peer that cannot be asked: ${which} sends the next request, and its answer is proof`, () => {
      const { pair, node } = inDoubt(which, { sync: false });
      assert.equal(pair.ladder.length, 1);
      assert.match(pair.ladder[0] ?? '', /INFORMATIONAL request/);
      assert.equal(doubts(node), 1);
      pair.run(pair.now + 10);
      assert.equal(doubts(node), 0);
      pair.run(pair.now + 20 * WAIT_MS);
      assert.equal(node.engine.ikeSas().length, 1, 'nothing was begun');
      rekey(pair, which === 'a' ? pair.b : pair.a, 'child', 3);
      pair.run(pair.now + 30_000);
      assertAgreement(pair, 1, 'afterwards');
    });

    it(`answers no request of the peer meanwhile, at ${which}`, () => {
      for (const sync of [false, true]) {
        const { pair, node } = inDoubt(which, { sync });
        const other = which === 'a' ? pair.b : pair.a;
        // What was found out is lost on its way.
        pair.translate = (flight) => (flight.from.port === 0 ? flight : undefined);
        pair.run(pair.now + 10);
        pair.translate = (flight) => flight;
        const sent = pair.flights.length;
        rekey(pair, other, 'child', 3);
        pair.run(pair.now + 10);
        assert.equal(pair.flights.length, sent + 1, 'only the request');
        const drops = node.seen('ike-drop').map(({ reason }) => reason);
        assert.deepEqual(drops, ['message-id-sync']);
        pair.run(pair.now + 60_000);
        assertAgreement(pair, 1, 'the request came again');
      }
    });
  }

  it('stays in doubt at the node after the one that was, and has its own time to begin anew', () => {
    const { pair, node } = inDoubt('a', { sync: true });
    const heard = decodeBundle(encodeBundle(snapshotsOf(pair, node)));
    const [before] = heard.snapshots;
    assert.ok(before?.doubted && before.reauthenticateAt === undefined);
    const next = new Side('a', 77, {}, { sid: 9, skewMs: 0 });
    for (const one of node.pad.connections()) next.pad.load(one);
    loadSecret(next.pad, 'secret');
    // The peer has heard the question, and takes one like it for a replay.
    pair.run(pair.now + 2);
    pair.a = next;
    pair.handle(next, { kind: 'install-snapshots', bundle: heard });
    pair.handle(next, { kind: 'activate', spis: heard.snapshots.map(ownSpiOf) });
    assert.equal(doubts(next), 1);
    pair.run(pair.now + WAIT_MS - 100);
    assert.equal(doubts(next), 0);
  });

  it('gets into doubt where another node spoke over it, and the peer forgets what it agreed upon there', () => {
    const { pair, node } = inDoubt('a', { sync: true });
    pair.run(pair.now + 1000);
    assert.equal(doubts(node), 0);
    const [sa] = node.engine.ikeSas();
    const [child] = pair.b.children.values();
    assert.ok(sa && child);
    pair.ladder.length = 0;
    // As if it were one of another node.
    const strangers = [spi(child.spiOut)];
    pair.handle(node, { kind: 'make-sure', spi: sa.ownSpi, strangers });
    assert.equal(doubts(node), 1);
    assert.match(pair.ladder.join(), /^-> INFORMATIONAL request 0 \[N\(IKEV2_MESSAGE_ID_SYNC\)/);
    pair.run(pair.now + 1000);
    assert.equal(doubts(node), 0);
    assert.equal(pair.b.children.size, 0);
  });

  it('is made anew beside the old one where nobody answers and we began', () => {
    const { pair, node } = inDoubt('a', { sync: false, missed: 3 });
    pair.run(pair.now + WAIT_MS - 100);
    assert.equal(node.engine.ikeSas().length, 1);
    pair.run(pair.now + 200);
    assert.equal(node.engine.ikeSas().length, 2);
    assert.ok(!pair.ladder.some((line) => line.includes('INITIAL_CONTACT')));
    assert.equal(pair.b.children.size, 2, 'before the old one is gone');
    pair.run(pair.now + 400_000);
    // The peer hears nothing of the end of the old one: its ids are not known. It asks, and gives up.
    const [sa, ...more] = node.engine.ikeSas();
    assert.ok(sa && more.length === 0);
    assert.equal(sa.childrenUp.length, 1);
    assert.equal([...node.outbound.values()].filter((use) => use === 'now').length, 1);
  });

  it('is left to the peer where the peer began', () => {
    const { pair, node } = inDoubt('b', { sync: false, missed: 3 });
    pair.run(pair.now + 400_000);
    assert.equal(node.engine.ikeSas().length, 0);
    assert.ok(!pair.ladder.some((line) => line.includes('IKE_SA_INIT')));
  });

  it('repeats the request that is out first, and asks when it has its answer', () => {
    const before = (pair: Pair) => rekey(pair, pair.a, 'child', 2);
    const { pair, node } = inDoubt('a', { sync: true, before });
    assert.equal(pair.ladder.length, 0, 'no question');
    const [first, second] = pair.flights.slice(-2);
    assert.deepEqual(second?.octets, first?.octets);
    pair.run(pair.now + 2);
    assert.equal(doubts(node), 1, 'of the requests of the peer nothing is known yet');
    pair.run(pair.now + 100);
    assert.equal(doubts(node), 0);
    const questions = pair.ladder.filter((line) => line.includes('N(IKEV2_MESSAGE_ID_SYNC)'));
    assert.equal(questions.length, 2);
    pair.run(pair.now + 30_000);
    assertAgreement(pair, 1, 'afterwards');
  });

  it('takes back the request that is out when it is not answered, and asks', () => {
    const before = (pair: Pair) => rekey(pair, pair.a, 'child', 2);
    const { pair, node } = inDoubt('a', { sync: true, before });
    const [sa] = pair.b.engine.ikeSas();
    assert.ok(sa);
    // Others followed it, and the peer keeps the last answer only.
    sa.window.synchronise({ nextId: 2, expectedId: 9 });
    pair.run(pair.now + WAIT_MS - 10);
    assert.equal(doubts(node), 1);
    pair.run(pair.now + 2 * WAIT_MS + 20_000);
    assert.equal(doubts(node), 0);
    pair.run(pair.now + 60_000);
    assertAgreement(pair, 1, 'it was wished again');
    assert.deepEqual(node.seen('peer-unreachable'), []);
  });

  it('sends nothing under its Child SAs until they are replaced, when it is told to', () => {
    const { pair, node } = inDoubt('a', { sync: true });
    pair.run(pair.now + 1000);
    assert.deepEqual([...node.outbound.values()], ['never']);
    assert.ok(!pair.ladder.some((line) => line.includes('CREATE_CHILD_SA')));
    const spisIn = [...node.children.values()].map(({ spiIn }) => spiIn);
    pair.handle(node, { kind: 'replace-child-sas', spisIn });
    pair.handle(node, { kind: 'replace-child-sas', spisIn });
    pair.run(pair.now + 30_000);
    assertAgreement(pair, 1, 'once');
    assert.equal(pair.ladder.filter((line) => line.includes('-> CREATE_CHILD_SA')).length, 1);
  });
});
