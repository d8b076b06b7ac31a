/**
 * Leaves IKE SAs half-open at a responder: sends IKE_SA_INIT requests and never goes on.
 *
 *   node build/lab/half-open.js REMOTE COUNT [PER-SECOND] [SOURCE...]
 *
 * Each request is a complete one (AES-256, SHA2-256, X25519) with an SPI of its own, from each
 * source in turn. Prints how many answers came and how many asked for a cookie, as JSON.
 */
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { sleep } from './command.ts';

/** What the answers were. */
export interface HalfOpenAnswers {
  readonly sent: number;
  readonly answers: number;
  readonly cookies: number;
}

async function main(argv: readonly string[]): Promise<void> {
  const [remote = '', count = '1', perSecond = '1000', ...sources] = argv;
  let answers = 0;
  let cookies = 0;
  const sockets: Socket[] = [];
  for (const source of sources.length === 0 ? [undefined] : sources) {
    const socket = createSocket(remote.includes(':') ? 'udp6' : 'udp4');
    socket.on('message', (octets) => {
      answers += 1;
      cookies += Number(isCookie(octets));
    });
    await new Promise<void>((resolve) => socket.bind(0, source, resolve));
    sockets.push(socket);
  }
  const total = Number(count);
  for (let sent = 0; sent < total; sent += 1) {
    sockets[sent % sockets.length]?.send(ikeSaInit(), 500, remote);
    if (sent % Math.ceil(Number(perSecond) / 100) === 0) {
      await sleep(10);
    }
  }
  await sleep(300);
  for (const socket of sockets) {
    socket.close();
  }
  const report: HalfOpenAnswers = { sent: total, answers, cookies };
  console.log(JSON.stringify(report));
}

/** HDR(A,0), N(COOKIE): the first payload is a notify of type 16390 (RFC 7296 §2.6). */
function isCookie(octets: Buffer): boolean {
  return octets.length > 36 && octets[16] === 41 && octets.readUInt16BE(34) === 16390;
}

/** Next Payload of a Vendor ID (RFC 7296 §3.12). */
const VENDOR_ID = 43;

/** HDR(A,0), SAi1, KEi, Ni, V. */
function ikeSaInit(): Buffer {
  const transforms = [
    [3, 1, 0, 12, 0, 12, 0x80, 14, 1, 0], // ENCR_AES_CBC, 256 bits
    [3, 2, 0, 8, 0, 5], // PRF_HMAC_SHA2_256
    [3, 3, 0, 8, 0, 12], // AUTH_HMAC_SHA2_256_128
    [0, 4, 0, 8, 0, 31], // Curve25519
  ].map(transform);
  const proposal = Buffer.concat([
    Buffer.from([0, 0, 0, 44, 1, 1, 0, transforms.length]),
    ...transforms,
  ]);
  const keyExchange = Buffer.concat([Buffer.from([0, 31, 0, 0]), randomBytes(32)]);
  const payloads = Buffer.concat([
    payload(34, proposal),
    payload(40, keyExchange),
    payload(VENDOR_ID, randomBytes(32)),
    // As long as what honest peers say besides: an answer is never larger than its request.
    payload(0, randomBytes(64)),
  ]);
  const header = Buffer.alloc(28);
  randomBytes(8).copy(header);
  header.set([33, 0x20, 34, 0x08], 16);
  header.writeUInt32BE(header.length + payloads.length, 24);
  return Buffer.concat([header, payloads]);
}

/** Last or more, reserved, length, type, reserved, id, attributes. */
function transform([more = 0, type = 0, , length = 0, ...rest]: readonly number[]): Buffer {
  const [high = 0, low = 0, ...attributes] = rest;
  return Buffer.from([more, 0, 0, length, type, 0, high, low, ...attributes]);
}

function payload(next: number, body: Buffer): Buffer {
  const header = Buffer.from([next, 0, 0, 0]);
  header.writeUInt16BE(body.length + 4, 2);
  return Buffer.concat([header, body]);
}

await main(process.argv.slice(2));
