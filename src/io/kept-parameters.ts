/**
 * What the packet loop keeps of a Child SA that was told to it: no keys, addresses in memory that
 * many SAs share instead of the memory the message came in, and once what SAs have in common.
 */
import { isDeepStrictEqual } from 'node:util';
import type { EspSaParameters } from '../esp/esp-sa.ts';
import type { AddressPair } from '../ipsec/child-sa.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import { type Endpoint, equalAddresses, type IpAddress } from '../wire/address.ts';
import { smallWords } from '../wire/small-words.ts';
import type { InstalledChildSa } from './packet-loop-protocol.ts';

/** Those of the SA before. */
let before: EspSaParameters | undefined;

export function keptParameters(sa: InstalledChildSa): EspSaParameters {
  const { encryptionKeyIn, encryptionKeyOut, integrityKeyIn, integrityKeyOut, backEnd, ...rest } =
    sa;
  before = {
    ...rest,
    ...(sa.peerAddresses && { peerAddresses: keptPair(sa.peerAddresses) }),
    encr: asBefore(sa.encr, before?.encr),
    limits: asBefore(sa.limits, before?.limits),
    local: asBefore(sa.local, before?.local, keptEndpoint),
    remote: keptEndpoint(sa.remote),
    localTs: asBefore(sa.localTs, before?.localTs, keptSelectors),
    remoteTs: asBefore(sa.remoteTs, before?.remoteTs, keptSelectors),
  };
  return before;
}

/** The value the SA before has, if it is the same. */
function asBefore<Value>(
  value: Value,
  known: Value | undefined,
  keep = (fresh: Value): Value => fresh,
): Value {
  return known !== undefined && isDeepStrictEqual(value, known) ? known : keep(value);
}

function keptEndpoint({ address, port }: Endpoint): Endpoint {
  return { address: keptAddress(address), port };
}

function keptPair({ local, remote }: AddressPair): AddressPair {
  return { local: keptAddress(local), remote: keptAddress(remote) };
}

function keptSelectors(selectors: readonly TrafficSelector[]): readonly TrafficSelector[] {
  return selectors.map(({ range, ...rest }) => {
    const first = keptAddress(range.first);
    const last = equalAddresses(range.first, range.last) ? first : keptAddress(range.last);
    return { range: { first, last }, ...rest };
  });
}

function keptAddress({ family, octets }: IpAddress): IpAddress {
  const { buffer, byteOffset } = smallWords(octets.length / 4);
  const kept = new Uint8Array(buffer, byteOffset, octets.length);
  kept.set(octets);
  return { family, octets: kept };
}
