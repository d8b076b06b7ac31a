import assert from 'node:assert/strict';
import {
  EncryptionId,
  IntegrityId,
  KeyExchangeId,
  PrfId,
  TransformType,
} from '../../src/crypto/transform.ts';
import {
  AES_CBC_256,
  child,
  connection,
  espProposal,
  ikeProposal,
  loadSecret,
  mirrored,
  NO_ESN,
  PRF_SHA2_256,
  SHA2_256,
  X25519,
} from '../support/connections.ts';
import { A, B, endpoint, Pair } from '../support/pair.ts';

const SHA1 = { type: TransformType.INTEG, id: IntegrityId.AUTH_HMAC_SHA1_96 };
const PRF_SHA1 = { type: TransformType.PRF, id: PrfId.PRF_HMAC_SHA1 };

function reported(one = connection()): readonly string[] {
  const pair = new Pair();
  pair.a.pad.load(one);
  pair.b.pad.load(mirrored(one));
  for (const side of [pair.a, pair.b]) loadSecret(side.pad, 'secret');
  const path = { local: endpoint(A), remote: endpoint(B) };
  pair.handle(pair.a, { kind: 'initiate', request: 1, connection: 'peer', child: 'net', ...path });
  pair.run(1000);
  assert.equal(pair.a.children.size, 1);
  const texts = [pair.a, pair.b].map((side) =>
    side.seen('weak-algorithm').map(({ algorithm, where }) => `${algorithm} in ${where}`),
  );
  assert.deepEqual(texts[0], texts[1], 'both roles say the same');
  return texts[0] ?? [];
}

describe('Weak algorithms (RFC 8221, RFC 8247)', () => {
  it('are named by both ends when an SA uses them', () => {
    const proposals = [ikeProposal(AES_CBC_256, SHA1, PRF_SHA1, X25519)];
    const children = [child({ proposals: [espProposal(AES_CBC_256, SHA1, NO_ESN)] })];
    assert.deepEqual(reported(connection({ proposals, children })), [
      'PRF_HMAC_SHA1 in IKE SA peer',
      'HMAC_SHA1_96 in IKE SA peer',
      'HMAC_SHA1_96 in child SA net',
    ]);
  });

  it('are groups too small, ciphers with small blocks, and ciphers that hide nothing', () => {
    const tripleDes = { type: TransformType.ENCR, id: EncryptionId['3DES'] };
    const none = { type: TransformType.ENCR, id: EncryptionId.NULL };
    const group2 = { type: TransformType.KE, id: KeyExchangeId.MODP_1024 };
    const proposals = [ikeProposal(tripleDes, SHA2_256, PRF_SHA2_256, group2)];
    const children = [child({ proposals: [espProposal(none, SHA2_256, NO_ESN)] })];
    assert.deepEqual(reported(connection({ proposals, children })), [
      '3DES_CBC in IKE SA peer',
      'MODP_1024 in IKE SA peer',
      'NULL in child SA net',
    ]);
  });

  it('are not seen where there are none', () => {
    assert.deepEqual(reported(), []);
  });
});
