/**
 * One node of a cluster as far as its shared addresses go, as a process in a namespace: `SharedAddresses` over a real
 * kernel, and UDP sockets on the addresses that count and echo what comes.
 *
 * The arguments are the file of a configuration and the name of the node. A line of standard input is an order, a
 * line of standard output what is told.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { loadConfig } from '../../src/config/config.ts';
import { SharedAddresses } from '../../src/gateway/cluster/shared-addresses.ts';
import { now } from '../../src/io/clock.ts';
import { Nft } from '../../src/io/nft.ts';
import { NftSets } from '../../src/io/nft-sets.ts';
import { randomBytes } from '../../src/io/random.ts';
import { Rtnetlink } from '../../src/io/rtnetlink.ts';
import { formatAddress, parsePrefix, prefixRange } from '../../src/wire/address.ts';
import { after, instant } from '../../src/wire/instant.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';

export type AddressNodeOrder =
  /** Ended when the kernel has the filter. */
  | { readonly kind: 'own'; readonly segments: readonly number[] }
  /** Milliseconds from now; none = for ever. */
  | { readonly kind: 'lease'; readonly length?: number }
  | { readonly kind: 'members'; readonly nodes: readonly number[] }
  | {
      readonly kind: 'message';
      readonly from: number;
      readonly type: number;
      readonly body: string;
    }
  | {
      readonly kind: 'pinned';
      readonly ranges: readonly { readonly prefix: string; readonly segment: number }[];
    }
  | { readonly kind: 'probe' }
  | { readonly kind: 'status' }
  | { readonly kind: 'count' }
  | { readonly kind: 'close'; readonly keepAddresses: boolean };

const UDP_PORT = 4500;

function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

const [, , file = '', self = ''] = process.argv;
const text = readFileSync(file, 'utf8').replace('SELF', self);
const { cluster: config } = loadConfig(text, file, () => []);
if (config === undefined) throw new Error(`${file}: no cluster`);

const addresses = await SharedAddresses.open({
  config,
  ports: { ike: 500, natT: UDP_PORT },
  rtnetlink: new Rtnetlink(),
  nft: new Nft(),
  sets: new NftSets(),
  ownerOf: () => undefined,
  random: randomBytes,
  now,
  tell: (to, { type, body }) => tell({ kind: 'message', to, type, body: toHex(body) }),
  say: (level, what) => tell({ kind: 'said', level, what }),
  legs: (legs) => tell({ kind: 'legs', ...legs }),
});

const counts: Record<string, number> = {};
for (const one of config.addresses.filter(({ side }) => side === 'wan')) {
  for (const address of one.addresses.map(formatAddress)) {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (message, from) => {
      counts[address] = (counts[address] ?? 0) + 1;
      socket.send(message, from.port, from.address);
    });
    socket.bind(UDP_PORT, address);
    await once(socket, 'listening');
  }
}

async function obey(order: AddressNodeOrder): Promise<void> {
  switch (order.kind) {
    case 'own': {
      // As the kernel stamps packets, so that both can be compared.
      const at = performance.timeOrigin + performance.now();
      addresses.own(new Set(order.segments));
      const took = performance.timeOrigin + performance.now() - at;
      await addresses.settled();
      tell({ kind: 'owned', at, took });
      break;
    }
    case 'lease':
      addresses.lease(order.length === undefined ? instant(Infinity) : after(now(), order.length));
      break;
    case 'members':
      addresses.meet(order.nodes);
      break;
    case 'message':
      addresses.told(order.from, { type: order.type, body: fromHex(order.body) });
      break;
    case 'pinned': {
      const list = order.ranges.flatMap(({ prefix, segment }) => {
        const parsed = parsePrefix(prefix);
        return parsed === undefined ? [] : [{ range: prefixRange(parsed), segment }];
      });
      addresses.pinned(() => list);
      break;
    }
    case 'probe':
      await addresses.test();
      tell({ kind: 'probed' });
      break;
    case 'status': {
      const status = {
        addresses: addresses.list(),
        flooding: Object.fromEntries(addresses.flooding),
        filter: Object.fromEntries(await addresses.counters()),
        troubles: addresses.troubles.map(({ part, what }) => `${part}: ${what}`),
      };
      tell({ kind: 'status', status });
      break;
    }
    case 'count':
      tell({ kind: 'counts', counts });
      break;
    case 'close':
      await addresses.close({ keepAddresses: order.keepAddresses });
      tell({ kind: 'closed' });
      process.exit();
      break;
    default:
      order satisfies never;
  }
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order: AddressNodeOrder = JSON.parse(line);
    void obey(order);
  })
  .on('close', () => process.exit());
tell({ kind: 'ready' });
