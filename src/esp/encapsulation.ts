/**
 * What ESP puts around a packet that leaves, and what of the packet that is (RFC 4303 §2, §3.1).
 *
 * In tunnel mode it is the whole packet. In transport mode and BEET the IP header stays outside: the
 * socket writes it, from the same addresses or other fixed ones. Allocates and throws nothing per
 * packet; the caller took the sequence number before.
 */
import { DropReason } from '../events/drop-reason.ts';
import { paddedLength } from '../ipsec/path-mtu.ts';
import { readU8, writeU8, writeU32 } from '../wire/field.ts';
import { type Flow, Fragment } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER, ipv6NextHeader } from '../wire/ipv6.ts';
import { type Batch, WORDS, Word } from './batch.ts';
import { BEET_HEADER, beetPadding } from './beet.ts';
import type { EspSa } from './esp-sa.ts';
import { ESP_HEADER, ESP_TRAILER } from './esp-suite.ts';
import { isBetween, Mode } from './host-ends.ts';
import type { Segments } from './segmentation.ts';

/**
 * The ESP packet from `start` on, around a payload of `length` octets (RFC 4303 §2): all but that
 * payload and the ICV. Answers the first octet behind it.
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
  } else if (suite.partitionedIv) {
    writePartitionedIv(arena, start + ESP_HEADER, sa);
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
  words[at + Word.SEQUENCE_HIGH] = sa.sequence.high | 0;
  words[at + Word.OFFSET] = start;
  words[at + Word.LENGTH] = end - start;
  return end;
}

/**
 * As `writeEsp`, right behind the packet of the row before, which is of the same SA and as long: only
 * what counts up differs. Without TFC padding.
 */
export function repeatEsp(batch: Batch, view: DataView, at: number, sa: EspSa): void {
  const { words } = batch;
  const { suite, sequence } = sa;
  const before = at - WORDS;
  const length = words[before + Word.LENGTH]!;
  const start = words[before + Word.OFFSET]! + length;
  view.setInt32(start, sa.spiOut);
  view.setInt32(start + 4, sequence.low);
  if (suite.sequenceIv) {
    view.setInt32(start + ESP_HEADER, sequence.high);
    view.setInt32(start + ESP_HEADER + 4, sequence.low);
  } else if (suite.partitionedIv) {
    writePartitionedIv(batch.arena, start + ESP_HEADER, sa);
  }
  const trailer = start + length - suite.icvLength - ESP_TRAILER;
  const padding = trailer - view.getUint8(trailer - length);
  for (let octet = padding; octet < trailer + ESP_TRAILER; octet++) {
    view.setUint8(octet, view.getUint8(octet - length));
  }
  words[at + Word.SEQUENCE_HIGH] = sequence.high | 0;
  words[at + Word.OFFSET] = start;
  words[at + Word.LENGTH] = length;
}

/** RFC 6054 §2: where several seal with a key, the IV says who did. */
function writePartitionedIv(arena: Uint8Array, at: number, { share }: EspSa): void {
  if (share === undefined) throw new RangeError('a divided IV of an SA that nobody shares');
  share.ivs.advance();
  writeU32(arena, at, share.ivs.high);
  writeU32(arena, at + 4, share.ivs.low);
}

/** What of the packets of one read goes into ESP. */
export class Encapsulation {
  /** Octets by which the payload of ESP is shorter than the packet; 0 = it is the packet. */
  shed = 0;
  /** What the payload begins with (RFC 4303 §2.6). */
  nextHeader = 0;
  /** Octets of the packet that stay outside, and of a header that stands in their place. */
  #skip = 0;
  #pseudo = 0;
  /** Where the packet stands, for the options of BEET; and its protocol. */
  #source = 0;
  #protocol = 0;

  /** Looks at the packet at `inner`; answers why it cannot be carried, or NONE. */
  begin(arena: Uint8Array, inner: number, flow: Flow, sa: EspSa): number {
    const { hosts } = sa;
    if (hosts === undefined) {
      this.shed = 0;
      this.nextHeader = flow.family === 4 ? IpProtocol.IPV4 : IpProtocol.IPV6;
      return DropReason.NONE;
    }
    // RFC 4301 §6.2: an ICMP error may meet the SA of the packet it is about, and be a router's.
    if (!isBetween(hosts, flow)) return DropReason['outbound-transport-addresses'];
    // RFC 4303 §3.3.4: outside of tunnels ESP is applied to whole datagrams only.
    if (flow.fragment !== Fragment.WHOLE) return DropReason['outbound-transport-fragment'];
    this.#source = inner;
    this.#pseudo = 0;
    this.#skip = flow.headerLength;
    this.#protocol = flow.protocol;
    this.nextHeader = flow.protocol;
    if (flow.family === 6) {
      if (flow.headerLength > IPV6_HEADER && !this.#skipIpv6(arena, inner, flow)) {
        // RFC 6946: a fragment that is all there is.
        return this.nextHeader === IpProtocol.IPV6_FRAG
          ? DropReason['outbound-transport-fragment']
          : DropReason['outbound-transport-headers'];
      }
    } else if (sa.mode === Mode.beet && flow.headerLength > IPV4_HEADER) {
      this.#pseudo = BEET_HEADER + beetPadding(this.#skip - IPV4_HEADER) + this.#skip - IPV4_HEADER;
      this.nextHeader = IpProtocol.BEETPH;
    }
    this.shed = this.#skip - this.#pseudo;
    return DropReason.NONE;
  }

  /**
   * Puts the headers of the next segment to `payload`, less those that stay outside, and names what
   * the native layer copies behind them. What stands behind them is written afterwards.
   */
  place(batch: Batch, at: number, payload: number, segments: Segments): void {
    const { arena, words } = batch;
    const { headerLength } = segments;
    /** Where the packet would begin if it were all here. */
    const packet = payload + this.#pseudo - this.#skip;
    const copied = headerLength === 0 ? this.#skip : 0;
    words[at + Word.SOURCE] = segments.payloadAt + copied;
    words[at + Word.SOURCE_LENGTH] = segments.payloadLength - copied;
    words[at + Word.COPY_TO] = packet + headerLength + copied;
    words[at + Word.SUM_FROM] = segments.unsummed ? packet + segments.sumStart : -1;
    words[at + Word.SUM_AT] = packet + segments.sumAt;
    segments.writeHeaders(arena, payload);
    if (headerLength > 0) {
      arena.copyWithin(payload + this.#pseudo, payload + this.#skip, payload + headerLength);
    }
    if (this.#pseudo > 0) this.#writeOptions(arena, payload);
  }

  // RFC 4303 §3.1.1: destination options may stand behind the ESP header; what routers on the way
  // look at stands in front of it, where the socket writes nothing.
  #skipIpv6(arena: Uint8Array, inner: number, flow: Flow): boolean {
    let next = ipv6NextHeader(arena, inner);
    this.nextHeader = next;
    this.#skip = IPV6_HEADER;
    for (let at = IPV6_HEADER; at < flow.headerLength; ) {
      if (next !== IpProtocol.IPV6_OPTS) return false;
      next = readU8(arena, inner + at);
      at += (readU8(arena, inner + at + 1) + 1) * 8;
    }
    return true;
  }

  /** The options of the packet behind a pseudo-header that says so. */
  #writeOptions(arena: Uint8Array, payload: number): void {
    const options = this.#skip - IPV4_HEADER;
    const padding = beetPadding(options);
    writeU8(arena, payload, this.#protocol);
    writeU8(arena, payload + 1, this.#pseudo / 8 - 1);
    writeU8(arena, payload + 2, padding);
    writeU8(arena, payload + 3, 0);
    const from = this.#source + IPV4_HEADER;
    arena.fill(NO_OPERATION, payload + BEET_HEADER, payload + BEET_HEADER + padding);
    arena.copyWithin(payload + BEET_HEADER + padding, from, from + options);
  }
}

/** RFC 791 §3.1: the option without a meaning. */
const NO_OPERATION = 1;
