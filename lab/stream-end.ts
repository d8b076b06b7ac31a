/**
 * One end of a stream of numbered datagrams: sends at a steady rate and counts what comes.
 *
 *   node build/lab/stream-end.js REMOTE PORT PER-SECOND
 *
 * Prints `ready` once it listens. SIGUSR2 begins the sending, the next one ends it: from then on it
 * prints what it counted, as JSON, whenever that changes. SIGTERM ends the process.
 */
import { createSocket } from 'node:dgram';
import type { StreamCounts } from './packet-stream.ts';

const OCTETS = 200;
/** A sender that was put aside for long does not make up for it in one burst. */
const LARGEST_BURST = 20;
/** Packets that strongSwan's replay window covers; tsgw's is larger. */
const REPLAY_WINDOW = 128;
/** Told of what was lost. */
const MOST_GAPS = 10;

function main([remote = '', port = '', perSecond = '']: readonly string[]): void {
  const socket = createSocket(remote.includes(':') ? 'udp6' : 'udp4');
  const arrivals = new Arrivals();
  const packet = Buffer.alloc(OCTETS);
  let sent = 0;
  let sending: NodeJS.Timeout | undefined;
  socket.on('message', (octets) => arrivals.count(octets.readUInt32BE(0)));
  // A host that is not there yet, or no longer, is a packet lost and no reason to end.
  socket.on('error', () => undefined);
  process.on('SIGUSR2', () => {
    if (sending !== undefined) {
      clearInterval(sending);
      tell();
      setInterval(tell, 20);
      return;
    }
    const gap = 1000 / Number(perSecond);
    let next = performance.now();
    sending = setInterval(() => {
      const now = performance.now();
      next = Math.max(next, now - LARGEST_BURST * gap);
      for (; next <= now; next += gap) {
        packet.writeUInt32BE(sent, 0);
        // A copy: the socket may hold on to it until later.
        socket.send(Buffer.from(packet), Number(port), remote, () => undefined);
        sent += 1;
      }
    }, 1);
  });
  let told = '';
  const tell = () => {
    const counts: StreamCounts = { sent, ...arrivals.counted };
    const line = JSON.stringify(counts);
    if (line !== told) console.log(line);
    told = line;
  };
  process.on('SIGTERM', () => {
    tell();
    process.exit(0);
  });
  socket.bind(Number(port), () => {
    socket.setRecvBufferSize(1 << 20);
    console.log('ready');
  });
}

class Arrivals {
  readonly #seen = new Set<number>();
  #duplicated = 0;
  #reordered = 0;
  #deepest = 0;
  #late = 0;
  #highest = -1;
  #lastAt: number | undefined;
  #silence = 0;

  get counted(): Omit<StreamCounts, 'sent'> {
    return {
      received: this.#seen.size,
      duplicated: this.#duplicated,
      reordered: this.#reordered,
      deepest: this.#deepest,
      late: this.#late,
      longestSilenceMilliseconds: Math.round(this.#silence),
      gaps: this.#gaps(),
    };
  }

  /** The first numbers that are missing, as `first-last`. */
  #gaps(): readonly string[] {
    const gaps: string[] = [];
    for (let number = 0; number < this.#highest && gaps.length < MOST_GAPS; number += 1) {
      if (this.#seen.has(number)) continue;
      const first = number;
      while (!this.#seen.has(number + 1)) number += 1;
      gaps.push(`${first}-${number}`);
    }
    return gaps;
  }

  count(number: number): void {
    const now = performance.now();
    this.#silence = Math.max(this.#silence, now - (this.#lastAt ?? now));
    this.#lastAt = now;
    if (this.#seen.has(number)) {
      this.#duplicated += 1;
      return;
    }
    this.#seen.add(number);
    if (number < this.#highest) {
      this.#reordered += 1;
      this.#deepest = Math.max(this.#deepest, this.#highest - number);
      if (this.#highest - number >= REPLAY_WINDOW) this.#late += 1;
    }
    this.#highest = Math.max(this.#highest, number);
  }
}

main(process.argv.slice(2));
