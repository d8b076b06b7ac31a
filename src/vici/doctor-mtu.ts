/**
 * The command `tsgw-doctor-mtu`: measures what the path to a peer carries, which takes some seconds, and
 * says what follows from it. It ends by itself; the answer has every figure.
 */

import { success } from './answers.ts';
import type { Control } from './control.ts';
import { type ViciSection, viciSection, viciText } from './message.ts';
import type { MtuView } from './mtu-view.ts';
import { failed, numberOf, operation, type Prepared, refused, timeoutOf } from './operation.ts';

export function prepareDoctorMtu(control: Control, request: ViciSection): Prepared {
  const peer = viciText(request, 'peer');
  if (peer === undefined || peer === '') return refused('missing peer');
  const ikeId = numberOf(request, 'ike-id');
  let measured: MtuView | undefined;
  return operation({
    concerns: () => false,
    logLevel: -1,
    timeoutMilliseconds: timeoutOf(request),
    start: async () => {
      const outcome = await control.measureMtu({ peer, ...(ikeId !== undefined && { ikeId }) });
      if (outcome.kind !== 'measured') return outcome;
      measured = outcome.view;
      return { kind: 'done', matches: 1, terminated: 0 };
    },
    answer: (end) => {
      if (measured && end.kind === 'done') return viewSection(measured);
      if (end.kind === 'failed' || end.kind === 'timeout') return failed(end.what, end.kind);
      return failed(`the path to ${peer} was not measured in time`, 'timeout');
    },
  });
}

function viewSection(view: MtuView): ViciSection {
  return new Map([
    ...success(),
    ...viciSection([
      ['connection', view.connection],
      ['ike-id', view.ikeSaId],
      ['local', view.local],
      ['remote', view.remote],
      ['remote-id', view.remoteId],
      ['before', view.before],
      ['outer-mtu', view.outerMtu],
      ['lost', view.lostOctets],
      ['probes', view.probes],
      ['losses', view.losses],
      ['milliseconds', view.milliseconds],
      [
        'children',
        viciSection(
          view.children.map(({ name, uniqueId, innerMtu, mssIpv4, mssIpv6 }) => [
            `${name}-${uniqueId}`,
            viciSection([
              ['name', name],
              ['uniqueid', uniqueId],
              ['inner-mtu', innerMtu],
              ['mss-ipv4', mssIpv4],
              ['mss-ipv6', mssIpv6],
            ]),
          ]),
        ),
      ],
      ['here', view.here],
      ['there', view.there],
    ]),
  ]);
}
