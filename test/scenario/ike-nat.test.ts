import assert from 'node:assert/strict';
import { decodeMessage, encodeMessage } from '../../src/ike/message/codec.ts';
import type { Payload } from '../../src/ike/message/message.ts';
import { NotifyType } from '../../src/ike/message/notify-types.ts';
import { statusNotify } from '../../src/ike/payload-access.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { connection, mirrored } from '../support/connections.ts';
import { A, B, endpoint, type Pair } from '../support/pair.ts';
import { firstRequest, initiate, sites } from '../support/sites.ts';

function encapsulation(pair: Pair): readonly (boolean | undefined)[] {
  return [pair.a, pair.b].map(({ children }) => [...children.values()][0]?.udpEncapsulation);
}

/** What a responder sees of a first request whose notifies were changed. */
function seen(change: (payloads: readonly Payload[]) => readonly Payload[]) {
  const pair = sites();
  const { header, payloads } = decodeMessage(firstRequest(3).octets);
  const octets = encodeMessage({ header, payloads: change(payloads) });
  pair.inject({ from: endpoint(A), to: endpoint(B), octets });
  pair.run(10);
  return pair.b.engine.ikeSas()[0]?.secured?.nat;
}

function without(type: number): (payloads: readonly Payload[]) => readonly Payload[] {
  return (payloads) => payloads.filter((one) => one.kind !== 'NOTIFY' || one.type !== type);
}

const NO_NAT = { supported: true, localBehindNat: false, remoteBehindNat: false };
const UNSUPPORTED = { ...NO_NAT, supported: false };

describe('NAT detection (RFC 7296 §2.23)', () => {
  it('is content with one of several source hashes', () => {
    const other = statusNotify(NotifyType.NAT_DETECTION_SOURCE_IP, new Uint8Array(20));
    assert.deepEqual(
      seen((payloads) => [other, ...payloads]),
      NO_NAT,
    );
    assert.deepEqual(
      seen((payloads) => [...payloads, other]),
      NO_NAT,
    );
  });

  it('needs both notifies', () => {
    assert.deepEqual(seen(without(NotifyType.NAT_DETECTION_SOURCE_IP)), UNSUPPORTED);
    assert.deepEqual(seen(without(NotifyType.NAT_DETECTION_DESTINATION_IP)), UNSUPPORTED);
    assert.deepEqual(seen((payloads) => payloads)?.supported, true);
  });

  it('takes a hash of another length for a NAT', () => {
    const short = (payloads: readonly Payload[]) =>
      payloads.map((one) =>
        one.kind === 'NOTIFY' && one.type === NotifyType.NAT_DETECTION_SOURCE_IP
          ? { ...one, data: one.data.slice(1) }
          : one,
      );
    assert.deepEqual(seen(short), { ...NO_NAT, remoteBehindNat: true });
  });
});

describe('encap = yes', () => {
  it('of a connection that IKE_AUTH only turns out: both sides agree all the same', () => {
    const identified = mirrored(connection());
    const other = (encap: boolean): Connection => ({
      ...identified,
      name: 'first',
      remote: {
        method: 'psk',
        id: { text: 'stranger', identity: { type: 2, data: Uint8Array.of(1) } },
      },
      encap,
    });
    for (const encap of [true, false]) {
      const pair = sites(connection(), other(encap));
      pair.b.pad.load({ ...identified, name: 'second', encap: !encap });
      initiate(pair);
      pair.run(1000);
      assert.equal(pair.b.engine.ikeSas()[0]?.connection.name, 'second');
      assert.deepEqual(encapsulation(pair), [encap, encap]);
    }
  });

  it('does not move to port 4500 for a peer without NAT traversal', () => {
    const pair = sites(connection({ encap: true }));
    pair.translate = (flight) => {
      const { header, payloads } = decodeMessage(flight.octets);
      if (!header.isResponse || header.exchangeType !== 34) return flight;
      const bare = payloads.filter(({ kind }) => kind !== 'NOTIFY');
      return { ...flight, octets: encodeMessage({ header, payloads: bare }) };
    };
    initiate(pair);
    pair.run(1000);
    assert.deepEqual(pair.flights[2]?.to, endpoint(B, 500));
  });
});

describe('Ports (RFC 7296 §2.23)', () => {
  it("the peer's is 4500, whatever ours for NAT traversal is", () => {
    const pair = sites(connection({ encap: true }), undefined, { a: { portNatT: 14_500 } });
    initiate(pair);
    pair.run(1000);
    assert.deepEqual(pair.a.engine.ikeSas()[0]?.local, endpoint(A, 14_500));
    assert.deepEqual(pair.a.engine.ikeSas()[0]?.remote, endpoint(B, 4500));
  });

  it('both may start on 4500 and stay there, with a NAT and without', () => {
    for (const encap of [true, false]) {
      const pair = sites(connection({ encap }));
      initiate(pair, pair.a, { port: 4500 });
      pair.run(1000);
      assert.deepEqual(encapsulation(pair), [encap, encap]);
      for (const { from, to } of pair.flights) assert.deepEqual([from.port, to.port], [4500, 4500]);
    }
  });
});
