/**
 * Identities as IKE carries them (RFC 7296 §3.5) and as configurations write them.
 *
 * Text means what it means in swanctl.conf. Distinguished names are kept as the octets of their
 * DER encoding; their text form is not read or made here.
 */
import {
  formatAddress,
  ipAddress,
  isAnyAddress,
  parseAddress,
  parsePrefix,
  prefixRange,
  rangeContains,
} from '../wire/address.ts';

/** ID Type values. */
export const IdType = {
  ID_IPV4_ADDR: 1,
  ID_FQDN: 2,
  ID_RFC822_ADDR: 3,
  ID_IPV6_ADDR: 5,
  ID_DER_ASN1_DN: 9,
  ID_DER_ASN1_GN: 10,
  ID_KEY_ID: 11,
} as const;

export interface Identity {
  readonly type: number;
  readonly data: Uint8Array;
}

/** An identity, possibly with wildcards (`*@example.org`, `%any`). */
export interface IdentityPattern {
  /** As configured, for listings and messages. */
  readonly text: string;
  /** The exact identity; undefined for a pattern. */
  readonly identity?: Identity;
}

/** What a text names; `refused` says what to write instead. */
export type ParsedIdentity =
  | { readonly kind: 'identity'; readonly identity: Identity }
  | { readonly kind: 'pattern' }
  | { readonly kind: 'refused'; readonly what: string };

const PREFIXES: ReadonlyMap<string, number> = new Map([
  ['fqdn', IdType.ID_FQDN],
  ['dns', IdType.ID_FQDN],
  ['email', IdType.ID_RFC822_ADDR],
  ['rfc822', IdType.ID_RFC822_ADDR],
  ['userfqdn', IdType.ID_RFC822_ADDR],
  ['keyid', IdType.ID_KEY_ID],
  ['asn1dn', IdType.ID_DER_ASN1_DN],
  ['dn', IdType.ID_DER_ASN1_DN],
]);

const ANY_TEXTS: readonly string[] = [
  '',
  '%any',
  '%any6',
  '*',
  '0.0.0.0',
  '::',
  '0.0.0.0/0',
  '::/0',
];

const DN_ADVICE =
  'write its DER encoding in hex, as in asn1dn:#300f310d300b06035504030c04612e6c6162';

/** Reads an identity the way swanctl.conf writes it. */
export function parseIdentity(text: string): ParsedIdentity {
  if (isAnyText(text) || addressPattern(text) !== undefined) return { kind: 'pattern' };
  const colon = text.indexOf(':');
  const type = colon > 0 ? PREFIXES.get(text.slice(0, colon).toLowerCase()) : undefined;
  if (type !== undefined) return parsePrefixed(type, text.slice(colon + 1));
  const address = parseAddress(text);
  if (address !== undefined) {
    const addressType = address.family === 4 ? IdType.ID_IPV4_ADDR : IdType.ID_IPV6_ADDR;
    return exactly(addressType, address.octets);
  }
  if (text.startsWith('@#')) return parseHex(IdType.ID_KEY_ID, text.slice(2));
  if (text.startsWith('@@')) return named(IdType.ID_RFC822_ADDR, text.slice(2));
  if (text.startsWith('@')) return named(IdType.ID_FQDN, text.slice(1));
  if (text.includes('=')) {
    return { kind: 'refused', what: `"${text}" is a distinguished name; ${DN_ADVICE}` };
  }
  if (text.includes('@')) return named(IdType.ID_RFC822_ADDR, text);
  // As strongSwan reads it: a colon outside an address makes a key id.
  return named(colon === -1 ? IdType.ID_FQDN : IdType.ID_KEY_ID, text);
}

/** The pattern for a text that `parseIdentity` does not refuse; the refusal otherwise. */
export function parseIdentityPattern(
  text: string,
): IdentityPattern | { readonly kind: 'refused'; readonly what: string } {
  const parsed = parseIdentity(text);
  if (parsed.kind === 'refused') return parsed;
  return parsed.kind === 'identity' ? { text, identity: parsed.identity } : { text };
}

/** The identity that is an address: what a side is called that configures no name. */
export function addressIdentity(octets: Uint8Array): Identity {
  return { type: octets.length === 4 ? IdType.ID_IPV4_ADDR : IdType.ID_IPV6_ADDR, data: octets };
}

/** As strongSwan prints it: names as text, key ids as text or colon hex, addresses as such. */
export function formatIdentity(identity: Identity): string {
  const { type, data } = identity;
  switch (type) {
    case IdType.ID_IPV4_ADDR:
    case IdType.ID_IPV6_ADDR:
      if (data.length !== (type === IdType.ID_IPV4_ADDR ? 4 : 16)) break;
      return isAnyAddress(ipAddress(data)) ? '%any' : formatAddress(ipAddress(data));
    case IdType.ID_FQDN:
    case IdType.ID_RFC822_ADDR:
      return printable(data, '?');
    case IdType.ID_KEY_ID:
      return isPrintable(data) ? printable(data, '?') : hex(data, ':');
    case IdType.ID_DER_ASN1_DN:
      return `asn1dn:#${hex(data, '')}`;
  }
  return `{${type}}:#${hex(data, '')}`;
}

/** Names compare without case (RFC 4343, and as peers do for mail addresses), the rest by octets. */
export function equalIdentities(a: Identity, b: Identity): boolean {
  if (a.type !== b.type || a.data.length !== b.data.length) return false;
  const fold = isName(a.type);
  return a.data.every((octet, index) => {
    const other = b.data[index] ?? 0;
    return fold ? lowerCase(octet) === lowerCase(other) : octet === other;
  });
}

/** One text for identities that are equal, another for any other. */
export function identityKey({ type, data }: Identity): string {
  return `${type} ${hex(isName(type) ? data.map(lowerCase) : data, '')}`;
}

/** How well an identity fits a pattern: from WILDCARD to EXACT, longer fixed parts count more. */
export const IdentityMatch = { NONE: 0, ANY: 1, WILDCARD: 2, EXACT: 1000 } as const;

/** Answers NONE or how exact the match is. An undefined pattern is any identity. */
export function matchIdentity(pattern: IdentityPattern | undefined, identity: Identity): number {
  if (pattern === undefined || isAnyText(pattern.text)) return IdentityMatch.ANY;
  const { identity: exact, text } = pattern;
  if (exact !== undefined) {
    return equalIdentities(exact, identity) ? IdentityMatch.EXACT : IdentityMatch.NONE;
  }
  return matchesAddress(text, identity) ? IdentityMatch.WILDCARD : matchWildcard(text, identity);
}

function isAnyText(text: string): boolean {
  return ANY_TEXTS.includes(text);
}

function exactly(type: number, data: Uint8Array): ParsedIdentity {
  return { kind: 'identity', identity: { type, data } };
}

function parsePrefixed(type: number, rest: string): ParsedIdentity {
  if (rest.startsWith('#')) return parseHex(type, rest.slice(1));
  if (type === IdType.ID_DER_ASN1_DN) {
    return { kind: 'refused', what: `"${rest}" is a distinguished name; ${DN_ADVICE}` };
  }
  return named(type, rest);
}

function parseHex(type: number, text: string): ParsedIdentity {
  const digits = text.replaceAll(':', '');
  if (digits.length === 0 || digits.length % 2 !== 0 || /[^0-9a-fA-F]/.test(digits)) {
    return { kind: 'refused', what: `"#${text}" is not pairs of hex digits, as in @#a1b2c3` };
  }
  const pairs = digits.match(/../g) ?? [];
  return exactly(
    type,
    Uint8Array.from(pairs, (pair) => Number.parseInt(pair, 16)),
  );
}

function named(type: number, text: string): ParsedIdentity {
  if (text === '') return { kind: 'refused', what: 'an identity without a name' };
  if (isName(type) && text.startsWith('*')) return { kind: 'pattern' };
  return exactly(type, new TextEncoder().encode(text));
}

function isName(type: number): boolean {
  return type === IdType.ID_FQDN || type === IdType.ID_RFC822_ADDR;
}

/** The range of addresses a pattern like `10.0.0.0/24` or `10.0.0.1-10.0.0.9` names. */
function addressPattern(text: string): ReturnType<typeof prefixRange> | undefined {
  if (text.includes('/')) {
    const prefix = parsePrefix(text);
    return prefix && prefixRange(prefix);
  }
  const dash = text.indexOf('-');
  if (dash === -1) return undefined;
  const first = parseAddress(text.slice(0, dash));
  const last = parseAddress(text.slice(dash + 1));
  return first && last && first.family === last.family ? { first, last } : undefined;
}

function matchesAddress(text: string, { type, data }: Identity): boolean {
  if (type !== IdType.ID_IPV4_ADDR && type !== IdType.ID_IPV6_ADDR) return false;
  const range = addressPattern(text);
  const right = data.length === (type === IdType.ID_IPV4_ADDR ? 4 : 16);
  return range !== undefined && right && rangeContains(range, ipAddress(data));
}

/** One `*` at the head stands for any beginning, as in strongSwan; the type must agree. */
function matchWildcard(text: string, identity: Identity): number {
  const colon = text.indexOf(':');
  const prefixed = colon > 0 ? PREFIXES.get(text.slice(0, colon).toLowerCase()) : undefined;
  const bare = prefixed === undefined ? text.replace(/^@@?/, '') : text.slice(colon + 1);
  const mail = text.startsWith('@@') || (bare.includes('@') && !text.startsWith('@'));
  const type = prefixed ?? (mail ? IdType.ID_RFC822_ADDR : IdType.ID_FQDN);
  if (!bare.startsWith('*') || identity.type !== type) return IdentityMatch.NONE;
  const tail = new TextEncoder().encode(bare.slice(1));
  const from = identity.data.length - tail.length;
  const ends =
    from >= 0 &&
    tail.every((octet, index) => lowerCase(octet) === lowerCase(identity.data[from + index] ?? 0));
  if (!ends) return IdentityMatch.NONE;
  return Math.min(IdentityMatch.WILDCARD + tail.length, IdentityMatch.EXACT - 1);
}

function lowerCase(octet: number): number {
  return octet >= 0x41 && octet <= 0x5a ? octet + 0x20 : octet;
}

function isPrintable(data: Uint8Array): boolean {
  return data.length > 0 && data.every((octet) => octet >= 0x20 && octet < 0x7f);
}

/** A peer's octets as text that cannot disturb a terminal or a log line. */
function printable(data: Uint8Array, instead: string): string {
  return Array.from(data, (octet) =>
    octet >= 0x20 && octet < 0x7f ? String.fromCharCode(octet) : instead,
  ).join('');
}

function hex(data: Uint8Array, between: string): string {
  return Array.from(data, (octet) => octet.toString(16).padStart(2, '0')).join(between);
}
