/**
 * Notification data of REDIRECT and REDIRECTED_FROM (RFC 5685 §8).
 *
 * | octets | field |
 * |---|---|
 * | 1 | GW Identity Type: 1 IPv4, 2 IPv6, 3 FQDN |
 * | 1 | GW Identity Length |
 * | as said | the gateway |
 * | rest | nonce of the request, only in an IKE_SA_INIT response |
 */
import { formatAddress, ipAddress, parseAddress } from '../../wire/address.ts';
import { OctetReader, OctetWriter } from '../../wire/octets.ts';

export interface Redirect {
  /** An address or a name. */
  readonly gateway: string;
  readonly nonce: Uint8Array;
}

const IPV4 = 1;
const IPV6 = 2;
const FQDN = 3;

/** The gateway that is meant; undefined where the data is none of the three kinds. */
export function decodeRedirect(data: Uint8Array): Redirect | undefined {
  const [type, length] = data;
  if (type === undefined || length === undefined || data.length < 2 + length) return undefined;
  const reader = new OctetReader(data.subarray(2));
  const octets = reader.take(length, 'GW Identity');
  const gateway = gatewayOf(type, octets);
  return gateway === undefined ? undefined : { gateway, nonce: data.slice(2 + length) };
}

export function encodeRedirect({ gateway, nonce }: Redirect): Uint8Array {
  const address = parseAddress(gateway);
  const octets = address?.octets ?? new TextEncoder().encode(gateway);
  if (octets.length > 255) throw new Error(`a gateway of ${octets.length} octets, at most 255`);
  const type = address === undefined ? FQDN : address.family === 4 ? IPV4 : IPV6;
  return new OctetWriter().u8(type).u8(octets.length).octets(octets).octets(nonce).finish();
}

function gatewayOf(type: number, octets: Uint8Array): string | undefined {
  if ((type === IPV4 && octets.length === 4) || (type === IPV6 && octets.length === 16)) {
    return formatAddress(ipAddress(octets));
  }
  if (type !== FQDN || octets.length === 0) return undefined;
  const name = String.fromCharCode(...octets);
  // RFC 1123: nothing but host names is ever looked up for a peer.
  return /^[A-Za-z0-9]([A-Za-z0-9._-]{0,252}[A-Za-z0-9])?$/.test(name) ? name : undefined;
}
