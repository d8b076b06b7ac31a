/**
 * The SAs of the packet path, and the three ways to find one: by the SPI of an inbound packet
 * (SAD, RFC 4301 §4.4.2), by the policy of an outbound packet (SPD, §4.4.1), by its index.
 *
 * Look-ups allocate nothing; indexes are reused after `remove`.
 */
import { Sad } from '../ipsec/sad.ts';
import { Spd } from '../ipsec/spd.ts';
import { type Endpoint, equalAddresses } from '../wire/address.ts';
import type { Flow } from '../wire/flow.ts';
import {
  createEspSa,
  type EspHandles,
  type EspSa,
  type EspSaParameters,
  type LinkMtu,
} from './esp-sa.ts';

export class EspSaTable {
  readonly #mtu: LinkMtu;
  readonly #sad = new Sad();
  readonly #spd = new Spd();
  readonly #sas: (EspSa | undefined)[] = [];
  readonly #byId = new Map<number, EspSa>();

  constructor(mtu: LinkMtu) {
    this.#mtu = mtu;
  }

  get mtu(): LinkMtu {
    return this.#mtu;
  }

  /** Throws when the id or the inbound SPI is in use: whoever chose them is wrong. */
  install(parameters: EspSaParameters, handles: EspHandles): EspSa {
    const { id, spiIn, localTs, remoteTs, priority } = parameters;
    if (this.#byId.has(id)) throw new Error(`Child SA ${id} is installed already`);
    const free = this.#sas.indexOf(undefined);
    const index = free === -1 ? this.#sas.length : free;
    const sa = createEspSa(index, parameters, handles, this.#mtu);
    if (!this.#sad.insert(spiIn, index)) throw new Error(`Child SA ${id}: its SPI is in use`);
    this.#spd.insert({ id, action: 'protect', sa: index, localTs, remoteTs, priority });
    this.#sas[index] = sa;
    this.#byId.set(id, sa);
    return sa;
  }

  remove(id: number): EspSa | undefined {
    const sa = this.#byId.get(id);
    if (sa === undefined) return undefined;
    this.#sad.remove(sa.parameters.spiIn);
    this.#spd.remove(id);
    this.#sas[sa.index] = undefined;
    this.#byId.delete(id);
    return sa;
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

  /** Index of the SA that protects an outbound packet, or one of `Policy` (`ipsec/spd.ts`). */
  findOutbound(flow: Flow): number {
    return this.#spd.lookup(flow);
  }

  /** The SA that sends with this SPI to this peer, for errors that quote what we sent. */
  findSent(spiOut: number, remote: Endpoint): EspSa | undefined {
    for (const sa of this.#byId.values()) {
      if (
        sa.spiOut === spiOut >>> 0 &&
        equalAddresses(sa.parameters.remote.address, remote.address)
      ) {
        return sa;
      }
    }
    return undefined;
  }
}
