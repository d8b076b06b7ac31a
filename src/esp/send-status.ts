/**
 * What a refused send means: errno values of Linux, as the native layer writes them into STATUS.
 */
import { DropReason } from '../events/drop-reason.ts';

/** The DropReason of a STATUS that is not 0. */
export function sendDropReason(status: number): DropReason {
  switch (-status) {
    case EAGAIN:
    case ENOBUFS:
    case ENOMEM:
      return DropReason['send-would-block'];
    case EMSGSIZE:
      return DropReason['send-too-big'];
    case ENETDOWN:
    case ENETUNREACH:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case ECONNREFUSED:
    case EADDRNOTAVAIL:
      return DropReason['send-unreachable'];
    default:
      return DropReason['send-failed'];
  }
}

/** The packet is larger than the route's MTU and may not be fragmented. */
export function isTooBigStatus(status: number): boolean {
  return status === -EMSGSIZE;
}

/** The STATUS of a packet that no socket of ours could send. */
export const UNREACHABLE = -101;

const EAGAIN = 11;
const ENOMEM = 12;
const EMSGSIZE = 90;
const EADDRNOTAVAIL = 99;
const ENETDOWN = 100;
const ENETUNREACH = 101;
const ENOBUFS = 105;
const ECONNREFUSED = 111;
const EHOSTDOWN = 112;
const EHOSTUNREACH = 113;
