/**
 * MTU of the TUN device: as it is configured, or as much as the widest of the SAs carries. The others
 * answer "too big" with their own number.
 */
import { InnerMtus } from './inner-mtus.ts';
import type { Rtnetlink } from './rtnetlink.ts';

/** Before any SA says what fits. */
const FIRST_TUN_MTU = 1400;
/** RFC 8200 §5: a link that carries IPv6 has at least 1280. */
const LEAST_TUN_MTU = 1280;

/** What the device begins with; `configured` is 0 where the SAs decide. */
export function firstDeviceMtu(configured: number): number {
  return configured || FIRST_TUN_MTU;
}

export class DeviceMtu {
  readonly #rtnetlink: Pick<Rtnetlink, 'changeLink'>;
  readonly #interfaceIndex: number;
  readonly #configured: number;
  /** By Child SA: the largest inner packet. */
  readonly #inner = new InnerMtus();
  #octets: number;

  constructor(
    rtnetlink: Pick<Rtnetlink, 'changeLink'>,
    interfaceIndex: number,
    configured: number,
  ) {
    this.#rtnetlink = rtnetlink;
    this.#interfaceIndex = interfaceIndex;
    this.#configured = configured;
    this.#octets = firstDeviceMtu(configured);
  }

  /** The most that the device takes now. */
  get octets(): number {
    return this.#octets;
  }

  /** A Child SA carries so much. */
  set(childSaId: number, octets: number): void {
    this.#inner.set(childSaId, octets);
    this.#fit();
  }

  delete(childSaId: number): void {
    this.#inner.delete(childSaId);
    this.#fit();
  }

  #fit(): void {
    if (this.#configured !== 0) return;
    const widest = Math.max(LEAST_TUN_MTU, this.#inner.widest ?? FIRST_TUN_MTU);
    if (widest === this.#octets) return;
    this.#rtnetlink.changeLink(this.#interfaceIndex, { mtu: widest });
    this.#octets = widest;
  }
}
