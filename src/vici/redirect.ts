/**
 * `redirect`: sends clients to another gateway (RFC 5685 §5).
 *
 * Whether a client follows is its own affair: the answer counts those that were told.
 */
import { failure, success } from './answers.ts';
import type { Control, RedirectSelector } from './control.ts';
import { type ViciSection, viciText } from './message.ts';
import { operation, type Prepared, refused, selectionOf, timeoutOf } from './operation.ts';

export function prepareRedirect(control: Control, request: ViciSection): Prepared {
  const gateway = viciText(request, 'gateway');
  if (gateway === undefined) return refused('missing target gateway');
  const { ike, ikeId } = selectionOf(request);
  const peerAddress = viciText(request, 'peer-ip');
  const peerId = viciText(request, 'peer-id');
  if (ike === undefined && !ikeId && peerAddress === undefined && peerId === undefined) {
    return refused('missing redirect selector');
  }
  const selector: RedirectSelector = {
    ...(ike === undefined ? {} : { ike }),
    ...(ikeId === undefined ? {} : { ikeId }),
    ...(peerAddress === undefined ? {} : { peerAddress }),
    ...(peerId === undefined ? {} : { peerId }),
    gateway,
  };
  const matches = control.redirectable(selector);
  if (typeof matches === 'string') return refused(matches);
  if (matches === 0) return refused('no matching SAs to redirect found', [['matches', 0]]);
  return operation({
    concerns: () => false,
    logLevel: -1,
    timeoutMilliseconds: timeoutOf(request, -1),
    start: () => control.redirect(selector),
    answer: (end) => {
      if (end.kind === 'done') return success([['matches', end.matches]]);
      if (end.kind === 'started') return success([['matches', matches]]);
      const what = end.kind === 'not-in-time' ? 'no answer in time' : end.what;
      return failure(`redirecting SAs failed: ${what}`, [['matches', matches]]);
    },
  });
}
