import assert from 'node:assert/strict';
import { parseAddress } from '../../src/wire/address.ts';
import { instant } from '../../src/wire/instant.ts';
import {
  type ChildSaOptions,
  childSa,
  clusterParameters,
  EspGateway,
  type EspGatewayOptions,
  mirrored,
  testKeys,
  UDP,
} from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';
import { superPacket } from '../support/super-packets.ts';

const OUT = udpPacket('10.1.0.10', '10.2.0.10', 40);
const BACK = udpPacket('10.2.0.10', '10.1.0.10', 50);
const ELSEWHERE = address('203.0.113.9');
const HERE = address('192.0.2.1');

/** The node that has an SA, one that does not, and the peer. */
function nodes(
  foreign: 'discard' | 'hand-on',
  options: ChildSaOptions = {},
  gateway: EspGatewayOptions = {},
) {
  const parameters = childSa(options);
  const [toPeer, fromPeer] = [testKeys(parameters, 1), testKeys(parameters, 2)];
  const [owner, other, peer] = [0, 1, 2].map(() => new EspGateway(gateway));
  if (!owner || !other || !peer) throw new Error('there are three');
  const cluster = { ...clusterParameters, foreign, reserved: { high: 0, low: 256 } };
  owner.install({ ...parameters, cluster }, fromPeer, toPeer);
  other.install({ ...parameters, cluster: { ...cluster, role: 'passive' } }, fromPeer, toPeer);
  peer.install(mirrored(parameters), toPeer, fromPeer);
  return { owner, other, peer };
}

/** Everything that a node handed on comes to the other. */
function handOn(from: EspGateway, to: EspGateway): void {
  const packets = from.foreign.splice(0).map(({ packet }) => packet);
  assert.equal(to.engine.takeForeign(packets, to.now), 0);
}

describe('Packets of an SA that another node has', () => {
  it('go to that node as they came, both ways, where the SA says so', () => {
    const { owner, other, peer } = nodes('hand-on');
    other.fromTun(OUT, OUT);
    assert.equal(other.foreign.length, 2);
    handOn(other, owner);
    assert.equal(owner.sent.length, 2);
    peer.fromSocket(UDP, ...owner.sent);
    assert.deepEqual(peer.delivered, [OUT, OUT]);
    peer.fromTun(BACK);
    other.fromSocket(UDP, ...peer.sent);
    assert.equal(other.foreign[0]?.childSa, 1);
    handOn(other, owner);
    assert.deepEqual(owner.delivered, [BACK]);
    for (const node of [owner, other, peer]) assert.deepEqual(node.drops(), {});
  });

  it('go on in any mixture, as many as they are, and what is none among them is passed over', () => {
    const { owner, other, peer } = nodes('hand-on');
    peer.fromTun(...Array.from({ length: 100 }, () => BACK));
    other.fromSocket(UDP, ...peer.sent.splice(0));
    other.fromTun(...Array.from({ length: 100 }, () => OUT));
    const packets = other.foreign.splice(0).map(({ packet }) => packet);
    const arrivals = packets.filter(({ kind }) => kind === 'arrival');
    assert.equal(arrivals.length, 99, 'one was a sample');
    const faulty = { kind: 'read', octets: new Uint8Array(3) } as const;
    const [first, second] = [packets.slice(0, 90), packets.slice(90)];
    const mixed = [...first, faulty, ...second.toReversed(), faulty];
    assert.equal(owner.engine.takeForeign(mixed, owner.now), 2);
    assert.equal(owner.delivered.length, 99);
    assert.equal(owner.sent.length, 100);
    assert.deepEqual(owner.drops(), {});
  });

  it('are verified all the same where they are samples', () => {
    const { other, peer } = nodes('hand-on');
    peer.fromTun(...Array.from({ length: 64 }, () => BACK));
    other.fromSocket(UDP, ...peer.sent);
    assert.equal(other.foreign.length, 63);
    assert.deepEqual(other.drops(), {});
  });

  it('are no samples while they follow an SA that was given a moment ago', () => {
    const { owner, peer } = nodes('hand-on');
    const sa = owner.engine.find(1) ?? assert.fail('the owner has it');
    owner.engine.give(sa, owner.now);
    const send = () => {
      peer.sent.splice(0);
      peer.fromTun(...Array.from({ length: 64 }, () => BACK));
      owner.fromSocket(UDP, ...peer.sent);
      return owner.foreign.splice(0).length;
    };
    assert.equal(send(), 64, 'each may be the only copy');
    owner.now = instant(owner.now + 1000);
    assert.equal(send(), 63);
  });

  it('say where they came from, as to a peer that moved', () => {
    const { owner, other, peer } = nodes('hand-on');
    peer.fromTun(BACK);
    const [octets] = peer.sent.map((sent) => sent.octets);
    const from = { address: ELSEWHERE, port: 4501 };
    other.fromSocket(UDP, { octets: octets ?? OUT, from, to: HERE, tos: 2 });
    const [packet] = other.foreign.map((one) => one.packet);
    assert.ok(packet?.kind === 'arrival');
    assert.deepEqual([packet.local, packet.remote, packet.trafficClass], [HERE, from, 2]);
    handOn(other, owner);
    assert.deepEqual(owner.reports, ['moved 1 192.0.2.1[4500] 203.0.113.9[4501]']);
  });

  it('are dropped where they are not handed on, or nobody takes them', () => {
    for (const foreign of ['discard', 'hand-on'] as const) {
      const { other, peer } = nodes(foreign);
      other.takesForeign = false;
      peer.fromTun(BACK);
      other.fromSocket(UDP, ...peer.sent);
      other.fromTun(OUT);
      assert.deepEqual(other.foreign, []);
      assert.deepEqual(other.drops(), { 'inbound-passive': 1, 'outbound-passive': 1 });
    }
  });

  it('go no further than to one other node', () => {
    const { other, peer } = nodes('hand-on');
    peer.fromTun(BACK);
    other.fromSocket(UDP, ...peer.sent);
    other.fromTun(OUT);
    assert.equal(other.foreign.length, 2);
    const { other: third } = nodes('hand-on');
    handOn(other, third);
    assert.deepEqual(third.foreign, []);
    assert.deepEqual(third.drops(), { 'inbound-passive': 1, 'outbound-passive': 1 });
    third.fromTun(OUT);
    assert.equal(third.foreign.length, 1, 'its own packets do');
  });

  it('go to the owner where this node has heard nothing of their SA, if it wants them', () => {
    const { owner, peer } = nodes('hand-on');
    const other = new EspGateway();
    peer.fromTun(BACK, BACK, BACK);
    const [first, second, third] = peer.sent;
    assert.ok(first && second && third);
    other.fromSocket(UDP, first);
    assert.deepEqual(other.drops(), { 'unknown-spi': 1 });
    other.wantsUnknown = true;
    other.fromSocket(UDP, second);
    assert.deepEqual(other.drops(), { 'unknown-spi': 1 });
    const [packet] = other.unknown.splice(0);
    assert.ok(packet);
    owner.engine.takeForeign([packet], owner.now);
    assert.deepEqual(owner.delivered, [BACK]);
    // What another node took for one of ours, and is not, stays here.
    other.engine.takeForeign([packet], other.now);
    assert.deepEqual([other.unknown.length, other.drops()], [0, { 'unknown-spi': 2 }]);
    other.fromSocket(UDP, third);
    assert.equal(other.unknown.length, 1, 'its own go on');
  });

  it('go on whole when they are super-packets', () => {
    const payload = Uint8Array.from({ length: 6500 }, (_, index) => index);
    const stream = { family: 4, protocol: 'tcp', segment: 700, payload } as const;
    const { owner, other } = nodes('hand-on', {}, { offload: { udp: true } });
    other.fromDevice(superPacket(stream));
    assert.equal(other.foreign.length, 1);
    handOn(other, owner);
    assert.equal(owner.sent.length, 10);
  });

  it('are nothing when they are too long or too short to be packets', () => {
    const { owner } = nodes('hand-on');
    const from = { address: ELSEWHERE, port: 1 };
    for (const length of [0, 10, 70_000]) {
      const octets = new Uint8Array(length);
      assert.equal(owner.engine.takeForeign([{ kind: 'read', octets }], owner.now), 1);
    }
    for (const length of [0, 70_000]) {
      const octets = new Uint8Array(length);
      const packet = {
        kind: 'arrival',
        octets,
        local: HERE,
        remote: from,
        trafficClass: 0,
      } as const;
      assert.equal(owner.engine.takeForeign([packet], owner.now), 1);
    }
    assert.deepEqual(owner.drops(), {});
  });
});

function address(text: string) {
  return parseAddress(text) ?? assert.fail(text);
}
