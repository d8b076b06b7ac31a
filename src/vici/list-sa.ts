/**
 * The `list-sa` event: one IKE SA with its Child SAs, keys in strongSwan's order.
 *
 * Scripts read `swanctl --list-sas --raw` with regular expressions: the order is the interface.
 * A key that does not apply is absent, not empty.
 */
import type { ChildSaView, IkeSaView, SaSelection } from './control.ts';
import { type ViciContent, type ViciSection, viciSection } from './message.ts';

/** IKE SAs by name and number. Child SAs are filtered within: an IKE SA without one still shows. */
export function* listSas(
  views: readonly IkeSaView[],
  filter: SaSelection,
  withDrops = false,
): Iterable<ViciSection> {
  for (const view of views) {
    if (filter.ike !== undefined && filter.ike !== view.connection) continue;
    if (filter.ikeId !== undefined && filter.ikeId !== view.uniqueId) continue;
    const children = view.children.filter((child) => childMatches(child, filter));
    yield viciSection([
      [
        view.connection,
        viciSection([...ikeSaPairs(view), ['child-sas', childSection(children, withDrops)]]),
      ],
    ]);
  }
}

/** Whether a Child SA is among those asked for. */
export function childMatches(child: ChildSaView, filter: SaSelection): boolean {
  return (
    (filter.child === undefined || filter.child === child.name) &&
    (filter.childId === undefined || filter.childId === child.uniqueId)
  );
}

/** The Child SAs under names that stay unique: `net-1`. Drops are what strongSwan does not list. */
export function childSection(children: readonly ChildSaView[], withDrops = false): ViciSection {
  return viciSection(
    children.map((child) => [
      `${child.name}-${child.uniqueId}`,
      viciSection([...childSaPairs(child), ...(withDrops ? dropPairs(child) : [])]),
    ]),
  );
}

function dropPairs({ droppedIn, droppedOut }: ChildSaView) {
  return [
    ['dropped-in', viciSection(Object.entries(droppedIn))],
    ['dropped-out', viciSection(Object.entries(droppedOut))],
  ] as const;
}

/** Everything of an IKE SA but its children. */
export function ikeSaPairs(view: IkeSaView): readonly (readonly [string, ViciContent])[] {
  return [
    ['uniqueid', view.uniqueId],
    ['version', 2],
    ['state', view.state],
    ['local-host', view.localHost],
    ['local-port', view.localPort],
    ['local-id', view.localId],
    ['remote-host', view.remoteHost],
    ['remote-port', view.remotePort],
    ['remote-id', view.remoteId],
    ['initiator', ifYes(view.initiator)],
    ['initiator-spi', view.initiatorSpi],
    ['responder-spi', view.responderSpi],
    ['nat-local', ifYes(view.natLocal)],
    ['nat-remote', ifYes(view.natRemote)],
    ['nat-fake', ifYes(view.natFake)],
    ['nat-any', ifYes(view.natLocal || view.natRemote || view.natFake)],
    ['encr-alg', view.encrAlg],
    ['encr-keysize', view.encrKeySize],
    ['integ-alg', view.integAlg],
    ['prf-alg', view.prfAlg],
    ['dh-group', view.dhGroup],
    ['established', view.establishedSeconds],
    ['rekey-time', view.rekeySeconds],
    ['reauth-time', view.reauthSeconds],
    ['local-vips', ifAny(view.localVips)],
    ['remote-vips', ifAny(view.remoteVips)],
    ['tasks-queued', ifAny(view.tasksQueued)],
    ['tasks-active', ifAny(view.tasksActive)],
    ['tasks-passive', ifAny(view.tasksPassive)],
  ];
}

/** Everything of a Child SA. */
export function childSaPairs(child: ChildSaView): readonly (readonly [string, ViciContent])[] {
  return [
    ['name', child.name],
    ['uniqueid', child.uniqueId],
    ['reqid', child.reqid],
    ['state', child.state],
    ['mode', child.mode],
    ['protocol', 'ESP'],
    ['encap', ifYes(child.udpEncapsulation)],
    ['spi-in', child.spiIn],
    ['spi-out', child.spiOut],
    ['encr-alg', child.encrAlg],
    ['encr-keysize', child.encrKeySize],
    ['integ-alg', child.integAlg],
    ['dh-group', child.dhGroup],
    ['esn', child.esn ? 1 : undefined],
    ['bytes-in', child.octetsIn],
    ['packets-in', child.packetsIn],
    ['use-in', child.useInSeconds],
    ['bytes-out', child.octetsOut],
    ['packets-out', child.packetsOut],
    ['use-out', child.useOutSeconds],
    ['rekey-time', child.rekeySeconds],
    ['life-time', child.lifeSeconds],
    ['install-time', child.installedSeconds],
    ['local-ts', child.localTs],
    ['remote-ts', child.remoteTs],
  ];
}

function ifYes(value: boolean): true | undefined {
  return value ? true : undefined;
}

function ifAny(names: readonly string[]): readonly string[] | undefined {
  return names.length === 0 ? undefined : names;
}
