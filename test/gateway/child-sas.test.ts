import assert from 'node:assert/strict';
import type { Event } from '../../src/events/event.ts';
import { logLine } from '../../src/events/log-line.ts';
import { createSharedCounters } from '../../src/events/shared-counters.ts';
import { ChildSas } from '../../src/gateway/child-sas.ts';
import { CounterRows } from '../../src/gateway/counter-rows.ts';
import type { InstalledChildSa } from '../../src/io/packet-loop-protocol.ts';
import { PolicyList } from '../../src/ipsec/policy-list.ts';
import { spi } from '../../src/ipsec/spi.ts';
import { formatEndpoint } from '../../src/wire/address.ts';
import { OPAQUE } from '../../src/wire/flow.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';
import { childSa } from '../support/child-sas.ts';
import { A, endpoint } from '../support/pair.ts';

describe('The Child SAs of the gateway', () => {
  let told: string[];
  let events: Event[];
  const installed = new Map<number, InstalledChildSa>();
  let rows: CounterRows;
  let spd: PolicyList;
  let childSas: ChildSas;
  let now: Instant;

  beforeEach(() => {
    now = instant(5000);
    told = [];
    events = [];
    rows = new CounterRows(createSharedCounters(4));
    spd = new PolicyList();
    const host = {
      install: (sa: InstalledChildSa) => {
        told.push(`install ${sa.id} ${sa.outbound}`);
        installed.set(sa.id, sa);
      },
      resume: ({ id, outbound }: { id: number; outbound: string }) =>
        told.push(`resume ${id} ${outbound}`),
      remove: (id: number) => told.push(`remove ${id}`),
      setOutbound: (id: number, outbound: string) => told.push(`outbound ${id} ${outbound}`),
      move: (id: number, { remote }: { remote: ReturnType<typeof endpoint> }) =>
        told.push(`move ${id} ${formatEndpoint(remote)}`),
      setPathMtu: (id: number, { octets }: { octets: number }) => told.push(`path ${id} ${octets}`),
    };
    childSas = new ChildSas({
      rows,
      spd,
      keyLog: undefined,
      host: () => host,
      now: () => now,
      emit: (event) => events.push(event),
    });
  });

  function listed(): readonly number[] {
    return spd.rows().map(({ entry }) => entry.id);
  }

  it('are listed with their policies only while they send', () => {
    childSas.install(childSa({ outbound: 'now' }));
    childSas.install(childSa({ id: 8, outbound: 'after-inbound' }));
    assert.deepEqual(listed(), [7]);
    childSas.hear({ kind: 'outbound-activated', id: 8 });
    assert.deepEqual(listed(), [8, 7]);
    assert.equal(childSas.find(8)?.outbound, 'now');
    childSas.setOutbound(7, 'never');
    childSas.setOutbound(99, 'never');
    assert.deepEqual(listed(), [8]);
    assert.deepEqual(told, [
      'install 7 now',
      'install 8 after-inbound',
      'outbound 7 never',
      'outbound 99 never',
    ]);
  });

  it('go on in a new packet loop, those of one that is gone, as they are now', () => {
    const even = (spiIn: number): boolean => spiIn % 2 === 0;
    childSas.install(childSa({ spiIn: spi(0x1000), outbound: 'after-inbound' }));
    childSas.install(childSa({ id: 8, spiIn: spi(0x1001) }));
    childSas.hear({ kind: 'outbound-activated', id: 7 });
    childSas.resume(even);
    childSas.remove(childSa());
    childSas.resume(even);
    assert.deepEqual(told.slice(2), ['resume 7 now', 'remove 7']);
  });

  it('have the addresses they moved to', () => {
    childSas.install(childSa());
    const ends = { local: endpoint(A, 500), remote: endpoint('203.0.113.5', 4501) };
    childSas.move(7, { ...ends, udpEncapsulation: false });
    childSas.move(8, { ...ends, udpEncapsulation: false });
    const moved = childSas.find(7);
    assert.deepEqual([moved?.remote, moved?.udpEncapsulation], [ends.remote, false]);
    assert.deepEqual(told.slice(1), ['move 7 203.0.113.5[4501]', 'move 8 203.0.113.5[4501]']);
    childSas.hear({ kind: 'path-mtu-changed', id: 7, outerMtu: 1300, innerMtu: 1200 });
    childSas.hear({ kind: 'path-mtu-changed', id: 8, outerMtu: 1300, innerMtu: 1200 });
    assert.deepEqual(events, [{ kind: 'path-mtu', peer: '203.0.113.5', mtu: 1300 }]);
  });

  it('of one path have what was measured of it, those to come too', () => {
    const elsewhere = endpoint('203.0.113.5', 4500);
    childSas.install(childSa());
    childSas.install(childSa({ id: 9, spiIn: spi(0x1002), remote: elsewhere }));
    childSas.measured([7, 77], { octets: 1400, lost: 1401 });
    assert.deepEqual(told.slice(2), ['path 7 1400']);
    childSas.remove(childSa());
    childSas.hear({ kind: 'removed', id: 7 });
    childSas.install(childSa({ id: 10, spiIn: spi(0x1003) }));
    assert.deepEqual(childSas.path(10), { outerMtu: 1400, learned: true, since: 5000 });
    assert.equal(childSas.path(9)?.outerMtu, 1500);
    assert.deepEqual(installed.get(10)?.measured, { octets: 1400, lost: 1401 });
    assert.equal(installed.get(9)?.measured, undefined);
    childSas.move(9, { ...childSa(), udpEncapsulation: true });
    assert.equal(told.at(-1), 'path 9 1400');
  });

  it('tell of packets that they are not for, by name and with what the packet shows', () => {
    childSas.install(childSa());
    const packet = {
      source: endpoint('10.9.0.1', 0).address,
      destination: endpoint('10.1.0.10', 0).address,
    };
    const ports = { protocol: 17, sourcePort: 53, destinationPort: 40_000 };
    childSas.hear({
      kind: 'policy-mismatch',
      id: 7,
      packet: { ...packet, ...ports },
      suppressed: 3,
    });
    const opaque = { protocol: OPAQUE, sourcePort: OPAQUE, destinationPort: OPAQUE };
    childSas.hear({
      kind: 'policy-mismatch',
      id: 7,
      packet: { ...packet, ...opaque },
      suppressed: 0,
    });
    childSas.hear({
      kind: 'policy-mismatch',
      id: 8,
      packet: { ...packet, ...ports },
      suppressed: 0,
    });
    assert.deepEqual(events.map(logLine), [
      'error policy-mismatch connection=peer peer=192.0.2.2 child=net child-sa=7 spi-in=b6583d96 ' +
        'source=10.9.0.1[udp/53] destination=10.1.0.10[udp/40000] suppressed=3',
      'error policy-mismatch connection=peer peer=192.0.2.2 child=net child-sa=7 spi-in=b6583d96 ' +
        'source=10.9.0.1 destination=10.1.0.10 suppressed=0',
    ]);
  });

  it('know when they were installed and what fits into them', () => {
    childSas.install(childSa());
    assert.deepEqual([childSas.installedAt(7), childSas.innerMtu(7)], [5000, 0]);
    childSas.hear({ kind: 'installed', id: 7, innerMtu: 1400 });
    assert.equal(childSas.innerMtu(7), 1400);
    childSas.hear({ kind: 'moved', id: 7, innerMtu: 1418 });
    assert.equal(childSas.innerMtu(7), 1418);
    assert.deepEqual([childSas.installedAt(8), childSas.innerMtu(8)], [undefined, 0]);
    assert.deepEqual(
      childSas.all().map(({ id }) => id),
      [7],
    );
  });

  it('know whether the path was learned, since when, and what limit they came to', () => {
    childSas.install(childSa());
    const assumed = { outerMtu: 1500, learned: false, since: 5000 };
    assert.deepEqual([childSas.path(7), childSas.reachedLimit(7)], [assumed, 'none']);
    now = instant(9000);
    childSas.hear({ kind: 'installed', id: 7, innerMtu: 1438 });
    assert.deepEqual(childSas.path(7), assumed);
    childSas.hear({ kind: 'path-mtu-changed', id: 7, outerMtu: 1300, innerMtu: 1200 });
    assert.deepEqual(childSas.path(7), { outerMtu: 1300, learned: true, since: 9000 });
    childSas.hear({ kind: 'path-mtu-changed', id: 7, outerMtu: 1500, innerMtu: 1438 });
    assert.deepEqual(childSas.path(7), { outerMtu: 1500, learned: false, since: 9000 });
    childSas.hear({ kind: 'path-mtu-changed', id: 7, outerMtu: 1300, innerMtu: 1200 });
    childSas.hear({ kind: 'moved', id: 7, innerMtu: 1438 });
    assert.equal(childSas.path(7)?.learned, false, 'a new path is not that path');
    childSas.hear({ kind: 'traffic-limit', id: 7, limit: 'soft' });
    assert.equal(childSas.reachedLimit(7), 'soft');
    assert.deepEqual([childSas.path(8), childSas.reachedLimit(8)], [undefined, 'none']);
  });

  it('wipe their keys and give their rows back when they go', () => {
    const one = childSa();
    childSas.install(one);
    childSas.remove(one);
    assert.deepEqual(listed(), []);
    assert.ok(one.keysIn.encryption.reveal().every((octet) => octet === 0));
    assert.equal(childSas.find(7), undefined);
    childSas.install(childSa({ id: 8 }));
    childSas.install(childSa({ id: 9 }));
    assert.deepEqual(
      events.map((event) => event.kind === 'daemon' && event.what),
      ['no counter rows left: child SA 9 carries nothing'],
    );
    childSas.hear({ kind: 'removed', id: 7 });
    childSas.install(childSa({ id: 10 }));
    assert.deepEqual(told.slice(-1), ['install 10 now']);
  });
});
