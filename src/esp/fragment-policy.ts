/**
 * Which policy a fragment of an inner packet meets (RFC 4301 §7). Only where policies name ports does
 * it differ from that of a whole packet, and only fragments come here.
 *
 * A later fragment counts with the ports of its first one. An SA whose selectors name ports carries it
 * only if both ends agreed on NON_FIRST_FRAGMENTS_ALSO. One whose first is not known, because it was
 * lost or comes later, fits what asks for no port and is otherwise dropped, not kept.
 */
import { DropReason } from '../events/drop-reason.ts';
import { Policy } from '../ipsec/spd.ts';
import { type Flow, Fragment } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
import type { EspSa } from './esp-sa.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { FirstFragments, hidePorts } from './first-fragments.ts';

/** An answer beside those of `EspSaTable.findOutbound`: nothing may carry the fragment. */
export const UNMATCHED = -0x8000_0000;

/** Owner of what leaves; SAs have numbers above. */
const OUTBOUND = 0;

export class FragmentPolicy {
  readonly #sas: EspSaTable;
  readonly #firsts = new FirstFragments();

  constructor(sas: EspSaTable) {
    this.#sas = sas;
  }

  /** For a fragment that leaves: what `findOutbound` answers for whole packets, or UNMATCHED. */
  findOutbound(flow: Flow, now: Instant): number {
    if (!this.#sas.namesPorts) return this.#sas.findOutbound(flow);
    if (flow.fragment === Fragment.FIRST) {
      this.#firsts.note(flow, OUTBOUND, now);
      return this.#sas.findOutbound(flow);
    }
    const known = this.#firsts.recall(flow, OUTBOUND, now);
    const found = this.#sas.findOutbound(flow);
    if (known && found >= 0 && !takesLater(this.#sas.at(found))) {
      // RFC 4301 §7.3: not agreed on, so only an SA for what shows no ports may carry it.
      hidePorts(flow);
      return protectedOnly(this.#sas.findOutbound(flow));
    }
    // RFC 4301 §7.4: what may be a piece of a protected packet does not leave in the clear.
    return known ? found : protectedOnly(found);
  }

  /** For a fragment that an SA delivers, whose first fragments are noted: why it is dropped, or NONE. */
  judgeInbound(sa: EspSa, flow: Flow, now: Instant): number {
    const owner = sa.parameters.id;
    if (sa.selectors.matchesInbound(flow)) {
      if (flow.fragment === Fragment.FIRST) this.#firsts.note(flow, owner, now);
      return DropReason.NONE;
    }
    if (flow.fragment === Fragment.FIRST) return DropReason['inbound-policy-mismatch'];
    const known = this.#firsts.recall(flow, owner, now);
    return known && sa.selectors.matchesInbound(flow)
      ? DropReason.NONE
      : DropReason['inbound-fragment-unmatched'];
  }
}

/** An SA in transport mode has them put together again before it carries them (RFC 4303 §3.3.4). */
function takesLater(sa: EspSa): boolean {
  return !sa.namesPorts || sa.tracksFragments || sa.hosts !== undefined;
}

function protectedOnly(found: number): number {
  return found === Policy.BYPASS || found === Policy.NONE ? UNMATCHED : found;
}
