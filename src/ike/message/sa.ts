/**
 * Security Association payload (RFC 7296 §3.3): proposals, each with its transforms.
 *
 * | octet | payload body               |
 * |-------|----------------------------|
 * | 0     | Proposals (one or more)    |
 *
 * | octet | proposal (§3.3.1)                    |
 * |-------|--------------------------------------|
 * | 0     | Last Substruc: 0 last, 2 more follow |
 * | 1     | RESERVED                             |
 * | 2     | Proposal Length (2)                  |
 * | 4     | Proposal Num                         |
 * | 5     | Protocol ID                          |
 * | 6     | SPI Size                             |
 * | 7     | Num Transforms                       |
 * | 8     | SPI (SPI Size), then Transforms      |
 *
 * What may be in a proposal is the negotiation's business: any SPI size and any number decodes.
 */
import type { Proposal } from '../../ipsec/proposal.ts';
import type { OctetReader, OctetWriter } from '../../wire/octets.ts';
import { Limit, within } from './limits.ts';
import type { SaPayload } from './message.ts';
import { decodeTransforms, encodeTransforms } from './transform.ts';

const MORE_PROPOSALS = 2;
const PROPOSAL_OCTETS = 8;

export function decodeSa(reader: OctetReader): SaPayload {
  const proposals: Proposal[] = [];
  for (let more = true; more; ) {
    if (proposals.length === Limit.PROPOSALS) reader.fail(`SA: more than ${Limit.PROPOSALS}`);
    const last = reader.u8('last substruc of a proposal');
    if (last !== 0 && last !== MORE_PROPOSALS) reader.fail(`SA: last substruc ${last}`);
    more = last === MORE_PROPOSALS;
    proposals.push(decodeProposal(reader));
  }
  return { kind: 'SA', proposals };
}

export function encodeSa(writer: OctetWriter, { proposals }: SaPayload): void {
  if (proposals.length === 0) throw new RangeError('SA: no proposal');
  within(Limit.PROPOSALS, proposals.length, 'SA proposals');
  for (const [index, proposal] of proposals.entries()) {
    const at = writer.length;
    writer
      .u8(index < proposals.length - 1 ? MORE_PROPOSALS : 0)
      .u8(0)
      .u16(0)
      .u8(proposal.number)
      .u8(proposal.protocol)
      .u8(within(Limit.SPI_OCTETS, proposal.spi.length, 'SPI octets'))
      .u8(within(Limit.TRANSFORMS, proposal.transforms.length, 'transforms'))
      .octets(proposal.spi);
    encodeTransforms(writer, proposal.transforms);
    writer.u16At(at + 2, within(Limit.PAYLOAD_OCTETS, writer.length - at, 'proposal octets'));
  }
}

/** A proposal behind its Last Substruc octet. */
function decodeProposal(outer: OctetReader): Proposal {
  outer.skip(1, 'RESERVED');
  const length = outer.u16('proposal length');
  if (length < PROPOSAL_OCTETS) outer.fail(`proposal of ${length} octets`);
  const reader = outer.within(length - 4, 'proposal');
  const number = reader.u8('proposal number');
  const protocol = reader.u8('protocol id');
  const spiSize = reader.u8('SPI size');
  const transformCount = reader.u8('number of transforms');
  const spi = reader.take(spiSize, `SPI of proposal ${number}`);
  const transforms = decodeTransforms(reader, transformCount);
  reader.end(`proposal ${number}: ${transformCount} transforms announced`);
  return { number, protocol, spi, transforms };
}
