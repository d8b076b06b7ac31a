/**
 * A capture of packets as the control thread sees it: asks the packet loop for copies, names their
 * SAs and gives them on.
 *
 * One at a time. Whoever takes the packets may refuse one; that and what the packet loop had no room
 * for is counted. Keys are given only where they were asked for.
 */
import type { Event } from '../events/event.ts';
import {
  type CapturedPacket,
  capturedIke,
  capturedPackets,
  type IkeDatagram,
} from '../io/captured-packets.ts';
import type { Host } from '../io/host.ts';
import { espKeyText } from '../io/key-log.ts';
import type { PacketLoopReport } from '../io/packet-loop-protocol.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import { formatSpi } from '../ipsec/spi.ts';
import type {
  CaptureHandle,
  CaptureKeyView,
  CaptureSelection,
  CaptureSink,
  CaptureTotals,
} from '../vici/capture-view.ts';
import type { IpAddress } from '../wire/address.ts';
import { espKeyLines } from './child-sas.ts';

export interface PacketCaptureParts {
  host(): Pick<Host, 'capture' | 'captureAlso' | 'endCapture'>;
  childSas(): readonly ChildSa[];
  /** Whether the connection has an IKE SA with that address. */
  isPeer(connection: string, address: IpAddress): boolean;
  /** The port at which IKE messages have a marker in front. */
  nattPort(): number;
  emit(event: Event): void;
}

type Captured = Extract<PacketLoopReport, { readonly kind: 'captured' }>;

interface Running {
  readonly selection: CaptureSelection;
  readonly sink: CaptureSink;
  /** Child SAs that were seen, also those that are gone. */
  readonly childSas: Map<number, ChildSa>;
  packets: number;
  missed: number;
  /** Set once it was asked to end. */
  ended?: (totals: CaptureTotals) => void;
}

export class PacketCapture {
  readonly #parts: PacketCaptureParts;
  #running: Running | undefined;

  constructor(parts: PacketCaptureParts) {
    this.#parts = parts;
  }

  /** Begins, or answers why not. */
  start(selection: CaptureSelection, sink: CaptureSink): CaptureHandle | string {
    if (this.#running) return 'another capture runs already: end that one first';
    const childSas = this.#parts.childSas();
    const running: Running = {
      selection,
      sink,
      childSas: new Map(childSas.map((one) => [one.id, one])),
      packets: 0,
      missed: 0,
    };
    this.#running = running;
    const { ike, child, spi, dropsOnly, snapLength, keys } = selection;
    const wanted = childSas.filter((one) => isWanted(one, selection));
    this.#parts.host().capture({
      snapLength,
      dropsOnly,
      ...(spi !== undefined && { spi }),
      ...((ike ?? child) !== undefined && { childSas: wanted.map(({ id }) => id) }),
    });
    this.#say('notice', `a capture of packets begins${keys ? '' : ', without keys'}`);
    if (keys) {
      this.#say('error', 'a capture gets keys of SAs: anyone who reads them reads their traffic');
    }
    return {
      keys: () => (keys ? wanted.flatMap(keyViews) : []),
      stop: () => this.#stop(running),
    };
  }

  /** Before the packet loop has it. */
  installing(childSa: ChildSa): void {
    const running = this.#running;
    if (!running) return;
    running.childSas.set(childSa.id, childSa);
    if (!isWanted(childSa, running.selection)) return;
    this.#parts.host().captureAlso(childSa.id);
    if (!running.selection.keys) return;
    for (const key of keyViews(childSa)) running.sink.key(key);
  }

  /** An IKE message that came or goes: of a peer that is wanted, unless only ESP is. */
  ike(direction: 'in' | 'out', message: Omit<IkeDatagram, 'direction' | 'nonEspMarker'>): void {
    const running = this.#running;
    if (!running) return;
    const { ike, child, spi, dropsOnly, snapLength } = running.selection;
    if (dropsOnly || child !== undefined || spi !== undefined) return;
    const { remote } = message;
    if (ike !== undefined && !this.#parts.isPeer(ike, remote.address)) return;
    const nonEspMarker = message.local.port === this.#parts.nattPort();
    const datagram = { ...message, direction, nonEspMarker };
    this.#give(running, capturedIke(datagram, snapLength));
  }

  hear(report: Captured | Extract<PacketLoopReport, { readonly kind: 'capture-ended' }>): void {
    const running = this.#running;
    if (!running) return;
    running.missed += report.missed;
    if (report.kind === 'captured') {
      for (const packet of capturedPackets(report)) this.#give(running, packet);
      return;
    }
    this.#running = undefined;
    const { packets, missed } = running;
    this.#say('notice', `the capture of packets ended: ${packets} packets, ${missed} missed`);
    running.ended?.({ packets, missed });
  }

  #stop(running: Running): Promise<CaptureTotals> {
    return new Promise((resolve) => {
      running.ended = resolve;
      this.#parts.host().endCapture();
    });
  }

  #give(running: Running, packet: CapturedPacket): void {
    const { childSa: id, spi, ...rest } = packet;
    const childSa = id === undefined ? undefined : running.childSas.get(id);
    const taken = running.sink.packet({
      ...rest,
      ...(spi !== undefined && { spi: formatSpi(spi) }),
      ...(id !== undefined && { childSa: id }),
      ...(childSa && {
        ike: childSa.connection,
        child: childSa.name,
        spiIn: formatSpi(childSa.spiIn),
        spiOut: formatSpi(childSa.spiOut),
      }),
    });
    if (taken) running.packets++;
    else running.missed++;
  }

  #say(level: 'error' | 'notice', what: string): void {
    this.#parts.emit({ kind: 'daemon', level, what });
  }
}

function isWanted(childSa: ChildSa, { ike, child, spi }: CaptureSelection): boolean {
  return (
    (ike === undefined || ike === childSa.connection) &&
    (child === undefined || child === childSa.name) &&
    (spi === undefined || spi === childSa.spiIn || spi === childSa.spiOut)
  );
}

/** The lines of Wireshark's table; one without text is of algorithms it does not know. */
function keyViews(childSa: ChildSa): readonly CaptureKeyView[] {
  return espKeyLines(childSa).map((line) => {
    const text = espKeyText(line);
    const { connection: ike, name: child, id } = childSa;
    return { ike, child, childSa: id, ...(text !== undefined && { line: text }) };
  });
}
