/**
 * What is left when one node goes on for another: nothing where all was known, and new keys where it was not.
 */
import assert from 'node:assert/strict';
import { decodeHeader } from '../../src/ike/message/header.ts';
import { ExchangeType } from '../../src/ike/message/message.ts';
import type { ChildSequences } from '../../src/ike/snapshot.ts';
import { Tunnel } from '../support/cluster-tunnel.ts';
import type { Clustered } from '../support/clustered-nodes.ts';
import { assertNothingTwice } from '../support/fail-over.ts';
import { assertAgreement, rekey } from '../support/rekeying.ts';

/** Requests for new keys, and beginnings. */
function renewals({ pair }: Tunnel): readonly string[] {
  return pair.ladder.filter((line) => /(CREATE_CHILD_SA|IKE_SA_INIT) request/.test(line));
}

/** All but questions about message ids, which have none of their own. */
function inWindow({ pair }: Tunnel) {
  return pair.flights.filter(({ octets }) => {
    const { exchangeType, messageId } = decodeHeader(octets);
    return exchangeType !== ExchangeType.INFORMATIONAL || messageId > 0;
  });
}

function up(options: ConstructorParameters<typeof Tunnel>[1] = {}): Tunnel {
  const tunnel = new Tunnel(1, options);
  tunnel.up();
  tunnel.pair.ladder.length = 0;
  return tunnel;
}

/** The nodes do not hear each other for so long; `meanwhile` once both have gone on alone. */
function split(tunnel: Tunnel, meanwhile: () => void = () => {}): void {
  tunnel.world.network.passes = () => false;
  tunnel.run(1000);
  assert.ok(tunnel.first.node.coordinator.owns(tunnel.segment));
  assert.ok(tunnel.second.node.coordinator.owns(tunnel.segment));
  meanwhile();
  tunnel.world.network.passes = () => true;
  tunnel.isRouted = true;
}

function sent({ side: { sequences } }: Clustered, low: number): ChildSequences {
  assert.ok(sequences);
  return { ...sequences, outboundReserved: { high: 0, low } };
}

/** New keys that the nodes asked for. */
const ofNodes = ({ pair }: Tunnel) =>
  pair.ladder.filter((line) => line.startsWith('<- CREATE_CHILD_SA request'));

describe('A take-over where all was known', () => {
  it('makes nothing anew, nor does the return of the node that died', () => {
    const tunnel = up();
    tunnel.crash();
    tunnel.run(1000);
    assert.equal(tunnel.world.owners()[tunnel.segment], tunnel.second.id);
    assert.equal(tunnel.second.node.awaitingRekey, 0);
    tunnel.restartFirst();
    tunnel.run(20_000, () => false, 10);
    assert.ok(tunnel.world.isSettled);
    assert.deepEqual(tunnel.pair.ladder, []);
    for (const { node } of tunnel.world.nodes) {
      assert.deepEqual([node.unsynced.size, node.awaitingRekey], [0, 0]);
    }
  });

  it('makes nothing anew after a pause of the other', () => {
    const tunnel = up();
    tunnel.first.isUp = false;
    tunnel.pair.b = tunnel.second.side;
    tunnel.run(2000);
    tunnel.first.isUp = true;
    tunnel.isRouted = true;
    tunnel.run(20_000, () => false, 10);
    assert.ok(tunnel.world.isSettled);
    assert.deepEqual(tunnel.pair.ladder, []);
  });
});

describe('A take-over where not all was known', () => {
  /** The second node slept as the first one died: perhaps something went past it. */
  function gap(): Tunnel {
    const tunnel = up();
    tunnel.second.isUp = false;
    tunnel.run(400);
    tunnel.crash();
    tunnel.second.isUp = true;
    tunnel.run(600);
    const taken = tunnel.second.did('take').flatMap(({ action }) => {
      return action.kind === 'take' && action.segment === tunnel.segment ? [action.gap] : [];
    });
    assert.deepEqual(taken.slice(-1), [true]);
    return tunnel;
  }

  it('goes on, asks the peer where it stands, and sends when it has new keys', () => {
    const tunnel = gap();
    const { second, pair } = tunnel;
    assert.equal(second.did('unsure').length, 1);
    const activated = second.did('ike').flatMap(({ action }) => {
      return action.kind === 'ike' && action.action.kind === 'activate-child-sa'
        ? [action.action.childSa]
        : [];
    });
    assert.deepEqual(
      activated.map(({ outbound }) => outbound),
      ['never'],
    );
    tunnel.settle();
    const questions = pair.ladder.filter((line) => line.includes('N(IKEV2_MESSAGE_ID_SYNC)'));
    assert.equal(questions.length, 2);
    assert.equal(renewals(tunnel).length, 1);
    assertAgreement(pair, 1, 'afterwards');
    assertNothingTwice(inWindow(tunnel), 'afterwards');
    assert.deepEqual(pair.a.seen('ike-sa-down'), []);
    assert.ok(!second.side.children.has(activated[0]?.id ?? 0), 'the old one is gone');
  });
});

describe('A node that is alone', () => {
  it('says what nobody else knows, until somebody does', () => {
    const tunnel = up();
    const { first, world, pair } = tunnel;
    world.crash(tunnel.second.id);
    tunnel.run(1000);
    assert.equal(first.node.unsynced.size, 0, 'the other one had it');
    rekey(pair, pair.a, 'child', 2);
    tunnel.settle();
    assert.equal(first.node.unsynced.size, 1);
    pair.ladder.length = 0;
    first.side.sequences = sent(first, 900_000);
    const [child] = first.side.children.values();
    assert.ok(child);
    tunnel.restartSecond();
    assert.equal(first.node.unsynced.size + tunnel.second.node.unsynced.size, 0);
    const granted = first.did('grant').map(({ action }) => action);
    const upTo = { high: 0, low: 900_000 };
    assert.deepEqual(granted, [{ kind: 'grant', spiIn: child.spiIn, upTo }]);
    assert.deepEqual(
      tunnel.second.node.sequencesSince(child.spiIn, sent(first, 1)).outboundReserved,
      upTo,
    );
    assert.deepEqual(pair.ladder, [], 'and nothing is made anew');
  });
});

describe('After a split', () => {
  it('nothing is made anew of what only the one that goes on changed', () => {
    const tunnel = up();
    split(tunnel, () => {
      tunnel.pair.b = tunnel.second.side;
      rekey(tunnel.pair, tunnel.pair.a, 'child', 2);
      tunnel.run(500);
    });
    tunnel.settle();
    assert.ok(tunnel.world.isSettled);
    assert.equal(renewals(tunnel).length, 1, 'by the client');
    assertAgreement(tunnel.pair, 1, 'afterwards');
  });

  it('what only the other one changed is taken from there and gets new keys', () => {
    const tunnel = up();
    split(tunnel, () => {
      rekey(tunnel.pair, tunnel.pair.a, 'child', 2);
      tunnel.run(500);
      assert.equal(tunnel.pair.a.outcomes.get(2)?.kind, 'done');
    });
    tunnel.run(1000);
    assert.equal(ofNodes(tunnel).length, 1, 'at once: it sends nothing before');
    tunnel.settle();
    assertAgreement(tunnel.pair, 1, 'afterwards');
    assertNothingTwice(inWindow(tunnel), 'afterwards');
    assert.deepEqual(tunnel.pair.a.seen('peer-unreachable'), []);
  });

  it('what both changed gets new keys once it is known where the client stands', () => {
    const tunnel = up();
    const { pair } = tunnel;
    split(tunnel, () => {
      rekey(pair, pair.a, 'child', 2);
      tunnel.run(500);
      // The same request comes to the other one, too, and asks something else.
      pair.b = tunnel.second.side;
      rekey(pair, tunnel.second.side, 'child', 3);
      tunnel.run(500);
    });
    tunnel.settle();
    tunnel.settle();
    assertAgreement(pair, 1, 'afterwards');
    assert.deepEqual(pair.a.seen('peer-unreachable'), []);
    assert.equal(tunnel.second.node.awaitingRekey, 0);
  });

  it('numbers that both used are used no more', () => {
    for (const low of [0, 500_000]) {
      const tunnel = up();
      const { first } = tunnel;
      split(tunnel, () => {
        if (low > 0) first.side.sequences = sent(first, low);
      });
      tunnel.run(2000);
      assert.equal(ofNodes(tunnel).length, low > 0 ? 1 : 0);
      tunnel.settle();
      assertAgreement(tunnel.pair, 1, 'afterwards');
    }
  });

  it('an IKE SA that only the other one had goes on', () => {
    const tunnel = new Tunnel();
    split(tunnel, () => tunnel.up());
    const has = () => tunnel.second.side.engine.ikeSas().length > 0;
    tunnel.run(1000, has);
    assert.ok(has());
    tunnel.run(1000);
    tunnel.settle();
    assertAgreement(tunnel.pair, 1, 'afterwards');
    assert.deepEqual(tunnel.pair.a.seen('ike-sa-down'), []);
  });
});

describe('An operator', () => {
  it('makes a node ask for everything once more, and nothing comes of it', () => {
    const tunnel = up();
    const { second, world } = tunnel;
    const before = world.owners();
    world.give(second, { kind: 'resync' });
    tunnel.run(1000);
    assert.deepEqual(world.owners(), before);
    assert.ok(world.isSettled);
    assert.equal(second.side.engine.passive, 1);
    assert.deepEqual(tunnel.pair.ladder, []);
    tunnel.crash();
    tunnel.run(400);
    assert.equal(second.side.engine.ikeSas().length, 1);
    assert.deepEqual(tunnel.pair.ladder, []);
  });
});
