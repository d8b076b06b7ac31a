/**
 * Who chooses SPIs of ours, where more is asked of them than that nobody has them: in a cluster they tell
 * which node has an SA. Without one, chance decides (RFC 7296 §2.6, RFC 4303 §2.1).
 */
import type { Spi } from '../ipsec/spi.ts';
import type { IpAddress } from '../wire/address.ts';
import type { IkeSpi } from './message/message.ts';

/** What an IKE SA is that wants an SPI. */
export interface IkeSpiWish {
  /** Our SPI of the IKE SA that it replaces. */
  readonly replaces?: IkeSpi;
  /** Who asked for it, where we are its responder. */
  readonly asker?: IpAddress;
  /** Our address that it has; unset for one that replaces another. */
  readonly local?: IpAddress;
  readonly isFree: (candidate: IkeSpi) => boolean;
}

export interface EspSpiWish {
  /** Our SPI of its IKE SA. */
  readonly ikeSpi: IkeSpi;
  readonly isFree: (candidate: Spi) => boolean;
}

/** Each answers undefined where chance is to decide. */
export interface SpiSource {
  ikeSpi(wish: IkeSpiWish): IkeSpi | undefined;
  espSpi(wish: EspSpiWish): Spi | undefined;
}
