/**
 * TCP MSS clamping: a SYN that crosses the tunnel, either way, announces no more than fits
 * (RFC 9293 §3.7.1: MSS is the MTU less the fixed headers).
 *
 * The one place where we change what hosts say to each other; `gateway.mss_clamp` turns it off.
 */
import { type Flow, Fragment } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';
import { clampMss, TCP_HEADER } from '../wire/tcp.ts';

/**
 * Lowers the MSS of the packet `flow` was read from; answers whether the packet changed. `unsummed`:
 * its checksum is still to be made.
 */
export function clampFlow(
  octets: Uint8Array,
  at: number,
  flow: Flow,
  innerMtu: number,
  unsummed = false,
): boolean {
  // A fragmented SYN may hold the option in another fragment, or its checksum over octets not here.
  if (flow.protocol !== IpProtocol.TCP || flow.fragment !== Fragment.WHOLE) return false;
  const header = flow.family === 4 ? IPV4_HEADER : IPV6_HEADER;
  return clampMss(
    octets,
    at + flow.headerLength,
    flow.totalLength - flow.headerLength,
    innerMtu - header - TCP_HEADER,
    unsummed,
  );
}
