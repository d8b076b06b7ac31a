/**
 * A flood of IKE_SA_INIT requests from addresses that are not the sender's:
 *
 *   node build/bench/spoofed-requests.js PER-SECOND SECONDS
 *
 * Runs in the attacker's namespace. Each request is complete and right, with an SPI, a nonce and a
 * source of its own; one source in `OWN_SUBNET_SHARE` is an unused address of the gateway's own
 * subnet, where an answer waits for a neighbour that does not exist. Prints what was sent as JSON.
 */
import { randomBytes, randomFillSync } from 'node:crypto';
import { sleep } from '../lab/command.ts';
import { keyExchangeMethod } from '../src/crypto/key-exchange.ts';
import { SecretBytes } from '../src/crypto/secret-bytes.ts';
import { KeyExchangeId } from '../src/crypto/transform.ts';
import { createBatch, emptyRows, WORDS, Word } from '../src/esp/batch.ts';
import { native } from '../src/io/native.ts';
import { parseAddress } from '../src/wire/address.ts';
import { LoadClient } from './load-client.ts';
import { gatewayAddress, outerAddressOf } from './load-network.ts';

/** What became of the flood. */
export interface SpoofedReport {
  readonly sent: number;
  readonly seconds: number;
}

const OWN_SUBNET_SHARE = 10;
const NONCE_OCTETS = 32;
const IP_HEADER = 20;
const UDP_HEADER = 8;
const FRONT = IP_HEADER + UDP_HEADER;
/** IP protocol 255: the sender writes the IP header itself. */
const RAW = 255;
const UDP = 17;
const TICK_MS = 5;

async function main([perSecond = '20000', seconds = '10']: readonly string[]): Promise<void> {
  const flood = new SpoofedRequests();
  const total = Number(perSecond) * Number(seconds);
  const start = performance.now();
  let sent = 0;
  while (sent < total) {
    const due = Math.min(total, ((performance.now() - start) / 1000) * Number(perSecond));
    while (sent < due) sent += flood.burst(Math.min(flood.size, Math.ceil(due - sent)));
    await sleep(TICK_MS);
  }
  const report: SpoofedReport = { sent, seconds: (performance.now() - start) / 1000 };
  console.log(JSON.stringify(report));
}

class SpoofedRequests {
  readonly #addon = native();
  readonly #batch = createBatch();
  readonly #number: number;
  readonly #path: number;
  readonly #template = packetTemplate();
  #count = 0;

  constructor() {
    const { arena, words, origins } = this.#batch;
    this.#number = this.#addon.batch(arena, words, origins);
    const fd = this.#addon.rawSocket(4, RAW, { bufferOctets: 8 << 20 });
    const remote = mustParse(gatewayAddress).octets;
    this.#path = this.#addon.path({ fd, family: 4, remote, port: 0 });
  }

  get size(): number {
    return this.#batch.size;
  }

  /** Sends so many requests; answers how many left. */
  burst(count: number): number {
    const { words } = this.#batch;
    emptyRows(this.#batch, count);
    for (let row = 0; row < count; row += 1) {
      this.#write(words[row * WORDS + Word.OFFSET] ?? 0);
      words[row * WORDS + Word.LENGTH] = this.#template.octets.length;
      words[row * WORDS + Word.PATH] = this.#path;
    }
    return this.#addon.send(this.#number, 0, count);
  }

  #write(at: number): void {
    const { arena } = this.#batch;
    const { octets, nonceAt } = this.#template;
    arena.set(octets, at);
    const spi = arena.subarray(at + FRONT, at + FRONT + 8);
    const nonce = arena.subarray(at + nonceAt, at + nonceAt + NONCE_OCTETS);
    randomFillSync(spi);
    randomFillSync(nonce);
    this.#count += 1;
    arena.set(source(this.#count), at + 12);
  }
}

/** Any address of 11.0.0.0/8, or one of 10.77.16.0/20 .. 10.77.240.0/20, where nobody lives. */
function source(count: number): readonly number[] {
  const [a = 0, b = 0, c = 0] = randomBytes(3);
  return count % OWN_SUBNET_SHARE === 0 ? [10, 77, 16 | a, b] : [11, a, b, c];
}

/** A whole IP packet to the gateway's port 500, and where its nonce stands. */
function packetTemplate(): { readonly octets: Uint8Array; readonly nonceAt: number } {
  const keyExchange = keyExchangeMethod(KeyExchangeId.CURVE_25519)?.generate((length) =>
    Uint8Array.from(randomBytes(length)),
  );
  if (!keyExchange) throw new Error('no X25519');
  const marker = new Uint8Array(NONCE_OCTETS).fill(0x5a);
  const terms = {
    ...{ method: KeyExchangeId.CURVE_25519, keyExchange, gateway: mustParse(gatewayAddress) },
    secret: new SecretBytes(new Uint8Array(1)),
    random: (length: number) => new Uint8Array(length).fill(0x5a),
  };
  const addresses = { outer: outerAddressOf(0), inner: outerAddressOf(0) };
  const message = new LoadClient(0, terms, addresses).initRequest().octets;
  const octets = new Uint8Array(FRONT + message.length);
  const view = new DataView(octets.buffer);
  view.setUint8(0, 0x45);
  view.setUint16(2, octets.length);
  view.setUint8(8, 64);
  view.setUint8(9, UDP);
  octets.set(mustParse(gatewayAddress).octets, 16);
  view.setUint16(20, 500);
  view.setUint16(22, 500);
  view.setUint16(24, UDP_HEADER + message.length);
  octets.set(message, FRONT);
  return { octets, nonceAt: Buffer.from(octets).indexOf(marker) };
}

function mustParse(text: string) {
  const address = parseAddress(text);
  if (!address) throw new Error(`${text} is no address`);
  return address;
}

await main(process.argv.slice(2));
