/**
 * The lengths an ESP packet has under its transforms (RFC 4303 §2, RFC 4106, RFC 7634, RFC 3602).
 *
 * A view on `crypto/algorithms.ts`: encryption and integrity put together. Made once per SA.
 */
import {
  type DigestName,
  encryptionAlgorithm,
  integrityAlgorithm,
  type OpensslCipher,
} from '../crypto/algorithms.ts';

/** Octets of SPI and sequence number in front of the IV. */
export const ESP_HEADER = 8;
/** Octets of Pad Length and Next Header behind the padding. */
export const ESP_TRAILER = 2;

export interface EspSuite {
  readonly cipher: OpensslCipher;
  /** Of the HMAC; undefined with an AEAD cipher. */
  readonly digest: DigestName | undefined;
  readonly aead: boolean;
  readonly ivLength: number;
  readonly icvLength: number;
  readonly saltLength: number;
  /** Payload, padding and trailer together are a multiple of this many octets. */
  readonly alignment: number;
}

export interface EspTransforms {
  readonly encr: { readonly id: number; readonly keyLength?: number };
  readonly integ?: { readonly id: number };
}

/** Throws for transforms that were never on offer: whoever negotiated them is wrong. */
export function espSuite(transforms: EspTransforms): EspSuite {
  const { encr, integ } = transforms;
  const encryption = encryptionAlgorithm(encr.id);
  if (encryption === undefined) throw new RangeError(`no encryption algorithm ${encr.id}`);
  const keyBits = encr.keyLength ?? encryption.keyLengths[0] ?? 0;
  const integrity = integ === undefined ? undefined : integrityAlgorithm(integ.id);
  // RFC 4303 §3.2: ESP without integrity protection is not offered here.
  if (encryption.aead === (integrity !== undefined)) {
    throw new RangeError(`${encryption.name} with integrity ${integrity?.name ?? 'none'}`);
  }
  return {
    cipher: encryption.nodeCipher(keyBits),
    digest: integrity?.digest,
    aead: encryption.aead,
    ivLength: encryption.ivLength,
    icvLength: integrity?.icvLength ?? encryption.icvLength,
    saltLength: encryption.saltLength,
    // RFC 4303 §2.4: the ICV starts on a 4-octet boundary whatever the cipher wants.
    alignment: Math.max(4, encryption.blockLength),
  };
}

/** Octets of an ESP packet around `inner` octets, from SPI to ICV. */
export function espOctets(suite: EspSuite, inner: number): number {
  const body = Math.ceil((inner + ESP_TRAILER) / suite.alignment) * suite.alignment;
  return ESP_HEADER + suite.ivLength + body + suite.icvLength;
}
