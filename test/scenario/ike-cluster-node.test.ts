/**
 * Two gateways are nodes of a cluster behind one address, and a client that knows nothing of it (RFC 6027): what
 * it is told the other node can repeat, whatever happens to the one that said it.
 */
import assert from 'node:assert/strict';
import { instant } from '../../src/wire/instant.ts';
import { Tunnel } from '../support/cluster-tunnel.ts';
import { assertNothingTwice } from '../support/fail-over.ts';
import { assertAgreement, rekey } from '../support/rekeying.ts';

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
