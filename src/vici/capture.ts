/**
 * Captures of packets over vici: `tsgw-capture-start` answers at once, then `tsgw-captured` carries a
 * packet each and `tsgw-capture-key` a key, until `tsgw-capture-stop` or the client goes.
 *
 * A client that reads too slowly loses packets, which are counted, and never holds up the daemon.
 */
import { failure } from './answers.ts';
import {
  CAPTURE_KEY_EVENT,
  CAPTURED_EVENT,
  type CapturedPacketView,
  type CaptureHandle,
  type CaptureKeyView,
  type CaptureSelection,
  type CaptureTotals,
  SNAP_LENGTH,
} from './capture-view.ts';
import type { Control } from './control.ts';
import { type ViciSection, viciSection, viciText } from './message.ts';
import type { Session } from './session.ts';

/** The captures of all clients; the gateway lets one run at a time. */
export class Captures {
  readonly #control: Control;
  readonly #fault: (error: unknown) => void;
  readonly #running = new Map<Session, CaptureHandle>();

  constructor(control: Control, fault: (error: unknown) => void) {
    this.#control = control;
    this.#fault = fault;
  }

  async start(session: Session, request: ViciSection): Promise<ViciSection> {
    const selection = captureSelection(request);
    if (typeof selection === 'string') return failure(selection);
    if (selection.keys && !session.local) {
      return failure('keys are given over a unix socket only: this connection is TCP');
    }
    if (this.#running.has(session)) return failure('this client captures already');
    const handle = this.#control.capture(selection, {
      packet: (view) => session.offer(CAPTURED_EVENT, packetMessage(view)),
      key: (view) => session.raise(CAPTURE_KEY_EVENT, keyMessage(view)),
    });
    if (typeof handle === 'string') return failure(handle);
    this.#running.set(session, handle);
    for (const key of handle.keys()) {
      if (!(await session.row(CAPTURE_KEY_EVENT, keyMessage(key)))) break;
    }
    if (!session.open) this.closed(session);
    return viciSection([['success', true]]);
  }

  async stop(session: Session): Promise<ViciSection> {
    const handle = this.#running.get(session);
    if (!handle) return failure('this client does not capture');
    this.#running.delete(session);
    return totalsAnswer(await handle.stop());
  }

  /** The client is gone, and its capture with it. */
  closed(session: Session): void {
    const handle = this.#running.get(session);
    if (!handle) return;
    this.#running.delete(session);
    handle.stop().catch(this.#fault);
  }
}

/** What the client asks for, or what is wrong with that. */
export function captureSelection(request: ViciSection): CaptureSelection | string {
  const ike = viciText(request, 'ike');
  const child = viciText(request, 'child');
  const spiText = viciText(request, 'spi');
  const spi = spiText === undefined ? undefined : parseSpi(spiText);
  if (Number.isNaN(spi))
    return `spi: ${spiText} is no SPI: write eight hex digits, as tsgw sas does`;
  const snapText = viciText(request, 'snaplen') ?? String(SNAP_LENGTH.usual);
  const snapLength = /^\d{1,6}$/.test(snapText) ? Number(snapText) : 0;
  if (snapLength < SNAP_LENGTH.least || snapLength > SNAP_LENGTH.most) {
    return `snaplen: ${snapText} is none of ${SNAP_LENGTH.least} to ${SNAP_LENGTH.most} octets`;
  }
  return {
    ...(ike !== undefined && { ike }),
    ...(child !== undefined && { child }),
    ...(spi !== undefined && { spi }),
    dropsOnly: viciText(request, 'drops') === 'yes',
    snapLength,
    keys: viciText(request, 'keys') === 'yes',
  };
}

function parseSpi(text: string): number {
  const [, digits] = /^(?:0x)?([0-9a-f]{1,8})$/i.exec(text) ?? [];
  return digits === undefined ? Number.NaN : Number.parseInt(digits, 16);
}

function packetMessage(view: CapturedPacketView): ViciSection {
  return viciSection([
    ['time', view.time],
    ['side', view.side],
    ['direction', view.direction],
    ['length', view.length],
    ['ike', view.ike],
    ['child', view.child],
    ['child-sa', view.childSa],
    ['spi-in', view.spiIn],
    ['spi-out', view.spiOut],
    ['spi', view.spi],
    ['drop', view.drop],
    ['note', view.note],
    ['octets', view.octets],
  ]);
}

function keyMessage(view: CaptureKeyView): ViciSection {
  return viciSection([
    ['ike', view.ike],
    ['child', view.child],
    ['child-sa', view.childSa],
    ['line', view.line],
  ]);
}

function totalsAnswer({ packets, missed }: CaptureTotals): ViciSection {
  return viciSection([
    ['success', true],
    ['packets', packets],
    ['missed', missed],
  ]);
}
