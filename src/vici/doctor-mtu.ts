/**
 * The command `tsgw-doctor-mtu`: measures what the path to a peer carries, which takes some seconds, and
 * says what follows from it. It ends by itself; the answer has every figure.
 */

import { success } from './answers.ts';
import type { Control, ControlOutcome } from './control.ts';
import { type ViciSection, viciSection, viciText } from './message.ts';
import { failed, numberOf, operation, type Prepared, refused, timeoutOf } from './operation.ts';

/** Which IKE SA is meant. */
export interface PathSelector {
  /** An address, an identity or a connection. */
  readonly peer: string;
  /** Where several are up with that peer. */
  readonly ikeId?: number;
}

export interface MtuView {
  readonly connection: string;
  readonly ikeSaId: number;
  readonly local: string;
  readonly remote: string;
  readonly remoteId: string;
  /** Octets that were believed before. */
  readonly before: number;
  /** Octets of the largest packet that arrives whole. */
  readonly outerMtu: number;
  /** Of the smallest that does not; unset = all that our links carry arrives. */
  readonly lostOctets?: number;
  readonly probes: number;
  readonly losses: number;
  readonly milliseconds: number;
  readonly children: readonly ChildMtuView[];
  /** What to set, here and at the peer. */
  readonly here: readonly string[];
  readonly there: readonly string[];
}

export interface ChildMtuView {
  readonly name: string;
  readonly uniqueId: number;
  /** Octets of the largest inner packet that passes whole. */
  readonly innerMtu: number;
  /** What the MSS of a SYN becomes at most, where there is traffic of that family. */
  readonly mssIpv4?: number;
  readonly mssIpv6?: number;
}

export type MtuOutcome =
  | { readonly kind: 'measured'; readonly view: MtuView }
  | Exclude<ControlOutcome, { readonly kind: 'done' }>;

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
