import assert from 'node:assert/strict';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { deriveIkeKeys, ikeSuite } from '../../src/ike/keys.ts';
import { ikeSpi } from '../../src/ike/message/message.ts';
import { NO_NAT_TRAVERSAL } from '../../src/ike/nat-detection.ts';
import { secure } from '../../src/ike/secure.ts';
import type { IkeEnvironment } from '../../src/ike/turn.ts';
import { fromHex } from '../../src/wire/octets.ts';
import { AES_CBC_256, PRF_SHA2_256, SHA2_256, X25519 } from '../support/connections.ts';
import { actionsOf, turnAt } from '../support/turns.ts';

const spiI = ikeSpi(fromHex('0102030405060708'));
const spiR = ikeSpi(fromHex('1112131415161718'));
const octets = new Uint8Array(32).fill(3);

const suite = ikeSuite({
  number: 1,
  protocol: 1,
  spi: new Uint8Array(),
  encr: AES_CBC_256,
  prf: PRF_SHA2_256,
  integ: SHA2_256,
  ke: X25519,
});
assert.ok(suite);

const nonces = { nonceI: new Uint8Array(32).fill(1), nonceR: new Uint8Array(32).fill(2) };
const expected = deriveIkeKeys(suite, {
  sharedSecret: new SecretBytes(octets.slice()),
  ...nonces,
  spiI,
  spiR,
});

function secured(initiator: boolean, changes: Partial<IkeEnvironment> = {}) {
  assert.ok(suite);
  const sharedSecret = new SecretBytes(octets.slice());
  const turn = turnAt(0, changes);
  const result = secure(
    turn,
    { initiator, spiI, spiR },
    {
      suite,
      sharedSecret,
      ...nonces,
      nat: NO_NAT_TRAVERSAL,
      udpEncapsulation: false,
    },
  );
  return { turn, sharedSecret, ...result };
}

describe('An IKE SA after its key exchange (RFC 7296 §2.14)', () => {
  it('seals as the side it is, and opens as the other', () => {
    const [initiator, responder] = [secured(true), secured(false)];
    const { skEi, skAi, skEr, skAr } = expected;
    const pairs = [
      [initiator.sealing.encryption, skEi],
      [initiator.sealing.integrity, skAi],
      [initiator.opening.encryption, skEr],
      [initiator.opening.integrity, skAr],
      [responder.sealing.encryption, skEr],
      [responder.sealing.integrity, skAr],
      [responder.opening.encryption, skEi],
      [responder.opening.integrity, skAi],
    ] as const;
    for (const [found, wanted] of pairs) assert.deepEqual(found.reveal(), wanted.reveal());
  });

  it('keeps what AUTH and Child SAs need', () => {
    const { nat, keys } = secured(true);
    assert.equal(nat, NO_NAT_TRAVERSAL);
    assert.deepEqual(keys.skD.reveal(), expected.skD.reveal());
    assert.deepEqual(keys.skPr.reveal(), expected.skPr.reveal());
  });

  it('has forgotten the shared secret', () => {
    assert.deepEqual(secured(true).sharedSecret.reveal(), new Uint8Array(32));
  });

  it('gives its keys away only where a key log is asked for', () => {
    assert.deepEqual(secured(true).turn.actions, []);
    const [logged] = actionsOf(secured(false, { keyLog: true }).turn, 'key-log');
    assert.deepEqual(logged?.line, {
      spiI: '0102030405060708',
      spiR: '1112131415161718',
      encr: AES_CBC_256.id,
      encrKeyLength: 256,
      integ: SHA2_256.id,
      skEi: expected.skEi.reveal(),
      skEr: expected.skEr.reveal(),
      skAi: expected.skAi.reveal(),
      skAr: expected.skAr.reveal(),
    });
  });
});
