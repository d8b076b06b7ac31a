/**
 * Identities as IKE carries them (RFC 7296 §3.5) and as configurations write them.
 */

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
