/** Where packets go that came to the wrong node, and that none goes round. */
import assert from 'node:assert/strict';
import {
  type SegmentHash,
  segmentHash,
  segmentOfAddress,
  segmentOfSpi,
} from '../../../src/cluster/segment-hash.ts';
import { chooseIkeSpi, chooseSpi } from '../../../src/cluster/spi-choice.ts';
import type { ForeignArrival } from '../../../src/esp/foreign-packets.ts';
import type { ClusterNodeAction } from '../../../src/gateway/cluster/cluster-node.ts';
import {
  encodeForward,
  type ForwardedIke,
  type ForwardedRead,
} from '../../../src/gateway/cluster/forward-message.ts';
import {
  FORWARD_COUNTERS,
  type ForwardAction,
  Forwarding,
} from '../../../src/gateway/cluster/forwarding.ts';
import { segmentOfIke } from '../../../src/gateway/cluster/ike-segment.ts';
import { spi } from '../../../src/ipsec/spi.ts';
import { ipAddress } from '../../../src/wire/address.ts';
import { type Instant, instant } from '../../../src/wire/instant.ts';
import { concatOctets, OctetWriter } from '../../../src/wire/octets.ts';
import { seededRandom } from '../../support/seeded-random.ts';

const HASH: SegmentHash = segmentHash(8, 0x5eed);
const SOURCE_SEED = 77;
const SEEDS = { hash: HASH, sourceSeed: SOURCE_SEED };
const PEER = { address: ipAddress(Uint8Array.of(192, 0, 2, 9)), port: 4500 };
const HERE = { address: ipAddress(Uint8Array.of(192, 0, 2, 1)), port: 4500 };
const random = seededRandom(5);

/** One node's view, which a test changes. */
class Node {
  readonly owners = new Map<number, number>();
  readonly silent = new Set<number>();
  readonly followed = new Set<number>();
  readonly forwarding: Forwarding;
  readonly self: number;
  now: Instant = instant(1000);

  constructor(self: number, owners: Readonly<Record<number, number>> = {}) {
    this.self = self;
    for (const [segment, owner] of Object.entries(owners)) this.owners.set(Number(segment), owner);
    this.forwarding = new Forwarding({
      self,
      ...SEEDS,
      view: {
        owns: (segment) => this.owners.get(segment) === self,
        ownerOf: (segment) => this.owners.get(segment),
        isFollowed: (spiIn) => this.followed.has(spiIn),
        isHeard: (node) => !this.silent.has(node),
      },
    });
  }

  get counted() {
    const counts = FORWARD_COUNTERS.map((name) => [name, this.forwarding.of(name)] as const);
    return Object.fromEntries(counts.filter(([, count]) => count > 0));
  }
}

function arrival(segment: number): ForeignArrival {
  const chosen = chooseSpi({ hash: HASH, segment, random, isFree: () => true });
  assert.ok(chosen);
  const octets = concatOctets(new OctetWriter().u32(chosen).finish(), new Uint8Array(60));
  return { kind: 'arrival', octets, local: HERE.address, remote: PEER, trafficClass: 1 };
}

function read(segment: number): ForwardedRead {
  const chosen = chooseSpi({ hash: HASH, segment, random, isFree: () => true });
  return { kind: 'read', octets: new Uint8Array(50), spiIn: spi(chosen ?? 0) };
}

/** A message that names the SPIs of an IKE SA. */
function ike({ initiator, responder, flags = 0x08, version = 0x20 }: IkeFields): ForwardedIke {
  const none = new Uint8Array(8);
  const octets = concatOctets(
    initiator ?? none,
    responder ?? none,
    Uint8Array.of(0, version, 34, flags, 0, 0, 0, 0, 0, 0, 0, 28),
  );
  return { kind: 'ike', octets, local: HERE, remote: PEER };
}

interface IkeFields {
  readonly initiator?: Uint8Array;
  readonly responder?: Uint8Array;
  readonly flags?: number;
  readonly version?: number;
}

function ikeSpiOf(segment: number): Uint8Array {
  return chooseIkeSpi({ hash: HASH, segment, random, isFree: () => true }) ?? assert.fail('no SPI');
}

/** What other nodes are told comes to them, until nobody is told anything. */
function deliver(nodes: readonly Node[], from: Node, actions: readonly ForwardAction[]) {
  const handled: { readonly at: number; readonly action: ForwardAction }[] = [];
  const waiting = actions.map((action) => ({ from, action }));
  for (let next = waiting.shift(); next; next = waiting.shift()) {
    const { from: sender, action } = next;
    if (action.kind !== 'tell') {
      handled.push({ at: sender.self, action });
      continue;
    }
    const to = nodes.find(({ self }) => self === action.to);
    assert.ok(to);
    const further = to.forwarding.receive(action.message, to.now);
    waiting.push(...further.map((one) => ({ from: to, action: one })));
  }
  return handled;
}

const SEGMENT = { segment: 3, epoch: 1 };

describe('Packets that came to another node than theirs', () => {
  it('go to the owner of their segment, and are handled there as they came', () => {
    const [one, two] = [new Node(1, { 3: 2 }), new Node(2, { 3: 2 })];
    const [esp, inner, message] = [arrival(3), read(3), ike({ responder: ikeSpiOf(3) })];
    for (const packet of [esp, inner, message]) {
      const [handled] = deliver([one, two], one, one.forwarding.handOn(packet, one.now));
      assert.equal(handled?.at, 2);
      const { action } = handled;
      if (action.kind === 'ike') assert.deepEqual(action, message);
      else {
        assert.ok(action.kind === 'packet');
        assert.deepEqual(action.packet, packet);
        assert.equal(segmentOfSpi(action.spiIn, HASH), 3);
      }
    }
    assert.deepEqual(one.counted, { 'forwarded-esp': 1, 'forwarded-read': 1, 'forwarded-ike': 1 });
    assert.deepEqual(two.counted, { 'taken-esp': 1, 'taken-read': 1, 'taken-ike': 1 });
  });

  it('are discarded where the owner is not heard', () => {
    const one = new Node(1, { 3: 2 });
    one.silent.add(2);
    assert.deepEqual(one.forwarding.handOn(arrival(3), one.now), []);
    assert.deepEqual(one.counted, { 'forward-owner-silent': 1 });
  });

  it('wait while nobody has their segment, and go as soon as somebody has', () => {
    const [one, two] = [new Node(1), new Node(2, { 3: 2 })];
    for (let count = 0; count < 3; count++) one.forwarding.handOn(arrival(3), one.now);
    assert.equal(one.forwarding.held, 3);
    one.now = instant(one.now + 20);
    assert.deepEqual(one.forwarding.settle(one.now), []);
    one.owners.set(3, 2);
    assert.equal(deliver([one, two], one, one.forwarding.settle(one.now)).length, 3);
    assert.equal(one.forwarding.held, 0);
  });

  it('wait where their segment is here and their SA does not go on yet', () => {
    const one = new Node(1, { 3: 1 });
    const packet = read(3);
    one.followed.add(packet.spiIn);
    assert.deepEqual(one.forwarding.handOn(packet, one.now), []);
    assert.deepEqual(one.forwarding.settle(one.now), []);
    one.followed.delete(packet.spiIn);
    assert.deepEqual(one.forwarding.settle(one.now), [
      { kind: 'packet', spiIn: packet.spiIn, packet },
    ]);
  });

  it('wait no longer than a move may take, and no more of them than can be kept', () => {
    const one = new Node(1);
    for (let count = 0; count < 5000; count++) one.forwarding.handOn(arrival(3), one.now);
    assert.equal(one.forwarding.held, 1024);
    assert.equal(one.forwarding.of('forward-held-full'), 5000 - 1024);
    assert.equal(one.forwarding.nextDeadline(), one.now + 100);
    one.now = instant(one.now + 100);
    assert.deepEqual(one.forwarding.settle(one.now), []);
    assert.equal(one.forwarding.of('forward-no-owner'), 1024);
    assert.equal(one.forwarding.held, 0);
    const large = { ...arrival(3), octets: new Uint8Array(60_000).fill(9) };
    for (let count = 0; count < 100; count++) one.forwarding.handOn(large, one.now);
    assert.ok(one.forwarding.held <= (4 << 20) / 60_000);
  });

  it('of a segment that is about to go wait at the node that it goes to', () => {
    const [one, two] = [new Node(1, { 3: 1 }), new Node(2, { 3: 1 })];
    const nodes = [one, two];
    const come = () => deliver(nodes, one, one.forwarding.handOn(arrival(3), one.now));
    observe(one, { kind: 'freeze', batch: 1, to: 2, segments: [SEGMENT] });
    assert.equal(one.forwarding.isOwnIke(ike({ responder: ikeSpiOf(3) })), false);
    assert.deepEqual(come(), []);
    one.owners.delete(3);
    observe(one, { kind: 'release', segment: 3, reason: 'handed-over' });
    assert.deepEqual(come(), []);
    assert.deepEqual(two.forwarding.settle(two.now), []);
    assert.deepEqual([one.forwarding.held, two.forwarding.held], [0, 2]);
    two.owners.set(3, 2);
    assert.equal(deliver(nodes, two, two.forwarding.settle(two.now)).length, 2);
    one.owners.set(3, 2);
    assert.deepEqual(
      come().map(({ at }) => at),
      [2],
    );
  });

  it('of a segment that stays after all are handled where it stays', () => {
    const [one, two] = [new Node(1, { 3: 1 }), new Node(2, { 3: 1 })];
    observe(one, { kind: 'freeze', batch: 1, to: 2, segments: [SEGMENT] });
    observe(one, { kind: 'thaw', segments: [SEGMENT] });
    const handled = deliver([one, two], one, one.forwarding.handOn(arrival(3), one.now));
    assert.deepEqual(
      handled.map(({ at }) => at),
      [1],
    );
  });

  it('of a segment that went and that nobody has any more wait', () => {
    const one = new Node(1, { 3: 1 });
    observe(one, { kind: 'freeze', batch: 1, to: 2, segments: [SEGMENT] });
    one.owners.set(3, 2);
    observe(one, { kind: 'release', segment: 3, reason: 'handed-over' });
    assert.equal(one.forwarding.handOn(arrival(3), one.now).length, 1);
    one.owners.delete(3);
    assert.deepEqual(one.forwarding.handOn(arrival(3), one.now), []);
    assert.equal(one.forwarding.held, 1);
  });

  it('are sent on twice at most, whatever nodes believe of one another', () => {
    // Each believes that another one has it.
    for (const [second, third] of [
      [3, 1],
      [3, 2],
      [1, 1],
      [3, 4],
    ] as const) {
      const nodes = [
        new Node(1, { 3: 2 }),
        new Node(2, { 3: second }),
        new Node(3, { 3: third }),
        new Node(4, { 3: 1 }),
      ];
      const [one] = nodes;
      assert.ok(one);
      assert.deepEqual(deliver(nodes, one, one.forwarding.handOn(arrival(3), one.now)), []);
      const told = nodes.reduce((sum, { forwarding }) => sum + forwarding.of('forwarded-esp'), 0);
      assert.ok(told <= 2, `${told} times`);
      const kept = nodes.reduce((sum, { forwarding }) => {
        return sum + forwarding.held + forwarding.of('forward-too-many-hops');
      }, 0);
      assert.equal(kept, 1);
    }
  });

  it('that nobody could have sent on are malformed', () => {
    const two = new Node(2, { 3: 2 });
    const { type, body } = encodeForward({ hops: 1, packet: arrival(3) });
    assert.deepEqual(two.forwarding.receive({ type, body: body.subarray(0, 30) }, two.now), []);
    assert.deepEqual(two.counted, { 'forward-malformed': 1 });
  });
});

describe('The segment of an IKE message (RFC 7296 §3.1)', () => {
  const of = (arrived: ForwardedIke) => segmentOfIke(arrived, SEEDS);

  it("is that of our SPI, which flag I tells from the peer's", () => {
    for (let segment = 0; segment < 8; segment++) {
      const [ours, theirs] = [ikeSpiOf(segment), ikeSpiOf((segment + 1) % 8)];
      assert.equal(of(ike({ initiator: theirs, responder: ours })), segment);
      assert.equal(of(ike({ initiator: theirs, responder: ours, flags: 0x28 })), segment);
      assert.equal(of(ike({ initiator: ours, responder: theirs, flags: 0x20 })), segment);
      assert.equal(of(ike({ initiator: ours, flags: 0x20 })), segment, 'an answer to IKE_SA_INIT');
    }
  });

  it('is that of the source for a request that begins an IKE SA', () => {
    const source = segmentOfAddress(PEER.address, { ...HASH, seed: SOURCE_SEED });
    for (let segment = 0; segment < 8; segment++) {
      assert.equal(of(ike({ initiator: ikeSpiOf(segment) })), source);
    }
  });

  it("is nobody's for what is not IKEv2: any node handles that", () => {
    const old = ike({ initiator: ikeSpiOf(1), version: 0x10 });
    assert.equal(of(old), undefined);
    assert.equal(of({ ...old, octets: old.octets.subarray(0, 27) }), undefined);
    const one = new Node(1);
    assert.ok(one.forwarding.isOwnIke(old));
    assert.deepEqual(one.forwarding.handOn(old, one.now), [old]);
  });
});

function observe({ forwarding }: Node, action: ClusterNodeAction): void {
  forwarding.observe(action);
}
