import assert from 'node:assert/strict';
import fc from 'fast-check';
import {
  EncryptionId,
  EsnId,
  IntegrityId,
  KeyExchangeId,
  PrfId,
  TransformType,
} from '../../src/crypto/transform.ts';
import {
  type ChosenProposal,
  explainRefusal,
  formatProposal,
  type Proposal,
  ProtocolId,
  selectProposal,
  type Transform,
  transformName,
  withoutKeyExchange,
} from '../../src/ipsec/proposal.ts';

const { ENCR, PRF, INTEG, KE, ESN } = TransformType;
const aes = (keyLength: number): Transform => ({ type: ENCR, id: EncryptionId.AES_CBC, keyLength });
const gcm = (keyLength: number): Transform => ({
  type: ENCR,
  id: EncryptionId.AES_GCM_16,
  keyLength,
});
const CHACHA: Transform = { type: ENCR, id: EncryptionId.CHACHA20_POLY1305 };
const SHA256: Transform = { type: INTEG, id: IntegrityId.AUTH_HMAC_SHA2_256_128 };
const SHA512: Transform = { type: INTEG, id: IntegrityId.AUTH_HMAC_SHA2_512_256 };
const NO_INTEG: Transform = { type: INTEG, id: IntegrityId.NONE };
const PRF256: Transform = { type: PRF, id: PrfId.PRF_HMAC_SHA2_256 };
const PRF384: Transform = { type: PRF, id: PrfId.PRF_HMAC_SHA2_384 };
const X25519: Transform = { type: KE, id: KeyExchangeId.CURVE_25519 };
const MODP: Transform = { type: KE, id: KeyExchangeId.MODP_2048 };
const NO_KE: Transform = { type: KE, id: KeyExchangeId.NONE };
const WITH_ESN: Transform = { type: ESN, id: EsnId.ESN };
const NO_ESN: Transform = { type: ESN, id: EsnId.NO_ESN };

let number = 0;
function proposal(protocol: number, transforms: readonly Transform[]): Proposal {
  number = (number % 255) + 1;
  return { number, protocol, spi: Uint8Array.of(number), transforms };
}
const ike = (...transforms: readonly Transform[]): Proposal => proposal(ProtocolId.IKE, transforms);
const esp = (...transforms: readonly Transform[]): Proposal => proposal(ProtocolId.ESP, transforms);

/** What was chosen, as names, or undefined. */
function chosen(
  ours: readonly Proposal[],
  theirs: readonly Proposal[],
  ke?: number,
): string | undefined {
  const found = selectProposal(ours, theirs, ke);
  return found && describeChosen(found);
}

function describeChosen({ encr, prf, integ, ke, esn }: ChosenProposal): string {
  return [encr, integ, prf, ke, esn]
    .filter((transform) => transform !== undefined)
    .map(transformName)
    .join(' ');
}

describe('Choosing a proposal (RFC 7296 §2.7, §3.3)', () => {
  it('takes the first configured one that fits, with the number and SPI of the offer', () => {
    const ours = [esp(gcm(256), NO_ESN), esp(aes(128), SHA256, NO_ESN)];
    const theirs = [esp(aes(128), SHA256, NO_ESN), esp(gcm(256), NO_ESN)];
    const found = selectProposal(ours, theirs);
    assert.ok(found !== undefined);
    assert.equal(describeChosen(found), 'AES_GCM_16_256 NO_EXT_SEQ');
    assert.equal(found.number, theirs[1]?.number);
    assert.deepEqual(found.spi, theirs[1]?.spi);
  });

  it('prefers what stands first in the configuration, for each type', () => {
    const ours = [ike(aes(256), aes(128), SHA512, SHA256, PRF384, PRF256, X25519, MODP)];
    const theirs = [ike(aes(128), aes(256), SHA256, SHA512, PRF256, PRF384, MODP, X25519)];
    assert.equal(
      chosen(ours, theirs),
      'AES_CBC_256 HMAC_SHA2_512_256 PRF_HMAC_SHA2_384 CURVE_25519',
    );
  });

  it('takes the method of the KE payload when it is acceptable', () => {
    const ours = [ike(gcm(128), PRF256, X25519, MODP)];
    const theirs = [ike(gcm(128), PRF256, MODP, X25519)];
    assert.equal(chosen(ours, theirs, MODP.id), 'AES_GCM_16_128 PRF_HMAC_SHA2_256 MODP_2048');
    assert.equal(chosen(ours, theirs, 99), 'AES_GCM_16_128 PRF_HMAC_SHA2_256 CURVE_25519');
  });

  it('compares key lengths exactly, absent ones too', () => {
    assert.equal(chosen([esp(aes(256), SHA256)], [esp(aes(128), SHA256)]), undefined);
    assert.equal(chosen([esp(CHACHA)], [esp({ ...CHACHA, keyLength: 256 })]), undefined);
    const bare = { type: ENCR, id: EncryptionId.AES_GCM_16 };
    assert.equal(chosen([esp(gcm(128))], [esp(bare)]), undefined);
    assert.equal(chosen([esp(CHACHA)], [esp(CHACHA)]), 'CHACHA20_POLY1305 NO_EXT_SEQ');
  });

  it('needs each type that the protocol has', () => {
    const ours = [ike(gcm(128), PRF256, X25519)];
    assert.equal(chosen(ours, [ike(gcm(128), X25519)]), undefined);
    assert.equal(chosen(ours, [ike(gcm(128), PRF256)]), undefined);
    assert.equal(chosen(ours, [ike(PRF256, X25519)]), undefined);
    assert.equal(chosen([esp(aes(128), SHA256)], [esp(aes(128))]), undefined);
    assert.equal(chosen([esp(aes(128))], [esp(aes(128))]), undefined);
  });

  it('keeps protocols apart', () => {
    assert.equal(
      chosen([esp(gcm(128))], [{ ...esp(gcm(128)), protocol: ProtocolId.AH }]),
      undefined,
    );
  });

  it('takes no integrity with AEAD: absent, NONE, or dropped from a mixed offer', () => {
    const ours = [esp(gcm(128), NO_ESN)];
    for (const integ of [[], [NO_INTEG], [SHA256], [SHA256, NO_INTEG]]) {
      assert.equal(chosen(ours, [esp(gcm(128), ...integ, NO_ESN)]), 'AES_GCM_16_128 NO_EXT_SEQ');
    }
  });

  it('answers a mixed offer with a consistent subset', () => {
    const offer = esp(aes(256), gcm(256), gcm(128), aes(128), SHA256, SHA512, WITH_ESN, NO_ESN);
    assert.equal(chosen([esp(gcm(128))], [offer]), 'AES_GCM_16_128 NO_EXT_SEQ');
    assert.equal(
      chosen([esp(aes(128), SHA512)], [offer]),
      'AES_CBC_128 HMAC_SHA2_512_256 NO_EXT_SEQ',
    );
    const mixed = [esp(aes(128), gcm(128), SHA256)];
    assert.equal(chosen(mixed, [esp(aes(128), gcm(128))]), 'AES_GCM_16_128 NO_EXT_SEQ');
    assert.equal(chosen(mixed, [esp(aes(128), NO_INTEG)]), undefined);
  });

  it('finds its way through the one proposal of a phone: CTR, CBC, GCM and MACs together', () => {
    const cipher = (id: number, keyLength: number): Transform => ({ type: ENCR, id, keyLength });
    const { AES_CTR, AES_CBC, AES_GCM_8, AES_GCM_12, AES_GCM_16, AES_CCM_16 } = EncryptionId;
    const ids = [AES_CTR, AES_CBC, AES_GCM_8, AES_GCM_12, AES_GCM_16];
    const ciphers = [256, 192, 128].flatMap((bits) => ids.map((id) => cipher(id, bits)));
    const XCBC: Transform = { type: INTEG, id: IntegrityId.AUTH_AES_XCBC_96 };
    const offer = ike(...ciphers, SHA256, XCBC, PRF256, MODP, X25519);
    const common = [PRF256, X25519];
    const answers: readonly (readonly [readonly Transform[], string | undefined])[] = [
      [[cipher(AES_GCM_16, 256)], 'AES_GCM_16_256'],
      [[cipher(AES_GCM_8, 128), SHA256], 'AES_GCM_8_128'],
      [[cipher(AES_CTR, 192), SHA256], 'AES_CTR_192 HMAC_SHA2_256_128'],
      [[cipher(AES_CTR, 192), XCBC], 'AES_CTR_192 AES_XCBC_96'],
      [[cipher(AES_CTR, 192), SHA512], undefined],
      [[cipher(AES_CCM_16, 256)], undefined],
    ];
    for (const [ours, expected] of answers) {
      const found = chosen([ike(...ours, ...common)], [offer]);
      const rest = ' PRF_HMAC_SHA2_256 CURVE_25519';
      assert.equal(found, expected && expected + rest);
    }
  });

  it('takes GMAC for a cipher that brings its ICV, and NULL for one that does not', () => {
    const gmac: Transform = { type: ENCR, id: EncryptionId.NULL_AUTH_AES_GMAC, keyLength: 128 };
    const none: Transform = { type: ENCR, id: EncryptionId.NULL };
    assert.equal(chosen([esp(gmac)], [esp(gmac, SHA256)]), 'NULL_AES_GMAC_128 NO_EXT_SEQ');
    assert.equal(chosen([esp(none)], [esp(none)]), undefined);
    const named = 'NULL HMAC_SHA2_256_128 NO_EXT_SEQ';
    assert.equal(chosen([esp(none, SHA256)], [esp(none, SHA256)]), named);
  });

  it('reads an absent ESN transform as no ESN', () => {
    assert.equal(chosen([esp(gcm(128), WITH_ESN)], [esp(gcm(128))]), undefined);
    assert.equal(
      chosen([esp(gcm(128), WITH_ESN, NO_ESN)], [esp(gcm(128))]),
      'AES_GCM_16_128 NO_EXT_SEQ',
    );
    assert.equal(
      chosen([esp(gcm(128), WITH_ESN, NO_ESN)], [esp(gcm(128), NO_ESN, WITH_ESN)]),
      'AES_GCM_16_128 EXT_SEQ',
    );
  });

  it('passes over transforms with attributes it does not know (§3.3.6)', () => {
    const odd = { ...gcm(256), unknownAttributes: [Uint8Array.of(0x80, 1, 0, 0)] };
    assert.equal(chosen([esp(gcm(256))], [esp(odd)]), undefined);
    assert.equal(
      chosen([esp(gcm(256), gcm(128))], [esp(odd, gcm(128))]),
      'AES_GCM_16_128 NO_EXT_SEQ',
    );
    const oddEsn = { ...WITH_ESN, unknownAttributes: [new Uint8Array(4)] };
    assert.equal(chosen([esp(gcm(256))], [esp(gcm(256), oddEsn)]), undefined);
  });

  it('passes over proposals with transform types it does not know (§3.3.6)', () => {
    const additional = { type: 6, id: 36 };
    const ours = [ike(gcm(128), PRF256, X25519)];
    const plain = ike(gcm(128), PRF256, X25519);
    const hybrid = ike(gcm(128), PRF256, X25519, additional);
    assert.equal(chosen(ours, [hybrid]), undefined);
    assert.equal(selectProposal(ours, [hybrid, plain])?.number, plain.number);
    assert.equal(chosen([esp(gcm(128))], [esp(gcm(128), PRF256)]), undefined);
  });

  it('has a key exchange in ESP when both sides have one', () => {
    assert.equal(chosen([esp(gcm(128), X25519)], [esp(gcm(128))]), undefined);
    assert.equal(chosen([esp(gcm(128))], [esp(gcm(128), X25519)]), undefined);
    assert.equal(
      chosen([esp(gcm(128), X25519)], [esp(gcm(128), X25519)]),
      'AES_GCM_16_128 CURVE_25519 NO_EXT_SEQ',
    );
    const optional = [esp(gcm(128), X25519, NO_KE)];
    assert.equal(chosen(optional, [esp(gcm(128))]), 'AES_GCM_16_128 NO_EXT_SEQ');
  });

  it('leaves key exchange out of IKE_AUTH (§1.2)', () => {
    const ours = withoutKeyExchange([esp(gcm(128), X25519)]);
    const theirs = withoutKeyExchange([esp(gcm(128), MODP)]);
    assert.equal(chosen(ours, theirs), 'AES_GCM_16_128 NO_EXT_SEQ');
  });

  it('chooses only what both sides listed', () => {
    const pool = [
      aes(128),
      aes(256),
      gcm(128),
      CHACHA,
      SHA256,
      SHA512,
      NO_INTEG,
      PRF256,
      X25519,
      MODP,
      WITH_ESN,
      NO_ESN,
    ];
    const lists = fc.array(
      fc.subarray(pool, { minLength: 1 }).map((transforms) => ({ ...esp(), transforms })),
      { maxLength: 3 },
    );
    fc.assert(
      fc.property(lists, lists, (ours, theirs) => {
        const found = selectProposal(ours, theirs);
        if (found === undefined) return;
        const offer = theirs.find((one) => one.number === found.number);
        const { encr, integ, ke, esn } = found;
        assert.ok(encr !== undefined && esn !== undefined);
        assert.equal(integ === undefined, encr.id !== EncryptionId.AES_CBC);
        for (const transform of [encr, integ, ke]) {
          if (transform !== undefined) assert.ok(offer?.transforms.includes(transform));
        }
      }),
    );
  });
});

describe('Refusals, transform by transform', () => {
  it('names the type in which the nearest proposals differ', () => {
    const ours = [ike(gcm(128), PRF256, X25519), ike(aes(256), SHA256, PRF256, X25519)];
    assert.deepEqual(explainRefusal(ours, [ike(aes(256), SHA256, PRF256, MODP)]), [
      { type: 'KE', offered: ['MODP_2048'], accepted: ['CURVE_25519'] },
    ]);
    assert.deepEqual(explainRefusal(ours, [ike(gcm(256), PRF384, X25519)]), [
      { type: 'ENCR', offered: ['AES_GCM_16_256'], accepted: ['AES_GCM_16_128'] },
      { type: 'PRF', offered: ['PRF_HMAC_SHA2_384'], accepted: ['PRF_HMAC_SHA2_256'] },
    ]);
  });

  it('names what absence means', () => {
    assert.deepEqual(explainRefusal([esp(gcm(128), WITH_ESN)], [esp(gcm(128))]), [
      { type: 'ESN', offered: ['NO_EXT_SEQ'], accepted: ['EXT_SEQ'] },
    ]);
    assert.deepEqual(explainRefusal([esp(aes(128), SHA256)], [esp(aes(128))]), [
      { type: 'INTEG', offered: ['NONE'], accepted: ['HMAC_SHA2_256_128'] },
    ]);
    assert.deepEqual(explainRefusal([esp(aes(128))], [esp(aes(128))]), [
      { type: 'INTEG', offered: ['NONE'], accepted: ['NONE'] },
    ]);
  });

  it('does not count integrity that AEAD makes needless', () => {
    assert.deepEqual(explainRefusal([esp(gcm(128), WITH_ESN)], [esp(gcm(128), SHA256, NO_ESN)]), [
      { type: 'ESN', offered: ['NO_EXT_SEQ'], accepted: ['EXT_SEQ'] },
    ]);
  });

  it('names transform types it does not know', () => {
    const ours = [ike(gcm(128), PRF256, X25519)];
    assert.deepEqual(explainRefusal(ours, [ike(gcm(128), PRF256, X25519, { type: 6, id: 36 })]), [
      { type: 'ADDKE1', offered: ['ML_KEM_768'], accepted: [] },
    ]);
  });

  it('lists one side when the other has nothing', () => {
    assert.deepEqual(explainRefusal([], [esp(CHACHA, NO_ESN)]), [
      { type: 'ENCR', offered: ['CHACHA20_POLY1305'], accepted: [] },
      { type: 'INTEG', offered: ['NONE'], accepted: [] },
      { type: 'KE', offered: ['NONE'], accepted: [] },
      { type: 'ESN', offered: ['NO_EXT_SEQ'], accepted: [] },
    ]);
    assert.deepEqual(explainRefusal([], []), []);
  });

  it('has nothing to say where a proposal can be chosen', () => {
    assert.deepEqual(explainRefusal([esp(gcm(128))], [esp(gcm(128))]), []);
  });
});

describe('Proposal text (as swanctl prints it)', () => {
  it('names protocol, transforms and key lengths', () => {
    assert.equal(
      formatProposal(ike(PRF256, X25519, SHA256, aes(256))),
      'IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519',
    );
    assert.equal(formatProposal(esp(gcm(256), NO_ESN)), 'ESP:AES_GCM_16_256/NO_EXT_SEQ');
    assert.equal(formatProposal({ ...esp({ type: 9, id: 0 }), protocol: 77 }), '77:NONE');
  });
});
