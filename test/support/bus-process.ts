/**
 * One node of the built-in bus as a process: node 1 writes records, node 2 joins and says how long it took.
 * Arguments: node, records, octets of each. Ports come and go by messages of the parent.
 */
import { BusCounters } from '../../src/cluster/bus/bus-counters.ts';
import { KeyRing } from '../../src/cluster/bus/cluster-key.ts';
import { UdpBus } from '../../src/cluster/bus/udp-bus.ts';
import { BusSockets } from '../../src/io/bus-sockets.ts';
import type { BusPath } from '../../src/io/path-sockets.ts';
import { randomBytes } from '../../src/io/random.ts';
import { ipAddress } from '../../src/wire/address.ts';
import { clusterKey } from './sealed-pair.ts';

const [node = 1, records = 0, octets = 0, ...ports] = process.argv.slice(2).map(Number);
const local = Number(node);
const peer = 3 - local;
const addresses = [Uint8Array.of(127, 0, 0, 1), Uint8Array.of(127, 0, 0, 2)];
const paths: readonly BusPath[] = addresses.map((octets, path) => {
  const address = ipAddress(octets);
  const port = (of: number): number => ports[(of - 1) * addresses.length + path] ?? 0;
  return {
    local: { address, port: port(local) },
    peers: new Map([[peer, { address, port: port(peer) }]]),
  };
});
const counters = new BusCounters();
const bus = new UdpBus<number>({
  local,
  peers: [peer],
  paths: paths.length,
  ring: new KeyRing(clusterKey(9)),
  random: randomBytes,
  counters,
});
const started = performance.now();
const sockets = await BusSockets.open({
  bus,
  counters,
  paths,
  onNews: (news) => {
    if (news.kind !== 'event') return;
    const { event } = news;
    if (event.kind === 'held') process.send?.({ held: performance.now() - askedAt });
    if (event.kind !== 'member' || event.member.state !== 'synchronised') return;
    process.send?.({
      synchronised: performance.now() - started,
      records: bus.snapshot('').records.length,
      counters: counters.read(),
    });
  },
});
let askedAt = 0;
let asked = 0;
process.on('message', (message) => {
  if (message === 'put') {
    askedAt = performance.now();
    const value = randomBytes(1000);
    sockets.give({ kind: 'put', id: ++asked, key: `put/${asked % 100}`, value, epoch: 0 });
  } else process.exit(0);
});
for (let number = 0; number < Number(records); number++) {
  const value = new Uint8Array(Number(octets)).fill(number);
  sockets.give({ kind: 'put', id: -number, key: `sa/${number}`, value, epoch: 0 });
}
process.send?.('ready');
