/**
 * Neighbour solicitations and advertisements of IPv6 (RFC 4861 §4.3, §4.4, §7.1): who has an address, and where.
 */
import { type IpAddress, ipAddress, isAnyAddress } from '../../wire/address.ts';
import { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { type HardwareAddress, isSolicitedNodeGroup } from './ethernet.ts';
import { decodeIcmpv6, encodeIcmpv6 } from './icmpv6.ts';

interface NeighbourPacket {
  readonly source: IpAddress;
  readonly destination: IpAddress;
  readonly target: IpAddress;
  /** Of the sender where it asks, of the target where it answers. */
  readonly hardwareAddress: HardwareAddress | undefined;
}

export interface NeighbourSolicitation extends NeighbourPacket {
  readonly kind: 'solicitation';
}

export interface NeighbourAdvertisement extends NeighbourPacket {
  readonly kind: 'advertisement';
  readonly router: boolean;
  readonly solicited: boolean;
  readonly override: boolean;
}

export type NeighbourMessage = NeighbourSolicitation | NeighbourAdvertisement;

/**
 * The message of an IPv6 packet; undefined where it is another one, MalformedError where a receiver must not
 * believe it.
 *
 *   octets 0-3   of an advertisement: R, S, O; else reserved
 *   octets 4-19  target
 *   octets 20-   options: type, length in units of 8 octets, value
 */
export function decodeNeighbourMessage(octets: Uint8Array): NeighbourMessage | undefined {
  const packet = decodeIcmpv6(octets);
  const kind = packet && KINDS.get(packet.type);
  if (packet === undefined || kind === undefined) return undefined;
  const { source, destination, hopLimit, code, body } = packet;
  const reader = new OctetReader(body);
  // RFC 4861 §7.1: with a hop limit below 255 it has come from beyond the link.
  if (hopLimit !== ON_LINK) reader.fail(`${kind} with hop limit ${hopLimit}`);
  if (code !== 0) reader.fail(`${kind} with code ${code}`);
  const flags = reader.u32('flags');
  const target = ipAddress(reader.take(16, 'target'));
  if (target.octets[0] === 0xff) reader.fail(`${kind} of a group`);
  const isSolicitation = kind === 'solicitation';
  const hardwareAddress = readLinkLayerAddress(reader, isSolicitation ? SOURCE : TARGET);
  const ends = { source, destination, target, hardwareAddress };
  if (isSolicitation) {
    checkUnspecified(reader, ends);
    return { kind, ...ends };
  }
  const [router, solicited, override] = [ROUTER, SOLICITED, OVERRIDE].map(
    (flag) => (flags & flag) !== 0,
  );
  // RFC 4861 §7.1.2: what was sent to many was asked for by nobody.
  if (solicited === true && destination.octets[0] === 0xff) reader.fail('solicited by a group');
  return {
    kind,
    ...ends,
    router: router === true,
    solicited: solicited === true,
    override: override === true,
  };
}

export function encodeNeighbourMessage(message: NeighbourMessage): Uint8Array {
  const { source, destination, target, hardwareAddress } = message;
  const writer = new OctetWriter().u32(flagsOf(message)).octets(target.octets);
  if (hardwareAddress !== undefined) {
    writer
      .u8(message.kind === 'solicitation' ? SOURCE : TARGET)
      .u8(1)
      .octets(hardwareAddress);
  }
  const type = message.kind === 'solicitation' ? SOLICITATION : ADVERTISEMENT;
  const body = writer.finish();
  return encodeIcmpv6({ source, destination, hopLimit: ON_LINK, type, code: 0, body });
}

/** RFC 4861 §7.1.1: who has no address yet asks the group of the target, and says no hardware address. */
function checkUnspecified(reader: OctetReader, ends: NeighbourPacket): void {
  if (!isAnyAddress(ends.source)) return;
  if (!isSolicitedNodeGroup(ends.destination)) reader.fail('asks one host and has no address');
  if (ends.hardwareAddress !== undefined) reader.fail('has no address and says where it is');
}

function readLinkLayerAddress(reader: OctetReader, wanted: number): HardwareAddress | undefined {
  let found: HardwareAddress | undefined;
  while (reader.remaining > 0) {
    const type = reader.u8('option type');
    const length = reader.u8('option length');
    // RFC 4861 §4.6: such a packet is dropped.
    if (length === 0) reader.fail('option of length 0');
    const value = reader.take(length * 8 - 2, 'option');
    if (type === wanted && value.length === 6) found ??= value;
  }
  return found;
}

function flagsOf(message: NeighbourMessage): number {
  if (message.kind === 'solicitation') return 0;
  const { router, solicited, override } = message;
  return ((router ? ROUTER : 0) | (solicited ? SOLICITED : 0) | (override ? OVERRIDE : 0)) >>> 0;
}

const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const KINDS: ReadonlyMap<number, NeighbourMessage['kind']> = new Map([
  [SOLICITATION, 'solicitation'],
  [ADVERTISEMENT, 'advertisement'],
]);

/** The hop limit nobody beyond a router can have. */
const ON_LINK = 255;

const ROUTER = 0x8000_0000;
const SOLICITED = 0x4000_0000;
const OVERRIDE = 0x2000_0000;

/** Options: source and target link-layer address. */
const SOURCE = 1;
const TARGET = 2;
