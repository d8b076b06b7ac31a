/**
 * Finding payloads of a decoded message by what they are.
 */
import type { NotifyPayload, Payload } from './message/message.ts';
import { isErrorNotify } from './message/notify-types.ts';

type PayloadOf<Kind extends Payload['kind']> = Payload & { readonly kind: Kind };

/** The first payload of a kind; `payload-rules.ts` has seen to it that there is no second. */
export function payloadOf<Kind extends Payload['kind']>(
  payloads: readonly Payload[],
  kind: Kind,
): PayloadOf<Kind> | undefined {
  return payloads.find((payload): payload is PayloadOf<Kind> => payload.kind === kind);
}

export function notifiesOf(payloads: readonly Payload[], type: number): readonly NotifyPayload[] {
  return payloads.filter(
    (payload): payload is NotifyPayload => payload.kind === 'NOTIFY' && payload.type === type,
  );
}

/** The first notify that reports an error (types below 16384). */
export function errorNotify(payloads: readonly Payload[]): NotifyPayload | undefined {
  return payloads.find(
    (payload): payload is NotifyPayload => payload.kind === 'NOTIFY' && isErrorNotify(payload.type),
  );
}

/** A notify about the IKE SA itself: no protocol, no SPI (RFC 7296 §3.10). */
export function statusNotify(type: number, data: Uint8Array = new Uint8Array()): NotifyPayload {
  return { kind: 'NOTIFY', protocol: 0, spi: new Uint8Array(), type, data };
}

/** Four octets of notify data as a number, as AUTH_LIFETIME has them. */
export function secondsOf({ data }: NotifyPayload): number | undefined {
  return data.length === 4 ? data.reduce((sum, octet) => sum * 256 + octet, 0) : undefined;
}

export function secondsData(seconds: number): Uint8Array {
  return Uint8Array.of(
    seconds >>> 24,
    (seconds >>> 16) & 0xff,
    (seconds >>> 8) & 0xff,
    seconds & 0xff,
  );
}
