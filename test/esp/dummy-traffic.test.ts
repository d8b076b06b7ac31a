import assert from 'node:assert/strict';
import { SaCounter } from '../../src/events/shared-counters.ts';
import { instant } from '../../src/wire/instant.ts';
import { type EspGateway, espPair, selector, UDP } from '../support/esp-gateway.ts';
import { udpPacket } from '../support/inner-packets.ts';

/** Runs the clock of a gateway from deadline to deadline. */
function runFor(gateway: EspGateway, milliseconds: number): readonly number[] {
  const end = gateway.now + milliseconds;
  const sentAt: number[] = [];
  for (;;) {
    const next = gateway.engine.nextDeadline();
    if (next === undefined || next > end) break;
    gateway.now = next;
    const before = gateway.sent.length;
    gateway.engine.expire(next);
    for (let sent = before; sent < gateway.sent.length; sent++) sentAt.push(next);
  }
  gateway.now = instant(end);
  return sentAt;
}

describe('Dummy packets (RFC 4303 §2.6)', () => {
  it('leave as often as is asked for, at times nobody can foretell', () => {
    const { a } = espPair({ dummyPackets: 20 });
    const sentAt = runFor(a, 10_000);
    assert.ok(sentAt.length > 170 && sentAt.length < 230, `${sentAt.length} packets in 10 s`);
    const gaps = sentAt.slice(1).map((at, index) => Math.round(at - (sentAt[index] ?? 0)));
    assert.ok(Math.min(...gaps) >= 25 && Math.max(...gaps) <= 75);
    assert.ok(new Set(gaps).size > 20);
  });

  it('are discarded by the receiver and counted, and are nobody’s traffic', () => {
    const { a, b } = espPair({ dummyPackets: 20 });
    const count = runFor(a, 1000).length;
    b.fromSocket(UDP, ...a.sent);
    assert.deepEqual(b.drops(), { 'dummy-packet': count });
    assert.equal(b.delivered.length, 0);
    for (const column of [SaCounter.PACKETS, SaCounter.OCTETS, SaCounter.LAST_USE]) {
      assert.deepEqual([a.counter(1, column), b.counter(0, column)], [0, 0]);
    }
    assert.equal(a.counter(1, SaCounter.SEQUENCE), count);
  });

  it('are of any length that packets have, up to what the path carries', () => {
    const { a, saA } = espPair({ dummyPackets: 1000 });
    runFor(a, 2000);
    const lengths = a.unsealed.map(({ length }) => length - 8 - 8 - 16);
    assert.ok(Math.min(...lengths) < 50);
    assert.ok(Math.max(...lengths) > saA.innerMtu - 50);
    assert.ok(Math.max(...lengths) <= saA.innerMtu + 2);
    assert.ok(new Set(lengths).size > 200);
  });

  it('fit the path in transport mode, too, where the header of packets is not inside', () => {
    const hosts = { localTs: [selector('10.1.0.5/32')], remoteTs: [selector('10.2.0.9/32')] };
    const { a } = espPair({ ...hosts, mode: 'transport', dummyPackets: 1000 });
    runFor(a, 2000);
    const largest = Math.max(...a.sent.map(({ octets }) => octets.length));
    assert.ok(largest > 1400 && largest <= 1500 - 20 - 8, `${largest} octets of ESP`);
  });

  it('look like all others with TFC padding', () => {
    const { a, b } = espPair({ dummyPackets: 20, tfcPadding: 512 });
    runFor(a, 500);
    a.fromTun(udpPacket('10.1.0.5', '10.2.0.9', 40, { dontFragment: true }));
    assert.equal(new Set(a.sent.map(({ octets }) => octets.length)).size, 1);
    assert.equal(new Set(a.sent.map(({ flags }) => flags)).size, 1);
    b.fromSocket(UDP, ...a.sent);
    assert.equal(b.delivered.length, 1);
  });

  it('do not leave by an SA that no longer sends, has no path or is gone', () => {
    const { a, saA } = espPair({ dummyPackets: 20 });
    a.engine.setOutbound(saA, 'never', a.now);
    assert.equal(runFor(a, 1000).length, 0);
    a.engine.setOutbound(saA, 'now', a.now);
    assert.ok(runFor(a, 1000).length > 10);
    a.engine.remove(1);
    assert.equal(a.engine.nextDeadline(), undefined);
  });

  it('are not wanted without a word', () => {
    const { a } = espPair();
    assert.equal(a.engine.nextDeadline(), undefined);
  });

  it('do not all come at once after a time in which nothing ran', () => {
    const { a } = espPair({ dummyPackets: 100 });
    a.now = instant(a.now + 60_000);
    a.engine.expire(a.now);
    assert.equal(a.sent.length, 16);
    assert.ok((a.engine.nextDeadline() ?? 0) > a.now);
  });

  it('use up an SA as others do, and narrow a path that refuses them', () => {
    const { a } = espPair({
      dummyPackets: 100,
      limits: { softOctets: 0, hardOctets: 0, softPackets: 5, hardPackets: 10 },
    });
    runFor(a, 1000);
    assert.equal(a.sent.length, 10);
    assert.deepEqual(a.reports, ['soft limit 1', 'hard limit 1']);
    assert.ok(a.dropped('outbound-hard-limit') > 0);
    const narrow = espPair({ dummyPackets: 100, tfcPadding: 65_535 }).a;
    narrow.sendStatus = -90;
    runFor(narrow, 100);
    assert.ok(narrow.dropped('send-too-big') > 0);
    assert.deepEqual(narrow.pathMtuChanges.slice(0, 1), [1430]);
  });
});
