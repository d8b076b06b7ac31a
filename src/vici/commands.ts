/**
 * The commands of the vici protocol by name, over what the gateway offers.
 *
 * Pure: a command answers, lists rows, or prepares an operation. What tsgw does not have yet is
 * answered `success = no` with the reason; a name that stands nowhere here is unknown.
 */
import { attempt, failure, success } from './answers.ts';
import { clusterSegments, clusterStatus, prepareClusterOrder, SEGMENT_EVENT } from './cluster.ts';
import type { Control } from './control.ts';
import { algorithmsAnswer, countersAnswer, statsAnswer, versionAnswer } from './daemon-answers.ts';
import { prepareDoctorMtu } from './doctor-mtu.ts';
import { listConnections } from './list-conn.ts';
import { installPolicy, listPolicies, uninstallPolicy } from './list-policy.ts';
import { loadPools, poolsAnswer, unloadPool } from './list-pool.ts';
import { listSas } from './list-sa.ts';
import { listFailures, listSad, listSpd, statusAnswer } from './list-tsgw.ts';
import { type ViciSection, viciSection, viciText } from './message.ts';
import { type Prepared, prepareInitiate, prepareTerminate, selectionOf } from './operation.ts';
import { prepareRedirect } from './redirect.ts';
import { prepareRekey } from './rekey.ts';
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
import { traceAnswer } from './trace.ts';

export type Command =
  | { readonly kind: 'answer'; answer(control: Control, request: ViciSection): ViciSection }
  /** Each row is sent as an event of this name, then an empty answer. */
  | {
      readonly kind: 'list';
      readonly event: string;
      rows(control: Control, request: ViciSection): Iterable<ViciSection>;
    }
  /** Begins or ends the capture of the client that asks. */
  | { readonly kind: 'capture'; readonly begins: boolean }
  | { readonly kind: 'operation'; prepare(control: Control, request: ViciSection): Prepared };

export const COMMANDS: ReadonlyMap<string, Command> = new Map<string, Command>([
  ['version', answer((control) => versionAnswer(control.stats()))],
  ['stats', answer((control) => statsAnswer(control.stats()))],
  ['reload-settings', answer(reloadSettings)],
  ['initiate', { kind: 'operation', prepare: prepareInitiate }],
  ['terminate', { kind: 'operation', prepare: prepareTerminate }],
  ['rekey', { kind: 'operation', prepare: prepareRekey }],
  ['redirect', { kind: 'operation', prepare: prepareRedirect }],
  ['install', answer(installPolicy)],
  ['uninstall', answer(uninstallPolicy)],
  ['list-sas', list('list-sa', listedSas)],
  ['list-policies', list('list-policy', listedPolicies)],
  ['list-conns', list('list-conn', listedConnections)],
  ['list-certs', list('list-cert', () => [])],
  ['list-authorities', list('list-authority', () => [])],
  ['get-conns', answer(connectionNames)],
  ['get-authorities', answer(() => viciSection([['authorities', []]]))],
  ['get-pools', answer(poolsAnswer)],
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
  ['load-pool', answer(loadPools)],
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
  ['unload-pool', answer(unloadPool)],
  ['flush-certs', answer(() => success())],
  ['clear-creds', answer(clearCredentials)],
  ['get-algorithms', answer((control) => algorithmsAnswer(control.algorithms()))],
  ['get-counters', answer(countersOf)],
  ['reset-counters', answer(resetCounters)],
  ['tsgw-status', answer((control) => statusAnswer(control.stats()))],
  ['tsgw-sad', list('tsgw-sad-row', (control) => listSad(control.sad()))],
  ['tsgw-spd', list('tsgw-spd-row', (control) => listSpd(control.spd()))],
  ['tsgw-cluster-status', answer(clusterStatus)],
  ['tsgw-cluster-segments', list(SEGMENT_EVENT, clusterSegments)],
  ['tsgw-cluster-order', { kind: 'operation', prepare: prepareClusterOrder }],
  ['tsgw-doctor-mtu', { kind: 'operation', prepare: prepareDoctorMtu }],
  ['tsgw-trace', answer(traceAnswer)],
  ['tsgw-capture-start', { kind: 'capture', begins: true }],
  ['tsgw-capture-stop', { kind: 'capture', begins: false }],
  ['tsgw-why', list('tsgw-why-row', listedFailures)],
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

function listedSas(control: Control, request: ViciSection): Iterable<ViciSection> {
  // Scripts read what strongSwan lists: more is only for who asks.
  const withDrops = viciText(request, 'tsgw-drops') === 'yes';
  return listSas(control.ikeSas(), selectionOf(request), withDrops);
}

function listedFailures(control: Control, request: ViciSection): Iterable<ViciSection> {
  return listFailures(control.failures(viciText(request, 'peer')));
}

function listedPolicies(control: Control, request: ViciSection): Iterable<ViciSection> {
  const wanted = (name: string): boolean => viciText(request, name) === 'yes';
  const { ike, child } = selectionOf(request);
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

/** `tsgw-restart` lists the settings that wait for the next start. */
function reloadSettings(control: Control): ViciSection {
  let restart: readonly string[] = [];
  const answer = attempt(() => {
    restart = control.reloadSettings();
  });
  if (restart.length === 0) return answer;
  return new Map([...answer, ...viciSection([['tsgw-restart', restart]])]);
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
