/**
 * The keys of IKE SAs and Child SAs that a charon told us of: the same schedule as for our own.
 */
import type { HaChildMaterial } from '../../cluster/charon-ha/child-add.ts';
import type { HaIkeMaterial } from '../../cluster/charon-ha/ike-add.ts';
import type { HaKeySchedule } from '../../cluster/charon-ha/mirrored-ike-sa.ts';
import { encryptionAlgorithm, integrityAlgorithm, prfAlgorithm } from '../../crypto/algorithms.ts';
import { IntegrityId } from '../../crypto/transform.ts';
import { childKeymat, deriveIkeKeys, deriveRekeyedIkeKeys, ikeSuite } from '../../ike/keys.ts';
import { ikeSpi } from '../../ike/message/message.ts';
import { childKeymatLength, childKeys } from '../../ipsec/keymat.ts';
import type { ChosenProposal, Transform } from '../../ipsec/proposal.ts';
import { fromHex } from '../../wire/octets.ts';

export const haKeySchedule: HaKeySchedule = {
  ikeKeys(material) {
    const suite = ikeSuite(material.proposal);
    if (suite === undefined || !hasKeyOf(material.proposal)) return undefined;
    const exchange = exchangeOf(material);
    if (material.rekeyed === undefined) return deriveIkeKeys(suite, exchange);
    const prf = prfAlgorithm(material.rekeyed.prf);
    if (prf === undefined) return undefined;
    const old = { suite: { prf }, keys: { skD: material.rekeyed.skD } };
    return deriveRekeyedIkeKeys(suite, old, exchange);
  },

  childKeys(ikeSa, material) {
    const suite = ikeSuite(ikeSa.proposal);
    const { encr, integ } = material.proposal;
    if (suite === undefined || encr === undefined || !isUsable(material, integ)) return undefined;
    const length = childKeymatLength(encr, integ);
    const keymat = childKeymat({ suite, keys: ikeSa.keys }, material, length);
    const { inbound, outbound } = childKeys(keymat, encr, integ, material.initiator);
    return { keysIn: inbound, keysOut: outbound };
  },
};

function exchangeOf({ id, nonceI, nonceR, sharedSecret }: HaIkeMaterial) {
  const spiI = ikeSpi(fromHex(id.initiatorSpi));
  const spiR = ikeSpi(fromHex(id.responderSpi));
  return { sharedSecret, nonceI, nonceR, spiI, spiR };
}

function isUsable({ proposal }: HaChildMaterial, integ: Transform | undefined): boolean {
  if (!hasKeyOf(proposal)) return false;
  const aead = proposal.encr !== undefined && encryptionAlgorithm(proposal.encr.id)?.aead === true;
  if (aead) return true;
  return (
    integ !== undefined &&
    integ.id !== IntegrityId.NONE &&
    integrityAlgorithm(integ.id) !== undefined
  );
}

/** The cipher is known and has keys of that length. */
function hasKeyOf({ encr }: ChosenProposal): boolean {
  const algorithm = encr && encryptionAlgorithm(encr.id);
  if (algorithm === undefined) return false;
  const bits = encr?.keyLength ?? algorithm.keyLengths[0];
  return bits !== undefined && algorithm.keyLengths.includes(bits);
}
