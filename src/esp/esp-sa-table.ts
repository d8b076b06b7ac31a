/**
 * The SAs of the packet path, and the three ways to find one: by the SPI of an inbound packet
 * (SAD, RFC 4301 §4.4.2), by the policy of an outbound packet (SPD, §4.4.1), by its index.
 *
 * Look-ups allocate nothing; indexes are reused after `remove`.
 */
import type { OutboundUse } from '../ipsec/child-sa.ts';
import { Sad } from '../ipsec/sad.ts';
import { Spd } from '../ipsec/spd.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import { type Endpoint, equalAddresses } from '../wire/address.ts';
import type { Flow } from '../wire/flow.ts';
import type { SaRole } from './cluster-share.ts';
import {
  createEspSa,
  type EspHandles,
  type EspSa,
  type EspSaParameters,
  type LinkMtu,
} from './esp-sa.ts';

/** A policy without an SA; its number is below 0, those of Child SAs are above. */
export interface EspPolicy {
  readonly id: number;
  readonly action: 'bypass' | 'discard' | 'trap';
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  readonly priority: number;
}

/** A policy of a Child SA that another worker has; its number is the Child SA's. */
export interface ForeignPolicy extends Omit<EspPolicy, 'action'> {
  readonly action: 'protect';
  readonly worker: number;
}

export class EspSaTable {
  readonly #mtu: LinkMtu;
  readonly #sad = new Sad();
  /** SAs that another node of the cluster has: apart, so that looking for others costs what it did. */
  readonly #passives = new Sad();
  readonly #spd = new Spd();
  readonly #sas: (EspSa | undefined)[] = [];
  /** Indexes of removed SAs. */
  readonly #free: number[] = [];
  readonly #byId = new Map<number, EspSa>();

  constructor(mtu: LinkMtu) {
    this.#mtu = mtu;
  }

  get mtu(): LinkMtu {
    return this.#mtu;
  }

  /** Throws when the id or the inbound SPI is in use: whoever chose them is wrong. */
  install(parameters: EspSaParameters, handles: EspHandles): EspSa {
    const { id, spiIn } = parameters;
    if (this.#byId.has(id)) throw new Error(`Child SA ${id} is installed already`);
    if (this.#sad.find(spiIn) >= 0 || this.#passives.find(spiIn) >= 0)
      throw new Error(`Child SA ${id}: its SPI is in use`);
    const index = this.#free.pop() ?? this.#sas.length;
    const sa = createEspSa(index, parameters, handles, this.#mtu);
    this.#sadOf(parameters.cluster?.role).insert(spiIn, index);
    this.#sas[index] = sa;
    this.#byId.set(id, sa);
    if (sa.outbound === 'now') this.#protectBy(sa);
    return sa;
  }

  remove(id: number): EspSa | undefined {
    const sa = this.#byId.get(id);
    if (sa === undefined) return undefined;
    this.#sadOf(sa.share?.role).remove(sa.parameters.spiIn);
    this.#spd.remove(id);
    this.#sas[sa.index] = undefined;
    this.#free.push(sa.index);
    this.#byId.delete(id);
    return sa;
  }

  /** This node has the SA of a cluster, or another does; `change` says so to the SA itself. */
  changeRole<Result>(sa: EspSa, change: () => Result): Result {
    this.#sadOf(sa.share?.role).remove(sa.parameters.spiIn);
    const result = change();
    this.#sadOf(sa.share?.role).insert(sa.parameters.spiIn, sa.index);
    return result;
  }

  /** Whether the SA sends; the one that began last is used among equals. */
  setOutbound(sa: EspSa, outbound: OutboundUse): void {
    const before = sa.outbound;
    sa.outbound = outbound;
    if (outbound === 'now' && before !== 'now') this.#protectBy(sa);
    if (outbound !== 'now' && before === 'now') this.#spd.remove(sa.parameters.id);
  }

  /** Adds a policy, or replaces that of the number; `trap` is the index that `Traps` has for it. */
  installPolicy(policy: EspPolicy | ForeignPolicy, trap?: number): void {
    this.#spd.insert({ ...policy, ...(trap !== undefined && { trap }) });
  }

  removePolicy(id: number): void {
    this.#spd.remove(id);
  }

  /** The SA of a Child SA's number. */
  byId(id: number): EspSa | undefined {
    return this.#byId.get(id);
  }

  /** The SA of an index that a look-up of this table gave. */
  at(index: number): EspSa {
    const sa = this.#sas[index];
    if (sa === undefined) throw new RangeError(`no SA at index ${index}`);
    return sa;
  }

  /** Index of the SA of an inbound SPI, or -1. */
  findInbound(spi: number): number {
    return this.#sad.find(spi);
  }

  /** Index of the SA of an inbound SPI that another node has, or -1. */
  findPassive(spi: number): number {
    return this.#passives.find(spi);
  }

  /** Index of the SA that protects an outbound packet, or one of `Policy` (`ipsec/spd.ts`). */
  findOutbound(flow: Flow): number {
    return this.#spd.lookup(flow);
  }

  /** Fragments of one packet may meet different policies. */
  get namesPorts(): boolean {
    return this.#spd.namesPorts;
  }

  /** The SA that sends with this SPI to this peer, for errors that quote what we sent. */
  findSent(spiOut: number, remote: Endpoint): EspSa | undefined {
    for (const sa of this.#byId.values()) {
      if (sa.spiOut === spiOut >>> 0 && equalAddresses(sa.ends.remote.address, remote.address)) {
        return sa;
      }
    }
    return undefined;
  }

  #sadOf(role: SaRole | undefined): Sad {
    return role === 'passive' ? this.#passives : this.#sad;
  }

  #protectBy({ index, parameters }: EspSa): void {
    const { id, localTs, remoteTs, priority } = parameters;
    this.#spd.insert({ id, action: 'protect', sa: index, localTs, remoteTs, priority });
  }
}
