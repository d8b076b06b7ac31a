import assert from 'node:assert/strict';
import { DropReason } from '../../src/events/drop-reason.ts';
import { SaCounter } from '../../src/events/shared-counters.ts';
import {
  asNumber,
  ClusterEngines,
  halves,
  ivOf,
  NOTHING,
  numberOf,
} from '../support/cluster-engines.ts';
import {
  childSa,
  clusterParameters,
  EspGateway,
  mirrored,
  selector,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';

const EACH_EIGHTH = { every: 8, residue: 3 };

describe('An SA that another node of the cluster has', () => {
  it('follows its window by the packets it samples, whose insides nobody sees', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    const packets = cluster.peerSends(40);
    assert.equal(cluster.receive(0, packets), 40);
    assert.equal(cluster.receive(1, packets), 0);
    const { gateway } = cluster.node(1);
    assert.equal(cluster.edgeOf(1), 35);
    assert.equal(gateway.counter(0, SaCounter.SEQUENCE), 35);
    assert.equal(gateway.counter(0, SaCounter.SHARED), 5);
    assert.equal(gateway.counter(0, SaCounter.PACKETS), 0);
    assert.deepEqual(gateway.drops(), { 'inbound-passive': 35 });
    assert.deepEqual(gateway.reports, []);
  });

  it('verifies each packet where each is sampled, and none where none comes by', () => {
    for (const [every, edge] of [
      [1, 40],
      [0, 0],
    ] as const) {
      const cluster = new ClusterEngines(2, { every, residue: 0 });
      cluster.receive(1, cluster.peerSends(40));
      assert.equal(cluster.edgeOf(1), edge);
    }
  });

  it('moves for no number whose ICV is wrong', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH, { esn: true });
    cluster.receive(1, cluster.peerSends(20));
    const [genuine] = cluster.peerSends(1);
    for (const number of [27, 0x7fff_fffb, 0xffff_ff03]) {
      const octets = genuine?.octets.slice() ?? assert.fail('the peer sends');
      new DataView(octets.buffer).setUint32(4, number);
      cluster.receive(1, [{ octets }]);
    }
    const { gateway } = cluster.node(1);
    assert.equal(cluster.edgeOf(1), 19);
    assert.equal(gateway.dropped('bad-sample'), 3);
    assert.equal(gateway.saDrops(0)['bad-sample'], 3);
    assert.equal(gateway.counter(0, SaCounter.SHARED), 3);
  });

  it('drops short, repeated and old samples as they are, and opens none of them', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    const packets = cluster.peerSends(200);
    cluster.receive(1, packets.slice(100));
    const { gateway } = cluster.node(1);
    gateway.fromSocket(
      UDP,
      ...[packets[194], packets[2]].map((packet) => packet ?? { octets: new Uint8Array(0) }),
      { octets: (packets[194]?.octets ?? new Uint8Array(0)).slice(0, 20) },
    );
    assert.equal(gateway.dropped('replayed-sequence-number'), 1);
    assert.equal(gateway.dropped('sequence-left-of-window'), 1);
    assert.equal(gateway.dropped('short-esp-packet'), 1);
  });

  it('sends nothing, whatever is read for it', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    assert.equal(cluster.send(1, 3).length, 0);
    const { gateway } = cluster.node(1);
    assert.deepEqual(gateway.drops(), { 'outbound-passive': 3 });
    assert.deepEqual(gateway.saDrops(1), { 'outbound-passive': 3 });
    const dummies = new EspGateway();
    const keys = testKeys(childSa(), 1);
    const cluster2 = { ...clusterParameters, role: 'passive' } as const;
    dummies.install({ ...childSa({ dummyPackets: 10 }), cluster: cluster2 }, keys, keys);
    const deadline = dummies.engine.nextDeadline() ?? assert.fail('a dummy packet is due');
    dummies.engine.expire(deadline);
    assert.equal(dummies.sent.length, 0);
  });

  it('is moved by what its owner tells of its edge, and not back', () => {
    const cluster = new ClusterEngines(2, { every: 0, residue: 0 }, { esn: true });
    const packets = cluster.peerSends(50);
    cluster.receive(0, packets.slice(0, 40));
    cluster.digest(0, 1);
    assert.equal(cluster.edgeOf(1), 40);
    assert.equal(cluster.node(1).gateway.counter(0, SaCounter.SEQUENCE), 40);
    const { gateway, sa } = cluster.node(1);
    gateway.engine.followEdge(sa.parameters.spiIn, halves(30), gateway.now);
    assert.equal(cluster.edgeOf(1), 40);
    gateway.engine.followEdge(sa.parameters.spiIn, { high: 1, low: 2 }, gateway.now);
    assert.equal(cluster.edgeOf(1), 2 ** 32 + 2, 'both halves');
    gateway.engine.followEdge(0x1234, halves(30), gateway.now);
  });

  it('is not moved by digests once it is this node that has it', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    const { gateway, sa } = cluster.node(0);
    gateway.engine.followEdge(sa.parameters.spiIn, halves(500), gateway.now);
    assert.equal(cluster.edgeOf(0), 0);
  });
});

describe('Taking an SA over', () => {
  it('goes on behind what was reserved and above what was seen', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    const sent = cluster.send(0, 100);
    const packets = cluster.peerSends(100);
    cluster.receive(0, packets);
    cluster.receive(1, packets);
    const { granted } = cluster;
    const taken = cluster.take(1, 'bounded');
    assert.deepEqual(taken, { edge: halves(99), used: halves(granted), exposure: 7 });
    const [first] = cluster.send(1, 10);
    assert.equal(numberOf(first ?? new Uint8Array(8)), granted + 1);
    cluster.peer.fromSocket(
      UDP,
      ...[...sent, first].map((octets) => ({ octets: octets ?? PACKET })),
    );
    assert.deepEqual(cluster.peer.drops(), {});
    assert.equal(cluster.peer.delivered.length, 101);
    const { gateway } = cluster.node(1);
    assert.equal(gateway.counter(0, SaCounter.SEQUENCE), 99);
    assert.equal(gateway.counter(1, SaCounter.SEQUENCE), granted + 10);
  });

  it('seals as who this node is by then', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    cluster.take(1, 'bounded', { sid: 0x0123 });
    assert.equal(ivOf(cluster.send(1, 1)[0] ?? PACKET), '0123000000000001');
    cluster.give(1);
    cluster.take(1, 'bounded', { sid: 0x0124 });
    assert.equal(ivOf(cluster.send(1, 1)[0] ?? PACKET), '0124000000000002');
  });

  it('accepts of what was accepted before only what is above the edge, each once', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    const packets = cluster.peerSends(66);
    assert.equal(cluster.receive(0, packets), 66);
    cluster.receive(1, packets);
    const { exposure } = cluster.take(1, 'bounded');
    const replayed = cluster.receive(1, packets);
    assert.equal(replayed, 7);
    assert.ok(replayed <= exposure);
    assert.equal(cluster.receive(1, packets), 0);
    assert.equal(cluster.receive(1, cluster.peerSends(30)), 30);
  });

  it('accepts none of it where it is strict, for the price of as many as two samples are apart', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    const packets = cluster.peerSends(66);
    cluster.receive(0, packets);
    cluster.receive(1, packets);
    const { edge, exposure } = cluster.take(1, 'strict');
    assert.deepEqual([asNumber(edge), exposure], [59 + 16, 0]);
    assert.equal(cluster.receive(1, packets), 0);
    assert.equal(cluster.receive(1, cluster.peerSends(30)), 30 - (75 - 66));
  });

  it('without samples goes by the digest and how fast the SA was', () => {
    const none = { every: 0, residue: 0 };
    const cluster = new ClusterEngines(2, none);
    cluster.receive(0, cluster.peerSends(50));
    cluster.pass(100);
    cluster.digest(0, 1);
    const last = cluster.peerSends(40);
    cluster.receive(0, last);
    const { edge, exposure } = cluster.take(1, 'strict');
    assert.deepEqual([asNumber(edge), exposure], [50 + 100, 0]);
    const bounded = new ClusterEngines(2, none);
    bounded.receive(0, bounded.peerSends(50));
    bounded.pass(100);
    bounded.digest(0, 1);
    assert.equal(bounded.take(1, 'bounded').exposure, 50);
    const unknown = new ClusterEngines(2, none);
    assert.equal(unknown.take(1, 'bounded').exposure, Number.POSITIVE_INFINITY);
    assert.equal(new ClusterEngines(2, none).take(1, 'strict').edge.low, 65_536);
  });

  it('stays within the numbers without ESN', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH, { start: 0xffff_fff8 });
    assert.deepEqual(cluster.take(1, 'strict').edge, { high: 0, low: 0xffff_ffff });
  });

  it('again, or of an SA that this node has, takes nothing back', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    const packets = cluster.peerSends(20);
    cluster.receive(
      0,
      [packets[0], packets[19]].map((one) => one ?? { octets: PACKET }),
    );
    cluster.send(0, 10);
    const { used, edge } = cluster.take(0, 'strict', { used: NOTHING, reserved: halves(256) });
    assert.deepEqual([asNumber(used), asNumber(edge)], [10, 20]);
    assert.equal(cluster.receive(0, packets), 18, 'what is in the window stays open');
    assert.equal(numberOf(cluster.send(0, 1)[0] ?? new Uint8Array(8)), 11);
  });

  it('gives it up at once, and says how far it came', () => {
    const cluster = new ClusterEngines(2, { every: 1, residue: 0 });
    cluster.receive(0, cluster.peerSends(20));
    const sent = cluster.send(0, 10);
    assert.deepEqual(cluster.give(0), { used: halves(10), edge: halves(20) });
    assert.equal(cluster.send(0, 5).length, 0);
    assert.equal(cluster.receive(0, cluster.peerSends(5)), 0);
    // Handed over, nothing is skipped and nothing is lost.
    cluster.digest(0, 1);
    const taken = cluster.take(1, 'bounded', { used: halves(10), reserved: halves(266) });
    assert.equal(taken.exposure, 0);
    assert.equal(taken.edge.low, 25);
    const next = cluster.send(1, 5);
    assert.deepEqual(next.map(numberOf), [11, 12, 13, 14, 15]);
    cluster.peer.fromSocket(UDP, ...[...sent, ...next].map((octets) => ({ octets })));
    assert.equal(cluster.peer.delivered.length, 15);
  });

  it('back, when nobody took it meanwhile, leaves the window as it is', () => {
    const cluster = new ClusterEngines(2, EACH_EIGHTH);
    const packets = cluster.peerSends(20);
    cluster.receive(0, packets.slice(10));
    const { used } = cluster.give(0);
    const { edge, exposure } = cluster.take(0, 'unchanged', { used, reserved: halves(256) });
    assert.deepEqual([edge, exposure], [halves(20), 0]);
    assert.equal(cluster.receive(0, packets), 10);
  });

  it('counts on against its limits', () => {
    const limits = { softOctets: 0, hardOctets: 0, softPackets: 100, hardPackets: 105 };
    const carried = { packetsIn: 7, octetsIn: 700, packetsOut: 98, octetsOut: 9800 };
    const cluster = new ClusterEngines(2, EACH_EIGHTH, { limits });
    cluster.take(1, 'bounded', { carried });
    const { gateway } = cluster.node(1);
    assert.deepEqual(
      [0, 1].map((row) => gateway.counter(row, SaCounter.PACKETS)),
      [7, 98],
    );
    assert.deepEqual(
      [0, 1].map((row) => gateway.counter(row, SaCounter.OCTETS)),
      [700, 9800],
    );
    assert.equal(
      cluster.send(1, 20).length,
      7,
      'up to the hard limit, and the packet that reaches it',
    );
    assert.deepEqual(gateway.drops(), { 'outbound-hard-limit': 13 });
    const installed = new EspGateway();
    const keys = testKeys(childSa(), 1);
    const active = { ...clusterParameters, reserved: halves(256), carried };
    installed.install({ ...childSa({ limits }), cluster: active }, keys, keys);
    installed.fromTun(PACKET, PACKET);
    assert.ok(installed.reports.includes('soft limit 1'));
  });

  it('leaves the high half right on both sides of the border of 2^32', () => {
    const start = 2 ** 32 - 50;
    const cluster = new ClusterEngines(3, EACH_EIGHTH, { esn: true, start });
    let delivered = 0;
    for (const [owner, next] of [
      [0, 1],
      [1, 2],
      [2, 0],
    ] as const) {
      const packets = cluster.peerSends(40);
      assert.equal(cluster.receive(owner, packets), 40);
      for (const node of [0, 1, 2]) if (node !== owner) cluster.receive(node, packets);
      const sent = cluster.send(owner, 40);
      cluster.peer.fromSocket(UDP, ...sent.map((octets) => ({ octets })));
      delivered += 40;
      assert.equal(cluster.peer.delivered.length, delivered);
      assert.ok(start + delivered - cluster.edgeOf(next) < 8);
      cluster.give(owner);
      cluster.take(next, 'bounded');
    }
    assert.ok(cluster.edgeOf(0) > 2 ** 32);
    assert.ok(cluster.peerSa.window.topHigh === 1);
  });

  it('does nothing to SAs outside of a cluster', () => {
    const plain = new EspGateway();
    const keys = testKeys(childSa(), 1);
    const sa = plain.install(childSa(), keys, keys);
    assert.equal(plain.engine.give(sa, plain.now), undefined);
    const how = {
      sid: 1,
      used: halves(9),
      reserved: halves(9),
      solo: false,
      window: 'strict',
    } as const;
    assert.equal(plain.engine.take(sa, how, plain.now), undefined);
    plain.fromTun(PACKET);
    assert.equal(plain.sent.length, 1);
  });
});

describe('The lease of a node', () => {
  it('is asked for each batch, and without it nothing leaves and nothing is delivered', () => {
    let asked = 0;
    let holds = true;
    const lease = (): boolean => {
      asked++;
      return holds;
    };
    const parameters = childSa();
    const keys = testKeys(parameters, 1);
    const node = new EspGateway({ lease });
    node.install(parameters, keys, keys);
    const peer = new EspGateway();
    peer.install(mirrored(parameters), keys, keys);
    peer.fromTun(...[1, 2].map((data) => udpPacket('10.2.0.10', '10.1.0.10', data)));
    const any = [selector('10.9.0.0/16')];
    const rest = { id: -1, action: 'bypass', localTs: any, remoteTs: any, priority: 9 } as const;
    node.engine.installPolicy(rest, node.now);
    node.fromTun(PACKET, PACKET);
    assert.equal(node.sent.length, 2);
    assert.equal(asked, 1);
    holds = false;
    node.fromTun(PACKET, udpPacket('10.9.0.1', '10.9.0.2', 5));
    node.fromSocket(UDP, ...peer.sent);
    assert.equal(node.sent.length, 2);
    assert.deepEqual([node.delivered, node.bypassed], [[], []]);
    assert.equal(node.dropped('lease-over'), 4);
    assert.deepEqual(node.saDrops(1), { 'lease-over': 1 });
    assert.equal(asked, 3);
    assert.equal(node.counters.drops[DropReason['send-unreachable']], 0);
    holds = true;
    node.fromTun(PACKET);
    assert.equal(node.sent.length, 3);
  });
});

const PACKET = udpPacket('10.1.0.10', '10.2.0.10', 5);

describe('Numbers that are left out (RFC 6311 §5.2)', () => {
  it('are sent by nobody and, once that is so, accepted by nobody', () => {
    const cluster = new ClusterEngines(1, EACH_EIGHTH);
    const seen = cluster.peerSends(10);
    const kept = cluster.peerSends(5);
    cluster.receive(0, seen);
    cluster.peer.engine.skipNumbers(cluster.peerSa, 'outbound', 1000);
    const { gateway, sa } = cluster.node(0);
    gateway.engine.skipNumbers(sa, 'inbound', 1000);
    assert.equal(gateway.counter(0, SaCounter.SEQUENCE), 1010);
    // What was sent before, and kept by somebody, is old.
    assert.equal(cluster.receive(0, kept), 0);
    assert.equal(gateway.dropped('sequence-left-of-window'), 5);
    const fresh = cluster.peerSends(3);
    assert.equal(cluster.receive(0, fresh), 3);
    assert.equal(cluster.edgeOf(0), 1018);
  });

  it('are asked for of others first, where numbers are', () => {
    const cluster = new ClusterEngines(1, EACH_EIGHTH);
    cluster.send(0, 5);
    const { gateway, sa } = cluster.node(0);
    const before = gateway.reports.length;
    gateway.engine.skipNumbers(sa, 'outbound', 5000);
    const sent = gateway.sent.length;
    gateway.fromTun(udpPacket('10.1.0.10', '10.2.0.10', 1));
    assert.equal(gateway.sent.length, sent, 'it waits until others know of them');
    const [wanted] = gateway.reports.slice(before);
    const [what, , high, low] = wanted?.split(' ') ?? [];
    const upTo = { high: Number(high), low: Number(low) };
    assert.ok(what === 'wanted' && asNumber(upTo) > 5005);
    gateway.engine.grantSequence(sa, upTo, gateway.now);
    assert.equal(numberOf(gateway.sent.at(-1)?.octets ?? PACKET), 5006);
  });

  it('end an SA without ESN, and none comes again', () => {
    const cluster = new ClusterEngines(1, EACH_EIGHTH);
    cluster.peerSends(3);
    cluster.peer.engine.skipNumbers(cluster.peerSa, 'outbound', 2 ** 32);
    assert.equal(cluster.peerSends(2).length, 0);
  });
});
