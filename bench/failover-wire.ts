/**
 * What a capture says of the ESP packets one end sent: numbers and IVs that came twice under one SPI.
 */
import { formatAddress, ipAddress } from '../src/wire/address.ts';

export interface WireRepeats {
  readonly packets: number;
  /** Packets whose SPI and sequence number had been sent before. */
  readonly sequences: number;
  /** Packets whose SPI and IV, and so key and nonce, had been sent before. */
  readonly ivs: number;
}

const UDP = 17;
const PORT_NAT_T = 4500;
const IPV6_HEADER = 40;
const UDP_HEADER = 8;
const ESP_HEADER = 8;
const IV_OCTETS = 8;

/** Of packets with ESP in UDP from this address; with a cipher that has an IV of eight octets. */
export function repeatsOnWire(packets: readonly Uint8Array[], from: string): WireRepeats {
  const seen = { sequences: new Set<string>(), ivs: new Set<string>() };
  const counted = { packets: 0, sequences: 0, ivs: 0 };
  for (const packet of packets) {
    const esp = espFrom(packet, from);
    if (esp === undefined) continue;
    counted.packets += 1;
    const text = Buffer.from(esp.subarray(0, ESP_HEADER + IV_OCTETS)).toString('hex');
    const spi = text.slice(0, 8);
    const sequence = text.slice(0, 2 * ESP_HEADER);
    const iv = `${spi}${text.slice(2 * ESP_HEADER)}`;
    if (seen.sequences.has(sequence)) counted.sequences += 1;
    if (seen.ivs.has(iv)) counted.ivs += 1;
    seen.sequences.add(sequence);
    seen.ivs.add(iv);
  }
  return counted;
}

function espFrom(packet: Uint8Array, from: string): Uint8Array | undefined {
  const udp = udpFrom(packet, from);
  if (udp === undefined) return undefined;
  const port = ((udp[0] ?? 0) << 8) | (udp[1] ?? 0);
  const esp = udp.subarray(UDP_HEADER);
  const isEsp = esp.length >= ESP_HEADER + IV_OCTETS && esp.subarray(0, 4).some((one) => one !== 0);
  return port === PORT_NAT_T && isEsp ? esp : undefined;
}

/** Without extension headers, which nobody here sends. */
function udpFrom(packet: Uint8Array, from: string): Uint8Array | undefined {
  const [versionAndLength = 0] = packet;
  const version = versionAndLength >> 4;
  const source = version === 4 ? packet.subarray(12, 16) : packet.subarray(8, 24);
  const protocol = version === 4 ? packet[9] : packet[6];
  if ((version !== 4 && version !== 6) || protocol !== UDP) return undefined;
  if (source.length !== (version === 4 ? 4 : 16)) return undefined;
  if (formatAddress(ipAddress(source)) !== from) return undefined;
  return packet.subarray(version === 4 ? (versionAndLength & 0x0f) * 4 : IPV6_HEADER);
}
