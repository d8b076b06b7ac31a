/**
 * Several engines that have one SA with a peer, one of them at a time, and a peer that knows nothing of it.
 */
import type { ClusterParameters } from '../../src/esp/cluster-share.ts';
import type { EspSa } from '../../src/esp/esp-sa.ts';
import type { GivenSa, TakenSa, TakeOver } from '../../src/esp/sa-ownership.ts';
import type { Sampling, TakeOverWindow } from '../../src/ipsec/replay-sampling.ts';
import type { SequenceHalves } from '../../src/ipsec/sequence-number.ts';
import { instant } from '../../src/wire/instant.ts';
import { toHex } from '../../src/wire/octets.ts';
import {
  type ArrivingPacket,
  type ChildSaOptions,
  childSa,
  clusterParameters,
  EspGateway,
  mirrored,
  testKeys,
  UDP,
} from './esp-gateway.ts';
import { udpPacket } from './inner-packets.ts';

const HALF = 2 ** 32;

export const NOTHING: SequenceHalves = { high: 0, low: 0 };

export function halves(number: number): SequenceHalves {
  return { high: Math.floor(number / HALF), low: number % HALF };
}

export function asNumber({ high, low }: SequenceHalves): number {
  return high * HALF + low;
}

export interface ClusterNode {
  readonly gateway: EspGateway;
  readonly sa: EspSa;
  readonly sid: number;
}

export class ClusterEngines {
  readonly #nodes: readonly ClusterNode[];
  readonly peer: EspGateway;
  readonly peerSa: EspSa;
  /** The last number any node was granted. */
  granted = 0;

  /** The first node is active, the others are passive; `start` is the number that both directions are at. */
  constructor(
    count: number,
    sampling: Sampling,
    options: ChildSaOptions & { readonly start?: number } = {},
  ) {
    const { start = 0, ...rest } = options;
    const parameters = childSa(rest);
    const [toPeer, fromPeer] = [testKeys(parameters, 1), testKeys(parameters, 2)];
    this.granted = start + 256;
    this.#nodes = Array.from({ length: count }, (_, index) => {
      const gateway = new EspGateway();
      const sid = 0x8000 + index;
      const cluster: ClusterParameters = {
        ...clusterParameters,
        role: index === 0 ? 'active' : 'passive',
        sid,
        sampling,
        used: halves(start),
        reserved: halves(this.granted),
        edge: halves(start),
      };
      return { gateway, sid, sa: gateway.install({ ...parameters, cluster }, fromPeer, toPeer) };
    });
    this.peer = new EspGateway();
    this.peerSa = this.peer.install(mirrored(parameters), toPeer, fromPeer);
    this.peerSa.sequence.resumeAfter(halves(start).high, halves(start).low);
    if (start > 0) this.peerSa.window.update(halves(start).high, halves(start).low);
  }

  /** With the SA as it is now. */
  node(index: number): ClusterNode {
    const node = this.#nodes[index];
    if (node === undefined) throw new RangeError(`no node ${index}`);
    const sa = node.gateway.engine.find(node.sa.parameters.id);
    if (sa === undefined) throw new RangeError(`no SA at node ${index}`);
    return { ...node, sa };
  }

  /** What a node sends for so many packets, one a millisecond; its wishes for numbers are granted. */
  send(index: number, count: number): readonly Uint8Array[] {
    const { gateway, sa } = this.node(index);
    const before = gateway.sent.length;
    for (let packet = 0; packet < count; packet++) {
      gateway.now = instant(gateway.now + 1);
      gateway.fromTun(udpPacket('10.1.0.10', '10.2.0.10', packet % 50));
      this.#grant(gateway, sa);
    }
    return gateway.sent.slice(before).map(({ octets }) => octets);
  }

  /** What the peer sends for so many packets. */
  peerSends(count: number): readonly ArrivingPacket[] {
    const before = this.peer.sent.length;
    for (let packet = 0; packet < count; packet++) {
      this.peer.fromTun(udpPacket('10.2.0.10', '10.1.0.10', packet % 50));
    }
    return this.peer.sent.slice(before);
  }

  /** A node receives; answers how many packets it delivered. */
  receive(index: number, packets: readonly ArrivingPacket[]): number {
    const { gateway } = this.node(index);
    const before = gateway.delivered.length;
    gateway.fromSocket(UDP, ...packets);
    return gateway.delivered.length - before;
  }

  /** A node takes the SA over from one that is not asked: behind all that was ever granted. */
  take(index: number, window: TakeOverWindow, more: Partial<TakeOver> = {}): TakenSa {
    const { gateway, sa, sid } = this.node(index);
    const used = halves(this.granted);
    const how = { sid, used, reserved: used, solo: false, window, ...more };
    const taken = gateway.engine.take(sa, how, gateway.now);
    if (taken === undefined) throw new Error('the SA is not of a cluster');
    this.#grant(gateway, sa);
    return taken;
  }

  give(index: number): GivenSa {
    const { gateway, sa } = this.node(index);
    const given = gateway.engine.give(sa, gateway.now);
    if (given === undefined) throw new Error('the SA is not of a cluster');
    return given;
  }

  /** A digest of one node's edge comes to another. */
  digest(from: number, to: number): void {
    const { topHigh: high, topLow: low } = this.node(from).sa.window;
    const { gateway, sa } = this.node(to);
    gateway.engine.followEdge(sa.parameters.spiIn, { high, low }, gateway.now);
  }

  pass(milliseconds: number): void {
    for (const { gateway } of this.#nodes) gateway.now = instant(gateway.now + milliseconds);
  }

  edgeOf(index: number): number {
    const { topHigh: high, topLow: low } = this.node(index).sa.window;
    return asNumber({ high, low });
  }

  #grant(gateway: EspGateway, sa: EspSa): void {
    for (const report of gateway.reports.splice(0)) {
      const [what, , high, low] = report.split(' ');
      if (what !== 'wanted') continue;
      const upTo = { high: Number(high), low: Number(low) };
      this.granted = Math.max(this.granted, asNumber(upTo));
      gateway.engine.grantSequence(sa, upTo, gateway.now);
    }
  }
}

/** The low half of the sequence number of an ESP packet. */
export function numberOf(octets: Uint8Array): number {
  return new DataView(octets.slice().buffer).getUint32(4);
}

/** The explicit IV of an ESP packet. */
export function ivOf(octets: Uint8Array): string {
  return toHex(octets.subarray(8, 16));
}
