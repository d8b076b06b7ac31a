/**
 * Two gateways are nodes of a cluster behind one address, and a client that knows nothing of it (RFC 6027): what
 * it is told the other node can repeat, whatever happens to the one that said it.
 */
import assert from 'node:assert/strict';
import { segmentOfAddress } from '../../src/cluster/segment-hash.ts';
import { ClusterSpis } from '../../src/gateway/cluster-spis.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import type { IkeSaSnapshot } from '../../src/ike/snapshot.ts';
import { instant } from '../../src/wire/instant.ts';
import { toHex } from '../../src/wire/octets.ts';
import { type Clustered, ClusterWorld, HASH } from '../support/clustered-nodes.ts';
import {
  AES_GCM_256,
  connection,
  ikeProposal,
  loadSecret,
  mirrored,
  PRF_SHA2_256,
  X25519,
} from '../support/connections.ts';
import { assertNothingTwice } from '../support/fail-over.ts';
import { A, B, endpoint, type Flight, type Pair } from '../support/pair.ts';
import { assertAgreement, rekey } from '../support/rekeying.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { initiate, sites } from '../support/sites.ts';

const GCM = connection({ proposals: [ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519)] });
const SOURCE_SEED = 0xabcdef;
const STEP_MS = 0.5;

/** A client and two nodes; `first` has the client's segment. */
class Tunnel {
  readonly world: ClusterWorld;
  readonly pair: Pair;
  /** Messages of the nodes whose content the other one did not have as they left. */
  readonly unknown: Flight[] = [];
  first: Clustered;
  second: Clustered;

  constructor(seed = 1) {
    this.world = new ClusterWorld(seed, 2);
    this.pair = sites(GCM, undefined, { seed });
    for (const node of this.world.nodes) this.#join(node);
    this.world.start();
    this.world.run(3000);
    assert.ok(this.world.isSettled);
    const owner = this.world.owners()[this.segment];
    this.first = this.world.node(owner ?? 0);
    this.second = this.world.node(3 - this.first.id);
    this.pair.b = this.first.side;
    this.world.perform = (node, { action }) => {
      if (action.kind === 'send') this.#leaves(node, action.octets);
      this.pair.perform(node.side, [action]);
    };
    this.pair.run(this.world.now);
  }

  get segment(): number {
    return segmentOfAddress(endpoint(A).address, { ...HASH, seed: SOURCE_SEED });
  }

  up(): void {
    initiate(this.pair);
    this.run(200);
    assert.equal(this.pair.a.outcomes.get(1)?.kind, 'done');
  }

  run(milliseconds: number, done: () => boolean = () => false, step = STEP_MS): void {
    const end = this.world.now + milliseconds;
    while (this.world.now < end && !done()) {
      const next = instant(this.world.now + step);
      this.pair.run(next);
      this.world.run(next - this.world.now);
    }
  }

  /** Until what was replaced is deleted and gone. */
  settle(): void {
    this.run(40_000, () => false, 10);
  }

  crash(): void {
    this.world.crash(this.first.id);
    this.pair.b = this.second.side;
  }

  /** The process of the second node starts again and knows nothing. */
  restartSecond(): void {
    this.world.crash(this.second.id);
    this.run(500);
    this.world.restart(this.second.id, 2);
    this.second = this.world.node(this.second.id);
    this.#join(this.second);
    this.run(3000);
  }

  /** What each message of the nodes said, repetitions too. */
  answers(messageId: number): readonly string[] {
    return this.pair.flights
      .filter(({ from, octets }) => {
        const header = decodeHeader(octets);
        return from.address.octets[3] === 2 && header.isResponse && header.messageId === messageId;
      })
      .map(({ octets }) => toHex(octets));
  }

  #join(node: Clustered): void {
    const { side } = node;
    side.pad.load(mirrored(GCM));
    loadSecret(side.pad, 'secret');
    side.through = (input) => {
      this.world.now = instant(Math.max(this.world.now, this.pair.now));
      this.world.give(node, { kind: 'ike', input });
    };
    side.spis = new ClusterSpis({
      hash: HASH,
      sourceSeed: SOURCE_SEED,
      random: seededRandom(node.id * 77),
      own: () => [this.segment],
    });
  }

  #leaves(node: Clustered, octets: Uint8Array): void {
    const other = node === this.first ? this.second : this.first;
    const held = other.side.engine.passiveSnapshots().flatMap(({ snapshot }) => said(snapshot));
    if (held.includes(toHex(octets))) return;
    this.unknown.push({ from: endpoint(B), to: endpoint(A), octets });
  }
}

/** Datagrams that whoever has this snapshot can repeat. */
function said({ window: { answered, inFlight }, state }: IkeSaSnapshot): readonly string[] {
  const first = 'handshake' in state ? [state.handshake.responseOctets] : [];
  return [...(answered?.datagrams ?? []), ...(inFlight?.datagrams ?? []), ...first].map(toHex);
}

describe('Two nodes behind one address (RFC 6027 §3)', () => {
  it('say nothing that the other one could not repeat', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    assert.deepEqual(tunnel.unknown, []);
    assert.equal(tunnel.second.side.engine.passive, 1);
    assert.equal(tunnel.second.side.passive.size, 1, 'its Child SA is there');
    assert.equal(tunnel.first.node.unsynced.size, 0);
    assert.ok(tunnel.answers(0).length > 0 && tunnel.answers(1).length > 0);
  });

  it('answer alike when the one that answered first dies', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    // Its answer is lost, and it is gone.
    tunnel.pair.translate = (flight) => (flight.from.address.octets[3] === 2 ? undefined : flight);
    rekey(tunnel.pair, tunnel.pair.a, 'child', 2);
    tunnel.run(100, () => tunnel.answers(2).length > 0);
    assert.equal(tunnel.answers(2).length, 1);
    tunnel.crash();
    tunnel.pair.translate = (flight) => flight;
    tunnel.run(400);
    assert.equal(tunnel.world.owners()[tunnel.segment], tunnel.second.id);
    tunnel.settle();
    const answers = tunnel.answers(2);
    assert.ok(answers.length > 1);
    assert.equal(new Set(answers).size, 1);
    assertAgreement(tunnel.pair, 1, 'after the crash');
    assertNothingTwice(tunnel.pair.flights, 'after the crash');
    assert.deepEqual(tunnel.pair.a.seen('ike-sa-down'), []);
  });

  it('go on where the other one was drained', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    const { sequences } = tunnel.first.side;
    assert.ok(sequences);
    // Traffic went on since the last message.
    const final = { ...sequences, outboundReserved: { high: 0, low: 77_777 } };
    tunnel.first.side.sequences = final;
    tunnel.world.give(tunnel.first, { kind: 'order', order: { kind: 'drain' } });
    tunnel.run(1000);
    const activated = tunnel.second.did('ike').flatMap(({ action }) => {
      return action.kind === 'ike' && action.action.kind === 'activate-child-sa'
        ? [action.action.sequences]
        : [];
    });
    assert.deepEqual(activated, [final]);
    assert.equal(tunnel.world.owners()[tunnel.segment], tunnel.second.id);
    assert.equal(tunnel.first.side.engine.ikeSas().length, 0);
    assert.equal(tunnel.first.side.engine.passive, 1);
    assert.equal(tunnel.second.side.engine.ikeSas().length, 1);
    tunnel.pair.b = tunnel.second.side;
    rekey(tunnel.pair, tunnel.pair.a, 'ike', 2);
    tunnel.settle();
    assert.equal(tunnel.answers(2).length, 1);
    assertAgreement(tunnel.pair, 1, 'after the hand-over');
    assertNothingTwice(tunnel.pair.flights, 'after the hand-over');
    assert.deepEqual(tunnel.unknown, [], 'the drained one follows');
  });

  it('learn what happened before they started', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    tunnel.restartSecond();
    assert.ok(tunnel.world.isSettled);
    // It may have got its segments back, that one too: whoever has it now dies.
    if (tunnel.world.owners()[tunnel.segment] === tunnel.second.id) {
      [tunnel.first, tunnel.second] = [tunnel.second, tunnel.first];
    }
    tunnel.crash();
    tunnel.run(400);
    rekey(tunnel.pair, tunnel.pair.a, 'child', 2);
    tunnel.settle();
    assert.equal(tunnel.answers(2).length, 1);
    assertAgreement(tunnel.pair, 1, 'after the crash');
    assertNothingTwice(tunnel.pair.flights, 'after the crash');
  });

  it('wait 5 ms for one another and no longer, and know what they did', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    tunnel.world.network.passes = () => false;
    rekey(tunnel.pair, tunnel.pair.a, 'child', 2);
    const asked = tunnel.world.now;
    tunnel.run(50, () => tunnel.answers(2).length > 0);
    const waited = tunnel.world.now - asked;
    assert.ok(waited >= 6 && waited < 8, `${waited} ms, one of which it took to ask`);
    const [sa] = tunnel.first.side.engine.ikeSas();
    assert.deepEqual([...tunnel.first.node.unsynced], [sa?.ownSpi]);
    tunnel.world.network.passes = () => true;
    tunnel.run(200);
    assert.equal(tunnel.first.node.unsynced.size, 0);
  });

  it('transmit nothing for a segment whose lease ended', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    const { first, pair } = tunnel;
    tunnel.world.network.passes = () => false;
    // The process sleeps: nobody calls it, and a request waits in its socket.
    const later = instant(tunnel.world.clock(first) + 250);
    const before = pair.flights.length;
    rekey(pair, pair.a, 'child', 2);
    const request = pair.flights[before];
    assert.ok(request);
    const { from: remote, to: local, octets } = request;
    const input = { kind: 'datagram', local, remote, octets } as const;
    const done = first.node.handle({ kind: 'ike', input }, later);
    const more = first.node.handle({ kind: 'time' }, instant(later + 6));
    const sent = [...done, ...more].filter(
      (one) => one.kind === 'ike' && one.action.kind === 'send',
    );
    assert.deepEqual(sent, []);
  });

  it('use numbers of a Child SA that the other one knows of, and go on behind them', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    const { first, second, world } = tunnel;
    const [child] = first.side.children.values();
    assert.ok(child);
    const wanted = { kind: 'sequence-wanted', spiIn: child.spiIn } as const;
    world.give(first, { ...wanted, upTo: { high: 1, low: 5 } });
    assert.deepEqual(first.did('grant'), [], 'not before the other one knows');
    tunnel.run(5);
    const [granted] = first.did('grant');
    assert.deepEqual(granted?.action, {
      kind: 'grant',
      spiIn: child.spiIn,
      upTo: { high: 1, low: 5 },
    });
    // Asked for, told, and not granted: it may be used any moment.
    world.give(first, { ...wanted, upTo: { high: 1, low: 261 } });
    world.network.passes = ({ from }) => from === first.id;
    world.run(3);
    tunnel.crash();
    assert.equal(first.did('grant').length, 1);
    world.network.passes = () => true;
    tunnel.run(400);
    const taken = second.did('ike').flatMap(({ action }) => {
      return action.kind === 'ike' && action.action.kind === 'activate-child-sa'
        ? [action.action.sequences?.outboundReserved]
        : [];
    });
    assert.deepEqual(taken, [{ high: 1, low: 261 }]);
  });

  it('go alone with their numbers where nobody is left', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    const { first, second, world } = tunnel;
    const [child] = first.side.children.values();
    assert.ok(child);
    world.crash(second.id);
    const wanted = { kind: 'sequence-wanted', spiIn: child.spiIn } as const;
    world.give(first, { ...wanted, upTo: { high: 0, low: 900 } });
    tunnel.run(100);
    assert.deepEqual(first.did('go-alone'), [], 'it may only be slow');
    tunnel.run(400);
    assert.equal(first.did('go-alone').length, 1);
    world.give(first, { ...wanted, upTo: { high: 0, low: 1200 } });
    assert.equal(first.did('go-alone').length, 2, 'at once');
    assert.deepEqual(first.did('grant'), []);
  });

  it('know of numbers that were asked for before they started', () => {
    const tunnel = new Tunnel();
    tunnel.up();
    const { first, world } = tunnel;
    const [child] = first.side.children.values();
    assert.ok(child);
    const upTo = { high: 0, low: 5000 };
    world.give(first, { kind: 'sequence-wanted', spiIn: child.spiIn, upTo });
    tunnel.run(5);
    const { sequences } = first.side;
    assert.ok(sequences && sequences.outboundReserved.low < 5000);
    tunnel.restartSecond();
    const known = tunnel.second.node.sequencesSince(child.spiIn, sequences);
    assert.deepEqual(known.outboundReserved, upTo);
  });

  it('tell each other where their windows are', () => {
    const tunnel = new Tunnel();
    const { first, second, world } = tunnel;
    const edges = Uint32Array.from({ length: 3 * 100 }, (_, at) => at);
    world.give(first, { kind: 'edges', edges });
    tunnel.run(5);
    const heard = second.did('follow-edges').flatMap(({ action }) => {
      return action.kind === 'follow-edges' ? [...action.edges] : [];
    });
    assert.deepEqual(heard, [...edges]);
  });
});
