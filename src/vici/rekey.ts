/**
 * `rekey`: replaces Child SAs, or IKE SAs where no child is named (RFC 7296 §2.8).
 *
 * As with strongSwan the answer comes at once, before any exchange; a client that sends a `timeout`,
 * as `tsgw rekey` does, hears how it ended.
 */
import { ikeSubject } from '../events/log-text.ts';
import { success } from './answers.ts';
import type { Control, RekeySelector } from './control.ts';
import { type ViciSection, viciText } from './message.ts';
import {
  failed,
  numberOf,
  operation,
  type Prepared,
  refused,
  selected,
  selectionOf,
  selectsAll,
  timeoutOf,
} from './operation.ts';

export function prepareRekey(control: Control, request: ViciSection): Prepared {
  const selection = selectionOf(request);
  if (selectsAll(selection)) return refused('missing rekey selector');
  const selector: RekeySelector = {
    ...selection,
    reauthenticate: viciText(request, 'reauth') === 'yes',
  };
  const { ikeSas, matches } = selected(control, selector);
  if (matches === 0) return refused('no matching SAs to rekey found', [['matches', 0]]);
  const numbers = new Set(ikeSas.map(({ uniqueId }) => uniqueId));
  const connections = new Set(ikeSas.map(({ connection }) => connection));
  const timeoutMilliseconds = timeoutOf(request, -1);
  return operation({
    // An IKE SA goes on under another number.
    concerns: (event) => {
      const subject = ikeSubject(event);
      return (
        numbers.has(subject?.ikeSa ?? 0) ||
        (event.kind === 'ike-sa-rekeyed' && numbers.has(event.replaces)) ||
        (selector.reauthenticate && connections.has(subject?.connection ?? ''))
      );
    },
    logLevel: numberOf(request, 'loglevel') ?? 1,
    timeoutMilliseconds,
    start: () => control.rekey(selector),
    answer: (end) => {
      if (end.kind === 'done') return success([['matches', end.matches]]);
      if (end.kind === 'started') return success([['matches', matches]]);
      const [kind, what] =
        end.kind === 'not-in-time'
          ? ['timeout', `SAs not rekeyed after ${timeoutMilliseconds}ms`]
          : [end.kind, `rekeying SAs failed: ${end.what}`];
      return failed(what, kind, [['matches', matches]]);
    },
  });
}
