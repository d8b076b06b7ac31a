/**
 * Commands that load and unload: connections and shared secrets, and the refusals of what tsgw
 * does not have yet. Error texts are strongSwan's where it has one.
 */
import { attempt, failure, success } from './answers.ts';
import type { Control } from './control.ts';
import {
  octetsToText,
  type ViciSection,
  viciOctets,
  viciSection,
  viciText,
  viciTexts,
} from './message.ts';
import { sectionFromVici } from './settings.ts';

/** One section per connection, as in swanctl.conf; the first that is refused ends it. */
export function loadConnections(control: Control, request: ViciSection): ViciSection {
  for (const [name, value] of request) {
    if (value.kind !== 'section') return failure(`${name}: expected a section of a connection`);
    const answer = attempt(() => control.loadConnection(name, sectionFromVici(value.section)));
    if (viciText(answer, 'success') !== 'yes') return answer;
  }
  return success();
}

export function unloadConnection(control: Control, request: ViciSection): ViciSection {
  const name = viciText(request, 'name');
  if (name === undefined) return failure('unload: missing connection name');
  return control.unloadConnection(name)
    ? success()
    : failure(`unload: connection '${name}' not found`);
}

export function loadShared(control: Control, request: ViciSection): ViciSection {
  const type = viciText(request, 'type');
  if (type === undefined) return failure('shared key type missing');
  const data = viciOctets(request, 'data');
  if (data === undefined) return failure('shared key data missing');
  const later = laterSecrets.get(type.toLowerCase());
  if (later !== undefined) return failure(later);
  if (type.toLowerCase() !== 'ike') return failure(`invalid shared key type: ${type}`);
  const owners = viciTexts(request, 'owners');
  const id = viciText(request, 'id') ?? `ike of ${owners.join(', ') || 'any peer'}`;
  return attempt(() => control.loadShared(id, 'ike', data, owners));
}

/** Unloading what is not there succeeds: the secret is gone either way. */
export function unloadShared(control: Control, request: ViciSection): ViciSection {
  const id = viciText(request, 'id');
  if (id === undefined) return failure('unique identifier missing');
  control.unloadShared(id);
  return success();
}

export function sharedKeys(control: Control): ViciSection {
  return viciSection([['keys', control.sharedIds()]]);
}

export function connectionNames(control: Control): ViciSection {
  return viciSection([['conns', control.connections().map(({ name }) => name)]]);
}

/** Refuses sections of a kind that comes later; an empty request asks for nothing and succeeds. */
export function refuseSections(
  what: string,
): (control: Control, request: ViciSection) => ViciSection {
  return (_, request) => {
    const [name] = request.keys();
    return name === undefined ? success() : failure(`${name}: ${what}`);
  };
}

/** Refuses to unload what was never loaded. */
export function refuseUnload(
  key: string,
  missing: string,
  notFound: (name: string) => string,
): (control: Control, request: ViciSection) => ViciSection {
  return (_, request) => {
    const value = request.get(key);
    if (value?.kind !== 'value') return failure(missing);
    return failure(notFound(octetsToText(value.octets)));
  };
}

const laterSecrets: ReadonlyMap<string, string> = new Map([
  ['eap', 'EAP secrets come later: tsgw authenticates with pre-shared keys'],
  ['ntlm', 'NTLM secrets come later: tsgw authenticates with pre-shared keys'],
  ['ppk', 'postquantum preshared keys come later'],
  ['xauth', 'XAuth belongs to IKEv1: tsgw speaks IKEv2 only'],
]);
