/**
 * Two workers at tsgw, strongSwan as the peer and as IP protocol 50 another tsgw: the Child SAs are
 * split by their SPIs, each packet finds the worker of its SA, and none is lost on the way.
 */
import assert from 'node:assert/strict';
import { sleep, until } from '../../lab/command.ts';
import { compileDatagrams, offer } from '../../lab/datagrams.ts';
import { PacketStream, type StreamReport } from '../../lab/packet-stream.ts';
import type { ChildSaState } from '../../lab/swanctl.ts';
import { childName, type PairSettings } from '../../lab/swanctl-conf.ts';
import { workerOfSpi } from '../../src/ipsec/spi.ts';
import { impatient, type Lab, onlyTsgw, subjectKind, useLab } from '../support/lab.ts';
import { agreed, underStream, withoutRoom } from '../support/tunnel-life.ts';

const WORKERS = 2;
const subjectSettings = {
  ...impatient,
  // What stands still for less than so long still finds the SA that was replaced.
  deleteRekeyedDelaySeconds: 3,
  own: { workers: String(WORKERS) },
};
const ports = [9001, 9002, 9003, 9004, 9005, 9006];

/** A Child SA for each port; the first for everything else. */
const pair: PairSettings = {
  furtherChildren: ports.map((port) => ({
    name: `port-${port}`,
    g1: `10.1.0.0/16[udp/${port}]`,
    g2: `10.2.0.0/16[udp/${port}]`,
  })),
};

interface WorkerStatus {
  readonly 'child-sas': number;
  readonly 'packets-in': number;
  readonly 'packets-out': number;
  readonly 'handed-over': number;
  readonly 'taken-over': number;
}

async function workersOf(lab: Lab): Promise<readonly WorkerStatus[]> {
  const { stdout } = await lab.tsgw.cli(['status', '--json']);
  return JSON.parse(stdout).workers;
}

/** What each worker should say, by the SPIs of the Child SAs. */
function expected(children: readonly ChildSaState[]) {
  return Array.from({ length: WORKERS }, (_, worker) => {
    const own = children.filter(
      ({ raw }) => workerOfSpi(Number.parseInt(String(raw['spi-in']), 16), WORKERS) === worker,
    );
    return {
      'child-sas': own.length,
      'packets-in': own.reduce((sum, { packetsIn }) => sum + packetsIn, 0),
      'packets-out': own.reduce((sum, { packetsOut }) => sum + packetsOut, 0),
    };
  });
}

async function streams(lab: Lab): Promise<readonly StreamReport[]> {
  const running = await Promise.all(
    ports.map((port) => PacketStream.start(lab.topology, { port, perSecond: 200 })),
  );
  await sleep(1000);
  return Promise.all(running.map((stream) => stream.stop()));
}

async function splitsAndLosesNothing(lab: Lab): Promise<void> {
  for (const port of ports) {
    await lab.initiator('initiator').swanctl.must(['--initiate', '--child', `port-${port}`]);
  }
  const before = await withoutRoom(lab);
  const reports = (await streams(lab)).flatMap(({ there, back }) => [there, back]);
  const noRoom = (await withoutRoom(lab)) - before;
  const lost = reports.reduce((all, way) => all + way.lost, 0);
  assert.ok(lost <= noRoom, `${lost} lost, ${noRoom} of them for want of room in the machine`);
  for (const { received } of reports) assert.ok(received > 100, `${received} arrived`);
  const [sa] = await lab.subject.swanctl.sas();
  const workers = await workersOf(lab);
  assert.deepEqual(
    workers.map((worker) => ({
      'child-sas': worker['child-sas'],
      'packets-in': worker['packets-in'],
      'packets-out': worker['packets-out'],
    })),
    expected(sa?.children ?? []),
  );
  assert.equal(sum(workers, 'child-sas'), ports.length + 1);
  assert.equal(sum(workers, 'handed-over'), sum(workers, 'taken-over'));
}

/** Of the Child SA that sends. */
async function spiInUse(lab: Lab): Promise<unknown> {
  const children = (await lab.subject.swanctl.sas()).flatMap((sa) => sa.children);
  return children.find(({ state }) => state === 'INSTALLED')?.raw['spi-in'];
}

function sum(workers: readonly WorkerStatus[], column: keyof WorkerStatus): number {
  return workers.reduce((total, worker) => total + worker[column], 0);
}

describe('Two workers and strongSwan', () => {
  onlyTsgw();
  before(compileDatagrams);
  const lab = useLab({
    subjectSettings,
    peerSettings: { ...impatient, deleteRekeyedDelaySeconds: 3 },
  });
  afterEach(() => lab.clear());

  it('split the Child SAs by SPI, and every packet finds its own', async () => {
    await lab.load(pair);
    assert.equal((await lab.initiate('initiator', childName)).status, 0);
    await splitsAndLosesNothing(lab);
  });

  for (const family of ['ipv4', 'ipv6'] as const) {
    it(`keep ${family} flows that nothing answers with the worker of their SA`, async () => {
      await lab.up('initiator', { inner: family });
      const before = sum(await workersOf(lab), 'handed-over');
      const roomBefore = await withoutRoom(lab);
      let arrived = 0;
      let sent = 0;
      // Each flow has a port of its own, so that some are read by the other worker at first.
      for (let flow = 0; flow < 6; flow++) {
        const offered = { octets: 600, perSecond: 1000, seconds: 0.5, family };
        const { sent: packets, received } = await offer(lab.topology, offered);
        arrived += received;
        sent += packets;
      }
      const noRoom = (await withoutRoom(lab)) - roomBefore;
      assert.ok(arrived >= sent - noRoom, `${arrived} of ${sent}, ${noRoom} had no room`);
      const handed = sum(await workersOf(lab), 'handed-over') - before;
      assert.ok(sent > 2000 && handed > 0, `${handed} of ${sent} handed over`);
      assert.ok(handed < sent / 10, `${handed} of ${sent} handed over`);
    });
  }

  it('carry TCP both ways and go on when SAs are rekeyed under it', async () => {
    await lab.up('initiator');
    await underStream(lab, async () => {
      // With each new SPI the SA is another worker's as often as not.
      for (let time = 0; time < 6; time++) {
        const before = await spiInUse(lab);
        await lab.subject.swanctl.must(['--rekey', '--child', childName]);
        await until('another Child SA', async () => (await spiInUse(lab)) !== before || undefined);
        await agreed(lab);
      }
    });
    for (const reverse of [false, true]) {
      const { octets } = await lab.transfer({ octets: 20_000_000, reverse });
      assert.ok(octets > 10_000_000, `${octets} octets arrived`);
    }
  });
});

describe('Two workers at each of two tsgw (IP protocol 50)', () => {
  onlyTsgw();
  const lab = useLab({ subjectSettings, peer: subjectKind, peerSettings: subjectSettings });
  afterEach(() => lab.clear());

  it('split the Child SAs by SPI, and every packet finds its own', async () => {
    await lab.load(pair);
    assert.equal((await lab.initiate('initiator', childName)).status, 0);
    await splitsAndLosesNothing(lab);
  });
});
