import assert from 'node:assert/strict';
import { type IkeSpi, ikeSpi } from '../../src/ike/message/message.ts';
import { SaRegistry } from '../../src/ike/sa-registry.ts';
import { established, onlyIkeSa } from '../support/child-sas.ts';
import { fqdn } from '../support/connections.ts';
import { A, endpoint } from '../support/pair.ts';
import { seededRandom } from '../support/seeded-random.ts';
import { turnAt } from '../support/turns.ts';

const [A_LAB, B_LAB] = [fqdn('a.lab'), fqdn('b.lab')];

describe('The registry of IKE SAs', () => {
  let registry: SaRegistry;

  beforeEach(() => {
    registry = new SaRegistry(seededRandom(1));
  });

  it('finds an IKE SA by the SPI that is ours', () => {
    const pair = established();
    const [initiator, responder] = [onlyIkeSa(pair.a), onlyIkeSa(pair.b)];
    registry.add(turnAt(0), initiator);
    assert.equal(registry.bySpi(initiator.spiI), initiator);
    assert.equal(registry.bySpi(initiator.spiR), undefined);
    registry.remove(initiator);
    registry.add(turnAt(0), responder);
    assert.equal(registry.bySpi(responder.spiR), responder);
    assert.equal(registry.bySpi(responder.spiI), undefined);
    assert.deepEqual([...registry.all()], [responder]);
    assert.equal(registry.size, 1);
  });

  it("finds a responder's by its first message: SPI, address and port", () => {
    const pair = established();
    const responder = onlyIkeSa(pair.b);
    registry.addHalfOpen(turnAt(0), responder);
    assert.equal(registry.byInitiation(responder.spiI, endpoint(A)), responder);
    assert.equal(registry.byInitiation(responder.spiI, endpoint(A, 4500)), undefined);
    assert.equal(registry.byInitiation(responder.spiI, endpoint('192.0.2.9')), undefined);
    assert.equal(registry.byInitiation(responder.spiR, endpoint(A)), undefined);
    registry.remove(responder);
    assert.equal(registry.byInitiation(responder.spiI, endpoint(A)), undefined);
  });

  it('does not take an IKE SA of a peer that has proved itself for its first message', () => {
    const pair = established();
    for (const sa of [onlyIkeSa(pair.a), onlyIkeSa(pair.b)]) {
      registry.add(turnAt(0), sa);
      assert.equal(registry.byInitiation(sa.spiI, sa.remote), undefined);
    }
    assert.equal(registry.halfOpen, 0);
  });

  it('finds those of a connection that are not closed', () => {
    const [sa, closed] = [onlyIkeSa(established().a), onlyIkeSa(established().b)];
    for (const one of [sa, closed]) registry.add(turnAt(0), one);
    closed.close(turnAt(0), 'gone', { kind: 'failed', what: 'gone' });
    assert.deepEqual(registry.ofConnection('peer'), [sa]);
    assert.deepEqual(registry.ofConnection('other'), []);
  });

  it("counts responders' as half-open until settled, for each address", () => {
    const [first, second] = [onlyIkeSa(established().b), onlyIkeSa(established().b)];
    const initiator = onlyIkeSa(established().a);
    registry.add(turnAt(0), initiator);
    assert.equal(registry.halfOpen, 0);
    registry.addHalfOpen(turnAt(0), first);
    registry.addHalfOpen(turnAt(0), second);
    assert.equal(registry.halfOpen, 2);
    assert.equal(registry.halfOpenFrom(endpoint(A, 61_000)), 2, 'whatever the port');
    assert.equal(registry.halfOpenFrom(endpoint('192.0.2.9')), 0);
    registry.settle(first);
    registry.settle(first);
    assert.equal(registry.halfOpen, 1);
    registry.remove(first);
    registry.remove(second);
    assert.equal(registry.halfOpen, 0);
    assert.equal(registry.halfOpenFrom(endpoint(A)), 0);
  });

  it('finds what is established between two identities, in their roles', () => {
    const sa = onlyIkeSa(established().a);
    registry.add(turnAt(0), sa);
    assert.deepEqual(registry.between(A_LAB, B_LAB), [sa]);
    assert.deepEqual(registry.between(B_LAB, A_LAB), []);
    assert.deepEqual(registry.between(A_LAB, fqdn('c.lab')), []);
    assert.deepEqual(registry.between(fqdn('c.lab'), B_LAB), []);
  });

  it('finds all between the same two, whatever the case of their names, until they are gone', () => {
    const [first, second] = [onlyIkeSa(established().a), onlyIkeSa(established().a)];
    registry.add(turnAt(0), first);
    assert.deepEqual(registry.between(A_LAB, fqdn('B.Lab')), [first]);
    // Two engines of one seed draw the same SPI: the registry must not have the first any more.
    registry.remove(first);
    assert.deepEqual(registry.between(A_LAB, B_LAB), []);
    registry.add(turnAt(0), second);
    registry.settle(second);
    assert.deepEqual(registry.between(A_LAB, B_LAB), [second], 'noted once');
  });

  it('finds a half-open one by its peer as soon as that is proven', () => {
    const { b } = established();
    const responder = onlyIkeSa(b);
    registry.addHalfOpen(turnAt(0), responder);
    registry.settle(responder);
    assert.deepEqual(registry.between(B_LAB, A_LAB), [responder]);
    assert.equal(registry.halfOpen, 0);
  });

  it('draws SPIs that are not zero and not in use (RFC 7296 §3.1)', () => {
    const sa = onlyIkeSa(established().a);
    const free = ikeSpi(new Uint8Array(8).fill(9));
    const drawn = [new Uint8Array(8), octetsOf(sa.spiI), new Uint8Array(8).fill(9)];
    const scripted = new SaRegistry(() => drawn.shift() ?? assert.fail('nothing left to draw'));
    scripted.add(turnAt(0), sa);
    assert.equal(scripted.newIkeSpi(), free);
  });
});

function octetsOf(spi: IkeSpi): Uint8Array {
  return Uint8Array.from(Buffer.from(spi, 'hex'));
}
