import assert from 'node:assert/strict';
import { EsnId, KeyExchangeId, TransformType } from '../../src/crypto/transform.ts';
import { type IkeSuite, ikeSuite } from '../../src/ike/keys.ts';
import {
  acceptedChildProposals,
  ikeRekeyProposals,
  offeredChildProposals,
} from '../../src/ike/rekey-proposals.ts';
import { type Proposal, ProtocolId, type Transform } from '../../src/ipsec/proposal.ts';
import { childSa } from '../support/child-sas.ts';
import {
  AES_CBC_256,
  AES_GCM_256,
  ECP_256,
  espProposal,
  ikeProposal,
  NO_ESN,
  PRF_SHA2_256,
  SHA2_256,
  X25519,
} from '../support/connections.ts';

const ESN: Transform = { type: TransformType.ESN, id: EsnId.ESN };
const NO_KE: Transform = { type: TransformType.KE, id: KeyExchangeId.NONE };
const PLAIN = espProposal(AES_GCM_256, NO_ESN);
const NAMING_NONE = espProposal(AES_GCM_256, NO_KE, NO_ESN);
const WITH_ECP = espProposal(AES_GCM_256, ECP_256, NO_ESN);

/** The suite of an IKE SA that was made with X25519. */
const SUITE: IkeSuite =
  ikeSuite({
    number: 3,
    protocol: ProtocolId.IKE,
    spi: Uint8Array.of(1),
    encr: AES_CBC_256,
    integ: SHA2_256,
    prf: PRF_SHA2_256,
    ke: X25519,
  }) ?? assert.fail();

const LABELS = new Map<Transform, string>([
  [AES_GCM_256, 'gcm'],
  [AES_CBC_256, 'cbc'],
  [SHA2_256, 'sha2'],
  [PRF_SHA2_256, 'prf'],
  [X25519, 'x25519'],
  [ECP_256, 'ecp'],
  [NO_KE, 'no-ke'],
  [ESN, 'esn'],
]);

/** The transforms of each proposal, without the sequence numbers all have. */
function texts(proposals: readonly Proposal[]): readonly string[] {
  const label = (one: Transform) =>
    [...LABELS].find(([{ type, id }]) => type === one.type && id === one.id)?.[1];
  return proposals.map(({ transforms }) =>
    transforms
      .map(label)
      .filter((text) => text !== undefined)
      .join(' '),
  );
}

describe('Proposals for a Child SA by CREATE_CHILD_SA (RFC 7296 §1.3, §2.17)', () => {
  const offered = (configured: readonly Proposal[], otherPfs = false) =>
    texts(offeredChildProposals(configured, SUITE, undefined, otherPfs));

  it('with a key exchange configured are offered with it, then without', () => {
    assert.deepEqual(offered([WITH_ECP]), ['gcm ecp', 'gcm']);
  });

  it('without one configured are offered without', () => {
    assert.deepEqual(offered([PLAIN]), ['gcm']);
    assert.deepEqual(offered([NAMING_NONE]), ['gcm no-ke']);
  });

  it("are offered to a peer that wants a key exchange with the IKE SA's method", () => {
    assert.deepEqual(offered([PLAIN], true), ['gcm x25519', 'gcm']);
    assert.deepEqual(offered([NAMING_NONE], true), ['gcm x25519', 'gcm']);
    assert.deepEqual(offered([WITH_ECP], true), ['gcm ecp', 'gcm'], 'there was one already');
  });

  it('have the suite in use among them, whatever is configured by now', () => {
    const cbc = childSa({ encr: AES_CBC_256, integ: SHA2_256, ke: ECP_256, esn: true });
    const both = ['gcm', 'cbc sha2 ecp esn'];
    assert.deepEqual(texts(offeredChildProposals([PLAIN], SUITE, cbc, false)), both);
    const accepted = acceptedChildProposals([PLAIN], [], cbc);
    assert.deepEqual(texts(accepted), both);
    const of = (proposals: readonly Proposal[]) => proposals.map(({ protocol }) => protocol);
    assert.deepEqual(of(accepted), [ProtocolId.ESP, ProtocolId.ESP]);
    assert.deepEqual(texts(offeredChildProposals([PLAIN], SUITE, childSa(), false)), ['gcm']);
  });

  it('are accepted with the key exchange configured, and without', () => {
    const ike = [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, X25519)];
    assert.deepEqual(texts(acceptedChildProposals([WITH_ECP], ike, undefined)), ['gcm ecp', 'gcm']);
  });

  it('are accepted with any key exchange of the IKE proposals where none is configured', () => {
    const ike = [
      ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, X25519),
      ikeProposal(AES_GCM_256, PRF_SHA2_256, ECP_256),
    ];
    const accepted = texts(acceptedChildProposals([PLAIN], ike, undefined));
    assert.deepEqual(accepted, ['gcm x25519 ecp', 'gcm']);
  });
});

describe('Proposals for a new IKE SA (RFC 7296 §1.3.2, §2.18)', () => {
  it('begin with the suite in use', () => {
    const other = ikeProposal(AES_GCM_256, PRF_SHA2_256, ECP_256);
    const proposals = ikeRekeyProposals([other], SUITE);
    assert.deepEqual(texts(proposals), ['cbc prf sha2 x25519', 'gcm prf ecp']);
    assert.deepEqual(
      proposals.map(({ protocol }) => protocol),
      [ProtocolId.IKE, ProtocolId.IKE],
    );
  });

  it('name no set of algorithms twice, in whatever order, but each key length', () => {
    const same = ikeProposal(X25519, PRF_SHA2_256, SHA2_256, AES_CBC_256);
    const short = ikeProposal({ ...AES_CBC_256, keyLength: 128 }, SHA2_256, PRF_SHA2_256, X25519);
    const proposals = ikeRekeyProposals([same, short, same], SUITE);
    assert.deepEqual(
      proposals.map(({ transforms }) => transforms.find(({ type }) => type === 1)?.keyLength),
      [256, 128],
    );
  });
});
