/**
 * IKE_UPDATE: who the ends of an IKE SA are, where they are, and what the peer can. A second one, once
 * the client has its address, holds nothing but that.
 */
import type { Identity } from '../../ipsec/identity.ts';
import type { Endpoint, IpAddress } from '../../wire/address.ts';
import { type HaIkeSaId, type HaVersion, SECOND_BITS } from './attribute.ts';
import { HaAttributes } from './attributes.ts';
import { type HaMessage, HaMessageType, haMessage } from './message.ts';

/** What is unset is not in the message and stays as it was. */
export interface HaIkeDetails {
  readonly id: HaIkeSaId;
  readonly localId?: Identity;
  readonly remoteId?: Identity;
  /** Where EAP told another identity than IKE. */
  readonly remoteEapId?: Identity;
  readonly local?: Endpoint;
  readonly remote?: Endpoint;
  /** Bits of `HaCondition`. */
  readonly conditions?: number;
  /** Bits of `HaExtension`. */
  readonly extensions?: number;
  /** Name of the connection in the configuration. */
  readonly connection?: string;
  readonly peerAddresses?: readonly Endpoint[];
  readonly localVips?: readonly IpAddress[];
  readonly remoteVips?: readonly IpAddress[];
}

/** Throws `MalformedError` where it does not say of which IKE SA. */
export function readIkeUpdate(message: HaMessage): HaIkeDetails {
  const attributes = new HaAttributes(message);
  const present = <Key extends string, T>(key: Key, value: T | undefined) =>
    value === undefined ? {} : { [key]: value };
  const some = <Key extends string, T>(key: Key, values: readonly T[]) =>
    values.length === 0 ? {} : { [key]: values };
  const addresses = (name: 'LOCAL_VIP' | 'REMOTE_VIP') =>
    attributes.endpoints(name).map(({ address }) => address);
  return {
    id: attributes.required('IKE_ID', attributes.ikeSaId('IKE_ID')),
    ...present('localId', attributes.identity('LOCAL_ID')),
    ...present('remoteId', attributes.identity('REMOTE_ID')),
    ...present('remoteEapId', attributes.identity('REMOTE_EAP_ID')),
    ...present('local', attributes.endpoint('LOCAL_ADDR')),
    ...present('remote', attributes.endpoint('REMOTE_ADDR')),
    ...present('conditions', firstBits(attributes.numbers('CONDITIONS'))),
    ...present('extensions', firstBits(attributes.numbers('EXTENSIONS'))),
    ...present('connection', attributes.text('CONFIG_NAME')),
    ...some('peerAddresses', attributes.endpoints('PEER_ADDR')),
    ...some('localVips', addresses('LOCAL_VIP')),
    ...some('remoteVips', addresses('REMOTE_VIP')),
  };
}

/** In the order charon writes. */
export function writeIkeUpdate(version: HaVersion, details: HaIkeDetails): HaMessage {
  const identity = (
    name: 'LOCAL_ID' | 'REMOTE_ID' | 'REMOTE_EAP_ID',
    value: Identity | undefined,
  ) => (value === undefined ? [] : [{ shape: 'identity', name, value } as const]);
  const endpoint = (name: 'LOCAL_ADDR' | 'REMOTE_ADDR', value: Endpoint | undefined) =>
    value === undefined ? [] : [{ shape: 'endpoint', name, value } as const];
  const vips = (name: 'LOCAL_VIP' | 'REMOTE_VIP', list: readonly IpAddress[] = []) =>
    list.map((address) => ({ shape: 'endpoint', name, value: { address, port: 0 } }) as const);
  const bits = (name: 'CONDITIONS' | 'EXTENSIONS', value: number | undefined) => {
    if (value === undefined) return [];
    // Version 5 has more bits than fit and sends a second half, where the private bit is set.
    const halves = version === 5 ? [value, SECOND_BITS] : [value];
    return halves.map((half) => ({ shape: 'u32', name, value: half }) as const);
  };
  return haMessage(version, HaMessageType.IKE_UPDATE, [
    { shape: 'ike-sa-id', name: 'IKE_ID', value: details.id },
    ...identity('LOCAL_ID', details.localId),
    ...identity('REMOTE_ID', details.remoteId),
    ...identity('REMOTE_EAP_ID', details.remoteEapId),
    ...endpoint('LOCAL_ADDR', details.local),
    ...endpoint('REMOTE_ADDR', details.remote),
    ...bits('CONDITIONS', details.conditions),
    ...bits('EXTENSIONS', details.extensions),
    ...(details.connection === undefined
      ? []
      : ([{ shape: 'text', name: 'CONFIG_NAME', value: details.connection }] as const)),
    ...(details.peerAddresses ?? []).map(
      (value) => ({ shape: 'endpoint', name: 'PEER_ADDR', value }) as const,
    ),
    ...vips('LOCAL_VIP', details.localVips),
    ...vips('REMOTE_VIP', details.remoteVips),
  ]);
}

/** What we have names for; of the second half, with the private bit, we have none. */
function firstBits(values: readonly number[]): number | undefined {
  return values.find((value) => (value & SECOND_BITS) === 0);
}
