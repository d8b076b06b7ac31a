/**
 * Connections as `list-conns` shows them.
 */
import { type AddressMatch, type Connection, formatSelectorTemplate } from '../ipsec/connection.ts';
import type { ConnectionView } from '../vici/control.ts';
import { formatAddress, formatPrefix } from '../wire/address.ts';

export function connectionView(connection: Connection): ConnectionView {
  return {
    name: connection.name,
    localAddrs: connection.localAddresses.map(matchText),
    remoteAddrs: connection.remoteAddresses.map(matchText),
    version: 'IKEv2',
    reauthSeconds: connection.lifetime.reauth,
    rekeySeconds: connection.lifetime.rekey,
    unique: UNIQUE_NAMES[connection.unique],
    dpdDelaySeconds: connection.dpdDelaySeconds,
    local: authView(connection.local.id?.text),
    remote: authView(connection.remote.id?.text),
    children: connection.children.map((child) => ({
      name: child.name,
      mode: child.mode.toUpperCase(),
      rekeySeconds: child.lifetime.seconds.rekey,
      rekeyOctets: child.lifetime.octets.rekey,
      rekeyPackets: child.lifetime.packets.rekey,
      dpdAction: DPD_ACTION_NAMES[child.dpdAction],
      closeAction: START_ACTION_NAMES[child.closeAction],
      localTs: child.localTs.map(formatSelectorTemplate),
      remoteTs: child.remoteTs.map(formatSelectorTemplate),
    })),
  };
}

/** strongSwan's spelling of `unique` in its listing. */
const UNIQUE_NAMES = {
  no: 'UNIQUE_NO',
  never: 'UNIQUE_NEVER',
  keep: 'UNIQUE_KEEP',
  replace: 'UNIQUE_REPLACE',
} as const;

/** strongSwan lists what it does with the Child SA after it cleared it. */
const DPD_ACTION_NAMES = { clear: 'none', trap: 'trap', restart: 'start' } as const;

/** strongSwan has one word for both. */
const START_ACTION_NAMES = {
  none: 'none',
  trap: 'trap',
  start: 'start',
  'trap|start': 'trap|start',
} as const;

function authView(id: string | undefined) {
  return { class: 'pre-shared key', ...(id !== undefined && { id }) };
}

export function matchText(match: AddressMatch): string {
  switch (match.kind) {
    case 'any':
      return match.family === undefined ? '%any' : `%any${match.family}`;
    case 'address':
      return formatAddress(match.address);
    case 'prefix':
      return formatPrefix(match.prefix);
    case 'range':
      return `${formatAddress(match.range.first)}-${formatAddress(match.range.last)}`;
    case 'name':
      return match.name;
  }
}
