/**
 * Packets and IKE messages that are at the wrong node: what came here and is another's leaves for that node,
 * what another one hands on goes in where it would have come in.
 *
 * Carries out what `Forwarding` decides.
 */
import type { BusMessage } from '../../cluster/bus/message.ts';
import type { NodeId } from '../../cluster/node-id.ts';
import type { Input } from '../../ike/action.ts';
import type { HandedOn } from '../../io/cluster-protocol.ts';
import type { PacketLoopsCluster, PacketOfSa } from '../../io/packet-loops-cluster.ts';
import type { Spi } from '../../ipsec/spi.ts';
import type { Instant } from '../../wire/instant.ts';
import type { ForwardAction, Forwarding } from './forwarding.ts';

type Datagram = Extract<Input, { readonly kind: 'datagram' }>;

export interface StrayPacketsParts {
  readonly forwarding: Forwarding;
  readonly now: () => Instant;
  /** The inbound SPI of a Child SA by its number here. */
  readonly spiIn: (childSaId: number) => Spi | undefined;
  readonly packetLoops: () => PacketLoopsCluster | undefined;
  readonly tell: (to: NodeId, message: BusMessage) => void;
  /** An IKE message of an IKE SA that this node has. */
  readonly ike: (datagram: Datagram) => void;
  /** Something waits for its segment to arrive somewhere. */
  readonly waits: () => void;
}

export class StrayPackets {
  readonly #parts: StrayPacketsParts;
  /** Of this turn. */
  readonly #told: BusMessage[] = [];

  constructor(parts: StrayPacketsParts) {
    this.#parts = parts;
  }

  /** An IKE message that came here, whosever it is. */
  datagram(datagram: Datagram): void {
    const { forwarding, now, ike } = this.#parts;
    if (forwarding.isOwnIke(datagram)) ike(datagram);
    else this.#perform(forwarding.handOn({ ...datagram, kind: 'ike' }, now()));
  }

  /** Packets of the packet loop that are another node's, as far as it knows. */
  handOn(packets: readonly HandedOn[]): void {
    this.#perform(packets.flatMap((one) => this.#handOn(one)));
  }

  /** Of another node: a turn of its own, behind all that came before it. */
  told(message: BusMessage): void {
    this.#told.push(message);
  }

  /** The turn is over: what was told in it, and what waited for a segment that is somewhere now. */
  turned(): void {
    const { forwarding, now } = this.#parts;
    const told = this.#told.splice(0);
    this.#perform(told.flatMap((message) => forwarding.receive(message, now())));
    this.#perform(forwarding.settle(now()));
  }

  #handOn({ id, packet }: HandedOn): readonly ForwardAction[] {
    const { forwarding, now } = this.#parts;
    if (packet.kind === 'arrival') return forwarding.handOn(packet, now());
    const spiIn = id === undefined ? undefined : this.#parts.spiIn(id);
    if (spiIn) return forwarding.handOn({ ...packet, spiIn }, now());
    forwarding.gone();
    return [];
  }

  #perform(actions: readonly ForwardAction[]): void {
    const packets: PacketOfSa[] = [];
    for (const action of actions) {
      switch (action.kind) {
        case 'tell':
          this.#parts.tell(action.to, action.message);
          break;
        case 'packet':
          packets.push(action);
          break;
        case 'ike':
          this.#parts.ike({ ...action, kind: 'datagram' });
          break;
        default:
          action satisfies never;
      }
    }
    if (packets.length > 0) this.#parts.packetLoops()?.foreignPackets(packets);
    if (this.#parts.forwarding.held > 0) this.#parts.waits();
  }
}
