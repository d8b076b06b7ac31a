/**
 * ARP for IPv4 on Ethernet (RFC 826), and how an address is announced with it (RFC 5227 §3).
 */
import { type IpAddress, ipAddress } from '../../wire/address.ts';
import { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { BROADCAST, type HardwareAddress } from './ethernet.ts';

export const ArpOperation = { REQUEST: 1, REPLY: 2 } as const;

export interface ArpPacket {
  readonly operation: number;
  readonly senderHardware: HardwareAddress;
  readonly sender: IpAddress;
  readonly targetHardware: HardwareAddress;
  readonly target: IpAddress;
}

//   octets 0-1  hardware: 1, Ethernet     octets 8-13   sender hardware address
//   octets 2-3  protocol: IPv4            octets 14-17  sender address
//   octet 4     6                         octets 18-23  target hardware address
//   octet 5     4                         octets 24-27  target address
//   octets 6-7  operation
export function decodeArp(octets: Uint8Array): ArpPacket {
  const reader = new OctetReader(octets);
  if (reader.u16('hardware') !== ETHERNET) reader.fail('ARP for other hardware than Ethernet');
  if (reader.u16('protocol') !== IPV4) reader.fail('ARP for another protocol than IPv4');
  const lengths = reader.u16('lengths');
  if (lengths !== LENGTHS) reader.fail(`ARP with address lengths ${lengths.toString(16)}`);
  // What is left over is the padding of a short frame.
  return {
    operation: reader.u16('operation'),
    senderHardware: reader.take(6, 'sender hardware address'),
    sender: ipAddress(reader.take(4, 'sender address')),
    targetHardware: reader.take(6, 'target hardware address'),
    target: ipAddress(reader.take(4, 'target address')),
  };
}

export function encodeArp(packet: ArpPacket): Uint8Array {
  return new OctetWriter()
    .u16(ETHERNET)
    .u16(IPV4)
    .u16(LENGTHS)
    .u16(packet.operation)
    .octets(packet.senderHardware)
    .octets(packet.sender.octets)
    .octets(packet.targetHardware)
    .octets(packet.target.octets)
    .finish();
}

/**
 * Says unasked where an address is. RFC 5227 §3: as a request; but there are hosts that believe replies only,
 * so an address is announced with one of each.
 */
export function gratuitousArp(
  operation: number,
  address: IpAddress,
  hardwareAddress: HardwareAddress,
): ArpPacket {
  const isRequest = operation === ArpOperation.REQUEST;
  return {
    operation,
    senderHardware: hardwareAddress,
    sender: address,
    targetHardware: isRequest ? new Uint8Array(6) : BROADCAST,
    target: address,
  };
}

const ETHERNET = 1;
const IPV4 = 0x0800;
const LENGTHS = 0x0604;
