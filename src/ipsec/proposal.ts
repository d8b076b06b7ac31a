/**
 * Proposals: what may protect an SA (RFC 7296 §2.7, §3.3).
 *
 * A proposal lists transforms; of each type present one must be chosen. `select` answers the
 * first configured proposal that the offer can meet.
 */
import type { TransformType } from '../crypto/transform.ts';

/** Security Protocol Identifiers (RFC 7296 §3.3.1). */
export const ProtocolId = { NONE: 0, IKE: 1, AH: 2, ESP: 3 } as const;
export type ProtocolId = (typeof ProtocolId)[keyof typeof ProtocolId];

/** One algorithm on offer. `keyLength` in bits where the algorithm's key length varies. */
export interface Transform {
  readonly type: TransformType | number;
  readonly id: number;
  readonly keyLength?: number;
  /** Attributes other than key length, as they came: their presence makes a transform unusable. */
  readonly unknownAttributes?: readonly Uint8Array[];
}

export interface Proposal {
  /** Number on the wire, from 1; 0 in a configuration. */
  readonly number: number;
  readonly protocol: ProtocolId | number;
  /** SPI of the sender; empty in an initial IKE SA negotiation and in a configuration. */
  readonly spi: Uint8Array;
  readonly transforms: readonly Transform[];
}

/** One transform of each type that the chosen proposal has. */
export interface ChosenProposal {
  readonly number: number;
  readonly protocol: ProtocolId | number;
  readonly spi: Uint8Array;
  readonly encr?: Transform;
  readonly prf?: Transform;
  readonly integ?: Transform;
  readonly ke?: Transform;
  readonly esn?: Transform;
}
