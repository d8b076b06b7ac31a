/** A client, and two nodes of a cluster that are its peer behind one address, on a simulated clock. */
import assert from 'node:assert/strict';
import { segmentOfAddress } from '../../src/cluster/segment-hash.ts';
import { ClusterSpis } from '../../src/gateway/cluster-spis.ts';
import { decodeHeader } from '../../src/ike/message/header.ts';
import type { IkeSaSnapshot } from '../../src/ike/snapshot.ts';
import { instant } from '../../src/wire/instant.ts';
import { toHex } from '../../src/wire/octets.ts';
import { type Clustered, type ClusterOptions, ClusterWorld, HASH } from './clustered-nodes.ts';
import {
  AES_GCM_256,
  connection,
  ikeProposal,
  loadSecret,
  mirrored,
  PRF_SHA2_256,
  X25519,
} from './connections.ts';
import { A, B, endpoint, type Flight, type Pair } from './pair.ts';
import { seededRandom } from './seeded-random.ts';
import { initiate, sites } from './sites.ts';

const GCM = connection({ proposals: [ikeProposal(AES_GCM_256, PRF_SHA2_256, X25519)] });
const SOURCE_SEED = 0xabcdef;
const STEP_MS = 0.5;

/** A client and two nodes; `first` has the client's segment. */
export class Tunnel {
  readonly world: ClusterWorld;
  readonly pair: Pair;
  /** Messages of the nodes whose content the other one did not have as they left. */
  readonly unknown: Flight[] = [];
  /** What the client sends comes to who has its segment. */
  isRouted = false;
  first: Clustered;
  second: Clustered;

  constructor(seed = 1, options: ClusterOptions = {}) {
    this.world = new ClusterWorld(seed, 2, options);
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
      if (this.isRouted) this.#route();
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

  /** The process of the node that died starts again and knows nothing. */
  restartFirst(): void {
    this.world.restart(this.first.id, 2);
    this.first = this.world.node(this.first.id);
    this.#join(this.first);
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

  #route(): void {
    const owners = this.world.nodes.filter(({ isUp, node }) => {
      return isUp && node.coordinator.owns(this.segment);
    });
    if (owners.length === 1 && owners[0]) this.pair.b = owners[0].side;
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
