/**
 * A shared address and how it is on a link: its hardware address, the frames that say where it is, asked
 * (ARP, neighbour discovery) or not (gratuitous ARP, unsolicited neighbour advertisements).
 */
import {
  anyAddress,
  equalAddresses,
  type IpAddress,
  isAnyAddress,
  parseAddress,
} from '../../wire/address.ts';
import { ArpOperation, type ArpPacket, encodeArp, gratuitousArp } from './arp.ts';
import {
  BROADCAST,
  EtherType,
  encodeFrame,
  groupHardwareAddress,
  type HardwareAddress,
  isGroup,
} from './ethernet.ts';
import { encodeNeighbourMessage, type NeighbourSolicitation } from './neighbour-discovery.ts';

export interface SharedAddress {
  readonly address: IpAddress;
  /**
   * What the link is told: a group's, which all nodes hear, or a virtual one (as `00:00:5e:00:01:07`), which moves with
   * its master. Addresses that may have different masters have different ones.
   */
  readonly hardwareAddress: HardwareAddress;
}

/** The answer to an ARP request for the address; undefined where it is none. */
export function answerArp(
  shared: SharedAddress,
  request: ArpPacket,
  real: HardwareAddress,
): Uint8Array | undefined {
  if (request.operation !== ArpOperation.REQUEST) return undefined;
  if (!equalAddresses(request.target, shared.address)) return undefined;
  // An announcement of the address by somebody else asks for nothing.
  if (equalAddresses(request.sender, shared.address)) return undefined;
  const { hardwareAddress } = shared;
  const payload = encodeArp({
    operation: ArpOperation.REPLY,
    senderHardware: hardwareAddress,
    sender: shared.address,
    targetHardware: request.senderHardware,
    target: request.sender,
  });
  const destination = request.senderHardware;
  return encodeFrame({ destination, source: sourceOf(shared, real), type: EtherType.ARP, payload });
}

/** The answer to a solicitation of the address (RFC 4861 §7.2.4); undefined where it is none. */
export function answerSolicitation(
  shared: SharedAddress,
  solicitation: NeighbourSolicitation,
  from: HardwareAddress,
  real: HardwareAddress,
): Uint8Array | undefined {
  if (!equalAddresses(solicitation.target, shared.address)) return undefined;
  // RFC 4861 §7.2.4: who asks without an address wants to know whether it may take this one; all are told.
  const unspecified = isAnyAddress(solicitation.source);
  const to = unspecified ? ALL_NODES : solicitation.source;
  return advertisement(shared, {
    to,
    solicited: !unspecified,
    destination: unspecified
      ? groupHardwareAddress(ALL_NODES)
      : (solicitation.hardwareAddress ?? from),
    source: sourceOf(shared, real),
  });
}

/**
 * Tells everybody where the address is. The frames' source moves what switches remember: it is the virtual hardware
 * address where there is one.
 */
export function announce(shared: SharedAddress, real: HardwareAddress): readonly Uint8Array[] {
  const source = sourceOf(shared, real);
  if (shared.address.family === 6) {
    const destination = groupHardwareAddress(ALL_NODES);
    return [advertisement(shared, { to: ALL_NODES, solicited: false, destination, source })];
  }
  return [ArpOperation.REQUEST, ArpOperation.REPLY].map((operation) => {
    const packet = gratuitousArp(operation, shared.address, shared.hardwareAddress);
    return encodeFrame({
      destination: BROADCAST,
      source,
      type: EtherType.ARP,
      payload: encodeArp(packet),
    });
  });
}

/** IEEE 802.3 §3.2.3: a group is never the source of a frame. */
export function sourceOf(shared: SharedAddress, real: HardwareAddress): HardwareAddress {
  return isGroup(shared.hardwareAddress) ? real : shared.hardwareAddress;
}

interface AdvertisementEnds {
  readonly to: IpAddress;
  readonly solicited: boolean;
  readonly destination: HardwareAddress;
  readonly source: HardwareAddress;
}

function advertisement(shared: SharedAddress, ends: AdvertisementEnds): Uint8Array {
  const { destination, source } = ends;
  const payload = encodeNeighbourMessage({
    kind: 'advertisement',
    source: shared.address,
    destination: ends.to,
    target: shared.address,
    hardwareAddress: shared.hardwareAddress,
    router: true,
    solicited: ends.solicited,
    override: true,
  });
  return encodeFrame({ destination, source, type: EtherType.IPV6, payload });
}

const ALL_NODES = parseAddress('ff02::1') ?? anyAddress(6);
