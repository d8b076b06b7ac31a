/**
 * Traffic selectors (RFC 7296 §2.9, §3.13; RFC 4301 §4.4.1.1) as ranges.
 */
import type { AddressRange } from '../wire/address.ts';

/** Addresses, an IP protocol (0 = any) and ports; for ICMP the ports are type and code. */
export interface TrafficSelector {
  readonly range: AddressRange;
  /** IP protocol number, 0 for any. */
  readonly protocol: number;
  /** 0-65535; `startPort` 65535 with `endPort` 0 means OPAQUE (RFC 7296 §3.13.1). */
  readonly startPort: number;
  readonly endPort: number;
}
