/**
 * The commands of the vici protocol by name, over what the gateway offers.
 *
 * Pure: a command answers, lists rows, or prepares an operation. What tsgw does not have yet is
 * answered `success = no` with the reason; a name that stands nowhere here is unknown.
 */
import { failure, success } from './answers.ts';
import type { Control } from './control.ts';
import { algorithmsAnswer, countersAnswer, statsAnswer, versionAnswer } from './daemon-answers.ts';
import { listConnections } from './list-conn.ts';
import { listPolicies } from './list-policy.ts';
import { listSas } from './list-sa.ts';
import { listSad, listSpd, statusAnswer } from './list-tsgw.ts';
import { type ViciSection, viciSection, viciText } from './message.ts';
import { numberOf, type Prepared, prepareInitiate, prepareTerminate } from './operation.ts';
import {
  connectionNames,
  loadConnections,
  loadShared,
  refuseSections,
  refuseUnload,
  sharedKeys,
  unloadConnection,
  unloadShared,
} from './settings-commands.ts';

export type Command =
  | { readonly kind: 'answer'; answer(control: Control, request: ViciSection): ViciSection }
  /** Each row is sent as an event of this name, then an empty answer. */
  | {
      readonly kind: 'list';
      readonly event: string;
      rows(control: Control, request: ViciSection): Iterable<ViciSection>;
    }
  | { readonly kind: 'operation'; prepare(control: Control, request: ViciSection): Prepared };

const nothing = viciSection([]);

export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['version', answer((control) => versionAnswer(control.stats()))],
  ['stats', answer((control) => statsAnswer(control.stats()))],
  ['reload-settings', answer(() => success())],
  ['initiate', { kind: 'operation', prepare: prepareInitiate }],
  ['terminate', { kind: 'operation', prepare: prepareTerminate }],
  ['rekey', answer((_, request) => refuseRekey(request))],
  ['redirect', answer(() => failure('redirecting peers (RFC 5685) comes later', [['matches', 0]]))],
  ['install', answer(() => failure('trap and shunt policies come later'))],
  ['uninstall', answer(() => failure('trap and shunt policies come later'))],
  ['list-sas', list('list-sa', (control, request) => listSas(control.ikeSas(), saFilter(request)))],
  ['list-policies', list('list-policy', listedPolicies)],
  ['list-conns', list('list-conn', listedConnections)],
  ['list-certs', list('list-cert', () => [])],
  ['list-authorities', list('list-authority', () => [])],
  ['get-conns', answer(connectionNames)],
  ['get-authorities', answer(() => viciSection([['authorities', []]]))],
  ['get-pools', answer(() => nothing)],
  ['get-keys', answer(() => viciSection([['keys', []]]))],
  ['get-shared', answer(sharedKeys)],
  ['load-conn', answer(loadConnections)],
  ['unload-conn', answer(unloadConnection)],
  ['load-shared', answer(loadShared)],
  ['unload-shared', answer(unloadShared)],
  ['load-key', answer(() => failure(`private keys come later: ${useSharedKeys}`))],
  ['load-cert', answer(() => failure(`certificates come later: ${useSharedKeys}`))],
  ['load-token', answer(() => failure(`keys on tokens come later: ${useSharedKeys}`))],
  ['load-authority', answer(refuseSections('certification authorities come later'))],
  ['load-pool', answer(refuseSections('address pools come later'))],
  ['unload-key', answer(refuseUnload('id', 'key id missing', () => 'key not found'))],
  [
    'unload-authority',
    answer(
      refuseUnload(
        'name',
        'unload: missing authority name',
        (name) => `unload: authority '${name}' not found`,
      ),
    ),
  ],
  [
    'unload-pool',
    answer(refuseUnload('name', 'missing pool name to unload', (name) => `${name} not found`)),
  ],
  ['flush-certs', answer(() => success())],
  ['clear-creds', answer(clearCredentials)],
  ['get-algorithms', answer((control) => algorithmsAnswer(control.algorithms()))],
  ['get-counters', answer(countersOf)],
  ['reset-counters', answer(resetCounters)],
  ['tsgw-status', answer((control) => statusAnswer(control.stats()))],
  ['tsgw-sad', list('tsgw-sad-row', (control) => listSad(control.sad()))],
  ['tsgw-spd', list('tsgw-spd-row', (control) => listSpd(control.spd()))],
]);

const useSharedKeys = 'tsgw authenticates with pre-shared keys (auth = psk)';

function answer(act: (control: Control, request: ViciSection) => ViciSection): Command {
  return { kind: 'answer', answer: act };
}

function list(
  event: string,
  rows: (control: Control, request: ViciSection) => Iterable<ViciSection>,
): Command {
  return { kind: 'list', event, rows };
}

function saFilter(request: ViciSection): Parameters<typeof listSas>[1] {
  const ike = viciText(request, 'ike');
  const child = viciText(request, 'child');
  const ikeId = numberOf(request, 'ike-id');
  const childId = numberOf(request, 'child-id');
  return {
    ...(ike === undefined ? {} : { ike }),
    ...(child === undefined ? {} : { child }),
    ...(ikeId === undefined ? {} : { ikeId }),
    ...(childId === undefined ? {} : { childId }),
  };
}

function listedPolicies(control: Control, request: ViciSection): Iterable<ViciSection> {
  const wanted = (name: string): boolean => viciText(request, name) === 'yes';
  const { ike, child } = saFilter(request);
  return listPolicies(control.policies(), {
    trap: wanted('trap'),
    pass: wanted('pass'),
    drop: wanted('drop'),
    ...(ike === undefined ? {} : { ike }),
    ...(child === undefined ? {} : { child }),
  });
}

function listedConnections(control: Control, request: ViciSection): Iterable<ViciSection> {
  return listConnections(control.connections(viciText(request, 'ike')));
}

function refuseRekey(request: ViciSection): ViciSection {
  const asked = ['child', 'ike', 'child-id', 'ike-id'].some((name) => request.has(name));
  return asked
    ? failure('rekeying on demand comes later', [['matches', 0]])
    : failure('missing rekey selector');
}

function clearCredentials(control: Control): ViciSection {
  control.clearCredentials();
  return success();
}

/** Of one connection, of all that have counters, or (under the empty name) of the daemon. */
function countersOf(control: Control, request: ViciSection): ViciSection {
  const name = viciText(request, 'name');
  if (viciText(request, 'all') === 'yes') {
    const { '': _daemon, ...connections } = control.counters();
    return countersAnswer(connections);
  }
  const found = control.counters(name)[name ?? ''];
  if (name !== undefined && found === undefined) {
    return viciSection([
      ['counters', viciSection([])],
      ...failurePairs('no counters found for this connection'),
    ]);
  }
  return countersAnswer({ [name ?? '']: found ?? {} });
}

function failurePairs(what: string): readonly (readonly [string, string])[] {
  return [
    ['success', 'no'],
    ['errmsg', what],
  ];
}

/** Of one connection, of all that have counters, or of the daemon. */
function resetCounters(control: Control, request: ViciSection): ViciSection {
  const { '': _daemon, ...connections } = control.counters();
  const all = viciText(request, 'all') === 'yes';
  const names = all ? Object.keys(connections) : [viciText(request, 'name')];
  for (const name of names) control.resetCounters(name);
  return success();
}
