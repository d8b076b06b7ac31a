/**
 * What people call a payload: the notation of RFC 7296 §1.2, used in ladders and messages.
 */
import type { Payload } from './message.ts';
import { notifyName } from './notify-types.ts';

/** `SA`, `No`, `N(COOKIE)`; `P(200)` for a type we do not know. */
export function payloadName(payload: Payload): string {
  switch (payload.kind) {
    case 'NONCE':
      return 'No';
    case 'NOTIFY':
      return `N(${notifyName(payload.type)})`;
    case 'DELETE':
      return 'D';
    case 'VENDOR':
      return 'V';
    case 'unknown':
      return `P(${payload.type})`;
    default:
      return payload.kind;
  }
}
