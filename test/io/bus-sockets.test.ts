/** The built-in bus between two processes over two addresses of this machine. */
import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { join } from 'node:path';
import { BusCounters } from '../../src/cluster/bus/bus-counters.ts';
import { KeyRing } from '../../src/cluster/bus/cluster-key.ts';
import { UdpBus } from '../../src/cluster/bus/udp-bus.ts';
import { BusSockets } from '../../src/io/bus-sockets.ts';
import { randomBytes } from '../../src/io/random.ts';
import { ipAddress } from '../../src/wire/address.ts';
import { clusterKey } from '../support/sealed-pair.ts';

const LOOPBACK = ipAddress(Uint8Array.of(127, 0, 0, 1));
const RECORDS = 500;

describe('The built-in bus between two processes', () => {
  const children: ChildProcess[] = [];

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      const gone = once(child, 'exit');
      child.kill('SIGKILL');
      await gone;
    }
  });

  it('brings a joining node all records, and says who has a write', async () => {
    const ports = await freePorts(4);
    const start = (node: number, records: number): ChildProcess => {
      const file = join(process.cwd(), 'build/test/support/bus-process.js');
      const child = fork(file, [node, records, 2048, ...ports].map(String));
      children.push(child);
      return child;
    };
    const writer = start(1, RECORDS);
    await once(writer, 'message');
    const joining = start(2, 0);
    const joined = await messageWith(joining, 'synchronised');
    assert.equal(joined.records, RECORDS);
    for (let number = 0; number < 20; number++) {
      const held = messageWith(writer, 'held');
      writer.send('put');
      await held;
    }
  });

  it('does not open where a port is taken', async () => {
    const taken = createSocket('udp4').bind(0, '127.0.0.1');
    await once(taken, 'listening');
    const [free = 0] = await freePorts(1);
    const counters = new BusCounters();
    const ring = new KeyRing(clusterKey(1));
    const settings = { local: 1, peers: [2], paths: 2, ring, random: randomBytes, counters };
    const bus = new UdpBus<number>(settings);
    const paths = [free, taken.address().port].map((port) => ({
      local: { address: LOOPBACK, port },
      peers: new Map(),
    }));
    const opening = BusSockets.open({ bus, counters, paths, onNews() {} });
    await assert.rejects(opening, { code: 'EADDRINUSE', port: taken.address().port });
    const again = createSocket('udp4').bind(free, '127.0.0.1');
    await once(again, 'listening');
    for (const socket of [again, taken]) socket.close();
  });

  it('looks at nothing that is not of a peer', async () => {
    const [port = 0, peerPort = 0] = await freePorts(2);
    const counters = new BusCounters();
    const bus = new UdpBus<number>({
      local: 1,
      peers: [2],
      paths: 1,
      ring: new KeyRing(clusterKey(1)),
      random: randomBytes,
      counters,
    });
    const local = { address: LOOPBACK, port };
    const peers = new Map([[2, { address: LOOPBACK, port: peerPort }]]);
    const sockets = await BusSockets.open({
      bus,
      counters,
      paths: [{ local, peers }],
      onNews() {},
    });
    const stranger = createSocket('udp4');
    const peer = createSocket('udp4').bind(peerPort, '127.0.0.1');
    try {
      const [initiation] = await once(peer, 'message');
      assert.equal(initiation.length, 88);
      stranger.send(initiation, port, '127.0.0.1');
      while (counters.of('unknown-source') === 0) await new Promise(setImmediate);
      peer.send(new Uint8Array(100), port, '127.0.0.1');
      while (counters.of('unknown-kind') === 0) await new Promise(setImmediate);
      assert.deepEqual(counters.read(), { 'unknown-source': 1, 'unknown-kind': 1 });
    } finally {
      for (const socket of [stranger, peer]) socket.close();
      sockets.close();
    }
  });
});

async function messageWith(
  child: ChildProcess,
  field: string,
): Promise<Readonly<Record<string, unknown>>> {
  for (;;) {
    const [message] = await once(child, 'message');
    if (typeof message === 'object' && message !== null && field in message) return message;
  }
}

async function freePorts(count: number): Promise<readonly number[]> {
  const sockets = Array.from({ length: count }, () => createSocket('udp4').bind(0, '127.0.0.1'));
  await Promise.all(sockets.map((socket) => once(socket, 'listening')));
  const ports = sockets.map((socket) => socket.address().port);
  for (const socket of sockets) socket.close();
  return ports;
}
