/**
 * Packets of SAs that another node of the cluster has, on their way to that node: as they came from a socket
 * of this one, or as they were read from its device.
 *
 * Allocates a copy per packet: where many come to the wrong node, it is the cluster's filter that is wrong.
 */
import type { Endpoint, IpAddress } from '../wire/address.ts';
import { type Batch, HEADROOM, ORIGIN_OCTETS, VNET_HEADER_OCTETS, WORDS, Word } from './batch.ts';
import { originDestination, originSource, writeOrigin } from './peer-origin.ts';

/** An ESP packet from SPI to ICV, and how it came. */
export interface ForeignArrival {
  readonly kind: 'arrival';
  readonly octets: Uint8Array;
  /** The address of ours it was sent to; who sent it, port 0 without UDP. */
  readonly local: IpAddress;
  readonly remote: Endpoint;
  readonly trafficClass: number;
}

/** A packet that wants out, with what stands in front of those of the device (`wire/virtio-net.ts`). */
export interface ForeignRead {
  readonly kind: 'read';
  readonly octets: Uint8Array;
}

export type ForeignPacket = ForeignArrival | ForeignRead;

/** Answers false when nobody takes it. */
export type HandOn = (childSa: number, packet: ForeignPacket) => boolean;

/** Takes packets of SAs that are not here at all: perhaps another node has them. Strangers send such packets, too. */
export interface UnknownArrivals {
  /** Asked before anything of the packet is copied. */
  readonly wanted: () => boolean;
  readonly take: (packet: ForeignArrival) => void;
}

/** The packet of a row of single packets; its origin is one of the arrivals'. */
export function foreignArrival(packets: Batch, at: number, arrivals: Batch): ForeignArrival {
  const { arena, words } = packets;
  const offset = words[at + Word.OFFSET]!;
  const origin = words[at + Word.ORIGIN]!;
  return {
    kind: 'arrival',
    octets: arena.slice(offset, offset + words[at + Word.LENGTH]!),
    local: originDestination(arrivals, origin),
    remote: originSource(arrivals, origin),
    trafficClass: words[at + Word.TOS]!,
  };
}

/** The packet of a row of the reads. */
export function foreignRead({ arena, words }: Batch, at: number): ForeignRead {
  const offset = words[at + Word.OFFSET]!;
  const front = offset - VNET_HEADER_OCTETS;
  return { kind: 'read', octets: arena.slice(front, offset + words[at + Word.LENGTH]!) };
}

/** Puts the packet into an empty row of a batch for its kind; false when it cannot be one. */
export function putForeign(batch: Batch, row: number, packet: ForeignPacket): boolean {
  const at = row * WORDS;
  const front = packet.kind === 'read' ? VNET_HEADER_OCTETS : 0;
  const length = packet.octets.length - front;
  if (length <= 0 || length > batch.slotOctets - HEADROOM) return false;
  batch.arena.set(packet.octets, batch.words[at + Word.OFFSET]! - front);
  batch.words[at + Word.LENGTH] = length;
  if (packet.kind === 'read') return true;
  batch.words[at + Word.TOS] = packet.trafficClass;
  writeOrigin(batch.origins, row * ORIGIN_OCTETS, packet.local, packet.remote);
  return true;
}
