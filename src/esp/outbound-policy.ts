/**
 * What the policies say about a packet that wants out (RFC 4301 §5.1 step 2, §4.4.1): the SA that carries
 * it, here or at another worker, or what becomes of it without one.
 *
 * Later fragments go where their first one went, ICMP errors where the packet they are about came from.
 */
import { DropReason } from '../events/drop-reason.ts';
import { Policy } from '../ipsec/spd.ts';
import { type Flow, Fragment } from '../wire/flow.ts';
import type { Instant } from '../wire/instant.ts';
import { type Batch, DROP_TAKEN, WORDS } from './batch.ts';
import type { EspSaTable } from './esp-sa-table.ts';
import { FragmentPolicy, UNMATCHED } from './fragment-policy.ts';
import type { HandOver } from './hand-over.ts';
import { QuotedPacket } from './quoted-packet.ts';
import type { Traps } from './traps.ts';

export interface OutboundPolicyParts {
  readonly sas: EspSaTable;
  readonly traps: Traps;
  readonly handOver: HandOver | undefined;
  readonly reads: Batch;
}

export class OutboundPolicy {
  readonly #sas: EspSaTable;
  readonly #traps: Traps;
  readonly #handOver: HandOver | undefined;
  readonly #reads: Batch;
  readonly #fragments: FragmentPolicy;
  readonly #quoted = new QuotedPacket();

  constructor({ sas, traps, handOver, reads }: OutboundPolicyParts) {
    this.#sas = sas;
    this.#traps = traps;
    this.#handOver = handOver;
    this.#reads = reads;
    this.#fragments = new FragmentPolicy(sas);
  }

  /** Index of the SA for the packet at `inner`; below 0 there is none, and `without` knows what then. */
  find(inner: number, flow: Flow, now: Instant): number {
    const found =
      flow.fragment === Fragment.WHOLE
        ? this.#sas.findOutbound(flow)
        : this.#fragments.findOutbound(flow, now);
    return found === Policy.NONE ? this.#findQuoted(inner, flow) : found;
  }

  /**
   * Why a packet in the row of `reads` at word `at` is dropped for what `find` answered; DROP_TAKEN =
   * it went another way, NONE = it passes unprotected.
   */
  without(at: number, policy: number, flow: Flow, now: Instant): number {
    if (policy === Policy.NONE) return DropReason['no-policy'];
    if (policy === Policy.DISCARD) return DropReason['discard-policy'];
    if (policy === Policy.BYPASS) return DropReason.NONE;
    if (policy === UNMATCHED) return DropReason['outbound-fragment-unmatched'];
    if (policy <= Policy.ELSEWHERE) {
      const given = this.#handOver?.giveRead(Policy.ELSEWHERE - policy, this.#reads, at) === true;
      return given ? DROP_TAKEN : DropReason['hand-over-full'];
    }
    return this.#traps.hold(Policy.TRAP - policy, this.#reads, (at / WORDS) | 0, flow, now);
  }

  /**
   * RFC 4301 §6.2: an ICMP error that no policy is for takes the SA that the answer to the packet it
   * is about would take.
   */
  #findQuoted(inner: number, flow: Flow): number {
    if (!this.#quoted.read(this.#reads.arena, inner, flow)) return Policy.NONE;
    const found = this.#sas.findOutbound(this.#quoted.answer);
    if (found <= Policy.ELSEWHERE) return found;
    return found >= 0 && this.#sas.at(found).parameters.icmpErrors ? found : Policy.NONE;
  }
}
