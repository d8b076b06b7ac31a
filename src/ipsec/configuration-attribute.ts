/**
 * Configuration attribute types (RFC 7296 §3.15.1 and the IANA registry), with the registry's
 * spelling; beside them the private types that clients are known to use.
 *
 * Stands here because pools are configured in these terms. What is in a value stays octets.
 */

/** An attribute as a configuration payload carries it. */
export interface PoolAttribute {
  /** 1-32767. */
  readonly type: number;
  readonly value: Uint8Array;
}

export const AttributeType = {
  INTERNAL_IP4_ADDRESS: 1,
  INTERNAL_IP4_NETMASK: 2,
  INTERNAL_IP4_DNS: 3,
  INTERNAL_IP4_NBNS: 4,
  INTERNAL_IP4_DHCP: 6,
  APPLICATION_VERSION: 7,
  INTERNAL_IP6_ADDRESS: 8,
  INTERNAL_IP6_DNS: 10,
  /** RFC 4306; reserved since, still sent. */
  INTERNAL_IP6_NBNS: 11,
  INTERNAL_IP6_DHCP: 12,
  INTERNAL_IP4_SUBNET: 13,
  SUPPORTED_ATTRIBUTES: 14,
  INTERNAL_IP6_SUBNET: 15,
  MIP6_HOME_PREFIX: 16,
  INTERNAL_IP6_LINK: 17,
  INTERNAL_IP6_PREFIX: 18,
  HOME_AGENT_ADDRESS: 19,
  P_CSCF_IP4_ADDRESS: 20,
  P_CSCF_IP6_ADDRESS: 21,
  FTT_KAT: 22,
  EXTERNAL_SOURCE_IP4_NAT_INFO: 23,
  TIMEOUT_PERIOD_FOR_LIVENESS_CHECK: 24,
  INTERNAL_DNS_DOMAIN: 25,
  INTERNAL_DNSSEC_TA: 26,
  ENCDNS_IP4: 27,
  ENCDNS_IP6: 28,
  ENCDNS_DIGEST_INFO: 29,

  /** MS-IKEE: a server of the network, asked for by Windows. */
  INTERNAL_IP4_SERVER: 23_456,
  INTERNAL_IP6_SERVER: 23_457,
  /** Cisco Unity. */
  UNITY_BANNER: 28_672,
  UNITY_SAVE_PASSWD: 28_673,
  UNITY_DEF_DOMAIN: 28_674,
  UNITY_SPLITDNS_NAME: 28_675,
  UNITY_SPLIT_INCLUDE: 28_676,
  UNITY_NATT_PORT: 28_677,
  UNITY_LOCAL_LAN: 28_678,
  UNITY_PFS: 28_679,
  UNITY_FW_TYPE: 28_680,
  UNITY_BACKUP_SERVERS: 28_681,
  UNITY_DDNS_HOSTNAME: 28_682,
} as const;

/** The field is 15 bits wide. */
export const MAX_ATTRIBUTE_TYPE = 0x7fff;
