/** Datagrams between the nodes of a strongSwan HA cluster, captured or recorded. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { packetsOfPcap } from '../../lab/pcap.ts';
import {
  decodeHaMessage,
  encodeHaMessage,
  type HaMessage,
} from '../../src/cluster/charon-ha/message.ts';
import { fromHex, toHex } from '../../src/wire/octets.ts';

export interface HaFrame {
  /** Address of the node that sent it. */
  readonly from: string;
  readonly octets: Uint8Array;
}

/** Every datagram to or from UDP port 4510 in a capture of Ethernet frames, in order. */
export function framesOfCapture(file: string): readonly HaFrame[] {
  return packetsOfPcap(readFileSync(file)).flatMap((packet) => {
    const [versionAndLength = 0] = packet;
    if (versionAndLength >> 4 !== 4 || packet[PROTOCOL_AT] !== PROTOCOL_UDP) return [];
    const udp = packet.subarray((versionAndLength & 0x0f) * 4);
    const port = ((udp[2] ?? 0) << 8) | (udp[3] ?? 0);
    const length = ((udp[4] ?? 0) << 8) | (udp[5] ?? 0);
    if (port !== HA_PORT) return [];
    return [{ from: packet.subarray(12, 16).join('.'), octets: udp.slice(8, length) }];
  });
}

/** Decodes a frame and insists that nothing of it was lost. */
export function understood({ octets }: HaFrame): HaMessage {
  const message = decodeHaMessage(octets);
  assert.equal(
    message.rest.length,
    0,
    `not understood: ${toHex(message.rest)} of ${toHex(octets)}`,
  );
  assert.equal(toHex(encodeHaMessage(message)), toHex(octets));
  return message;
}

/** `vectors/recorded/charon-5.9.8-ha.json`: the life of an IKE SA as one node told it the other. */
export function readHaRecording(): {
  readonly frames: readonly HaFrame[];
  readonly keys: Readonly<Record<string, readonly string[]>>;
} {
  const { frames, keys } = JSON.parse(
    readFileSync('vectors/recorded/charon-5.9.8-ha.json', 'utf8'),
  );
  return {
    frames: frames.map(({ from, octets }: { from: string; octets: string }) => ({
      from,
      octets: fromHex(octets),
    })),
    keys,
  };
}

const HA_PORT = 4510;
const PROTOCOL_AT = 9;
const PROTOCOL_UDP = 17;
