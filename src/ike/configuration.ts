/**
 * What a configuration payload asks for and answers (RFC 7296 §2.19, §3.15): virtual addresses and
 * what a client needs to know of the network behind the gateway.
 *
 * The exchanges call it and put the payload where it belongs; nothing here sends.
 */
import type { LeaseHolder, LeaseRequest } from '../ipsec/address-pool.ts';
import type { Acquired, LeasePools } from '../ipsec/address-pools.ts';
import { AttributeType } from '../ipsec/configuration-attribute.ts';
import { formatIdentity, type Identity } from '../ipsec/identity.ts';
import {
  anyAddress,
  formatAddress,
  type IpAddress,
  ipAddress,
  isAnyAddress,
  isUnicastAddress,
} from '../wire/address.ts';
import { toHex } from '../wire/octets.ts';
import type { VirtualSettings } from './action.ts';
import { ConfigurationType } from './message/cp.ts';
import type { ConfigurationAttribute, ConfigurationPayload } from './message/message.ts';
import { type PeerFault, peerFault } from './peer-fault.ts';

/** A peer that proved itself, as the pools see it. */
export interface Client {
  readonly identity: Identity;
  /** Its IKE SA. */
  readonly holder: LeaseHolder;
  /** Names of the pools of its connection. */
  readonly pools: readonly string[];
  /** The virtual addresses it has already. */
  readonly addresses: readonly IpAddress[];
}

/** What a client has now, and the payload that says so. */
export interface ClientConfiguration {
  readonly kind: 'configured';
  readonly addresses: readonly IpAddress[];
  readonly reply: ConfigurationPayload | undefined;
}

/** Virtual addresses of one IKE SA, either way. */
export const MAX_VIRTUAL_ADDRESSES = 8;
/** Name servers a peer may give us. */
const MAX_NAME_SERVERS = 16;
/** What stands behind an IPv6 address in its attribute; the length RFC 7296 §3.15.3 shows. */
const IPV6_PREFIX_LENGTH = 64;

/**
 * As responder, with a request that creates a Child SA: takes addresses from the pools, for `release` to give
 * back. A fault costs the client its Child SA, not the IKE SA, and takes nothing.
 */
export function answerConfigurationRequest(
  pools: LeasePools,
  client: Client,
  payload: ConfigurationPayload | undefined,
): ClientConfiguration | PeerFault {
  const { identity } = client;
  const asked = payload?.type === ConfigurationType.CFG_REQUEST ? payload.attributes : [];
  const wanted = readAddresses(asked);
  if ('kind' in wanted) return wanted;
  if (wanted.length === 0) {
    // RFC 7296 §2.19: whoever must ask for an address and does not gets no Child SA.
    return client.pools.length > 0 && client.addresses.length === 0
      ? peerFault('failed-cp-required', `${formatIdentity(identity)} asks for no address`)
      : { kind: 'configured', addresses: client.addresses, reply: replyTo(payload, []) };
  }
  // RFC 7296 §3.15.4: what can be had is given, and only nothing at all is a failure.
  const acquired = leaseRequests(client, wanted)
    .map((request) => pools.acquire(client.pools, request))
    .filter((one) => one !== undefined);
  if (acquired.length === 0) {
    const families = [...new Set(wanted.map(({ family }) => `IPv${family}`))].join(' and ');
    const where = client.pools.join(', ') || 'no pool';
    const what = `no ${families} address for ${formatIdentity(identity)} in ${where}`;
    return peerFault('internal-address-failure', what);
  }
  const addresses = acquired.map(({ address }) => address);
  const attributes = [...addresses.map(addressAttribute), ...poolAttributes(acquired)];
  return {
    kind: 'configured',
    addresses: [...client.addresses, ...addresses],
    reply: replyTo(payload, attributes),
  };
}

/** As responder: whether `answerConfigurationRequest` can answer at once. */
export function isConfigurationDecided(
  pools: LeasePools,
  client: Client,
  payload: ConfigurationPayload | undefined,
): boolean {
  if (payload?.type !== ConfigurationType.CFG_REQUEST) return true;
  const wanted = readAddresses(payload.attributes);
  if ('kind' in wanted || wanted.length === 0) return true;
  return pools.isDecided(client.pools, leaseRequests(client, wanted));
}

/** As responder, in INFORMATIONAL: nobody's addresses change there. Undefined: no payload at all. */
export function answerConfigurationMessage(
  payload: ConfigurationPayload,
): ConfigurationPayload | undefined {
  // RFC 7296 §3.15: of a CFG_SET nothing is accepted, and an empty CFG_ACK says so.
  return payload.type === ConfigurationType.CFG_SET
    ? { kind: 'CP', type: ConfigurationType.CFG_ACK, attributes: [] }
    : replyTo(payload, []);
}

/** As initiator: asks for these addresses and the name servers that go with them. */
export function configurationRequest(vips: readonly IpAddress[]): ConfigurationPayload | undefined {
  if (vips.length === 0) return undefined;
  const families = new Set(vips.map(({ family }) => family));
  const nameServers = [...families].map((family) => ({
    type: family === 4 ? AttributeType.INTERNAL_IP4_DNS : AttributeType.INTERNAL_IP6_DNS,
    value: new Uint8Array(),
  }));
  const attributes = [...vips.map(addressAttribute), ...nameServers];
  return { kind: 'CP', type: ConfigurationType.CFG_REQUEST, attributes };
}

/** As initiator: what the peer gave, or what is wrong with it. */
export function readConfigurationReply(
  payload: ConfigurationPayload | undefined,
  vips: readonly IpAddress[],
): VirtualSettings | PeerFault {
  const given = payload?.type === ConfigurationType.CFG_REPLY ? payload.attributes : [];
  const read = readAddresses(given);
  if ('kind' in read) return read;
  const addresses = read
    .filter(({ family }) => vips.some((vip) => vip.family === family))
    .filter((address) => !isAnyAddress(address))
    .slice(0, MAX_VIRTUAL_ADDRESSES);
  const odd = addresses.find((address) => !isUnicastAddress(address));
  if (odd) return peerFault('invalid-syntax', `virtual address ${formatAddress(odd)}: no host's`);
  if (vips.length > 0 && addresses.length === 0) {
    // RFC 7296 §3.15.4: without the address it needs, a client has no use for the answer.
    const what = `no virtual address given, ${vips.map(formatAddress).join(' and ')} asked for`;
    return peerFault('internal-address-failure', what);
  }
  return {
    addresses,
    nameServers: given.flatMap(nameServer).slice(0, MAX_NAME_SERVERS),
    attributes: given.filter(({ type }) => !READ_TYPES.has(type)),
  };
}

function leaseRequests(
  { identity, holder, addresses }: Client,
  wanted: readonly IpAddress[],
): readonly LeaseRequest[] {
  return wanted
    .slice(0, MAX_VIRTUAL_ADDRESSES - addresses.length)
    .map((requested) => ({ identity, requested, holder }));
}

function replyTo(
  request: ConfigurationPayload | undefined,
  attributes: readonly ConfigurationAttribute[],
): ConfigurationPayload | undefined {
  if (request?.type !== ConfigurationType.CFG_REQUEST) return undefined;
  const { SUPPORTED_ATTRIBUTES } = AttributeType;
  const wonders = request.attributes.some(({ type }) => type === SUPPORTED_ATTRIBUTES);
  const supported = wonders ? [{ type: SUPPORTED_ATTRIBUTES, value: SUPPORTED }] : [];
  return {
    kind: 'CP',
    type: ConfigurationType.CFG_REPLY,
    attributes: [...attributes, ...supported],
  };
}

/** What the pools of the addresses say, each thing once. */
function poolAttributes(acquired: readonly Acquired[]): readonly ConfigurationAttribute[] {
  const pools = new Set(acquired.map(({ pool }) => pool));
  const attributes = [...pools].flatMap((pool) => pool.attributes);
  const distinct = new Map(attributes.map((one) => [`${one.type} ${toHex(one.value)}`, one]));
  return [...distinct.values()];
}

/** Addresses of the attributes that have them; an empty one stands for any address. */
function readAddresses(
  attributes: readonly ConfigurationAttribute[],
): readonly IpAddress[] | PeerFault {
  const addresses: IpAddress[] = [];
  for (const { type, value } of attributes) {
    if (
      type !== AttributeType.INTERNAL_IP4_ADDRESS &&
      type !== AttributeType.INTERNAL_IP6_ADDRESS
    ) {
      continue;
    }
    const family = type === AttributeType.INTERNAL_IP4_ADDRESS ? 4 : 6;
    if (!ADDRESS_LENGTHS[family].includes(value.length)) {
      const expected = ADDRESS_LENGTHS[family].join(' or ');
      const what = `INTERNAL_IP${family}_ADDRESS of ${value.length} octets, ${expected} expected`;
      return peerFault('invalid-syntax', what);
    }
    const octets = value.slice(0, family === 4 ? 4 : 16);
    addresses.push(value.length === 0 ? anyAddress(family) : ipAddress(octets));
  }
  return addresses;
}

function addressAttribute(address: IpAddress): ConfigurationAttribute {
  const { family, octets } = address;
  const type =
    family === 4 ? AttributeType.INTERNAL_IP4_ADDRESS : AttributeType.INTERNAL_IP6_ADDRESS;
  if (isAnyAddress(address)) return { type, value: new Uint8Array() };
  return { type, value: family === 4 ? octets : Uint8Array.of(...octets, IPV6_PREFIX_LENGTH) };
}

// RFC 7296 §3.15: attributes that cannot be used are passed over.
function nameServer({ type, value }: ConfigurationAttribute): readonly IpAddress[] {
  const length = NAME_SERVER_LENGTHS.get(type);
  return length === undefined || value.length !== length ? [] : [ipAddress(value)];
}

/** RFC 7296 §3.15.1; peers of old send an IPv6 address without its prefix length. */
const ADDRESS_LENGTHS: Readonly<Record<4 | 6, readonly number[]>> = { 4: [0, 4], 6: [0, 16, 17] };

const NAME_SERVER_LENGTHS: ReadonlyMap<number, number> = new Map([
  [AttributeType.INTERNAL_IP4_DNS, 4],
  [AttributeType.INTERNAL_IP6_DNS, 16],
]);

const READ_TYPES: ReadonlySet<number> = new Set([
  AttributeType.INTERNAL_IP4_ADDRESS,
  AttributeType.INTERNAL_IP6_ADDRESS,
  ...NAME_SERVER_LENGTHS.keys(),
]);

/** The types we answer, each in two octets. */
const SUPPORTED = Uint8Array.from(
  [
    AttributeType.INTERNAL_IP4_ADDRESS,
    AttributeType.INTERNAL_IP4_NETMASK,
    AttributeType.INTERNAL_IP4_DNS,
    AttributeType.INTERNAL_IP4_NBNS,
    AttributeType.INTERNAL_IP4_DHCP,
    AttributeType.APPLICATION_VERSION,
    AttributeType.INTERNAL_IP6_ADDRESS,
    AttributeType.INTERNAL_IP6_DNS,
    AttributeType.INTERNAL_IP6_DHCP,
    AttributeType.INTERNAL_IP4_SUBNET,
    AttributeType.SUPPORTED_ATTRIBUTES,
    AttributeType.INTERNAL_IP6_SUBNET,
    AttributeType.P_CSCF_IP4_ADDRESS,
    AttributeType.P_CSCF_IP6_ADDRESS,
    AttributeType.INTERNAL_DNS_DOMAIN,
  ].flatMap((type) => [type >>> 8, type & 0xff]),
);
