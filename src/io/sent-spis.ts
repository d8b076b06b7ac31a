/**
 * Which SPIs we send with, and to whom: an ICMP error is believed only when it quotes one of them
 * (RFC 4301 §8.2.1).
 */
import { formatAddress, type IpAddress } from '../wire/address.ts';

interface Sent {
  readonly spi: number;
  readonly key: string;
}

export class SentSpis {
  readonly #byChildSa = new Map<number, Sent>();
  readonly #keys = new Set<string>();

  has(spi: number, peer: IpAddress): boolean {
    return this.#keys.has(keyOf(spi, peer));
  }

  add(childSaId: number, spi: number, peer: IpAddress): void {
    this.remove(childSaId);
    const key = keyOf(spi, peer);
    this.#byChildSa.set(childSaId, { spi, key });
    this.#keys.add(key);
  }

  /** The peer of a Child SA has another address. */
  move(childSaId: number, peer: IpAddress): void {
    const sent = this.#byChildSa.get(childSaId);
    if (sent !== undefined) this.add(childSaId, sent.spi, peer);
  }

  remove(childSaId: number): void {
    this.#keys.delete(this.#byChildSa.get(childSaId)?.key ?? '');
    this.#byChildSa.delete(childSaId);
  }
}

function keyOf(spi: number, peer: IpAddress): string {
  return `${spi >>> 0} ${formatAddress(peer)}`;
}
