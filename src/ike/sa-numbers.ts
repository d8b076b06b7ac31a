/**
 * The numbers SAs draw: ids that are never used again, inbound SPIs that are free, reqids that stay.
 */
import type { RandomBytes } from '../crypto/random.ts';
import { isReservedSpi, type Spi, spi } from '../ipsec/spi.ts';

export class SaNumbers {
  readonly #random: RandomBytes;
  readonly #spisIn = new Set<Spi>();
  readonly #reqids = new Map<string, number>();
  #lastIkeSaId = 0;
  #lastChildSaId = 0;

  constructor(random: RandomBytes) {
    this.#random = random;
  }

  newIkeSaId(): number {
    return ++this.#lastIkeSaId;
  }

  newChildSaId(): number {
    return ++this.#lastChildSaId;
  }

  /** An inbound ESP SPI nobody here uses (RFC 4301 §4.4.2.1); by chance where `choose` knows none. */
  newSpi(choose?: (isFree: (candidate: Spi) => boolean) => Spi | undefined): Spi {
    const chosen = choose?.((candidate) => !this.#spisIn.has(candidate));
    if (chosen !== undefined) {
      this.#spisIn.add(chosen);
      return chosen;
    }
    for (;;) {
      const octets = this.#random(4);
      const candidate = spi(octets.reduce((sum, octet) => sum * 256 + octet, 0));
      if (isReservedSpi(candidate) || this.#spisIn.has(candidate)) continue;
      this.#spisIn.add(candidate);
      return candidate;
    }
  }

  /** An SPI that another node drew for an SA that may go on here. */
  claimSpi(spiIn: Spi): void {
    this.#spisIn.add(spiIn);
  }

  /** SPIs that are drawn and not free again. */
  get spisIn(): number {
    return this.#spisIn.size;
  }

  releaseSpi(spiIn: Spi): void {
    this.#spisIn.delete(spiIn);
  }

  /** The same number for the same child of the same connection, as long as we run. */
  reqid(connection: string, child: string): number {
    const key = JSON.stringify([connection, child]);
    const reqid = this.#reqids.get(key) ?? this.#reqids.size + 1;
    this.#reqids.set(key, reqid);
    return reqid;
  }
}
