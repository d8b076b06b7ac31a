/** Seals octets that are no chain of payloads: what a holder of the keys can do and no encoder will. */
import { computeIcv } from '../../src/crypto/integrity.ts';
import { seal } from '../../src/crypto/message-cipher.ts';
import { encodeMessage } from '../../src/ike/message/codec.ts';
import type { IkeHeader, Payload } from '../../src/ike/message/message.ts';
import type { MessageKey } from '../../src/ike/protection.ts';
import { concatOctets } from '../../src/wire/octets.ts';
import { seededRandom } from './seeded-random.ts';

/** A message with `clear` payloads and one SK, `plaintext` inside with the least padding. */
export function rawSeal(
  header: IkeHeader,
  firstPayload: number,
  plaintext: Uint8Array,
  key: MessageKey,
  clear: readonly Payload[] = [],
): Uint8Array {
  const { encr, integ, icvLength } = key;
  const padding =
    (encr.blockLength - ((plaintext.length + 1) % encr.blockLength)) % encr.blockLength;
  return sealPadded(
    header,
    firstPayload,
    concatOctets(plaintext, new Uint8Array(padding), Uint8Array.of(padding)),
    { key, clear, encr, integ, icvLength },
  );
}

function sealPadded(
  header: IkeHeader,
  firstPayload: number,
  padded: Uint8Array,
  sealing: Pick<MessageKey, 'encr' | 'integ' | 'icvLength'> & {
    readonly key: MessageKey;
    readonly clear: readonly Payload[];
  },
): Uint8Array {
  const { key, clear, encr, integ, icvLength } = sealing;
  const iv = key.nextIv(seededRandom(5));
  const sealed = concatOctets(iv, padded, new Uint8Array(icvLength));
  const payloads: readonly Payload[] = [...clear, { kind: 'SK', firstPayload, sealed }];
  const message = encodeMessage({ header, payloads });
  const ciphertextAt = message.length - icvLength - padded.length;
  const aad = message.subarray(0, ciphertextAt - iv.length);
  const encryption = key.encryption.reveal();
  message.set(seal({ algorithm: encr, key: encryption, iv, aad, plaintext: padded }), ciphertextAt);
  if (integ) {
    const icvAt = message.length - icvLength;
    message.set(computeIcv(integ, key.integrity.reveal(), message.subarray(0, icvAt)), icvAt);
  }
  return message;
}
