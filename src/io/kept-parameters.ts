/**
 * What the packet loop keeps of a Child SA that was told to it: no keys, and addresses in memory
 * that many SAs share instead of the memory the message came in.
 */
import type { EspSaParameters } from '../esp/esp-sa.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { Endpoint, IpAddress } from '../wire/address.ts';
import { smallWords } from '../wire/small-words.ts';
import type { InstalledChildSa } from './packet-loop-protocol.ts';

export function keptParameters(sa: InstalledChildSa): EspSaParameters {
  const { encryptionKeyIn, encryptionKeyOut, integrityKeyIn, integrityKeyOut, ...rest } = sa;
  return {
    ...rest,
    local: keptEndpoint(sa.local),
    remote: keptEndpoint(sa.remote),
    localTs: sa.localTs.map(keptSelector),
    remoteTs: sa.remoteTs.map(keptSelector),
  };
}

function keptEndpoint({ address, port }: Endpoint): Endpoint {
  return { address: keptAddress(address), port };
}

function keptSelector({ range, ...rest }: TrafficSelector): TrafficSelector {
  const first = keptAddress(range.first);
  return { range: { first, last: keptAddress(range.last) }, ...rest };
}

function keptAddress({ family, octets }: IpAddress): IpAddress {
  const { buffer, byteOffset } = smallWords(octets.length / 4);
  const kept = new Uint8Array(buffer, byteOffset, octets.length);
  kept.set(octets);
  return { family, octets: kept };
}
