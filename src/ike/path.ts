/**
 * The path of a message: from where to where, outside (RFC 7296 §2.11, §2.23).
 */
import { type Endpoint, equalAddresses } from '../wire/address.ts';

/** The outer addresses and ports a message took. */
export interface Path {
  readonly local: Endpoint;
  readonly remote: Endpoint;
}

export function samePath(one: Path, other: Path): boolean {
  return (
    equalAddresses(one.local.address, other.local.address) &&
    equalAddresses(one.remote.address, other.remote.address) &&
    one.local.port === other.local.port &&
    one.remote.port === other.remote.port
  );
}
