/**
 * Captures of tcpdump on this machine, read: Ethernet frames, each without its header.
 */

const ETHERNET_OCTETS = 14;
const FILE_HEADER_OCTETS = 24;
const RECORD_HEADER_OCTETS = 16;

export function packetsOfPcap(file: Uint8Array): readonly Uint8Array[] {
  const view = new DataView(file.buffer, file.byteOffset, file.length);
  const packets: Uint8Array[] = [];
  let at = FILE_HEADER_OCTETS;
  while (at + RECORD_HEADER_OCTETS <= file.length) {
    const start = at + RECORD_HEADER_OCTETS;
    const end = start + view.getUint32(at + 8, true);
    packets.push(file.slice(start + ETHERNET_OCTETS, end));
    at = end;
  }
  return packets;
}
