/**
 * Lifetimes of SAs (RFC 4301 §4.4.2.1): a soft limit that asks for a successor, a hard limit that
 * ends the SA, and how much earlier the soft one may come so that peers do not meet.
 *
 * Missing values get the defaults of swanctl.conf. Computes; holds no clock.
 */

/** Seconds; 0 = no limit. */
export interface Lifetime {
  /** Latest time to rekey. */
  readonly softSeconds: number;
  readonly hardSeconds: number;
  /** Rekeying may start up to this much earlier. */
  readonly randSeconds: number;
}

const DEFAULT_CHILD_REKEY = 3600;
const DEFAULT_IKE_REKEY = 14_400;

/** `rekey_time`, `life_time` and `rand_time` of a child, as configured. */
export interface ChildLifetimeSettings {
  readonly rekeyTime?: number;
  readonly lifeTime?: number;
  readonly randTime?: number;
}

/** life_time = rekey_time + 10 %, rekey_time = life_time - 10 % or 1 h, rand_time = the difference. */
export function childLifetime(settings: ChildLifetimeSettings): Lifetime {
  const { rekeyTime, lifeTime, randTime } = settings;
  const softSeconds =
    rekeyTime ?? (lifeTime === undefined ? DEFAULT_CHILD_REKEY : lifeTime - tenth(lifeTime));
  const hardSeconds = lifeTime ?? softSeconds + tenth(softSeconds);
  const randSeconds = randTime ?? Math.max(0, hardSeconds - softSeconds);
  return { softSeconds, hardSeconds, randSeconds };
}

/** `rekey_time`, `over_time` and `rand_time` of a connection, as configured. */
export interface IkeLifetimeSettings {
  readonly rekeyTime?: number;
  readonly overTime?: number;
  readonly randTime?: number;
}

/** The hard limit is rekey_time + over_time; over_time is 10 % of it, rand_time = over_time. */
export function ikeLifetime(settings: IkeLifetimeSettings): Lifetime {
  const softSeconds = settings.rekeyTime ?? DEFAULT_IKE_REKEY;
  const overTime = settings.overTime ?? tenth(softSeconds);
  const hardSeconds = softSeconds === 0 ? 0 : softSeconds + overTime;
  return { softSeconds, hardSeconds, randSeconds: settings.randTime ?? overTime };
}

/**
 * When one SA asks for its successor, in seconds after it was made; `fraction` from 0 to 1 is drawn
 * for each SA. Never before half of the soft limit; undefined = never.
 */
export function rekeySeconds(lifetime: Lifetime, fraction: number): number | undefined {
  const { softSeconds, randSeconds } = lifetime;
  if (softSeconds === 0) return undefined;
  return Math.max(softSeconds / 2, softSeconds - randSeconds * fraction);
}

/** When the SA ends whether it has a successor or not; undefined = never. */
export function expireSeconds(lifetime: Lifetime): number | undefined {
  return lifetime.hardSeconds === 0 ? undefined : lifetime.hardSeconds;
}

function tenth(seconds: number): number {
  return Math.floor(seconds / 10);
}
