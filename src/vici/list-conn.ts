/**
 * The `list-conn` event: one connection as configured, keys in strongSwan's order.
 *
 * What tsgw does not have yet is said the way strongSwan says its absence: empty lists of
 * certificates.
 */
import type { AuthView, ChildPolicyView, ConnectionView } from './control.ts';
import { type ViciSection, viciSection } from './message.ts';

export function* listConnections(views: readonly ConnectionView[]): Iterable<ViciSection> {
  for (const view of views) yield viciSection([[view.name, connectionSection(view)]]);
}

function connectionSection(view: ConnectionView): ViciSection {
  return viciSection([
    ['local_addrs', view.localAddrs],
    ['remote_addrs', view.remoteAddrs],
    ['version', view.version],
    ['reauth_time', view.reauthSeconds],
    ['rekey_time', view.rekeySeconds],
    ['unique', view.unique],
    ['dpd_delay', view.dpdDelaySeconds === 0 ? undefined : view.dpdDelaySeconds],
    ['local-1', authSection(view.local)],
    ['remote-1', authSection(view.remote)],
    [
      'children',
      viciSection(view.children.map((child) => [child.name, childPolicySection(child)])),
    ],
  ]);
}

function authSection(auth: AuthView): ViciSection {
  return viciSection([
    ['id', auth.id],
    ['class', auth.class],
    ['groups', []],
    ['cert_policy', []],
    ['certs', []],
    ['cacerts', []],
  ]);
}

function childPolicySection(child: ChildPolicyView): ViciSection {
  return viciSection([
    ['mode', child.mode],
    ['rekey_time', child.rekeySeconds],
    ['rekey_bytes', child.rekeyOctets],
    ['rekey_packets', child.rekeyPackets],
    ['dpd_action', child.dpdAction],
    ['close_action', child.closeAction],
    ['local-ts', child.localTs],
    ['remote-ts', child.remoteTs],
  ]);
}
