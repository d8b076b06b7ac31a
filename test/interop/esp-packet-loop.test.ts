/**
 * Two packet loops in two network namespaces, with static keys: real sockets, real TUN devices,
 * the native layer and the worker thread. Needs root and the addon; without them it fails.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { EncryptionId, IntegrityId } from '../../src/crypto/transform.ts';
import { SaCounter } from '../../src/events/shared-counters.ts';
import type { NodeSetup } from '../support/packet-loop-node.ts';
import { type LineProcess, OUTER, TwoNamespaces } from '../support/two-namespaces.ts';

const NODE = 'build/test/support/packet-loop-node.js';
const TRANSFER = 'build/test/support/tcp-transfer.js';

const GCM = { encr: { id: EncryptionId.AES_GCM_16, keyLength: 128 } };
const CHACHA = { encr: { id: EncryptionId.CHACHA20_POLY1305 } };
const CBC = {
  encr: { id: EncryptionId.AES_CBC, keyLength: 256 },
  integ: { id: IntegrityId.AUTH_HMAC_SHA2_256_128 },
};

interface Totals {
  readonly drops: Readonly<Record<string, number>>;
  readonly inbound: readonly number[];
  readonly outbound: readonly number[];
}

describe('Two packet loops over a wire', function () {
  this.timeout(60_000);
  let namespaces: TwoNamespaces;
  const processes: LineProcess[] = [];

  beforeEach(() => {
    namespaces = new TwoNamespaces('loop');
    namespaces.create();
  });

  afterEach(() => {
    for (const one of processes.splice(0)) one.kill();
    namespaces.remove();
    assert.ok(!execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).includes(namespaces.a));
  });

  async function start(
    setup: Omit<NodeSetup, 'side' | 'outerA' | 'outerB'>,
    outer: 4 | 6,
    mtu: number,
  ) {
    const both = { ...setup, outerA: OUTER[outer].a, outerB: OUTER[outer].b };
    const [a, b] = (['a', 'b'] as const).map((side) =>
      namespaces.start(side, process.execPath, NODE, JSON.stringify({ ...both, side })),
    );
    if (a === undefined || b === undefined) throw new Error('two sides were started');
    processes.push(a, b);
    await Promise.all([a.line('ready'), b.line('ready')]);
    namespaces.configureTun('a', mtu);
    namespaces.configureTun('b', mtu);
    return { a, b };
  }

  async function totals(one: LineProcess): Promise<Totals> {
    assert.equal(await one.stop(), 0, 'the process ended well');
    const { drops, inbound, outbound } = await one.line('drops');
    return JSON.parse(JSON.stringify({ drops, inbound, outbound }));
  }

  /** A transfer from a to b; both ends must have seen the same octets. */
  async function transfer(address: string, octets: number): Promise<void> {
    const server = namespaces.start('b', process.execPath, TRANSFER, 'serve', address);
    processes.push(server);
    await server.line('listening');
    const client = namespaces.start(
      'a',
      process.execPath,
      TRANSFER,
      'send',
      address,
      String(octets),
    );
    processes.push(client);
    const [sent, received] = await Promise.all([client.line('digest'), server.line('digest')]);
    assert.deepEqual(received, sent);
    await Promise.all([client.ended(), server.ended()]);
  }

  function pingLoss(address: string, ...options: readonly string[]): string {
    const printed = namespaces.output(
      'a',
      'ping',
      '-c',
      '5',
      // As long as ping waits for the last answer.
      '-i',
      '0.1',
      '-W',
      '2',
      ...options,
      address,
    );
    return /([\d.]+)% packet loss/.exec(printed)?.[1] ?? printed;
  }

  const cases: readonly (readonly [
    string,
    Omit<NodeSetup, 'side' | 'outerA' | 'outerB'>,
    4 | 6,
  ])[] = [
    ['AES-GCM in UDP over IPv4', { udp: true, esn: false, ...GCM }, 4],
    ['ChaCha20-Poly1305 with ESN in UDP over IPv6', { udp: true, esn: true, ...CHACHA }, 6],
    ['AES-CBC with HMAC and ESN as protocol 50 over IPv4', { udp: false, esn: true, ...CBC }, 4],
    ['AES-GCM with ESN as protocol 50 over IPv6', { udp: false, esn: true, ...GCM }, 6],
  ];
  for (const [name, setup, outer] of cases) {
    it(`carries pings and a TCP stream of both families: ${name}`, async () => {
      const { a, b } = await start(setup, outer, 1400);
      assert.equal(pingLoss('10.2.0.1'), '0');
      assert.equal(pingLoss('2001:db8:2::1'), '0');
      await transfer('10.2.0.1', 3_000_000);
      await transfer('2001:db8:2::1', 3_000_000);
      const [atA, atB] = [await totals(a), await totals(b)];
      for (const { drops } of [atA, atB]) assert.deepEqual(expected(drops), {});
      assert.equal(atA.outbound[SaCounter.PACKETS], atB.inbound[SaCounter.PACKETS]);
      assert.equal(atA.outbound[SaCounter.OCTETS], atB.inbound[SaCounter.OCTETS]);
      assert.equal(atB.outbound[SaCounter.PACKETS], atA.inbound[SaCounter.PACKETS]);
      assert.ok((atA.outbound[SaCounter.OCTETS] ?? 0) > 6_000_000);
    });
  }

  it('tells a host the exact size that fits, and sends larger packets in fragments', async () => {
    const { a, b } = await start({ udp: true, esn: false, ...GCM }, 4, 1500);
    const refused = namespaces.output(
      'a',
      'ping',
      '-c',
      '1',
      '-W',
      '1',
      '-M',
      'do',
      '-s',
      '1472',
      '10.2.0.1',
    );
    assert.match(refused, /mtu ?= ?1438/);
    const six = namespaces.output(
      'a',
      'ping',
      '-c',
      '1',
      '-W',
      '1',
      '-M',
      'do',
      '-s',
      '1452',
      '2001:db8:2::1',
    );
    assert.match(six, /mtu ?= ?1438/i);
    assert.equal(pingLoss('10.2.0.1', '-M', 'dont', '-s', '1472'), '0');
    const { drops } = await totals(a);
    assert.deepEqual(expected(drops), { 'packet-too-big': 2 });
    await totals(b);
  });

  it('narrows the path when a router on the way has less room, and the stream goes on', async () => {
    const { a, b } = await start({ udp: false, esn: false, ...GCM }, 4, 1400);
    for (const side of ['a', 'b'] as const) {
      execFileSync('ip', ['-n', namespaces[side], 'link', 'set', 'wan', 'mtu', '1300']);
    }
    await transfer('10.2.0.1', 500_000);
    assert.ok((await a.line('pathMtu')).pathMtu === 1280);
    await totals(a);
    await totals(b);
  });

  it('goes on when the device was down for a while', async () => {
    const { a, b } = await start({ udp: true, esn: false, ...GCM }, 4, 1400);
    const flood = namespaces.start('b', 'ping', '-q', '-f', '-w', '2', '10.1.0.1');
    execFileSync('ip', ['-n', namespaces.a, 'link', 'set', 'tsgw0', 'down']);
    const before = cpuTicks(a.pid);
    await flood.ended();
    assert.ok(cpuTicks(a.pid) - before < 150, 'the loop does not spin on a device that is down');
    execFileSync('ip', ['-n', namespaces.a, 'link', 'set', 'tsgw0', 'up']);
    execFileSync('ip', ['-n', namespaces.a, 'route', 'add', '10.2.0.0/24', 'dev', 'tsgw0']);
    assert.equal(pingLoss('10.2.0.1'), '0');
    const { drops } = await totals(a);
    assert.deepEqual(Object.keys(expected(drops)), ['device-failed']);
    await totals(b);
  });

  it('hands IKE messages on port 4500 over and drops everything else with a reason', async () => {
    const { a, b } = await start({ udp: true, esn: false, ...GCM }, 4, 1400);
    namespaces.output(
      'a',
      process.execPath,
      '-e',
      `const { createSocket } = require('node:dgram');
       const socket = createSocket('udp4');
       const datagrams = [Buffer.alloc(40), Buffer.from('ff', 'hex'), Buffer.alloc(12, 1), Buffer.alloc(2)];
       let left = datagrams.length;
       for (const one of datagrams) socket.send(one, 4500, '192.0.2.2', () => --left || socket.close());`,
    );
    assert.equal((await b.line('ike')).ike, 36);
    const { drops } = await totals(b);
    assert.deepEqual(expected(drops), {
      'nat-keepalive': 1,
      'unknown-spi': 1,
      'short-esp-packet': 1,
    });
    await totals(a);
  });
});

/** Processor time of a process in hundredths of a second. */
function cpuTicks(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [];
  return Number(fields[11]) + Number(fields[12]);
}

/** The kernel announces itself on a new device with packets that no policy covers. */
function expected(drops: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const { 'no-policy': _, ...others } = drops;
  return others;
}
