/**
 * Hears that a packet of ours was too big for its path: ICMP "fragmentation needed" (RFC 792,
 * RFC 1191 §4) and ICMPv6 "packet too big" (RFC 4443 §3.2).
 *
 * The sockets are those of the npm package `raw-socket`: one callback a message, main thread only,
 * enough for messages as rare as these. Socket filters leave the other types in the kernel. What
 * arrives is anybody's word: `icmp-too-big.ts` reads it, and the packet loop believes it only
 * within bounds and for an SPI it is sending with.
 */
import { Buffer } from 'node:buffer';
import { createRequire } from 'node:module';
import { decodeTooBig, type TooBig } from './icmp-too-big.ts';

export interface TooBigListener {
  /** Whether we send with the SPI to that peer: a stranger's guess must not use up the limit. */
  readonly concerns: (report: TooBig) => boolean;
  readonly heard: (report: TooBig) => void;
}

/** Why messages were not reported. */
export interface IcmpDrops {
  /** Not ICMP, wrong checksum, or cut before the SPI. */
  malformed: number;
  /** Of a packet that was not ESP: somebody else's business, or IKE's. */
  foreign: number;
  /** Of an SPI that nothing is sent with. */
  'unknown-spi': number;
  /** More than a second's share. */
  excess: number;
}

/** Reports a second; a router sends a handful, a flood is somebody's attack. */
const REPORTS_A_SECOND = 100;

export class IcmpListener {
  readonly drops: IcmpDrops = { malformed: 0, foreign: 0, 'unknown-spi': 0, excess: 0 };
  readonly #sockets: RawSocket[] = [];
  readonly #listener: TooBigListener;
  readonly #clock: () => number;
  #second = 0;
  #reports = 0;

  private constructor(listener: TooBigListener, clock: () => number) {
    this.#listener = listener;
    this.#clock = clock;
  }

  /** Throws when `raw-socket` is not installed or raw sockets are not permitted. */
  static open(listener: TooBigListener, clock: () => number = Date.now): IcmpListener {
    const raw = loadRawSocket();
    const one = new IcmpListener(listener, clock);
    try {
      one.#listen(raw, 4);
      one.#listen(raw, 6);
    } catch (error) {
      one.close();
      throw error;
    }
    return one;
  }

  close(): void {
    for (const socket of this.#sockets.splice(0)) socket.close();
  }

  #listen(raw: RawSocketModule, family: 4 | 6): void {
    const socket = raw.createSocket({
      addressFamily: family === 4 ? raw.AddressFamily.IPv4 : raw.AddressFamily.IPv6,
      protocol: family === 4 ? raw.Protocol.ICMP : raw.Protocol.ICMPv6,
    });
    this.#sockets.push(socket);
    if (family === 4) socket.setOption(SOL_RAW, ICMP_FILTER, PASS_UNREACHABLE);
    else socket.setOption(SOL_ICMPV6, ICMPV6_FILTER, PASS_TOO_BIG, PASS_TOO_BIG.length);
    socket.on('message', (message) => this.#hear(message, family));
    // The package closes a socket that failed; the tunnel goes on without learning.
    socket.on('error', () => undefined);
  }

  #hear(message: Uint8Array, family: 4 | 6): void {
    const outcome = decodeTooBig(message, family);
    if (typeof outcome === 'string') {
      this.drops[outcome]++;
      return;
    }
    if (!this.#listener.concerns(outcome)) {
      this.drops['unknown-spi']++;
      return;
    }
    const second = Math.floor(this.#clock() / 1000);
    if (second !== this.#second) {
      this.#second = second;
      this.#reports = 0;
    }
    if (++this.#reports > REPORTS_A_SECOND) this.drops.excess++;
    else this.#listener.heard(outcome);
  }
}

/** The part of `raw-socket` 1.8 that is used; the package has no types. */
interface RawSocketModule {
  readonly AddressFamily: { readonly IPv4: number; readonly IPv6: number };
  readonly Protocol: { readonly ICMP: number; readonly ICMPv6: number };
  createSocket(options: { readonly addressFamily: number; readonly protocol: number }): RawSocket;
}

interface RawSocket {
  on(event: 'message', listener: (message: Uint8Array, source: string) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  setOption(level: number, option: number, value: number): void;
  setOption(level: number, option: number, value: Uint8Array, length: number): void;
  close(): void;
}

function loadRawSocket(): RawSocketModule {
  const require = createRequire(import.meta.url);
  try {
    return require('raw-socket');
  } catch (error) {
    throw new Error('the package raw-socket is not installed or was not built', { cause: error });
  }
}

// Linux: a set bit keeps its type from the socket.
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const PASS_UNREACHABLE = ~(1 << 3) >>> 0;
const SOL_ICMPV6 = 58;
const ICMPV6_FILTER = 1;
const PASS_TOO_BIG = Buffer.alloc(32, 0xff);
PASS_TOO_BIG[0] = 0xff & ~(1 << 2);
