/**
 * Proposals: what may protect an SA (RFC 7296 §2.7, §3.3).
 *
 * A proposal lists transforms; of each type present one must be chosen. `selectProposal` answers
 * the first configured proposal that the offer can meet, `explainRefusal` why none could.
 */
import { encryptionAlgorithm } from '../crypto/algorithms.ts';
import { EsnId, IntegrityId, KeyExchangeId, TransformType } from '../crypto/transform.ts';
import { transformIdName, transformTypeName } from '../crypto/transform-names.ts';

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
  readonly encr?: Transform | undefined;
  readonly prf?: Transform | undefined;
  readonly integ?: Transform | undefined;
  readonly ke?: Transform | undefined;
  readonly esn?: Transform | undefined;
}

/**
 * The first configured proposal, in order of preference, that an offered one meets; number and SPI
 * are the offer's. `keyExchange` is preferred over other methods of that proposal when it fits.
 */
export function selectProposal(
  configured: readonly Proposal[],
  offered: readonly Proposal[],
  keyExchange?: number,
): ChosenProposal | undefined {
  for (const ours of configured) {
    for (const theirs of offered) {
      const chosen = selectTransforms(ours, theirs, keyExchange);
      if (chosen !== undefined) return chosen;
    }
  }
  return undefined;
}

/** One transform type both sides do not agree on; `type` is `ENCR`, `PRF`, `INTEG`, `KE`, `ESN`. */
export interface RefusedTransform {
  readonly type: string;
  readonly offered: readonly string[];
  readonly accepted: readonly string[];
}

/**
 * The types in which the nearest two proposals differ; empty when a proposal can be chosen.
 * Without configured proposals, or without an offer, every type of the other side is listed.
 */
export function explainRefusal(
  configured: readonly Proposal[],
  offered: readonly Proposal[],
): readonly RefusedTransform[] {
  if (selectProposal(configured, offered) !== undefined) return [];
  const pairs = (configured.length > 0 ? configured : [undefined]).flatMap((ours) =>
    (offered.length > 0 ? offered : [undefined]).map((theirs) => differences(ours, theirs)),
  );
  return pairs.reduce((nearest, pair) => (pair.length < nearest.length ? pair : nearest));
}

/** Transform types each protocol knows (RFC 7296 §3.3.3), in the order they are printed. */
export function transformTypes(protocol: number): readonly number[] {
  const { ENCR, PRF, INTEG, KE, ESN } = TransformType;
  return protocol === ProtocolId.IKE ? [ENCR, INTEG, PRF, KE] : [ENCR, INTEG, KE, ESN];
}

/** No transform of a type that the protocol does not know (RFC 7296 §3.3.6). */
export function isUnderstood(proposal: Proposal): boolean {
  const known = transformTypes(proposal.protocol);
  return proposal.transforms.every(({ type }) => known.includes(type));
}

/**
 * Transforms of one type that can be chosen. A type that may be left out is filled with what its
 * absence means: NO_ESN, and NONE for integrity and, in ESP, key exchange.
 */
export function usableTransforms(proposal: Proposal, type: number): readonly Transform[] {
  const present = proposal.transforms.filter((transform) => transform.type === type);
  if (present.length > 0) return present.filter(isUsable);
  if (type === TransformType.ESN) return [{ type, id: EsnId.NO_ESN }];
  if (type === TransformType.INTEG) return [{ type, id: IntegrityId.NONE }];
  const optional = type === TransformType.KE && proposal.protocol !== ProtocolId.IKE;
  return optional ? [{ type, id: KeyExchangeId.NONE }] : [];
}

/** The same algorithm with the same key length (RFC 7296 §3.3.6). */
export function equalTransforms(a: Transform, b: Transform): boolean {
  return a.type === b.type && a.id === b.id && a.keyLength === b.keyLength;
}

export function isAead(transform: Transform): boolean {
  return encryptionAlgorithm(transform.id)?.aead === true;
}

/** In IKE_AUTH a Child SA has no key exchange of its own (RFC 7296 §1.2): KE transforms fall away. */
export function withoutKeyExchange(proposals: readonly Proposal[]): readonly Proposal[] {
  return proposals.map((proposal) => ({
    ...proposal,
    transforms: proposal.transforms.filter(({ type }) => type !== TransformType.KE),
  }));
}

/** `AES_GCM_16_256`, `HMAC_SHA2_256_128`, `CURVE_25519`: as swanctl prints algorithms. */
export function transformName(transform: Transform): string {
  const name = transformIdName(transform.type, transform.id);
  return transform.keyLength === undefined ? name : `${name}_${transform.keyLength}`;
}

/** `ESP:AES_GCM_16_256/NO_EXT_SEQ`; alternatives of one type stand one after the other. */
export function formatProposal(proposal: Proposal): string {
  const known = transformTypes(proposal.protocol);
  const others = proposal.transforms.filter(({ type }) => !known.includes(type));
  const names = [
    ...known.flatMap((type) => proposal.transforms.filter((transform) => transform.type === type)),
    ...others,
  ].map(transformName);
  return `${PROTOCOL_NAMES.get(proposal.protocol) ?? proposal.protocol}:${names.join('/')}`;
}

const PROTOCOL_NAMES: ReadonlyMap<number, string> = new Map(
  Object.entries(ProtocolId).map(([name, id]) => [id, name]),
);

function differences(
  ours: Proposal | undefined,
  theirs: Proposal | undefined,
): readonly RefusedTransform[] {
  const types = new Set([
    ...transformTypes((ours ?? theirs)?.protocol ?? ProtocolId.NONE),
    ...(theirs?.transforms.map(({ type }) => type) ?? []),
  ]);
  return [...types].flatMap((type) => {
    if (ours && theirs && agree(ours, theirs, type)) return [];
    const offered = namesOf(theirs, type);
    const accepted = namesOf(ours, type);
    if (offered.length === 0 && accepted.length === 0) return [];
    return [{ type: transformTypeName(type), offered, accepted }];
  });
}

function agree(ours: Proposal, theirs: Proposal, type: number): boolean {
  if (ours.protocol !== theirs.protocol || !transformTypes(ours.protocol).includes(type)) {
    return false;
  }
  const common = commonTransforms(ours, theirs, type);
  if (type !== TransformType.INTEG) return common.length > 0;
  // Whether NONE will do depends on the cipher; without a common one that is the whole story.
  const ciphers = commonTransforms(ours, theirs, TransformType.ENCR);
  const needed = ciphers.length > 0 && !ciphers.some(isAead);
  return ciphers.some(isAead) || common.some(({ id }) => !needed || id !== IntegrityId.NONE);
}

function namesOf(proposal: Proposal | undefined, type: number): readonly string[] {
  if (proposal === undefined) return [];
  const present = proposal.transforms.filter((transform) => transform.type === type);
  return (present.length > 0 ? present : usableTransforms(proposal, type)).map(transformName);
}

function selectTransforms(
  ours: Proposal,
  theirs: Proposal,
  keyExchange: number | undefined,
): ChosenProposal | undefined {
  // RFC 7296 §3.3.6: a proposal with a transform type we do not understand is passed over whole.
  if (ours.protocol !== theirs.protocol || !isUnderstood(theirs)) return undefined;
  const common = (type: number): readonly Transform[] => commonTransforms(ours, theirs, type);
  const cipher = selectCipher(ours, theirs);
  if (cipher === undefined) return undefined;
  const methods = common(TransformType.KE);
  const ke = methods.find(({ id }) => id === keyExchange) ?? methods[0];
  const [prf] = common(TransformType.PRF);
  const [esn] = common(TransformType.ESN);
  const { number, spi, protocol } = theirs;
  const { encr, integ } = cipher;
  if (protocol === ProtocolId.IKE) {
    return prf && ke && { number, protocol, spi, encr, integ, prf, ke, esn: undefined };
  }
  if (ke === undefined || esn === undefined) return undefined;
  const ownKe = ke.id === KeyExchangeId.NONE ? undefined : ke;
  return { number, protocol, spi, encr, integ, prf: undefined, ke: ownKe, esn };
}

/** Encryption and integrity belong together: the first pair that both sides have. */
function selectCipher(
  ours: Proposal,
  theirs: Proposal,
): { readonly encr: Transform; readonly integ?: Transform } | undefined {
  const integ = commonTransforms(ours, theirs, TransformType.INTEG).find(
    ({ id }) => id !== IntegrityId.NONE,
  );
  for (const encr of commonTransforms(ours, theirs, TransformType.ENCR)) {
    // RFC 7296 §3.3: an AEAD cipher takes no integrity transform. Peers do offer both kinds of
    // cipher in one proposal; what is chosen from it is consistent all the same.
    if (isAead(encr)) return { encr };
    // RFC 8221 §4: encryption without integrity protection is never negotiated.
    if (integ !== undefined) return { encr, integ };
  }
  return undefined;
}

function commonTransforms(ours: Proposal, theirs: Proposal, type: number): readonly Transform[] {
  const offered = usableTransforms(theirs, type);
  return usableTransforms(ours, type).filter((one) =>
    offered.some((other) => equalTransforms(one, other)),
  );
}

// RFC 7296 §3.3.6: a transform with an attribute we do not understand cannot be chosen.
function isUsable(transform: Transform): boolean {
  return (transform.unknownAttributes?.length ?? 0) === 0;
}
