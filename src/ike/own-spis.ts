/**
 * SPIs of ours for new SAs: from who chooses them, or by chance (RFC 7296 §2.6, RFC 4303 §2.1).
 */
import type { Spi } from '../ipsec/spi.ts';
import type { IkeSa } from './ike-sa.ts';
import type { IkeSpi } from './message/message.ts';
import type { SaRegistry } from './sa-registry.ts';
import type { IkeSpiWish } from './spi-source.ts';
import type { Turn } from './turn.ts';

/** An SPI for an IKE SA of ours. */
export function drawIkeSpi(
  turn: Turn,
  registry: SaRegistry,
  origin: Pick<IkeSpiWish, 'replaces' | 'asker' | 'local'>,
): IkeSpi {
  const { spis } = turn.environment;
  return registry.newIkeSpi(spis && ((isFree) => spis.ikeSpi({ ...origin, isFree })));
}

/** An inbound SPI for a Child SA of the IKE SA. */
export function drawSpi(turn: Turn, { ownSpi }: IkeSa): Spi {
  const { spis } = turn.environment;
  return turn.numbers.newSpi(spis && ((isFree) => spis.espSpi({ ikeSpi: ownSpi, isFree })));
}
