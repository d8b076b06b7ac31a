/**
 * Proposals as logs name them, `ESP:AES_GCM_16_256/NO_EXT_SEQ`, back in the words of swanctl.conf.
 *
 * For advice: what to write so that this very proposal is accepted, or why it never will be.
 */
import { TransformType } from '../crypto/transform.ts';
import { transformIdName } from '../crypto/transform-names.ts';
import { type Keyword, proposalKeyword, proposalKeywords } from './proposal-keywords.ts';

/** A proposal as one would write it, or the first algorithm of it that is not to be had. */
export type WrittenProposal =
  | { readonly kind: 'written'; readonly text: string }
  | { readonly kind: 'refused'; readonly name: string; readonly why: string };

/** The keyword of one transform's name; undefined where there is none. */
export function keywordOf(name: string): string | undefined {
  return WORDS.get(name)?.word;
}

/**
 * What to write for a proposal as `formatProposal` prints it. Of several algorithms of one type those
 * that cannot be had are left out; a type with none left makes it refused.
 */
export function writtenProposal(formatted: string): WrittenProposal {
  const [protocol = '', names = ''] = formatted.split(':');
  const words = names.split('/').map((name) => ({ name, known: WORDS.get(name) }));
  const kept = words.filter(({ known }) => known && known.keyword.never === undefined);
  const types = new Set(kept.map(({ known }) => known?.keyword.type));
  const lost = words.find(({ known }) => !known || !types.has(known.keyword.type));
  if (lost) {
    const why = lost.known?.keyword.never ?? 'not known here';
    return { kind: 'refused', name: lost.name, why };
  }
  const esn = kept.filter(({ known }) => known?.keyword.type === TransformType.ESN);
  const text = kept
    .flatMap(({ known }) => (known ? [known] : []))
    .filter(({ keyword }) => protocol !== 'ESP' || esn.length > 1 || !isNoEsn(keyword))
    .map(({ word }) => word)
    .join('-');
  return { kind: 'written', text };
}

/** Without a word on ESN there is none. */
function isNoEsn({ type, id }: Keyword): boolean {
  return type === TransformType.ESN && id === 0;
}

/** Spellings of a transform that has a plainer one. */
const UNUSUAL = /^(aes|camellia|sha|curve\d+|modpnone|sha2_\d+|.*compat|.*[gc]cm(64|96|128)?)$/;

/** Several keywords mean one transform: the last of them that reads well is the one to write. */
const WORDS: ReadonlyMap<string, { readonly word: string; readonly keyword: Keyword }> = new Map(
  [...proposalKeywords()].flatMap((word) => {
    const keyword = proposalKeyword(word);
    if (!keyword || UNUSUAL.test(word)) return [];
    const name = transformIdName(keyword.type, keyword.id);
    const { keyLength } = keyword;
    return [[keyLength === undefined ? name : `${name}_${keyLength}`, { word, keyword }]];
  }),
);
