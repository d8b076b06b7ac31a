/**
 * One node of a cluster as far as its links go, as a process in a namespace: shared addresses on `lo`, kernel
 * settings, packet sockets, and UDP sockets that count what comes to the shared addresses.
 *
 * The links are the argument, in JSON. A line of standard input is an order, a line of standard output what is told.
 */
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { parseHardwareAddress } from '../../src/cluster/virtual-address/ethernet.ts';
import { PROBE_PORT } from '../../src/cluster/virtual-address/flooding-probe.ts';
import { type LinkInput, SharedLink } from '../../src/cluster/virtual-address/shared-link.ts';
import { LinkPort } from '../../src/gateway/link-port.ts';
import { now } from '../../src/io/clock.ts';
import { applySettings, sharedAddressSettings } from '../../src/io/kernel-settings.ts';
import { LinkSocket } from '../../src/io/link-socket.ts';
import { LocalAddresses } from '../../src/io/local-addresses.ts';
import { randomBytes } from '../../src/io/random.ts';
import { Rtnetlink } from '../../src/io/rtnetlink.ts';
import { formatAddress, parseAddress } from '../../src/wire/address.ts';
import { instant } from '../../src/wire/instant.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';

export interface LinkNodeSetting {
  readonly device: string;
  readonly mode: 'active-active' | 'active-passive' | 'forward';
  readonly node: number;
  readonly shared: readonly { readonly address: string; readonly hardwareAddress: string }[];
}

/** What a test orders: inputs of the link at `device`, with addresses as text and nonces in hex. */
export type LinkNodeOrder =
  | { readonly kind: 'serve'; readonly device: string; readonly addresses: readonly string[] }
  | { readonly kind: 'test-flooding'; readonly device: string; readonly members: readonly number[] }
  | {
      readonly kind: 'probe-asked';
      readonly device: string;
      readonly node: number;
      readonly nonce: string;
    }
  | {
      readonly kind: 'probe-reported';
      readonly device: string;
      readonly node: number;
      readonly nonce: string;
      readonly heard: boolean;
    }
  | { readonly kind: 'count' };

const UDP_PORT = 4500;

function tell(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function need<Value>(value: Value | undefined, what: string): Value {
  if (value === undefined) throw new Error(`${what}: none`);
  return value;
}

const settings: readonly LinkNodeSetting[] = JSON.parse(process.argv[2] ?? '[]');
const rtnetlink = new Rtnetlink();
const addressOf = (text: string) => need(parseAddress(text), text);
const local = new LocalAddresses(rtnetlink);
local.have(settings.flatMap(({ shared }) => shared.map(({ address }) => addressOf(address))));

const links: SharedLink[] = [];
const ports = new Map(
  settings.map(({ device, mode, node, shared }) => {
    applySettings(sharedAddressSettings(device));
    const socket = new LinkSocket({ device, rtnetlink, probePort: PROBE_PORT });
    const own = rtnetlink.addresses().filter((one) => one.interfaceIndex === socket.interfaceIndex);
    const link = new SharedLink(
      {
        mode,
        node,
        hardwareAddress: socket.hardwareAddress,
        own: {
          ipv4: need(own.find(({ address }) => address.family === 4)?.address, 'IPv4 address'),
          linkLocal: need(own.find(({ scope }) => scope === 253)?.address, 'link-local address'),
        },
        shared: shared.map(({ address, hardwareAddress }) => ({
          address: addressOf(address),
          hardwareAddress: need(parseHardwareAddress(hardwareAddress), hardwareAddress),
        })),
      },
      randomBytes,
    );
    const port = new LinkPort({
      link,
      socket,
      now,
      told: (word) => {
        const nonce = 'nonce' in word ? { nonce: toHex(word.nonce) } : {};
        const address = 'address' in word ? { address: formatAddress(word.address) } : {};
        tell({ device, ...word, ...nonce, ...address });
      },
    });
    links.push(link);
    return [device, port] as const;
  }),
);

const counts: Record<string, number> = {};
for (const { shared } of settings) {
  for (const { address } of shared) {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (message, from) => {
      counts[address] = (counts[address] ?? 0) + 1;
      socket.send(message, from.port, from.address);
    });
    socket.bind(UDP_PORT, address);
    await once(socket, 'listening');
  }
}

/** Questions where the addresses are that this node answered. */
function answered(): number {
  return links.reduce((sum, link) => sum + link.counts.answered, 0);
}

function inputOf(order: Exclude<LinkNodeOrder, { kind: 'count' }>): LinkInput {
  if (order.kind === 'serve') {
    const until = instant(Number.POSITIVE_INFINITY);
    return { kind: 'serve', addresses: order.addresses.map(addressOf), until };
  }
  return 'nonce' in order ? { ...order, nonce: fromHex(order.nonce) } : order;
}

createInterface({ input: process.stdin })
  .on('line', (line) => {
    const order: LinkNodeOrder = JSON.parse(line);
    if (order.kind === 'count') tell({ kind: 'counts', counts, answered: answered() });
    else ports.get(order.device)?.handle(inputOf(order));
  })
  .on('close', () => process.exit());
tell({ kind: 'ready' });
