/**
 * CREATE_CHILD_SA (RFC 7296 §1.3): refused, and the IKE SA stays as it is.
 */
import type { IkeSa, Incoming } from '../ike-sa.ts';
import { NotifyType, notifyName } from '../message/notify-types.ts';
import { statusNotify } from '../payload-access.ts';
import type { Turn } from '../turn.ts';

export function handleCreateChildSaRequest(turn: Turn, sa: IkeSa, request: Incoming): void {
  // RFC 7296 §1.3: a responder may accept no further SAs; §2.25.1: nor any while the IKE SA goes.
  const type = sa.isClosing ? NotifyType.TEMPORARY_FAILURE : NotifyType.NO_ADDITIONAL_SAS;
  turn.emit({
    kind: 'refused',
    by: 'us',
    notify: notifyName(type),
    what: 'CREATE_CHILD_SA is not granted',
    transforms: [],
    ...sa.subject,
  });
  sa.respond(turn, request, [statusNotify(type)]);
}
