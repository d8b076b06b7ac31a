/**
 * IP protocol numbers we name (IANA "Protocol Numbers").
 */
export const IpProtocol = {
  HOPOPT: 0,
  ICMP: 1,
  IGMP: 2,
  IPV4: 4,
  TCP: 6,
  UDP: 17,
  DCCP: 33,
  IPV6: 41,
  IPV6_ROUTE: 43,
  IPV6_FRAG: 44,
  ESP: 50,
  AH: 51,
  IPV6_ICMP: 58,
  IPV6_NONXT: 59,
  IPV6_OPTS: 60,
  /** strongSwan and Linux: IPv4 options in BEET mode. */
  BEETPH: 94,
  PIM: 103,
  SCTP: 132,
  MOBILITY_HEADER: 135,
  UDPLITE: 136,
} as const;
