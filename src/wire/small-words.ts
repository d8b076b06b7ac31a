/**
 * Words for many small tables, in memory they share: an array of its own costs a few hundred octets
 * beside its words, and a gateway has several for each of its SAs.
 *
 * A room of memory goes when the last of its tables is gone.
 */

const ROOM_WORDS = 2048;
/** Larger tables have memory of their own. */
const LARGEST_WORDS = ROOM_WORDS / 8;

let room = new Uint32Array(0);
let used = 0;

/** So many words, all zero, that are nobody else's. */
export function smallWords(length: number): Uint32Array {
  if (length > LARGEST_WORDS) return new Uint32Array(length);
  if (used + length > room.length) {
    room = new Uint32Array(ROOM_WORDS);
    used = 0;
  }
  used += length;
  return room.subarray(used - length, used);
}
