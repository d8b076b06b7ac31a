/**
 * Does the switch give every member what is sent to the cluster's hardware address? A switch that snoops IGMP and has
 * heard a querier does not: nobody joined anything for it.
 *
 * A node that tests asks the others, over the bus, to listen for a nonce, and sends it in probes. Who does not hear all of
 * them in time is deaf: it says to the switch that a multicast router is at its port, first gently, then by
 * queries, goes on saying so, and is asked again. Who stays deaf to the end is named; until then nobody is told anything.
 */
import type { RandomBytes } from '../../crypto/random.ts';
import { formatAddress, type IpAddress } from '../../wire/address.ts';
import { after, earliest, type Instant } from '../../wire/instant.ts';
import { equalOctets } from '../../wire/octets.ts';
import { type FloodingProbe, PROBE_NONCE_OCTETS } from './flooding-probe.ts';

export type FloodingAction =
  /** Over the bus: `node` is to listen for probes with the nonce and report. */
  | { readonly kind: 'ask-probe'; readonly node: number; readonly nonce: Uint8Array }
  /** Over the bus, to the node that asked. */
  | {
      readonly kind: 'report-probe';
      readonly node: number;
      readonly nonce: Uint8Array;
      readonly heard: boolean;
    }
  | { readonly kind: 'send-probe'; readonly probe: FloodingProbe }
  /** Say to the switch that a multicast router is here; with queries where the gentle words did not help. */
  | { readonly kind: 'appear-as-router'; readonly withQueries: boolean }
  /** The end of a test: members that do not hear the cluster's hardware address, and how often it was tried. */
  | { readonly kind: 'flooding-tested'; readonly deaf: readonly number[]; readonly rounds: number };

/** How long a listener waits for probes it was asked to hear, and a tester for reports. */
export const LISTEN_MILLISECONDS = 150;
export const ROUND_MILLISECONDS = 300;
export const MOST_ROUNDS = 4;
/** Switches forget a router after 255 s, where they follow the standards. */
export const ROUTER_MILLISECONDS = 60_000;
/** Nodes of a cluster. */
const MOST_NODES = 64;

interface Running {
  readonly members: ReadonlySet<number>;
  nonce: Uint8Array;
  round: number;
  waiting: Set<number>;
  deadline: Instant;
}

interface Listening {
  readonly nonce: Uint8Array;
  readonly deadline: Instant;
}

export class FloodingTest {
  readonly #node: number;
  readonly #addresses: readonly IpAddress[];
  readonly #random: RandomBytes;
  readonly #heard = new Map<number, { nonce: Uint8Array; addresses: Set<string> }>();
  readonly #listening = new Map<number, Listening>();
  #running: Running | undefined;
  #deafRounds = 0;
  #nextRouter: Instant | undefined;

  /** `addresses`: one for each family that is shared by a group's hardware address. */
  constructor(node: number, addresses: readonly IpAddress[], random: RandomBytes) {
    this.#node = node;
    this.#addresses = addresses;
    this.#random = random;
  }

  nextDeadline(): Instant | undefined {
    const listening = [...this.#listening.values()].map(({ deadline }) => deadline);
    return earliest(this.#running?.deadline, this.#nextRouter, ...listening);
  }

  /** Tests whether `members`, all but this node, hear us. One that runs is begun anew. */
  begin(members: readonly number[], now: Instant): readonly FloodingAction[] {
    const others = new Set(members.filter((node) => node !== this.#node));
    this.#running = undefined;
    if (others.size === 0 || this.#addresses.length === 0) {
      return [{ kind: 'flooding-tested', deaf: [], rounds: 0 }];
    }
    return this.#round(others, others, 1, now);
  }

  /** Another node asks us to listen. What was heard before the question counts. */
  asked(node: number, nonce: Uint8Array, now: Instant): readonly FloodingAction[] {
    if (nonce.length !== PROBE_NONCE_OCTETS || node < 1 || node > MOST_NODES) return [];
    this.#listening.set(node, { nonce, deadline: after(now, LISTEN_MILLISECONDS) });
    return this.#reportIfHeard(node);
  }

  /** A probe came in. */
  heard({ node, nonce, to }: FloodingProbe): readonly FloodingAction[] {
    if (node === this.#node || node < 1 || node > MOST_NODES) return [];
    const before = this.#heard.get(node);
    const known = before !== undefined && equalOctets(before.nonce, nonce) ? before : undefined;
    const now = known ?? { nonce, addresses: new Set<string>() };
    // Of what is shared, or strangers could fill our memory.
    const address = formatAddress(to);
    if (this.#addresses.some((one) => formatAddress(one) === address)) now.addresses.add(address);
    this.#heard.set(node, now);
    return this.#reportIfHeard(node);
  }

  /** A member says whether it heard our probes. */
  reported(
    node: number,
    nonce: Uint8Array,
    heard: boolean,
    now: Instant,
  ): readonly FloodingAction[] {
    const running = this.#running;
    if (running === undefined || !equalOctets(running.nonce, nonce) || !heard) return [];
    running.waiting.delete(node);
    return running.waiting.size > 0 ? [] : this.#end(now);
  }

  /** What is due. */
  due(now: Instant): readonly FloodingAction[] {
    const actions: FloodingAction[] = [];
    for (const [node, { nonce, deadline }] of this.#listening) {
      if (deadline > now) continue;
      this.#listening.delete(node);
      actions.push({ kind: 'report-probe', node, nonce, heard: false }, ...this.#appear(now, true));
    }
    if (this.#nextRouter !== undefined && this.#nextRouter <= now) {
      actions.push(...this.#appear(now, false));
    }
    if (this.#running !== undefined && this.#running.deadline <= now)
      actions.push(...this.#end(now));
    return actions;
  }

  #round(
    members: ReadonlySet<number>,
    waiting: ReadonlySet<number>,
    round: number,
    now: Instant,
  ): readonly FloodingAction[] {
    const nonce = this.#random(PROBE_NONCE_OCTETS);
    const deadline = after(now, ROUND_MILLISECONDS);
    this.#running = { members, nonce, round, waiting: new Set(waiting), deadline };
    const asks = [...waiting].map((node) => ({ kind: 'ask-probe', node, nonce }) as const);
    const probes = this.#addresses.map(
      (to) => ({ kind: 'send-probe', probe: { node: this.#node, nonce, to } }) as const,
    );
    return [...asks, ...probes];
  }

  #end(now: Instant): readonly FloodingAction[] {
    const running = this.#running;
    if (running === undefined) return [];
    const { members, waiting, round } = running;
    if (waiting.size > 0 && round < MOST_ROUNDS) {
      return this.#round(members, waiting, round + 1, now);
    }
    this.#running = undefined;
    const deaf = [...waiting].sort((a, b) => a - b);
    return [{ kind: 'flooding-tested', deaf, rounds: round }];
  }

  #reportIfHeard(node: number): readonly FloodingAction[] {
    const wanted = this.#listening.get(node);
    const heard = this.#heard.get(node);
    if (wanted === undefined || heard === undefined) return [];
    if (!equalOctets(wanted.nonce, heard.nonce)) return [];
    if (heard.addresses.size < this.#addresses.length) return [];
    this.#listening.delete(node);
    return [{ kind: 'report-probe', node, nonce: wanted.nonce, heard: true }];
  }

  /** Louder the second time it did not help; then again and again, for switches forget. */
  #appear(now: Instant, deaf: boolean): readonly FloodingAction[] {
    if (deaf) this.#deafRounds++;
    this.#nextRouter = after(now, ROUTER_MILLISECONDS);
    return [{ kind: 'appear-as-router', withQueries: this.#deafRounds > 1 }];
  }
}

/** What an operator is told; names of nodes, and the hardware addresses that do not reach them. */
export function floodingAdvice(
  deaf: readonly string[],
  hardwareAddresses: readonly string[],
): string {
  return [
    `frames to ${hardwareAddresses.join(' and ')} do not reach ${deaf.join(', ')}:`,
    'a switch between the nodes drops what no port joined (IGMP or MLD snooping with a querier).',
    'Switch snooping off for this network, or the querier, or make the ports of the nodes multicast router ports',
    '(Linux bridges: mcast_snooping 0, mcast_querier 0, or bridge link set dev PORT mcast_router 2);',
    'where none of this can be had, use the mode active-passive or forward',
  ].join(' ');
}
