/**
 * The algorithms of an ESP SA and the lengths they give its packets (RFC 4303 §2, RFC 4106,
 * RFC 7634, RFC 3602): `espShape` with what the cipher contexts need. Made once for all SAs that have them.
 */
import {
  type CipherMode,
  type CipherName,
  encryptionAlgorithm,
  integrityAlgorithm,
  type MacName,
} from '../crypto/algorithms.ts';
import { type EspShape, espShape } from '../ipsec/path-mtu.ts';

/** Octets of SPI and sequence number in front of the IV. */
export const ESP_HEADER = 8;
/** Octets of Pad Length and Next Header behind the padding. */
export const ESP_TRAILER = 2;

export interface EspSuite extends EspShape {
  readonly cipher: CipherName;
  readonly mode: CipherMode;
  /** Makes the ICV; undefined where the cipher does. */
  readonly mac: MacName | undefined;
  readonly saltLength: number;
  /** The IV is the sequence number; otherwise it is random, or there is none. */
  readonly sequenceIv: boolean;
  /** In place of that: the IV says which node of a cluster sealed, and counts what it sealed. */
  readonly partitionedIv: boolean;
}

export interface EspTransforms {
  readonly encr: { readonly id: number; readonly keyLength?: number };
  readonly integ?: { readonly id: number };
}

/**
 * SAs of the same transforms have the same suite; `shared` = several nodes seal with the key. Throws
 * for transforms that were never on offer: whoever negotiated them is wrong.
 */
export function espSuite(transforms: EspTransforms, shared = false): EspSuite {
  const { encr, integ } = transforms;
  const key = `${encr.id} ${encr.keyLength} ${integ?.id} ${shared}`;
  const suite = suites.get(key) ?? newSuite(transforms, shared);
  suites.set(key, suite);
  return suite;
}

const suites = new Map<string, EspSuite>();

function newSuite({ encr, integ }: EspTransforms, shared: boolean): EspSuite {
  // RFC 8750 §3: the IV is the sequence number, which two nodes may both come to use.
  if (shared && IMPLICIT_IV.includes(encr.id)) {
    throw new RangeError(`encryption algorithm ${encr.id} has no IV that nodes could divide`);
  }
  const encryption = encryptionAlgorithm(encr.id);
  if (encryption === undefined) throw new RangeError(`no encryption algorithm ${encr.id}`);
  const integrity = integ && integrityAlgorithm(integ.id);
  // RFC 4303 §3.2: ESP without integrity protection is not offered here.
  if (encryption.aead === (integrity !== undefined)) {
    throw new RangeError(`${encryption.name} with integrity ${integrity?.name ?? 'none'}`);
  }
  const countedIv = encryption.ivLength > 0 && !needsRandomIv(encryption.mode);
  return {
    ...espShape(encr, integ),
    cipher: encryption.cipher(encr.keyLength ?? encryption.keyLengths[0] ?? 0),
    mode: encryption.mode,
    mac: integrity?.mac,
    saltLength: encryption.saltLength,
    sequenceIv: countedIv && !shared,
    partitionedIv: countedIv && shared,
  };
}

/** RFC 3602 §3: in CBC mode an IV must be unpredictable. The others want one that never repeats. */
function needsRandomIv(mode: CipherMode): boolean {
  return mode === 'cbc';
}

/** AES-CCM, AES-GCM and ChaCha20-Poly1305 of RFC 8750. */
const IMPLICIT_IV = [29, 30, 31];
