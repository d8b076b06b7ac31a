/**
 * Which SPIs we send with, and to whom: an ICMP error is believed only when it quotes one of them
 * (RFC 4301 §8.2.1).
 */
import { equalAddresses, type IpAddress } from '../wire/address.ts';

interface Sent {
  readonly childSaId: number;
  readonly spi: number;
  readonly peer: IpAddress;
}

export class SentSpis {
  readonly #byChildSa = new Map<number, Sent>();
  /** Two peers may have drawn the same. */
  readonly #bySpi = new Map<number, readonly Sent[]>();

  /** The Child SA that sends with this SPI to this peer. */
  find(spi: number, peer: IpAddress): number | undefined {
    return this.#of(spi).find((sent) => equalAddresses(sent.peer, peer))?.childSaId;
  }

  add(childSaId: number, spi: number, peer: IpAddress): void {
    this.remove(childSaId);
    const sent = { childSaId, spi: spi >>> 0, peer };
    this.#byChildSa.set(childSaId, sent);
    // A literal of both would have room for more, in each of thousands.
    this.#bySpi.set(sent.spi, this.#of(spi).concat(sent));
  }

  /** The peer of a Child SA has another address. */
  move(childSaId: number, peer: IpAddress): void {
    const sent = this.#byChildSa.get(childSaId);
    if (sent !== undefined) this.add(childSaId, sent.spi, peer);
  }

  remove(childSaId: number): void {
    const sent = this.#byChildSa.get(childSaId);
    if (sent === undefined) return;
    this.#byChildSa.delete(childSaId);
    const rest = this.#of(sent.spi).filter((one) => one !== sent);
    if (rest.length > 0) this.#bySpi.set(sent.spi, rest);
    else this.#bySpi.delete(sent.spi);
  }

  #of(spi: number): readonly Sent[] {
    return this.#bySpi.get(spi >>> 0) ?? [];
  }
}
