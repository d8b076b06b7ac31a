/**
 * What the packet loop reports of a capture, packet by packet and with the time of day.
 */
import {
  type CapturedLot,
  TAP_BYPASS,
  TAP_DUMMY,
  TAP_HELD,
  TAP_PACKET_COST,
  TAP_WORDS,
  TapPoint,
  TapWord,
} from '../esp/captured-lot.ts';
import { NON_ESP_MARKER } from '../esp/classify.ts';
import { outerPacket } from '../esp/outer-packet.ts';
import { dropReasonName } from '../events/drop-reason.ts';
import type { Endpoint } from '../wire/address.ts';
import { concatOctets } from '../wire/octets.ts';
import { now } from './clock.ts';

/** A copy of a packet and what became of it. */
export interface CapturedPacket {
  /** Microseconds since 1970. */
  readonly time: number;
  readonly side: 'inner' | 'outer';
  /** From the peer, or to it. */
  readonly direction: 'in' | 'out';
  /** As much of the packet as was kept. */
  readonly octets: Uint8Array;
  /** Octets it had. */
  readonly length: number;
  readonly childSa?: number;
  /** Outside: that of the packet. */
  readonly spi?: number;
  /** Why it was dropped. */
  readonly drop?: string;
  /** What else there is to say of it. */
  readonly note?: 'held' | 'bypass' | 'dummy' | 'answer' | 'ike';
}

/** Octets of a packet that a capture keeps where nobody says how many: all. */
export const LONGEST_PACKET = 65_535;

export function capturedPackets(lot: CapturedLot): readonly CapturedPacket[] {
  const time = Math.round((Date.now() + lot.at - now()) * 1000);
  const packets: CapturedPacket[] = [];
  let end = 0;
  for (let row = 0; row < lot.rows.length; row += TAP_WORDS) {
    const word = (column: number): number => lot.rows[row + column] ?? 0;
    const start = end;
    end += word(TapWord.LENGTH);
    const point = word(TapWord.POINT);
    const spi = word(TapWord.SPI) >>> 0;
    packets.push({
      time,
      side: point === TapPoint.RECEIVED || point === TapPoint.SENT ? 'outer' : 'inner',
      direction: point === TapPoint.READ || point === TapPoint.SENT ? 'out' : 'in',
      octets: lot.octets.subarray(start, end),
      length: word(TapWord.ORIGINAL),
      ...(word(TapWord.CHILD_SA) >= 0 && { childSa: word(TapWord.CHILD_SA) }),
      ...(spi !== 0 && { spi }),
      ...remarks(point, word(TapWord.REASON)),
    });
  }
  return packets;
}

/** An IKE message as its datagram was on the wire. */
export interface IkeDatagram {
  readonly direction: 'in' | 'out';
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Without the marker. */
  readonly octets: Uint8Array;
  /** RFC 3948 §2.2: in front of it where ESP comes to the same port. */
  readonly nonEspMarker: boolean;
}

/** The same as a packet now, no more than `most` octets of the message. */
export function capturedIke(message: IkeDatagram, most: number): CapturedPacket {
  const { direction, local, remote, octets, nonEspMarker } = message;
  const [from, to] = direction === 'in' ? [remote, local] : [local, remote];
  const outer = {
    family: remote.address.family,
    source: from.address.octets,
    destination: to.address.octets,
    ports: { source: from.port, destination: to.port },
    trafficClass: 0,
    dontFragment: false,
    payload: nonEspMarker ? concatOctets(new Uint8Array(NON_ESP_MARKER), octets) : octets,
  };
  const kept = outerPacket(outer, most);
  return { ...kept, time: Date.now() * 1000, side: 'outer', direction, note: 'ike' };
}

/** What the lot took of the packet loop's credit. */
export function captureCredit({ octets, rows }: CapturedLot): number {
  return octets.length + (rows.length / TAP_WORDS) * TAP_PACKET_COST;
}

function remarks(point: number, reason: number): Pick<CapturedPacket, 'drop' | 'note'> {
  if (reason > 0) return { drop: dropReasonName(reason) };
  if (reason === TAP_HELD) return { note: 'held' };
  if (reason === TAP_BYPASS) return { note: 'bypass' };
  if (reason === TAP_DUMMY) return { note: 'dummy' };
  return point === TapPoint.ANSWERED ? { note: 'answer' } : {};
}
