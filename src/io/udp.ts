/**
 * IKE datagrams of the control thread: received on UDP 500, sent on UDP 500 and 4500.
 *
 * What arrives on 4500 the packet loop takes and hands over; here it is only sent, behind the
 * non-ESP marker (RFC 7296 §3.1). Nothing blocks: a datagram that cannot leave is counted, and IKE
 * sends it again.
 */
import {
  type Batch,
  createRows,
  FLAG_DF,
  ORIGIN_OCTETS,
  Origin,
  PATH_OF_ORIGIN,
  STATUS_OK,
  WORDS,
  Word,
} from '../esp/batch.ts';
import { sendDropReason } from '../esp/send-status.ts';
import { DROP_REASONS, DropReason } from '../events/drop-reason.ts';
import { type Endpoint, type IpAddress, ipAddress, isAnyAddress } from '../wire/address.ts';
import { readU16, readU32 } from '../wire/field.ts';
import { udpInFragments } from '../wire/ip-fragments.ts';
import { concatOctets } from '../wire/octets.ts';
import { type Native, native } from './native.ts';
import type { OuterSockets } from './outer-sockets.ts';
import { OwnAddresses } from './own-addresses.ts';
import { randomBytes } from './random.ts';

/** The sockets stay whoever's opened them; those of 4500 are only sent through. */
export type IkeSockets = Pick<
  OuterSockets,
  'ike4' | 'ike6' | 'natt4' | 'natt6' | 'plain4' | 'plain6' | 'ikePort' | 'nattPort'
>;

export type OnIkeDatagram = (local: Endpoint, remote: Endpoint, octets: Uint8Array) => void;

export class IkeSocket {
  /** Datagrams lost here, by DropReason. */
  readonly drops = new Float64Array(DROP_REASONS);
  readonly #addon: Native;
  readonly #sockets: IkeSockets;
  readonly #batch = createIkeBatch();
  readonly #number: number;
  readonly #own = new OwnAddresses();
  readonly #local = new Uint8Array(16);
  readonly #remote = new Uint8Array(16);
  readonly #watches: number[] = [];

  constructor(sockets: IkeSockets, addon: Native = native()) {
    this.#addon = addon;
    this.#sockets = sockets;
    const { arena, words, origins } = this.#batch;
    this.#number = addon.batch(arena, words, origins);
  }

  /** Starts listening on UDP 500. */
  onDatagram(callback: OnIkeDatagram): void {
    for (const fd of [this.#sockets.ike4, this.#sockets.ike6]) {
      if (fd === undefined) continue;
      this.#watches.push(this.#addon.watch(fd, () => this.#receive(fd, callback)));
    }
  }

  /** Sends from `local`, whose port chooses the socket; answers whether the datagram left. */
  send(
    local: Endpoint,
    remote: Endpoint,
    octets: Uint8Array,
    options: { readonly nonEspMarker: boolean; readonly dontFragment?: boolean },
  ): boolean {
    const fd = this.#socketOf(local);
    const front = options.nonEspMarker ? NON_ESP_MARKER : 0;
    const flags = options.dontFragment === true ? FLAG_DF : 0;
    const reason = this.#transmit(fd, { local, remote, front, flags }, octets);
    if (reason !== DropReason.NONE) this.#count(reason);
    return reason === DropReason.NONE;
  }

  /** As `send`, in packets that every path carries; answers whether all of them left. */
  sendInFragments(
    local: Endpoint,
    remote: Endpoint,
    octets: Uint8Array,
    options: { readonly nonEspMarker: boolean },
  ): boolean {
    const { family } = remote.address;
    const { plain4, plain6 } = this.#sockets;
    const fd = family === 4 ? plain4 : plain6;
    // Without our address there is no header to write.
    if (fd === undefined || isAnyAddress(local.address)) {
      return this.send(local, remote, octets, options);
    }
    const front = new Uint8Array(options.nonEspMarker ? NON_ESP_MARKER : 0);
    const identification = readU32(randomBytes(4), 0);
    const most = LEAST_PACKET[family];
    const data = concatOctets(front, octets);
    const packets = udpInFragments(local, remote, data, { identification, most });
    const reasons = packets.map((packet) => this.#transmitPlain(fd, remote, packet));
    const lost = reasons.find((reason) => reason !== DropReason.NONE);
    if (lost !== undefined) this.#count(lost);
    return lost === undefined;
  }

  /** Stops listening; call it before the sockets are closed. */
  close(): void {
    for (const watch of this.#watches.splice(0)) this.#addon.unwatch(watch);
    this.#addon.freeBatch(this.#number);
  }

  #socketOf(local: Endpoint): number | undefined {
    const { ike4, ike6, natt4, natt6, nattPort } = this.#sockets;
    const four = local.address.family === 4;
    if (local.port === nattPort) return four ? natt4 : natt6;
    return four ? ike4 : ike6;
  }

  #transmit(
    fd: number | undefined,
    { local, remote, front, flags }: Transmission,
    octets: Uint8Array,
  ): DropReason {
    const { family } = remote.address;
    if (fd === undefined || local.address.family !== family) return DropReason['send-unreachable'];
    if (front + octets.length > SLOT) return DropReason['send-too-big'];
    const { arena, words } = this.#batch;
    const at = SEND_ROW * WORDS;
    const offset = SEND_ROW * SLOT;
    arena.fill(0, offset, offset + front);
    arena.set(octets, offset + front);
    const own = isAnyAddress(local.address) ? {} : { local: lend(this.#local, local.address) };
    const peer = { remote: lend(this.#remote, remote.address), port: remote.port };
    const path = this.#addon.path({ fd, family, ...own, ...peer });
    words.fill(0, at, at + WORDS);
    words[at + Word.OFFSET] = offset;
    words[at + Word.LENGTH] = front + octets.length;
    words[at + Word.PATH] = path;
    words[at + Word.FLAGS] = flags;
    this.#addon.send(this.#number, SEND_ROW, 1);
    this.#addon.freePath(path);
    const status = words[at + Word.STATUS] ?? 0;
    return status === STATUS_OK ? DropReason.NONE : sendDropReason(status);
  }

  /** A packet with its own IP header. */
  #transmitPlain(fd: number, { address }: Endpoint, packet: Uint8Array): DropReason {
    const { arena, words, origins } = this.#batch;
    const at = SEND_ROW * WORDS;
    const offset = SEND_ROW * SLOT;
    arena.set(packet, offset);
    const origin = SEND_ROW * ORIGIN_OCTETS;
    origins.fill(0, origin, origin + ORIGIN_OCTETS);
    origins[origin + Origin.FAMILY] = address.family;
    origins.set(address.octets, origin + Origin.DESTINATION);
    words.fill(0, at, at + WORDS);
    words[at + Word.OFFSET] = offset;
    words[at + Word.LENGTH] = packet.length;
    words[at + Word.PATH] = PATH_OF_ORIGIN;
    this.#addon.sendTo(fd, address.family, this.#number, SEND_ROW, 1);
    const status = words[at + Word.STATUS] ?? 0;
    return status === STATUS_OK ? DropReason.NONE : sendDropReason(status);
  }

  #receive(fd: number, callback: OnIkeDatagram): void {
    const { words } = this.#batch;
    for (let row = 0; row < RECEIVE_ROWS; row++) {
      words[row * WORDS + Word.OFFSET] = row * SLOT;
      words[row * WORDS + Word.LENGTH] = SLOT;
    }
    const count = this.#addon.receive(fd, this.#number, 0, RECEIVE_ROWS);
    for (let row = 0; row < count; row++) {
      if (words[row * WORDS + Word.STATUS] !== STATUS_OK) {
        this.#count(DropReason['truncated-datagram']);
        continue;
      }
      const origin = row * ORIGIN_OCTETS;
      const remotePort = readU16(this.#batch.origins, origin + Origin.PORT);
      const own = this.#own.shared(this.#address(origin, Origin.DESTINATION));
      callback(
        { address: own, port: this.#sockets.ikePort },
        { address: this.#address(origin, Origin.SOURCE), port: remotePort },
        this.#octets(row),
      );
    }
  }

  /** Copied, as all that goes out of the batch: it is filled anew before the next turn. */
  #octets(row: number): Uint8Array {
    const { arena, words } = this.#batch;
    const offset = words[row * WORDS + Word.OFFSET] ?? 0;
    return arena.slice(offset, offset + (words[row * WORDS + Word.LENGTH] ?? 0));
  }

  #address(origin: number, at: number): IpAddress {
    const { origins } = this.#batch;
    const width = origins[origin + Origin.FAMILY] === 6 ? 16 : 4;
    return ipAddress(origins.slice(origin + at, origin + at + width));
  }

  #count(reason: DropReason): void {
    this.drops[reason] = (this.drops[reason] ?? 0) + 1;
  }
}

interface Transmission {
  readonly local: Endpoint;
  readonly remote: Endpoint;
  /** Octets of zero in front. */
  readonly front: number;
  readonly flags: number;
}

/**
 * An address for the native layer, in octets that are lent to each call: to those that leave it
 * once, the engine gives a memory of their own for as long as they live.
 */
function lend(octets: Uint8Array, address: IpAddress): Uint8Array {
  const lent = octets.subarray(0, address.octets.length);
  lent.set(address.octets);
  return lent;
}

function createIkeBatch(): Batch {
  const rows = RECEIVE_ROWS + 1;
  return createRows(new Uint8Array(new SharedArrayBuffer(rows * SLOT)), rows);
}

/** Octets of zero in front of an IKE message on port 4500. */
const NON_ESP_MARKER = 4;
/** Any UDP datagram: an IKE message with certificates is larger than a packet. */
const SLOT = 65_536;
const RECEIVE_ROWS = 32;
/** What every path carries (RFC 791 §3.2, RFC 8200 §5). */
const LEAST_PACKET = { 4: 576, 6: 1280 } as const;
const SEND_ROW = RECEIVE_ROWS;
