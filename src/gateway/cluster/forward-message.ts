/**
 * FORWARD as octets: a packet that one node of a cluster has and that is for another, with how it came.
 *
 * | attribute | value |
 * |---|---|
 * | 1 | what it is (1): 1 ESP as it arrived, 2 read from the device, 3 IKE; nodes that sent it on (1); traffic class (1) |
 * | 2 | the end here: port (2), address (4 or 16); of ESP without UDP the port is 0 |
 * | 3 | the other end, alike |
 * | 4 | inbound SPI of the Child SA that what was read is for (4) |
 * | 5 | the packet |
 *
 * What is not known is passed over; `MalformedError` is the only error that leaves `decode`.
 */
import {
  Attributes,
  AttributeWriter,
  type BusMessage,
  MessageType,
} from '../../cluster/bus/message.ts';
import { HEADER_OCTETS } from '../../ike/message/header.ts';
import type { HandedOn } from '../../io/cluster-protocol.ts';
import { isReservedSpi, type Spi, spi } from '../../ipsec/spi.ts';
import { type Endpoint, ipAddress } from '../../wire/address.ts';
import { readU32 } from '../../wire/field.ts';
import { MalformedError, OctetReader, OctetWriter } from '../../wire/octets.ts';

/** What a packet loop hands on: an ESP packet as it arrived, or a packet with the device's header in front. */
export type ForeignPacket = HandedOn['packet'];
export type ForeignArrival = Extract<ForeignPacket, { readonly kind: 'arrival' }>;
type ForeignRead = Extract<ForeignPacket, { readonly kind: 'read' }>;

/** An IKE message, without the marker of RFC 3948. */
export interface ForwardedIke {
  readonly kind: 'ike';
  readonly octets: Uint8Array;
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

/** A packet that was read from the device for a Child SA, named by its inbound SPI. */
export interface ForwardedRead extends ForeignRead {
  readonly spiIn: Spi;
}

export type ForwardedPacket = ForeignArrival | ForwardedRead | ForwardedIke;

export interface ForwardMessage {
  /** Nodes that had it and sent it on. */
  readonly hops: number;
  readonly packet: ForwardedPacket;
}

/** The inbound SPI that an ESP packet begins with (RFC 4303 §2.1). */
export function spiOf({ octets }: ForeignArrival): Spi {
  return spi(readU32(octets, 0));
}

export function encodeForward({ hops, packet }: ForwardMessage): BusMessage {
  const trafficClass = packet.kind === 'arrival' ? packet.trafficClass : 0;
  const to = new AttributeWriter();
  to.octets(Attribute.HEAD, Uint8Array.of(Kind[packet.kind], hops, trafficClass));
  switch (packet.kind) {
    case 'arrival':
      to.octets(Attribute.LOCAL, encodeEndpoint({ address: packet.local, port: 0 }));
      to.octets(Attribute.REMOTE, encodeEndpoint(packet.remote));
      break;
    case 'read':
      to.octets(Attribute.SPI, new OctetWriter().u32(packet.spiIn).finish());
      break;
    case 'ike':
      to.octets(Attribute.LOCAL, encodeEndpoint(packet.local));
      to.octets(Attribute.REMOTE, encodeEndpoint(packet.remote));
      break;
    default:
      packet satisfies never;
  }
  to.octets(Attribute.PACKET, packet.octets);
  return { type: MessageType.FORWARD, body: to.finish() };
}

/** Undefined for other types. Throws `MalformedError`. */
export function decodeForward({ type, body }: BusMessage): ForwardMessage | undefined {
  if (type !== MessageType.FORWARD) return undefined;
  const from = new Attributes(body);
  const head = new OctetReader(from.octets(Attribute.HEAD, 'head'));
  const kind = head.u8('kind of packet');
  const hops = head.u8('hops');
  const trafficClass = head.u8('traffic class');
  head.end('head');
  if (hops === 0) head.fail('a packet that nobody sent on');
  const octets = from.octets(Attribute.PACKET, 'packet');
  const isAtLeast = (least: number): void => {
    if (octets.length < least) head.fail(`a packet of ${octets.length} octets, ${least} at least`);
  };
  switch (kind) {
    case Kind.arrival: {
      isAtLeast(ESP_HEADER);
      if (isReservedSpi(readU32(octets, 0))) head.fail('a reserved SPI');
      const { local, remote } = decodeEnds(from);
      return {
        hops,
        packet: { kind: 'arrival', octets, local: local.address, remote, trafficClass },
      };
    }
    case Kind.read: {
      isAtLeast(VNET_HEADER_OCTETS + 1);
      const reader = new OctetReader(from.octets(Attribute.SPI, 'SPI'));
      const spiIn = spi(reader.u32('SPI'));
      reader.end('SPI');
      return { hops, packet: { kind: 'read', octets, spiIn } };
    }
    case Kind.ike:
      isAtLeast(HEADER_OCTETS);
      return { hops, packet: { kind: 'ike', octets, ...decodeEnds(from) } };
    default:
      return head.fail(`a packet of kind ${kind}`);
  }
}

function encodeEndpoint({ address, port }: Endpoint): Uint8Array {
  return new OctetWriter().u16(port).octets(address.octets).finish();
}

function decodeEnds(from: Attributes): { readonly local: Endpoint; readonly remote: Endpoint } {
  const local = decodeEndpoint(from.octets(Attribute.LOCAL, 'the end here'));
  const remote = decodeEndpoint(from.octets(Attribute.REMOTE, 'the other end'));
  if (local.address.family !== remote.address.family) {
    throw new MalformedError(
      0,
      `ends of families ${local.address.family} and ${remote.address.family}`,
    );
  }
  return { local, remote };
}

function decodeEndpoint(octets: Uint8Array): Endpoint {
  const reader = new OctetReader(octets);
  const port = reader.u16('port');
  const address = reader.rest();
  if (address.length !== 4 && address.length !== 16) {
    reader.fail(`an address of ${address.length} octets`);
  }
  return { address: ipAddress(address), port };
}

/** SPI and sequence number (RFC 4303 §2). */
const ESP_HEADER = 8;
/** `wire/virtio-net.ts`. */
const VNET_HEADER_OCTETS = 10;

const Attribute = { HEAD: 1, LOCAL: 2, REMOTE: 3, SPI: 4, PACKET: 5 } as const;

const Kind = { arrival: 1, read: 2, ike: 3 } as const;
