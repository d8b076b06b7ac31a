/**
 * What strongSwan sent, decoded, opened and encoded again: the codec and the protection of messages
 * against an implementation that is not ours.
 */
import { strict as assert } from 'node:assert';
import { encryptionAlgorithm, prfAlgorithm } from '../../src/crypto/algorithms.ts';
import { nobleCrypto } from '../../src/crypto/noble/noble-crypto.ts';
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { sharedKeyAuth } from '../../src/ike/auth/shared-key.ts';
import { deriveIkeKeys, ikeSuite } from '../../src/ike/keys.ts';
import { decodeMessage, encodeMessage, encodePayloads } from '../../src/ike/message/codec.ts';
import type { Payload } from '../../src/ike/message/message.ts';
import { checkPayloads, exchangeName, payloadName } from '../../src/ike/message/payload-rules.ts';
import { openMessage, sealMessage } from '../../src/ike/protection.ts';
import { equalOctets, toHex } from '../../src/wire/octets.ts';
import { messageKey, type RecordedMessage, type Recording, readRecordings } from './recording.ts';

/** strongSwan's short names of notifies in its log, and the registry's. */
const REGISTRY_NAMES: ReadonlyMap<string, string> = new Map([
  ['N(NATD_S_IP)', 'N(NAT_DETECTION_SOURCE_IP)'],
  ['N(NATD_D_IP)', 'N(NAT_DETECTION_DESTINATION_IP)'],
  ['N(FRAG_SUP)', 'N(IKEV2_FRAGMENTATION_SUPPORTED)'],
  ['N(HASH_ALG)', 'N(SIGNATURE_HASH_ALGORITHMS)'],
  ['N(REDIR_SUP)', 'N(REDIRECT_SUPPORTED)'],
  ['N(CHDLESS_SUP)', 'N(CHILDLESS_IKEV2_SUPPORTED)'],
  ['N(MULT_AUTH)', 'N(MULTIPLE_AUTH_SUPPORTED)'],
  ['N(INIT_CONTACT)', 'N(INITIAL_CONTACT)'],
  ['N(MOBIKE_SUP)', 'N(MOBIKE_SUPPORTED)'],
  ['N(NO_ADD_ADDR)', 'N(NO_ADDITIONAL_ADDRESSES)'],
  ['N(EAP_ONLY)', 'N(EAP_ONLY_AUTHENTICATION)'],
  ['N(MSG_ID_SYN_SUP)', 'N(IKEV2_MESSAGE_ID_SYNC_SUPPORTED)'],
]);

function sender(message: RecordedMessage): 'i' | 'r' {
  // The initiator of the IKE SA started every exchange that was recorded.
  return message.isResponse ? 'r' : 'i';
}

function isSealed(message: RecordedMessage): boolean {
  return message.exchange !== 'IKE_SA_INIT';
}

/** The payloads of a message, those inside SK where there is one. */
function payloadsOf(recorded: Recording, message: RecordedMessage): readonly Payload[] {
  if (!isSealed(message)) return decodeMessage(message.octets).payloads;
  const payloads = openMessage(message.octets, messageKey(recorded, sender(message)));
  assert.ok(payloads, 'the ICV is wrong');
  return payloads;
}

function find<Kind extends Payload['kind']>(payloads: readonly Payload[], kind: Kind) {
  const found = payloads.find(
    (payload): payload is Extract<Payload, { readonly kind: Kind }> => payload.kind === kind,
  );
  assert.ok(found, kind);
  return found;
}

for (const recorded of readRecordings()) {
  describe(`recorded ${recorded.file}: ${recorded.what}`, () => {
    for (const message of recorded.messages) {
      const direction = message.isResponse ? 'response' : 'request';
      describe(`${message.exchange} ${direction}`, () => {
        it('decodes and encodes to the same octets', () => {
          const decoded = decodeMessage(message.octets);
          assert.equal(toHex(encodeMessage(decoded)), toHex(message.octets));
          assert.equal(exchangeName(decoded.header.exchangeType), message.exchange);
          assert.equal(decoded.header.isResponse, message.isResponse);
        });

        it('holds the payloads its sender names, as the rules have it', () => {
          const payloads = payloadsOf(recorded, message);
          const names = message.payloads.map((name) => REGISTRY_NAMES.get(name) ?? name);
          assert.deepEqual(payloads.map(payloadName), names);
          const { exchangeType, isResponse } = decodeMessage(message.octets).header;
          const check = checkPayloads(exchangeType, isResponse, isSealed(message), payloads);
          assert.deepEqual(check, { kind: 'ok' });
        });

        if (isSealed(message)) sealedMessage(recorded, message);
      });
    }

    it('the keys are those RFC 7296 §2.14 derives from the shared secret', () => {
      const [request, response] = recorded.messages.map(({ octets }) => decodeMessage(octets));
      assert.ok(request && response);
      const { payloads } = response;
      const transforms = find(payloads, 'SA').proposals[0]?.transforms;
      const ofType = (type: number) =>
        transforms?.filter((transform) => transform.type === type)[0];
      const [encr, prf, integ, ke] = [1, 2, 3, 4].map(ofType);
      assert.ok(encr && prf && ke);
      const chosen = { number: 1, protocol: 1, spi: new Uint8Array(), encr, prf, ke };
      const suite = ikeSuite(integ ? { ...chosen, integ } : chosen);
      assert.ok(suite);
      const keys = deriveIkeKeys(suite, {
        sharedSecret: new SecretBytes(recorded.key('sharedSecret')),
        nonceI: find(request.payloads, 'NONCE').nonce,
        nonceR: find(payloads, 'NONCE').nonce,
        spiI: response.header.initiatorSpi,
        spiR: response.header.responderSpi,
      });
      for (const name of ['skD', 'skEi', 'skEr', 'skPi', 'skPr'] as const) {
        assert.equal(toHex(keys[name].reveal()), toHex(recorded.key(name)), name);
      }
    });

    it('both AUTH payloads are those of the pre-shared key', () => {
      const [request, response, authRequest, authResponse] = recorded.messages;
      assert.ok(request && response && authRequest && authResponse);
      const algorithm = prfAlgorithm(recorded.prf.id);
      assert.ok(algorithm);
      const ends = [
        { sealed: authRequest, first: request, peer: response, kind: 'IDi', skP: 'skPi' },
        { sealed: authResponse, first: response, peer: request, kind: 'IDr', skP: 'skPr' },
      ] as const;
      for (const { sealed, first, peer, kind, skP } of ends) {
        const payloads = payloadsOf(recorded, sealed);
        const auth = sharedKeyAuth(algorithm, new SecretBytes(recorded.presharedKey), {
          message: first.octets,
          peerNonce: find(decodeMessage(peer.octets).payloads, 'NONCE').nonce,
          id: find(payloads, kind),
          skP: new SecretBytes(recorded.key(skP)),
        });
        assert.equal(toHex(auth), toHex(find(payloads, 'AUTH').data));
      }
    });
  });
}

function sealedMessage(recorded: Recording, message: RecordedMessage): void {
  it('encodes inside SK to the octets its sender sealed', () => {
    const algorithm = encryptionAlgorithm(recorded.encr.id);
    assert.ok(algorithm);
    const { sealed } = find(decodeMessage(message.octets).payloads, 'SK');
    const key = messageKey(recorded, sender(message));
    const separateIcv = algorithm.aead ? 0 : key.icvLength;
    // The reference implementation opens it, so that this test shares nothing with `openMessage`.
    const plaintext = nobleCrypto.open({
      algorithm,
      key: recorded.key(`skE${sender(message)}`),
      iv: sealed.subarray(0, algorithm.ivLength),
      aad: message.octets.subarray(0, message.octets.length - sealed.length),
      ciphertext: sealed.subarray(algorithm.ivLength, sealed.length - separateIcv),
    });
    assert.ok(plaintext);
    const { octets } = encodePayloads(payloadsOf(recorded, message));
    const padding = plaintext.at(-1) ?? 0;
    assert.equal(toHex(octets), toHex(plaintext.subarray(0, plaintext.length - 1 - padding)));
  });

  it('seals to a message of the same size that opens to the same payloads', () => {
    const { header } = decodeMessage(message.octets);
    const payloads = payloadsOf(recorded, message);
    const key = messageKey(recorded, sender(message));
    const sealed = sealMessage(header, payloads, key, (length) => new Uint8Array(length).fill(7));
    assert.equal(sealed.length, message.octets.length);
    assert.deepEqual(openMessage(sealed, key), payloads);
  });

  it('does not open with a single bit changed, nor with the other direction’s key', () => {
    const key = messageKey(recorded, sender(message));
    const { sealed } = find(decodeMessage(message.octets).payloads, 'SK');
    const ivAt = message.octets.length - sealed.length;
    // Header fields that decode whatever they are, then everything behind SK's own header.
    const places = [0, 8, 19, 23, ...Array.from(sealed, (_, index) => ivAt + index)];
    for (const at of places) {
      const octets = message.octets.slice();
      octets[at] = (octets[at] ?? 0) ^ 1;
      assert.equal(openMessage(octets, key), undefined, `octet ${at}`);
    }
    const other = messageKey(recorded, sender(message) === 'i' ? 'r' : 'i');
    assert.ok(!equalOctets(key.encryption.reveal(), other.encryption.reveal()));
    assert.equal(openMessage(message.octets, other), undefined);
  });
}
