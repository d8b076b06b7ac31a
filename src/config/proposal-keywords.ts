/**
 * The keywords of `proposals` and `esp_proposals` with their IANA numbers
 * (IANA "IKEv2 Parameters", spelling of strongSwan).
 *
 * Every keyword of strongSwan is here, also those we do not implement: a refusal then names the
 * algorithm and the reason. All without a reason are in the table of `crypto/algorithms.ts`.
 */
import { TransformType } from '../crypto/transform.ts';

/** What a keyword stands for. */
export interface Keyword {
  readonly type: TransformType;
  readonly id: number;
  /** Bits, where the transform carries a key length attribute. */
  readonly keyLength?: number;
  /** Why it is refused, and what to do about it where there is something. */
  readonly never?: string;
  /** Refused where an operator writes it, but not inside a preset. */
  readonly preset?: true;
}

/** The meaning of a keyword in lower case; additional key exchanges (`ke1_...`) are not in it. */
export function proposalKeyword(text: string): Keyword | undefined {
  return KEYWORDS.get(text);
}

/** All keywords, for hints. */
export function proposalKeywords(): Iterable<string> {
  return KEYWORDS.keys();
}

const { ENCR, PRF, INTEG, KE, ESN } = TransformType;

const BROKEN = 'too weak for any use (RFC 8247, RFC 8221, RFC 9395)';
const WEAK_GROUP = 'a group of less than 112 bits of strength (RFC 8247 §2.4, RFC 9395)';
const TRIPLE_DES =
  'too weak for traffic of any length (RFC 8247 §2.1): only the preset windows-stock has it';
const CAMELLIA_CCM = 'OpenSSL has no CCM with Camellia: write camellia256 or aes256ccm16';
const ECP_224 = 'a group of 112 bits of strength that no RFC asks for: write ecp256';
const RFC_5114 = 'a group of RFC 5114, whose origin is unknown: write modp2048';
const GOST = 'no library we build on has GOST R 34.10 (RFC 9385): write x25519';
const POST_QUANTUM = 'post-quantum key exchange is not implemented yet: remove it';
const COMPAT = 'it sends a key length that RFC 7634 §2 forbids: write chacha20poly1305';
const PRIVATE_USE = 'a number for private use that only strongSwan knows';

const KEYWORDS: ReadonlyMap<string, Keyword> = new Map<string, Keyword>([
  ...encryption('des', 2, [], BROKEN),
  ['3des', Object.freeze({ type: ENCR, id: 3, never: TRIPLE_DES, preset: true as const })],
  ...encryption('cast128', 6, [128], BROKEN),
  ...encryption('blowfish', 7, [128], BROKEN),
  ...sized('blowfish', '', 7, BROKEN),
  ...encryption('null', 11, []),
  ...encryption('aes', 12, [128]),
  ...sized('aes', '', 12),
  ...sized('aes', 'ctr', 13),
  ...sized('aes', 'ccm8', 14),
  ...sized('aes', 'ccm64', 14),
  ...sized('aes', 'ccm12', 15),
  ...sized('aes', 'ccm96', 15),
  ...sized('aes', 'ccm', 16),
  ...sized('aes', 'ccm16', 16),
  ...sized('aes', 'ccm128', 16),
  ...sized('aes', 'gcm8', 18),
  ...sized('aes', 'gcm64', 18),
  ...sized('aes', 'gcm12', 19),
  ...sized('aes', 'gcm96', 19),
  ...sized('aes', 'gcm', 20),
  ...sized('aes', 'gcm16', 20),
  ...sized('aes', 'gcm128', 20),
  ...sized('aes', 'gmac', 21),
  ...encryption('camellia', 23, [128]),
  ...sized('camellia', '', 23),
  ...sized('camellia', 'ctr', 24),
  ...sized('camellia', 'ccm8', 25, CAMELLIA_CCM),
  ...sized('camellia', 'ccm64', 25, CAMELLIA_CCM),
  ...sized('camellia', 'ccm12', 26, CAMELLIA_CCM),
  ...sized('camellia', 'ccm96', 26, CAMELLIA_CCM),
  ...sized('camellia', 'ccm16', 27, CAMELLIA_CCM),
  ...sized('camellia', 'ccm128', 27, CAMELLIA_CCM),
  ...encryption('chacha20poly1305', 28, []),
  ...encryption('chacha20poly1305compat', 28, [256], COMPAT),
  ...encryption('serpent', 1026, [128], PRIVATE_USE),
  ...sized('serpent', '', 1026, PRIVATE_USE),
  ...encryption('twofish', 1027, [128], PRIVATE_USE),
  ...sized('twofish', '', 1027, PRIVATE_USE),

  ...plain(PRF, 1, ['prfmd5'], BROKEN),
  ...plain(PRF, 2, ['prfsha1']),
  ...plain(PRF, 4, ['prfaesxcbc']),
  ...plain(PRF, 5, ['prfsha256']),
  ...plain(PRF, 6, ['prfsha384']),
  ...plain(PRF, 7, ['prfsha512']),
  ...plain(PRF, 8, ['prfaescmac']),
  ...plain(PRF, 1028, ['prfcamelliaxcbc'], PRIVATE_USE),

  ...plain(INTEG, 1, ['md5'], BROKEN),
  ...plain(INTEG, 2, ['sha', 'sha1']),
  ...plain(INTEG, 5, ['aesxcbc']),
  ...plain(INTEG, 6, ['md5_128'], BROKEN),
  ...plain(INTEG, 7, ['sha1_160'], 'defined for Fibre Channel only (RFC 4595)'),
  ...plain(INTEG, 8, ['aescmac']),
  ...plain(INTEG, 12, ['sha256', 'sha2_256']),
  ...plain(INTEG, 13, ['sha384', 'sha2_384']),
  ...plain(INTEG, 14, ['sha512', 'sha2_512']),
  ...plain(INTEG, 1026, ['sha256_96', 'sha2_256_96'], PRIVATE_USE),
  ...plain(INTEG, 1030, ['camelliaxcbc'], PRIVATE_USE),

  ...plain(KE, 0, ['none', 'modpnone']),
  ...plain(KE, 1, ['modp768'], WEAK_GROUP),
  ...plain(KE, 2, ['modp1024']),
  ...plain(KE, 5, ['modp1536']),
  ...plain(KE, 14, ['modp2048']),
  ...plain(KE, 15, ['modp3072']),
  ...plain(KE, 16, ['modp4096']),
  ...plain(KE, 17, ['modp6144']),
  ...plain(KE, 18, ['modp8192']),
  ...plain(KE, 19, ['ecp256']),
  ...plain(KE, 20, ['ecp384']),
  ...plain(KE, 21, ['ecp521']),
  ...plain(KE, 22, ['modp1024s160'], WEAK_GROUP),
  ...plain(KE, 23, ['modp2048s224'], RFC_5114),
  ...plain(KE, 24, ['modp2048s256'], RFC_5114),
  ...plain(KE, 25, ['ecp192'], WEAK_GROUP),
  ...plain(KE, 26, ['ecp224'], ECP_224),
  ...plain(KE, 27, ['ecp224bp']),
  ...plain(KE, 28, ['ecp256bp']),
  ...plain(KE, 29, ['ecp384bp']),
  ...plain(KE, 30, ['ecp512bp']),
  ...plain(KE, 31, ['curve25519', 'x25519']),
  ...plain(KE, 32, ['curve448', 'x448']),
  ...plain(KE, 33, ['gost256'], GOST),
  ...plain(KE, 34, ['gost512'], GOST),
  ...plain(KE, 35, ['mlkem512'], POST_QUANTUM),
  ...plain(KE, 36, ['mlkem768'], POST_QUANTUM),
  ...plain(KE, 37, ['mlkem1024'], POST_QUANTUM),
  ...plain(KE, 1024, ['modpnull'], 'a group for load tests, without any strength'),

  ...plain(ESN, 0, ['noesn']),
  ...plain(ESN, 1, ['esn']),
]);

type Named = readonly (readonly [string, Keyword])[];

function encryption(
  name: string,
  id: number,
  keyLengths: readonly [] | readonly [number],
  never?: string,
): Named {
  const [keyLength] = keyLengths;
  return [[name, keyword(ENCR, id, keyLength, never)]];
}

/** `aes128ctr`, `aes192ctr` and `aes256ctr`. */
function sized(name: string, mode: string, id: number, never?: string): Named {
  return [128, 192, 256].map((bits) => [`${name}${bits}${mode}`, keyword(ENCR, id, bits, never)]);
}

function plain(type: TransformType, id: number, names: readonly string[], never?: string): Named {
  return names.map((name) => [name, keyword(type, id, undefined, never)]);
}

function keyword(
  type: TransformType,
  id: number,
  keyLength: number | undefined,
  never: string | undefined,
): Keyword {
  return Object.freeze({
    type,
    id,
    ...(keyLength === undefined ? {} : { keyLength }),
    ...(never === undefined ? {} : { never }),
  });
}
