/**
 * Proposals as swanctl.conf writes them: `aes256gcm16-prfsha384-x25519`, `aes128-sha256`, `default`, or
 * a preset of `presets.ts`.
 *
 * What may stand together follows strongSwan (checked against 5.9.8): PRFs come from the integrity
 * algorithms unless one is named, AEAD and classic ciphers need two proposals, an integrity
 * algorithm beside AEAD is only there for its PRF. Stricter in one point: a classic cipher without
 * integrity is refused for ESP too.
 */
import {
  type EncryptionAlgorithm,
  encryptionAlgorithm,
  type IntegrityAlgorithm,
  integrityAlgorithm,
  type KeyExchangeAlgorithm,
  keyExchangeAlgorithm,
  type PrfAlgorithm,
  prfAlgorithm,
} from '../crypto/algorithms.ts';
import { EsnId, IntegrityId, KeyExchangeId, PrfId, TransformType } from '../crypto/transform.ts';
import { transformIdName } from '../crypto/transform-names.ts';
import { type Proposal, ProtocolId, type Transform } from '../ipsec/proposal.ts';
import type { Findings } from './findings.ts';
import { didYouMean } from './nearest-name.ts';
import { presetNamed, presetNames } from './presets.ts';
import { proposalKeyword, proposalKeywords } from './proposal-keywords.ts';
import { refuse, type Setting } from './values.ts';

const IKE_GROUPS = 'x25519-ecp256-ecp384-modp2048-modp3072';
const IKE_PRFS = 'prfsha256-prfsha384-prfsha512';

/** What `default` stands for: AEAD first. No SHA-1, nothing weak. */
export const DEFAULT_IKE_PROPOSALS: readonly string[] = [
  `aes256gcm16-aes128gcm16-chacha20poly1305-${IKE_PRFS}-${IKE_GROUPS}`,
  `aes256-sha256-sha384-sha512-${IKE_PRFS}-${IKE_GROUPS}`,
];

/** What `default` stands for in `esp_proposals`: no key exchange, so that PFS stays optional. */
export const DEFAULT_ESP_PROPOSALS: readonly string[] = [
  'aes256gcm16-aes128gcm16-chacha20poly1305-esn-noesn',
  'aes256-aes128-sha256-sha512-sha384-esn-noesn',
];

/** Proposals that are written where one is, and whether they may name what an operator may not. */
interface Written {
  readonly texts: readonly string[];
  readonly preset: boolean;
}

/** The proposals of a list, in order; those refused are noted and left out. */
export function parseProposals(
  settings: readonly Setting[],
  protocol: 'ike' | 'esp',
  findings: Findings,
): readonly Proposal[] {
  return settings.flatMap((setting) => {
    const { texts, preset } = written(setting, protocol, findings);
    return texts.flatMap(
      (text) =>
        findings.attempt(() => parseProposal({ ...setting, text }, protocol, findings, preset)) ??
        [],
    );
  });
}

/** What `default` and the presets stand for; anything else for itself. */
function written(setting: Setting, protocol: 'ike' | 'esp', findings: Findings): Written {
  const text = setting.text.toLowerCase();
  if (text === 'default') {
    const texts = protocol === 'ike' ? DEFAULT_IKE_PROPOSALS : DEFAULT_ESP_PROPOSALS;
    return { texts, preset: false };
  }
  const preset = presetNamed(text);
  if (preset === undefined) return { texts: [setting.text], preset: false };
  // One line for each connection that uses it, however many of its proposals do.
  const [connection = setting.path] = /^connections\.[^.]+/.exec(setting.path) ?? [];
  const what = `${setting.path} = ${preset.name}: a preset for peers that want it; its cost: ${preset.cost}`;
  findings.warnOnce(`${connection} ${preset.name}`, setting.at, what);
  return { texts: preset[protocol], preset: true };
}

function parseProposal(
  setting: Setting,
  protocol: 'ike' | 'esp',
  findings: Findings,
  preset: boolean,
): Proposal {
  const words = setting.text.toLowerCase().split('-');
  const names = words.map((word) => word.trim()).filter((word) => word !== '');
  const named = names.map((name) => parseTransform(setting, name, preset));
  const transforms = protocol === 'ike' ? ikeTransforms(setting, named) : espTransforms(named);
  checkTransforms(setting, protocol, transforms);
  const kept = transforms.filter(
    ({ type }) => type !== TransformType.INTEG || !transforms.some(isAead),
  );
  const proposal: Proposal = {
    number: 0,
    protocol: protocol === 'ike' ? ProtocolId.IKE : ProtocolId.ESP,
    spi: new Uint8Array(0),
    transforms: Object.freeze(inOrder(kept)),
  };
  for (const transform of preset ? [] : proposal.transforms) {
    const weakness = weaknessOf(transform);
    if (weakness === undefined) continue;
    const name = transformIdName(transform.type, transform.id);
    findings.warn(setting.at, `${setting.path} = ${setting.text}: ${name} ${weakness}`);
  }
  return Object.freeze(proposal);
}

function parseTransform(setting: Setting, name: string, preset: boolean): Transform {
  if (name === 'default') {
    refuse(setting, 'default stands alone: write it as a proposal of its own, behind a comma');
  }
  const additional = /^ke[1-7]_(.*)$/.exec(name);
  const found = proposalKeyword(additional?.[1] ?? name);
  if (found === undefined) {
    const hint =
      didYouMean(setting.text.toLowerCase(), presetNames()) || didYouMean(name, proposalKeywords());
    refuse(setting, `${name} is no algorithm${hint === '' ? ': remove it' : hint}`);
  }
  const { type, id, keyLength, never } = found;
  const label = `${name} (${transformIdName(type, id)})`;
  if (additional !== null) {
    refuse(setting, `${label}: additional key exchanges are not implemented yet: remove it`);
  }
  if (never !== undefined && !(preset && found.preset)) {
    refuse(setting, `${label} is not offered: ${never}`);
  }
  if (!isImplemented(found)) throw new Error(`${label} is neither implemented nor refused`);
  return keyLength === undefined || !isVariable(found) ? { type, id } : { type, id, keyLength };
}

/** The PRFs that are not named come from the integrity algorithms; no key exchange is not one. */
function ikeTransforms(setting: Setting, named: readonly Transform[]): readonly Transform[] {
  const esn = named.find(({ type }) => type === TransformType.ESN);
  if (esn !== undefined) refuse(setting, 'esn and noesn belong into esp_proposals: remove them');
  const transforms = named.filter(
    ({ type, id }) => type !== TransformType.KE || id !== KeyExchangeId.NONE,
  );
  if (transforms.some(({ type }) => type === TransformType.PRF)) return transforms;
  return [
    ...transforms,
    ...transforms.flatMap(({ type, id }) => {
      const prf = type === TransformType.INTEG ? PRF_OF_INTEGRITY.get(id) : undefined;
      return prf === undefined ? [] : [{ type: TransformType.PRF, id: prf }];
    }),
  ];
}

/** A PRF means nothing to ESP and is dropped; without a word on ESN there is none. */
function espTransforms(named: readonly Transform[]): readonly Transform[] {
  const transforms = named.filter(({ type }) => type !== TransformType.PRF);
  if (transforms.some(({ type }) => type === TransformType.ESN)) return transforms;
  return [...transforms, { type: TransformType.ESN, id: EsnId.NO_ESN }];
}

function checkTransforms(
  setting: Setting,
  protocol: 'ike' | 'esp',
  transforms: readonly Transform[],
): void {
  const has = (type: number): boolean => transforms.some((transform) => transform.type === type);
  const ciphers = transforms.filter(({ type }) => type === TransformType.ENCR);
  const aeads = ciphers.filter(isAead);
  if (ciphers.length === 0) refuse(setting, 'no encryption algorithm: add one such as aes256gcm16');
  // RFC 7296 §3.3: an AEAD algorithm and one with separate integrity cannot share a proposal.
  if (aeads.length > 0 && aeads.length < ciphers.length) {
    refuse(setting, 'AEAD and classic ciphers together: write two proposals, separated by a comma');
  }
  if (aeads.length === 0 && !has(TransformType.INTEG)) {
    refuse(setting, 'no integrity algorithm: add one such as sha256');
  }
  if (protocol === 'esp') return;
  const readable = ciphers.find(({ id }) => encryptionAlgorithm(id)?.confidential === false);
  if (readable !== undefined) {
    // RFC 8247 §2.1: IKE messages are encrypted, always.
    const name = transformIdName(TransformType.ENCR, readable.id);
    refuse(setting, `${name} leaves messages readable: it is for esp_proposals only`);
  }
  if (!has(TransformType.PRF)) refuse(setting, 'no PRF: add one such as prfsha256');
  if (!has(TransformType.KE)) refuse(setting, 'no key exchange: add one such as x25519');
}

function inOrder(transforms: readonly Transform[]): readonly Transform[] {
  const seen = new Set<string>();
  const once = transforms.filter(({ type, id, keyLength }) => {
    const key = `${type}/${id}/${keyLength}`;
    return !seen.has(key) && seen.add(key);
  });
  return ORDER.flatMap((wanted) => once.filter(({ type }) => type === wanted)).map((transform) =>
    Object.freeze(transform),
  );
}

function isImplemented({ type, id, keyLength }: Transform): boolean {
  if (type === TransformType.ESN) return true;
  if (type === TransformType.KE && id === KeyExchangeId.NONE) return true;
  const lengths = encryptionAlgorithm(id)?.keyLengths;
  const fits = type !== TransformType.ENCR || !keyLength || lengths?.includes(keyLength);
  return fits === true && algorithmOf(type, id) !== undefined;
}

function isVariable({ type, id }: Transform): boolean {
  return type === TransformType.ENCR && encryptionAlgorithm(id)?.variableKey === true;
}

function isAead({ type, id }: Transform): boolean {
  return type === TransformType.ENCR && encryptionAlgorithm(id)?.aead === true;
}

/** What an operator who names it should know, as the end of a sentence. */
function weaknessOf({ type, id }: Transform): string | undefined {
  const algorithm = algorithmOf(type, id);
  if (!algorithm?.weak) return undefined;
  const readable = 'confidential' in algorithm && !algorithm.confidential;
  return readable ? 'leaves the traffic readable' : 'is weak';
}

function algorithmOf(
  type: number,
  id: number,
): EncryptionAlgorithm | PrfAlgorithm | IntegrityAlgorithm | KeyExchangeAlgorithm | undefined {
  if (type === TransformType.ENCR) return encryptionAlgorithm(id);
  if (type === TransformType.PRF) return prfAlgorithm(id);
  if (type === TransformType.INTEG) return integrityAlgorithm(id);
  return type === TransformType.KE ? keyExchangeAlgorithm(id) : undefined;
}

const ORDER = [
  TransformType.ENCR,
  TransformType.PRF,
  TransformType.INTEG,
  TransformType.KE,
  TransformType.ESN,
] as const;

const PRF_OF_INTEGRITY: ReadonlyMap<number, number> = new Map([
  [IntegrityId.AUTH_HMAC_MD5_96, PrfId.PRF_HMAC_MD5],
  [IntegrityId.AUTH_HMAC_SHA1_96, PrfId.PRF_HMAC_SHA1],
  [IntegrityId.AUTH_AES_XCBC_96, PrfId.PRF_AES128_XCBC],
  [IntegrityId.AUTH_AES_CMAC_96, PrfId.PRF_AES128_CMAC],
  [IntegrityId.AUTH_HMAC_SHA2_256_128, PrfId.PRF_HMAC_SHA2_256],
  [IntegrityId.AUTH_HMAC_SHA2_384_192, PrfId.PRF_HMAC_SHA2_384],
  [IntegrityId.AUTH_HMAC_SHA2_512_256, PrfId.PRF_HMAC_SHA2_512],
]);
