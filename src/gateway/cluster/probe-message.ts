/**
 * What nodes say to one another about frames that are to reach all of them (PROBE), as octets: listen for a nonce on
 * this device, whether it was heard there, and what came of the test.
 *
 * Devices have one name on all nodes. What is not known is passed over; `MalformedError` is the only error that leaves
 * `decode`.
 */
import {
  Attributes,
  AttributeWriter,
  type BusMessage,
  MessageType,
} from '../../cluster/bus/message.ts';
import { PROBE_NONCE_OCTETS } from '../../cluster/virtual-address/flooding-probe.ts';
import { MalformedError } from '../../wire/octets.ts';

export type ProbeMessage =
  /** The receiver is to listen for probes with the nonce. */
  | { readonly kind: 'listen'; readonly device: string; readonly nonce: Uint8Array }
  /** The sender heard them, or did not in time. */
  | {
      readonly kind: 'report';
      readonly device: string;
      readonly nonce: Uint8Array;
      readonly heard: boolean;
    }
  /** The end of the sender's test: whether the receiver hears it. */
  | { readonly kind: 'verdict'; readonly device: string; readonly heard: boolean };

export function encodeProbeMessage(message: ProbeMessage): BusMessage {
  const to = new AttributeWriter()
    .number(Attribute.KIND, KINDS.indexOf(message.kind))
    .octets(Attribute.DEVICE, new TextEncoder().encode(message.device));
  if ('nonce' in message) to.octets(Attribute.NONCE, message.nonce);
  if ('heard' in message) to.number(Attribute.HEARD, message.heard ? 1 : 0);
  return { type: MessageType.PROBE, body: to.finish() };
}

/** Undefined for types of others, and kinds of a later version. Throws `MalformedError`. */
export function decodeProbeMessage({ type, body }: BusMessage): ProbeMessage | undefined {
  if (type !== MessageType.PROBE) return undefined;
  const from = new Attributes(body);
  const kind = KINDS[from.number(Attribute.KIND, 'kind of probe')];
  const device = deviceOf(from.octets(Attribute.DEVICE, 'device'));
  const heard = () => from.number(Attribute.HEARD, 'heard') === 1;
  switch (kind) {
    case 'listen':
      return { kind, device, nonce: nonceOf(from) };
    case 'report':
      return { kind, device, nonce: nonceOf(from), heard: heard() };
    case 'verdict':
      return { kind, device, heard: heard() };
    case undefined:
      return undefined;
    default:
      return kind satisfies never;
  }
}

function nonceOf(from: Attributes): Uint8Array {
  const nonce = from.octets(Attribute.NONCE, 'nonce');
  if (nonce.length === PROBE_NONCE_OCTETS) return nonce;
  throw new MalformedError(0, `a nonce of ${nonce.length} octets, not ${PROBE_NONCE_OCTETS}`);
}

function deviceOf(octets: Uint8Array): string {
  if (octets.length === 0 || octets.length > MOST_DEVICE_OCTETS) {
    throw new MalformedError(0, `a device name of ${octets.length} octets`);
  }
  return new TextDecoder().decode(octets);
}

const KINDS = ['listen', 'report', 'verdict'] as const;

/** IFNAMSIZ of Linux, without the octet that ends it. */
const MOST_DEVICE_OCTETS = 15;

const Attribute = { KIND: 1, DEVICE: 2, NONCE: 3, HEARD: 4 } as const;
