/**
 * What is offered and accepted when an SA is made by CREATE_CHILD_SA (RFC 7296 §1.3, §2.17, §2.18).
 *
 * A key exchange of its own (PFS) is a matter of taste between peers that agree on all else: we offer
 * what is configured and accept either, because a difference would end the tunnel at its first rekey.
 * The suite in use is always accepted, whatever the configuration says by now.
 */
import { EsnId, KeyExchangeId, TransformType } from '../crypto/transform.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import {
  type Proposal,
  ProtocolId,
  type Transform,
  withoutKeyExchange,
} from '../ipsec/proposal.ts';
import { chosenAsProposal } from './child-negotiation.ts';
import type { IkeSuite } from './keys.ts';

/** For a Child SA: as configured, then without key exchange; `otherPfs` turns it round. */
export function offeredChildProposals(
  configured: readonly Proposal[],
  suite: IkeSuite,
  inUse: ChildSa | undefined,
  otherPfs: boolean,
): readonly Proposal[] {
  const plain = withoutKeyExchange(configured);
  const ours =
    otherPfs && !hasKeyExchange(configured) ? withMethods(plain, [suite.ke]) : configured;
  const more = hasKeyExchange(ours) ? plain : [];
  return distinct([...ours, ...more, ...(inUse ? [suiteOf(inUse)] : [])]);
}

/** For a Child SA: what the peer may choose from, `ikeProposals` naming key exchange methods. */
export function acceptedChildProposals(
  configured: readonly Proposal[],
  ikeProposals: readonly Proposal[],
  inUse: ChildSa | undefined,
): readonly Proposal[] {
  const plain = withoutKeyExchange(configured);
  const methods = ikeProposals.flatMap(({ transforms }) =>
    transforms.filter(({ type }) => type === TransformType.KE),
  );
  // Where we ask for none, a peer's own wish for a key exchange is met first.
  const pfs = hasKeyExchange(configured) ? configured : withMethods(plain, methods);
  return distinct([...pfs, ...plain, ...(inUse ? [suiteOf(inUse)] : [])]);
}

/** For the IKE SA: the suite in use, whose key exchange the peer is known to have, then the others. */
export function ikeRekeyProposals(
  configured: readonly Proposal[],
  { proposal }: IkeSuite,
): readonly Proposal[] {
  return distinct([{ ...chosenAsProposal(proposal), protocol: ProtocolId.IKE }, ...configured]);
}

function hasKeyExchange(proposals: readonly Proposal[]): boolean {
  return proposals.some(({ transforms }) =>
    transforms.some(({ type, id }) => type === TransformType.KE && id !== KeyExchangeId.NONE),
  );
}

function withMethods(
  proposals: readonly Proposal[],
  methods: readonly Transform[],
): readonly Proposal[] {
  return proposals.map((proposal) => ({
    ...proposal,
    transforms: [...proposal.transforms, ...methods],
  }));
}

/** The suite of a Child SA as a proposal. */
function suiteOf({ encr, integ, ke, esn }: ChildSa): Proposal {
  const sequence = { type: TransformType.ESN, id: esn ? EsnId.ESN : EsnId.NO_ESN };
  const transforms = [encr, integ, ke, sequence].filter((one) => one !== undefined);
  return { number: 0, protocol: ProtocolId.ESP, spi: new Uint8Array(), transforms };
}

/** Each set of transforms once, the first of equals. */
function distinct(proposals: readonly Proposal[]): readonly Proposal[] {
  const seen = new Set<string>();
  return proposals.filter(({ transforms }) => {
    const key = transforms
      .map(({ type, id, keyLength }) => `${type}.${id}.${keyLength ?? ''}`)
      .sort()
      .join(' ');
    return !seen.has(key) && seen.add(key);
  });
}
