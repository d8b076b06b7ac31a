/**
 * How long SAs live (RFC 4301 §4.4.2.1, RFC 7296 §2.8): a soft bound at which an SA is replaced and
 * a hard one at which it is gone, in seconds, octets and packets.
 */
import type { RandomBytes } from '../crypto/random.ts';

/** Bounds in one unit; 0 = never. Up to `random` is taken off `rekey`, so that peers do not collide. */
export interface LifetimeBounds {
  readonly rekey: number;
  readonly life: number;
  readonly random: number;
}

/** Lifetime of a Child SA. Octets and packets count in each direction. */
export interface ChildLifetime {
  readonly seconds: LifetimeBounds;
  readonly octets: LifetimeBounds;
  readonly packets: LifetimeBounds;
}

/** Lifetime of an IKE SA in seconds; 0 = never. It ends `over` after it should have been replaced. */
export interface IkeLifetime {
  readonly rekey: number;
  readonly reauth: number;
  readonly over: number;
  readonly random: number;
}

/** When to replace: the soft bound less a random part; undefined for never. */
export function drawSoft(rekey: number, random: number, draw: RandomBytes): number | undefined {
  if (rekey === 0) return undefined;
  const share = draw(4).reduce((sum, octet) => sum * 256 + octet, 0) / 2 ** 32;
  return Math.max(1, rekey - share * Math.min(random, rekey));
}
