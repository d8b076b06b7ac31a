/**
 * What all nodes of a cluster make cookies with (RFC 7296 §2.6), so that a client may come back to another node than
 * the one that asked it for a cookie: made of the cluster's key and of the minute of the wall clock, by HKDF (RFC 5869).
 *
 * The minutes before and after are good, too: clocks of nodes differ by less than that. Pure; the caller knows the time.
 */
import { HMAC_SHA256 } from '../../cluster/bus/noise.ts';
import { prf, prfPlus } from '../../crypto/prf.ts';
import { SecretBytes } from '../../crypto/secret-bytes.ts';
import type { SharedSecrets } from '../../ike/cookie.ts';
import { concatOctets, OctetWriter, octetsOfLatin1 } from '../../wire/octets.ts';

export interface TokenSecrets {
  readonly secrets: SharedSecrets;
  /** When the next ones are due, in milliseconds of the same clock. */
  readonly until: number;
}

/** The secrets of the minute that `wallMilliseconds` since 1970 is in. */
export function tokenSecrets(clusterKey: SecretBytes, wallMilliseconds: number): TokenSecrets {
  const minute = Math.floor(wallMilliseconds / MINUTE);
  const of = (which: number): SecretBytes => secretOf(clusterKey, which);
  return {
    secrets: { current: of(minute), previous: of(minute - 1), next: of(minute + 1) },
    until: (minute + 1) * MINUTE,
  };
}

function secretOf(clusterKey: SecretBytes, minute: number): SecretBytes {
  // RFC 5869 §2.2: the salt keys the MAC; as a name of its own it keeps this use of the key from all others.
  const extracted = prf(HMAC_SHA256, SALT, clusterKey.reveal());
  const number = new OctetWriter().u32(Math.floor(minute / 2 ** 32)).u32(minute % 2 ** 32);
  // RFC 5869 §2.3: the expansion is that of RFC 7296 §2.13.
  const expanded = prfPlus(HMAC_SHA256, extracted, concatOctets(INFO, number.finish()), OCTETS);
  return new SecretBytes(expanded);
}

const MINUTE = 60_000;
const OCTETS = 32;
const SALT = octetsOfLatin1('tsgw cluster cookies');
const INFO = octetsOfLatin1('secret of the minute ');
