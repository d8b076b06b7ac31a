/**
 * Attributes of charon's HA messages: what each is called, what shape its value has, and which code it
 * has in which version of the protocol.
 *
 * An attribute is its code (one octet) and its value, without a length where the shape is fixed. Three
 * versions are in use: 3 (strongSwan 5.0.0 to 6.0.0), 4 (6.0.1) and 5 (from 6.0.2 on); 4 put two
 * attributes in between and moved the rest, 5 left the codes alone.
 */
import type { Identity } from '../../ipsec/identity.ts';
import type { TrafficSelector } from '../../ipsec/traffic-selector.ts';
import type { Endpoint } from '../../wire/address.ts';

/** Versions of the protocol that are understood. */
export const HA_VERSIONS = [3, 4, 5] as const;
export type HaVersion = (typeof HA_VERSIONS)[number];

/** Names an IKE SA: both SPIs, and whether the node that speaks began it. */
export interface HaIkeSaId {
  /** Major version: 1 or 2. */
  readonly ikeVersion: number;
  /** Sixteen hex digits. */
  readonly initiatorSpi: string;
  readonly responderSpi: string;
  readonly initiator: boolean;
}

/** `dynamic`: the configuration said so, and the address came from the peer. */
export interface HaSelector {
  readonly selector: TrafficSelector;
  readonly dynamic: boolean;
}

/** Attributes by the shape of their values. */
const NAMES = {
  'ike-sa-id': ['IKE_ID', 'IKE_REKEY_ID'],
  identity: ['LOCAL_ID', 'REMOTE_ID', 'REMOTE_EAP_ID'],
  endpoint: ['LOCAL_ADDR', 'REMOTE_ADDR', 'LOCAL_VIP', 'REMOTE_VIP', 'PEER_ADDR'],
  text: ['CONFIG_NAME'],
  flag: ['INITIATOR'],
  u8: ['IPSEC_MODE', 'IPCOMP', 'IKE_VERSION'],
  u16: [
    ...['ALG_PRF', 'ALG_OLD_PRF', 'ALG_ENCR', 'ALG_ENCR_LEN', 'ALG_INTEG', 'ALG_KE'],
    ...['INBOUND_CPI', 'OUTBOUND_CPI', 'SEGMENT', 'ESN', 'AUTH_METHOD'],
  ],
  u32: ['CONDITIONS', 'EXTENSIONS', 'MID'],
  spi: ['INBOUND_SPI', 'OUTBOUND_SPI'],
  octets: [
    ...['NONCE_I', 'NONCE_R', 'SECRET', 'ADD_SECRET', 'OLD_SKD'],
    ...['LOCAL_DH', 'REMOTE_DH', 'PSK', 'IV'],
  ],
  'u16-list': ['ADD_KES'],
  selector: ['LOCAL_TS', 'REMOTE_TS'],
} as const;

export type HaShape = keyof typeof NAMES;
export type HaName<Shape extends HaShape = HaShape> = (typeof NAMES)[Shape][number];

interface Values {
  readonly 'ike-sa-id': HaIkeSaId;
  readonly identity: Identity;
  readonly endpoint: Endpoint;
  readonly text: string;
  readonly flag: boolean;
  readonly u8: number;
  readonly u16: number;
  readonly u32: number;
  /** An SPI of ESP as it is on the wire. */
  readonly spi: number;
  readonly octets: Uint8Array;
  readonly 'u16-list': readonly number[];
  readonly selector: HaSelector;
}

/** One attribute of a message. */
export type HaAttribute = {
  [Shape in HaShape]: {
    readonly shape: Shape;
    readonly name: HaName<Shape>;
    readonly value: Values[Shape];
  };
}[HaShape];

/** Which shape and name a code stands for. */
export type HaAttributeKey = {
  [Shape in HaShape]: { readonly shape: Shape; readonly name: HaName<Shape> };
}[HaShape];

/** The attribute of a code, or undefined where the version has none. */
export function attributeOfCode(version: HaVersion, code: number): HaAttributeKey | undefined {
  const name = CODES[version][code - 1];
  return name === undefined ? undefined : KEYS.get(name);
}

/** The code of an attribute, or undefined where the version cannot say it. */
export function codeOfAttribute(version: HaVersion, name: HaName): number | undefined {
  const index = CODES[version].indexOf(name);
  return index < 0 ? undefined : index + 1;
}

/** What an IKE SA is, as bits of CONDITIONS (those that mean something to another node). */
export const HaCondition = {
  NAT_ANY: 1 << 0,
  NAT_HERE: 1 << 1,
  NAT_THERE: 1 << 2,
  NAT_FAKE: 1 << 3,
  EAP_AUTHENTICATED: 1 << 4,
  CERTREQ_SEEN: 1 << 5,
  ORIGINAL_INITIATOR: 1 << 6,
  STALE: 1 << 7,
  INIT_CONTACT_SEEN: 1 << 8,
} as const;

/** What the peer can, as bits of EXTENSIONS. */
export const HaExtension = {
  NATT: 1 << 0,
  MOBIKE: 1 << 1,
  HASH_AND_URL: 1 << 2,
  MULTIPLE_AUTH: 1 << 3,
  STRONGSWAN: 1 << 4,
  EAP_ONLY: 1 << 5,
  MS_WINDOWS: 1 << 6,
  IKE_FRAGMENTATION: 1 << 11,
  SIGNATURE_AUTH: 1 << 12,
  REDIRECTION: 1 << 13,
  MESSAGE_ID_SYNC: 1 << 14,
} as const;

/** Version 5 sends both bit fields twice; in the second one this bit says so. */
export const SECOND_BITS = 0x8000_0000;

// In the order of their codes, from 1.
const BEFORE_SECRETS = [
  ...['IKE_ID', 'IKE_REKEY_ID', 'LOCAL_ID', 'REMOTE_ID', 'REMOTE_EAP_ID', 'LOCAL_ADDR'],
  ...['REMOTE_ADDR', 'CONFIG_NAME', 'CONDITIONS', 'EXTENSIONS', 'LOCAL_VIP', 'REMOTE_VIP'],
  ...['PEER_ADDR', 'INITIATOR', 'NONCE_I', 'NONCE_R', 'SECRET'],
] as const;
const ALGORITHMS = [
  ...['OLD_SKD', 'ALG_PRF', 'ALG_OLD_PRF', 'ALG_ENCR', 'ALG_ENCR_LEN', 'ALG_INTEG', 'ALG_KE'],
] as const;
const BEHIND_KES = [
  ...['IPSEC_MODE', 'IPCOMP', 'INBOUND_SPI', 'OUTBOUND_SPI', 'INBOUND_CPI', 'OUTBOUND_CPI'],
  ...['LOCAL_TS', 'REMOTE_TS', 'MID', 'SEGMENT', 'ESN', 'IKE_VERSION'],
  ...['LOCAL_DH', 'REMOTE_DH', 'PSK', 'IV', 'AUTH_METHOD'],
] as const;
const VERSION_3 = [...BEFORE_SECRETS, ...ALGORITHMS, ...BEHIND_KES] as const;
const VERSION_4 = [
  ...BEFORE_SECRETS,
  'ADD_SECRET',
  ...ALGORITHMS,
  'ADD_KES',
  ...BEHIND_KES,
] as const;

const CODES: Readonly<Record<HaVersion, readonly HaName[]>> = {
  3: VERSION_3,
  4: VERSION_4,
  5: VERSION_4,
};

const KEYS: ReadonlyMap<HaName, HaAttributeKey> = new Map(
  [
    ...NAMES['ike-sa-id'].map((name) => ({ shape: 'ike-sa-id', name }) as const),
    ...NAMES.identity.map((name) => ({ shape: 'identity', name }) as const),
    ...NAMES.endpoint.map((name) => ({ shape: 'endpoint', name }) as const),
    ...NAMES.text.map((name) => ({ shape: 'text', name }) as const),
    ...NAMES.flag.map((name) => ({ shape: 'flag', name }) as const),
    ...NAMES.u8.map((name) => ({ shape: 'u8', name }) as const),
    ...NAMES.u16.map((name) => ({ shape: 'u16', name }) as const),
    ...NAMES.u32.map((name) => ({ shape: 'u32', name }) as const),
    ...NAMES.spi.map((name) => ({ shape: 'spi', name }) as const),
    ...NAMES.octets.map((name) => ({ shape: 'octets', name }) as const),
    ...NAMES['u16-list'].map((name) => ({ shape: 'u16-list', name }) as const),
    ...NAMES.selector.map((name) => ({ shape: 'selector', name }) as const),
  ].map((key) => [key.name, key]),
);
