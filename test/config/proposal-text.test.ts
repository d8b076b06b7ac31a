import assert from 'node:assert/strict';
import { Findings } from '../../src/config/findings.ts';
import { proposalKeyword, proposalKeywords } from '../../src/config/proposal-keywords.ts';
import { keywordOf, writtenProposal } from '../../src/config/proposal-text.ts';
import { parseProposals } from '../../src/config/proposals.ts';
import { transformIdName } from '../../src/crypto/transform-names.ts';
import { formatProposal } from '../../src/ipsec/proposal.ts';
import { setting } from './reading.ts';

function written(text: string, protocol: 'ike' | 'esp') {
  const [proposal] = parseProposals([setting(text)], protocol, new Findings());
  assert.ok(proposal);
  return writtenProposal(formatProposal(proposal));
}

describe('Proposals in the words of swanctl.conf', () => {
  it('come back as they were written', () => {
    for (const text of [
      'aes256-sha256-prfsha256-x25519',
      'aes256gcm16-prfsha384-ecp384-modp2048',
      'chacha20poly1305-prfsha512-modp3072',
    ]) {
      assert.deepEqual(written(text, 'ike'), { kind: 'written', text });
    }
    for (const text of [
      'aes128gcm16',
      'aes256-sha512-x25519',
      'aes256gcm16-esn',
      'aes128gcm16-noesn-esn',
    ]) {
      assert.deepEqual(written(text, 'esp'), { kind: 'written', text });
    }
  });

  it('have one word for every transform that has a keyword', () => {
    for (const word of proposalKeywords()) {
      const keyword = proposalKeyword(word);
      assert.ok(keyword);
      const { type, id, keyLength } = keyword;
      const name = transformIdName(type, id) + (keyLength === undefined ? '' : `_${keyLength}`);
      const again = keywordOf(name);
      // What only a misleading spelling stands for has no word.
      if (again === undefined) assert.match(word, /compat$/);
      else assert.deepEqual(proposalKeyword(again), keyword, word);
    }
    assert.equal(keywordOf('AES_GCM_16_256'), 'aes256gcm16');
    assert.equal(keywordOf('CURVE_25519'), 'x25519');
    assert.equal(keywordOf('AES_CBC_128'), 'aes128');
    assert.equal(keywordOf('HMAC_SHA1_96'), 'sha1');
    assert.equal(keywordOf('NO_SUCH'), undefined);
  });

  it('leave out what cannot be had, and say why where nothing is left', () => {
    assert.deepEqual(
      writtenProposal('IKE:AES_CBC_256/3DES_CBC/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_2048'),
      { kind: 'written', text: 'aes256-sha256-prfsha256-modp2048' },
    );
    const weak = writtenProposal('IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/MODP_768');
    assert.equal(weak.kind, 'refused');
    assert.equal(weak.kind === 'refused' && weak.name, 'MODP_768');
    assert.deepEqual(writtenProposal('IKE:AES_CBC_256/KE(99)'), {
      kind: 'refused',
      name: 'KE(99)',
      why: 'not known here',
    });
  });
});
