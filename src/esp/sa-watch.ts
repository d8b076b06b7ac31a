/**
 * What an SA's packets say about the SA itself: that the peer has it (RFC 7296 §2.8), where the peer
 * is (RFC 7296 §2.23), and that its lifetime is used up (RFC 4301 §4.4.2.1).
 *
 * Asked for each packet, hence a look and no more unless something changed; what changed is
 * reported once or at a bounded rate.
 */
import { addressFromWords, type Flow } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
import type { Batch } from './batch.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { ErrorRate } from './icmp-too-big.ts';
import type { PacketEnds, PacketReports } from './packet-reports.ts';
import { ORIGIN_WORDS, originDestination, originSource, originWords } from './peer-origin.ts';
import { Limit } from './traffic-meter.ts';

/** A peer whose NAT changes its mind for each packet is heard so often. */
export const MOVE_REPORT_MS = 100;

/** Packets outside their SA's selectors that are told of, of all SAs together; the others are counted. */
export const MISMATCH_REPORTS = { perSecond: 1, burst: 5 } as const;

export class SaWatch {
  readonly #sas: EspSaTable;
  readonly #arrivals: Batch;
  readonly #origins: Int32Array;
  readonly #reports: PacketReports;
  readonly #mismatches = new ErrorRate(MISMATCH_REPORTS.perSecond, MISMATCH_REPORTS.burst);
  #suppressed = 0;
  #activations = 0;

  constructor(sas: EspSaTable, arrivals: Batch, reports: PacketReports) {
    this.#sas = sas;
    this.#arrivals = arrivals;
    this.#origins = originWords(arrivals);
    this.#reports = reports;
  }

  /** SAs so far that began to send because their peer has them. */
  get activations(): number {
    return this.#activations;
  }

  /** A packet of this row of the arrivals passed the ICV, and then the window. */
  authenticated(sa: EspSa, row: number, now: Instant): void {
    if (sa.outbound === 'after-inbound') {
      this.#sas.setOutbound(sa, 'now');
      this.#activations++;
      this.#reports.outboundActivated(sa);
    }
    if (!sa.window.advanced) return;
    if (sa.window.nearlyUsed) this.limited(sa, Limit.SOFT);
    // RFC 7296 §2.23: only the newest packet tells where the peer is; an older one may be anybody's
    // copy that was held back.
    if (!sa.ends.udpEncapsulation) return;
    if (sa.origin.differs(this.#origins, row * ORIGIN_WORDS)) this.#moved(sa, row, now);
  }

  /** A packet that passed the ICV is none that the SA is for (RFC 4301 §5.2 step 4). */
  mismatched(sa: EspSa, flow: Flow, now: Instant): void {
    if (!this.#mismatches.take(now)) {
      this.#suppressed++;
      return;
    }
    this.#reports.policyMismatch(sa, packetEnds(flow), this.#suppressed);
    this.#suppressed = 0;
  }

  /** A limit of the SA was reached in one direction. */
  limited(sa: EspSa, limit: number): void {
    if (limit <= sa.limitReported) return;
    sa.limitReported = limit;
    this.#reports.limitReached(sa, limit === Limit.HARD ? 'hard' : 'soft');
  }

  #moved(sa: EspSa, row: number, now: Instant): void {
    if (sa.moveReported !== undefined && now - sa.moveReported < MOVE_REPORT_MS) return;
    sa.moveReported = now;
    const address = originDestination(this.#arrivals, row);
    const remote = originSource(this.#arrivals, row);
    this.#reports.peerMoved(sa, { address, port: sa.ends.local.port }, remote);
  }
}

function packetEnds(flow: Flow): PacketEnds {
  return {
    source: addressFromWords(flow.family, flow.source),
    destination: addressFromWords(flow.family, flow.destination),
    protocol: flow.protocol,
    sourcePort: flow.sourcePort,
    destinationPort: flow.destinationPort,
  };
}
