/**
 * Two UDP sockets of the native layer on the loopback, and a batch between them.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { type Batch, createBatch, WORDS, Word } from '../../src/esp/batch.ts';
import { type Native, native } from '../../src/io/native.ts';

export const EMSGSIZE = 90;

const ROWS = 8;

export interface Ends {
  readonly addon: Native;
  readonly batch: Batch;
  readonly number: number;
  readonly sender: number;
  readonly receiver: number;
  readonly path: number;
  readonly loopback: Uint8Array;
  row(row: number, text: string, words?: { readonly tos?: number; readonly flags?: number }): void;
  /** Empties the rows, each with this much room. */
  clear(room: number): void;
  text(row: number): string;
  word(row: number, word: number): number | undefined;
  close(): void;
}

export function loopbackEnds(
  family: 4 | 6,
  bufferOctets?: number,
  receives: { readonly merged?: boolean } = {},
): Ends {
  const addon = native();
  const batch = createBatch(ROWS, 9408);
  const number = addon.batch(batch.arena, batch.words, batch.origins);
  const loopback = new Uint8Array(family === 4 ? 4 : 16);
  loopback[loopback.length - 1] = 1;
  if (family === 4) loopback[0] = 127;
  const buffer = bufferOctets === undefined ? {} : { bufferOctets };
  const sender = addon.udpSocket({ family, port: 0, address: loopback, ...buffer });
  const receiver = addon.udpSocket({ family, port: 0, address: loopback, ...buffer, ...receives });
  const port = portOf(receiver);
  const path = addon.path({ fd: sender, family, local: loopback, remote: loopback, port });
  const offset = (row: number) => batch.words[row * WORDS + Word.OFFSET] ?? 0;
  return {
    addon,
    batch,
    number,
    sender,
    receiver,
    path,
    loopback,
    row: (row, text, words) => {
      const octets = new TextEncoder().encode(text);
      const at = row * WORDS;
      batch.words.fill(0, at, at + WORDS);
      batch.words[at + Word.OFFSET] = row * batch.slotOctets;
      batch.words[at + Word.LENGTH] = octets.length;
      batch.words[at + Word.PATH] = path;
      batch.words[at + Word.TOS] = words?.tos ?? 0;
      batch.words[at + Word.FLAGS] = words?.flags ?? 0;
      batch.words[at + Word.STATUS] = 99;
      batch.arena.set(octets, row * batch.slotOctets);
    },
    clear: (room) => {
      batch.arena.fill(0);
      for (let row = 0; row < ROWS; row++) {
        batch.words.fill(99, row * WORDS, (row + 1) * WORDS);
        batch.words[row * WORDS + Word.OFFSET] = row * batch.slotOctets;
        batch.words[row * WORDS + Word.LENGTH] = room;
      }
    },
    text: (row) => {
      const length = batch.words[row * WORDS + Word.LENGTH] ?? 0;
      return new TextDecoder().decode(batch.arena.slice(offset(row), offset(row) + length));
    },
    word: (row, word) => batch.words[row * WORDS + word],
    close: () => {
      addon.freePath(path);
      addon.freeBatch(number);
      addon.close(sender);
      addon.close(receiver);
    },
  };
}

/** The port a UDP socket of ours is bound to, as /proc tells it. */
export function portOf(fd: number): number {
  const inode = /socket:\[(\d+)\]/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1];
  for (const table of ['/proc/net/udp', '/proc/net/udp6']) {
    for (const line of readFileSync(table, 'utf8').split('\n')) {
      const columns = line.trim().split(/\s+/);
      if (columns[9] === inode && inode !== undefined) {
        return Number.parseInt((columns[1] ?? '').split(':').at(-1) ?? '', 16);
      }
    }
  }
  throw new Error(`descriptor ${fd} is not a bound UDP socket`);
}
