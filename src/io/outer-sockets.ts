/**
 * The sockets of the outside: UDP 500 for IKE, UDP 4500 for IKE and ESP (RFC 3948), IP protocol 50
 * for ESP (RFC 4303 §2).
 *
 * All carry OUTER_MARK, so that what the gateway itself sends never enters its own tunnels
 * (`routes.ts`).
 */
import { type Native, native } from './native.ts';

/** SO_MARK of everything the gateway sends outside. */
export const OUTER_MARK = 0x220;

/** Room for about 5000 packets; see `native/socket.c` for why the system's default is too little. */
const BUFFER_OCTETS = 8 << 20;

const ESP_PROTOCOL = 50;

/**
 * A UDP socket on all addresses of a family; undefined where the machine does not have the family.
 * A port that is taken is the operator's to free: the error says which.
 */
export function openOuterUdp(
  family: 4 | 6,
  port: number,
  addon: Native = native(),
): number | undefined {
  return openFamily(`UDP port ${port} of IPv${family}`, () =>
    addon.udpSocket({ family, port, bufferOctets: BUFFER_OCTETS, mark: OUTER_MARK }),
  );
}

/** A socket for ESP without encapsulation; undefined where the machine does not have the family. */
export function openOuterEsp(family: 4 | 6, addon: Native = native()): number | undefined {
  return openFamily(`IP protocol ${ESP_PROTOCOL} of IPv${family}`, () =>
    addon.rawSocket(family, ESP_PROTOCOL, { bufferOctets: BUFFER_OCTETS, mark: OUTER_MARK }),
  );
}

function openFamily(what: string, open: () => number): number | undefined {
  try {
    return open();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    if (code === 'EAFNOSUPPORT') return undefined;
    const why =
      code === 'EADDRINUSE'
        ? 'taken, does another IKE daemon run?'
        : code === 'EPERM'
          ? 'not permitted, root or CAP_NET_ADMIN, CAP_NET_RAW and CAP_NET_BIND_SERVICE needed'
          : String(error);
    throw new Error(`${what}: ${why}`, { cause: error });
  }
}
