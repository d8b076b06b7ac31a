/**
 * SPIs of a node of a cluster: an IKE SA has one segment for life, and all SPIs of it and of its Child SAs hash
 * into that (RFC 7296 §2.6, RFC 4303 §2.1).
 *
 * Where we respond it is the segment of the address that asked, which brought the request here; where we begin, one of
 * this node's own; a rekeyed IKE SA keeps the segment of the one before.
 */
import { type SegmentHash, segmentOfAddress, segmentOfIkeSpi } from '../cluster/segment-hash.ts';
import { chooseIkeSpi, chooseSpi } from '../cluster/spi-choice.ts';
import type { RandomBytes } from '../crypto/random.ts';
import { type IkeSpi, ikeSpi } from '../ike/message/message.ts';
import type { EspSpiWish, IkeSpiWish, SpiSource } from '../ike/spi-source.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { IpAddress } from '../wire/address.ts';
import { readU32 } from '../wire/field.ts';
import { fromHex } from '../wire/octets.ts';
import type { AddressGroups } from './cluster/address-groups.ts';

export interface ClusterSpisOptions {
  readonly hash: SegmentHash;
  /** See `sourceSeed`. */
  readonly sourceSeed: number;
  readonly random: RandomBytes;
  /** Where shared addresses have segments of their own. */
  readonly groups?: AddressGroups;
  /** The segments this node has now. */
  readonly own: () => readonly number[];
}

export class ClusterSpis implements SpiSource {
  readonly #options: ClusterSpisOptions;

  constructor(options: ClusterSpisOptions) {
    this.#options = options;
  }

  ikeSpi({ replaces, asker, local, isFree }: IkeSpiWish): IkeSpi | undefined {
    const { hash, random } = this.#options;
    const segment =
      replaces === undefined
        ? (this.#asked(asker, local) ?? this.#anyOwn(local))
        : this.segmentOf(replaces);
    if (segment === undefined) return undefined;
    const free = (octets: Uint8Array) => isFree(ikeSpi(octets));
    const chosen = chooseIkeSpi({ hash, segment, random, isFree: free });
    return chosen && ikeSpi(chosen);
  }

  espSpi({ ikeSpi: of, isFree }: EspSpiWish): Spi | undefined {
    const { hash, random } = this.#options;
    return chooseSpi({ hash, segment: this.segmentOf(of), random, isFree });
  }

  /** Of the IKE SA with this SPI of ours. */
  segmentOf(ownSpi: IkeSpi): number {
    return segmentOfIkeSpi(fromHex(ownSpi), this.#options.hash);
  }

  #asked(asker: IpAddress | undefined, local: IpAddress | undefined): number | undefined {
    if (asker === undefined) return undefined;
    const { hash, sourceSeed, groups } = this.#options;
    const segment = segmentOfAddress(asker, { ...hash, seed: sourceSeed });
    return local && groups ? groups.segmentAt(local, segment) : segment;
  }

  /** Undefined for a node that has none: it should not begin anything. */
  #anyOwn(local: IpAddress | undefined): number | undefined {
    const { own, groups, random } = this.#options;
    const all = own();
    const usable = local && groups ? groups.among(local, all) : all;
    return usable[readU32(random(4), 0) % usable.length];
  }
}
