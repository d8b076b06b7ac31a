/**
 * What two ends agree on about a Child SA by notifies beside its payloads (RFC 7296 §1.3.1).
 */
import type { ChildPolicy } from '../ipsec/connection.ts';
import type { NotifyPayload, Payload } from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';
import { notifiesOf, statusNotify } from './payload-access.ts';

export interface ChildFeatures {
  /** Both send later fragments through selectors that name ports. */
  readonly nonFirstFragments: boolean;
  /** The peer takes packets with padding behind the inner packet. */
  readonly tfcPadding: boolean;
}

/** As initiator: the notifies that ask. */
export function askForFeatures({ nonFirstFragments }: ChildPolicy): readonly NotifyPayload[] {
  return nonFirstFragments === 'yes' ? [statusNotify(NotifyType.NON_FIRST_FRAGMENTS_ALSO)] : [];
}

/** As initiator: what we asked for and the peer's answer grants. */
export function grantedFeatures(
  { nonFirstFragments }: ChildPolicy,
  answer: readonly Payload[],
): ChildFeatures {
  return featuresOf(answer, nonFirstFragments === 'yes');
}

/** As responder: what the peer asks for and we grant. */
export function grantFeatures(
  { nonFirstFragments }: ChildPolicy,
  request: readonly Payload[],
): ChildFeatures {
  return featuresOf(request, nonFirstFragments !== 'no');
}

/** As responder: the notifies that say so. */
export function featureNotifies({ nonFirstFragments }: ChildFeatures): readonly NotifyPayload[] {
  return nonFirstFragments ? [statusNotify(NotifyType.NON_FIRST_FRAGMENTS_ALSO)] : [];
}

function featuresOf(payloads: readonly Payload[], fragments: boolean): ChildFeatures {
  const says = (type: number): boolean => notifiesOf(payloads, type).length > 0;
  return {
    // RFC 7296 §1.3.1: only where request and response both say so.
    nonFirstFragments: fragments && says(NotifyType.NON_FIRST_FRAGMENTS_ALSO),
    // RFC 7296 §1.3.1: who says so will not accept such packets.
    tfcPadding: !says(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED),
  };
}
