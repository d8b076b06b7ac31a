/** What a worker gives the control thread of packets that may be another node's. */
import assert from 'node:assert/strict';
import type { ForeignArrival } from '../../src/esp/foreign-packets.ts';
import { ClusterCommands } from '../../src/io/cluster-commands.ts';
import type { ClusterReport } from '../../src/io/cluster-protocol.ts';
import { ipAddress } from '../../src/wire/address.ts';
import { type Instant, instant } from '../../src/wire/instant.ts';
import { EspGateway } from '../support/esp-gateway.ts';

const HERE = ipAddress(Uint8Array.of(192, 0, 2, 1));
const PACKET: ForeignArrival = {
  kind: 'arrival',
  octets: new Uint8Array(40),
  local: HERE,
  remote: { address: HERE, port: 4500 },
  trafficClass: 0,
};

describe('Packets that a worker hands on', () => {
  const { engine } = new EspGateway();
  let reports: ClusterReport[];
  let now: Instant;
  let commands: ClusterCommands;

  beforeEach(() => {
    reports = [];
    now = instant(5000);
    commands = new ClusterCommands(
      (report) => reports.push(report),
      () => now,
    );
  });

  /** As the engine does with packets of SAs that are not there; answers how many were taken. */
  function arrive(count: number): number {
    let some = 0;
    for (let packet = 0; packet < count; packet++) {
      if (!commands.unknown.wanted()) continue;
      commands.unknown.take(PACKET);
      some++;
    }
    return some;
  }

  it('go together, those of one turn', async () => {
    for (const id of [1, 2]) commands.handOn(id, PACKET);
    assert.deepEqual(reports, []);
    await Promise.resolve();
    const packets = [1, 2].map((id) => ({ id, packet: PACKET }));
    assert.deepEqual(reports, [{ kind: 'foreign-packets', packets }]);
    commands.handOn(3, PACKET);
    await Promise.resolve();
    assert.equal(reports.length, 2);
  });

  it('are as many as the control thread has room for', () => {
    const hand = () => commands.handOn(1, PACKET);
    assert.equal(Array.from({ length: 300 }, hand).filter(Boolean).length, 256);
    commands.perform(engine, { kind: 'foreign-taken', count: 32 }, now);
    assert.equal(Array.from({ length: 300 }, hand).filter(Boolean).length, 32);
  });

  it('are none of SAs that are not here, while nobody asked for them', () => {
    assert.equal(arrive(10), 0);
  });

  it('are so many of SAs that are not here in a second, whatever strangers send', async () => {
    commands.perform(engine, { kind: 'hand-on-unknown', perSecond: 200 }, now);
    assert.equal(arrive(1000), 20, 'a tenth of a second at once');
    await Promise.resolve();
    const [report] = reports;
    assert.ok(report?.kind === 'foreign-packets');
    assert.deepEqual(report.packets[0], { id: undefined, packet: PACKET });
    let taken = 0;
    for (let tick = 0; tick < 1000; tick++) {
      now = instant(now + 1);
      taken += arrive(50);
    }
    assert.ok(taken >= 199 && taken <= 201, `${taken} in a second`);
    now = instant(now + 60_000);
    assert.equal(arrive(1000), 20, 'a pause gives no more');
    commands.perform(engine, { kind: 'hand-on-unknown', perSecond: 0 }, now);
    now = instant(now + 1000);
    assert.equal(arrive(10), 0);
  });
});
