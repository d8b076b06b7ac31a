/**
 * Values that snapshots are made of, as octets: addresses, selectors, proposals, keys.
 *
 * Proposals and selectors stand as in IKE messages (RFC 7296 §3.3, §3.13).
 */
import { SecretBytes } from '../crypto/secret-bytes.ts';
import { TransformType } from '../crypto/transform.ts';
import type { Identity } from '../ipsec/identity.ts';
import type { ChosenProposal, Proposal, Transform } from '../ipsec/proposal.ts';
import { isReservedSpi, type Spi, spi } from '../ipsec/spi.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import { type Endpoint, type IpAddress, ipAddress } from '../wire/address.ts';
import { concatOctets, fromHex, type OctetReader, type OctetWriter } from '../wire/octets.ts';
import { chosenAsProposal } from './child-negotiation.ts';
import { type IkeSpi, ikeSpi } from './message/message.ts';
import { decodeSa, encodeSa } from './message/sa.ts';
import { decodeTs, encodeTs } from './message/ts.ts';
import type { PathSnapshot } from './snapshot.ts';
import { type Coding, mapped, OCTETS } from './snapshot-fields.ts';

export const ADDRESS: Coding<IpAddress> = {
  encode: (writer, { octets }) => writer.octets(octets),
  decode: (reader) => takeAddress(reader, reader.remaining),
};

/** Two ends: of each the octets of its address, the address, the port. */
export const PATH: Coding<PathSnapshot> = {
  encode(writer, { local, remote }) {
    for (const end of [local, remote]) writeEndpoint(writer, end);
  },
  decode: (reader) => ({ local: readEndpoint(reader), remote: readEndpoint(reader) }),
};

export const IKE_SPI: Coding<IkeSpi> = {
  encode: (writer, value) => writer.octets(fromHex(value)),
  decode: (reader) => ikeSpi(reader.take(8, 'IKE SPI')),
};

export const ESP_SPI: Coding<Spi> = {
  encode: (writer, value) => writer.u32(value),
  decode: (reader) => {
    const value = reader.u32('SPI');
    return isReservedSpi(value) ? reader.fail(`SPI ${value} is reserved`) : spi(value);
  },
};

export const IDENTITY: Coding<Identity> = {
  encode: (writer, { type, data }) => writer.u8(type).octets(data),
  decode: (reader) => ({ type: reader.u8('identity'), data: reader.rest() }),
};

export const TRANSFORM: Coding<Transform> = {
  encode: (writer, { type, id, keyLength = 0 }) => writer.u8(type).u16(id).u16(keyLength),
  decode(reader) {
    const type = reader.u8('transform type');
    const id = reader.u16('transform id');
    const keyLength = reader.u16('key length');
    return { type, id, ...(keyLength > 0 && { keyLength }) };
  },
};

export const PROPOSALS: Coding<readonly Proposal[]> = {
  encode: (writer, proposals) => encodeSa(writer, { kind: 'SA', proposals }),
  decode: (reader) => decodeSa(reader).proposals,
};

export const CHOSEN_PROPOSAL: Coding<ChosenProposal> = mapped(
  PROPOSALS,
  (chosen) => [chosenAsProposal(chosen)],
  ([proposal, ...others], reader) => {
    if (!proposal || others.length > 0) return reader.fail(`${others.length + 1} chosen proposals`);
    const { number, protocol, spi: peerSpi, transforms } = proposal;
    const [encr, prf, integ, ke, esn] = CHOSEN_TYPES.map((type) =>
      transforms.find((transform) => transform.type === type),
    );
    return { number, protocol, spi: peerSpi, encr, prf, integ, ke, esn };
  },
);

const CHOSEN_TYPES = [
  TransformType.ENCR,
  TransformType.PRF,
  TransformType.INTEG,
  TransformType.KE,
  TransformType.ESN,
] as const;

export const SELECTORS: Coding<readonly TrafficSelector[]> = {
  encode(writer, selectors) {
    const entries = selectors.map((selector) => ({ kind: 'range', selector }) as const);
    encodeTs(writer, { kind: 'TSi', entries });
  },
  decode: (reader) =>
    decodeTs('TSi', reader).entries.map((entry) =>
      entry.kind === 'range' ? entry.selector : reader.fail(`selector of type ${entry.type}`),
    ),
};

export const SECRET: Coding<SecretBytes> = mapped(
  OCTETS,
  (secret) => secret.reveal(),
  (octets) => new SecretBytes(octets),
);

/** Several keys in one field, each behind its length (2): in memory, too, they lie together. */
export const SECRETS: Coding<readonly SecretBytes[]> = {
  encode(writer, secrets) {
    for (const secret of secrets) writer.u16(secret.length).octets(secret.reveal());
  },
  decode(reader) {
    const keys: Uint8Array[] = [];
    while (reader.remaining > 0) keys.push(reader.take(reader.u16('key octets'), 'key'));
    const cut = SecretBytes.cutter(concatOctets(...keys));
    return keys.map((key) => {
      key.fill(0);
      return cut(key.length);
    });
  },
};

function takeAddress(reader: OctetReader, length: number): IpAddress {
  if (length !== 4 && length !== 16) reader.fail(`an IP address of ${length} octets`);
  return ipAddress(reader.take(length, 'address'));
}

function writeEndpoint(writer: OctetWriter, { address, port }: Endpoint): void {
  writer.u8(address.octets.length).octets(address.octets).u16(port);
}

function readEndpoint(reader: OctetReader): Endpoint {
  const address = takeAddress(reader, reader.u8('address octets'));
  return { address, port: reader.u16('port') };
}
