/**
 * The ESP packet around a packet that leaves (RFC 4303 §2): header, IV, padding and trailer.
 *
 * Allocates and throws nothing per packet; the caller took the sequence number before.
 */
import { paddedLength } from '../ipsec/path-mtu.ts';
import { writeU32 } from '../wire/field.ts';
import { type Batch, Word } from './batch.ts';
import type { EspSa } from './esp-sa.ts';
import { ESP_HEADER, ESP_TRAILER } from './esp-suite.ts';

/**
 * The ESP packet from `start` on, around an inner packet of `length` octets (RFC 4303 §2): all but that
 * packet and the ICV. Answers the first octet behind it.
 */
export function writeEsp(
  batch: Batch,
  at: number,
  start: number,
  sa: EspSa,
  length: number,
  nextHeader: number,
): number {
  const { arena, words } = batch;
  const { suite } = sa;
  writeU32(arena, start, sa.spiOut);
  writeU32(arena, start + 4, sa.sequence.low);
  if (suite.sequenceIv) {
    // RFC 4106 §3.1, RFC 7634 §2: an IV never repeats under a key. The sequence number does not.
    writeU32(arena, start + ESP_HEADER, sa.sequence.high);
    writeU32(arena, start + ESP_HEADER + 4, sa.sequence.low);
  }
  // RFC 4303 §2.7: TFC padding follows the packet, whose own header says where it ends.
  const body = paddedLength(length, sa.tfcOctets);
  const padding = start + ESP_HEADER + suite.ivLength + body;
  if (body > length) arena.fill(0, padding - (body - length), padding);
  // RFC 4303 §2.4: padding octets count up from 1.
  const over = (body + ESP_TRAILER) % suite.alignment;
  const padLength = over === 0 ? 0 : suite.alignment - over;
  for (let index = 0; index < padLength; index++) arena[padding + index] = index + 1;
  arena[padding + padLength] = padLength;
  arena[padding + padLength + 1] = nextHeader;
  const end = padding + padLength + ESP_TRAILER + suite.icvLength;
  words[at + Word.INNER] = length;
  words[at + Word.SEQUENCE_HIGH] = sa.sequence.high | 0;
  words[at + Word.OFFSET] = start;
  words[at + Word.LENGTH] = end - start;
  return end;
}
