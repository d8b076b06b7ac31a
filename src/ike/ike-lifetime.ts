/**
 * How long an IKE SA lives: when it is rekeyed, when its peers prove themselves again, and when it is
 * gone if neither happened (RFC 7296 §2.8, RFC 4478).
 */
import { drawSoft } from '../ipsec/lifetime.ts';
import { after } from '../wire/instant.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Turn } from './turn.ts';

/** Of the time a peer gave us to prove ourselves again, how much passes before we do. */
const AUTH_LIFETIME_SHARE = 0.9;

/** The keys are new. */
export function startIkeLifetime(turn: Turn, sa: IkeSa): void {
  const { rekey, over, random } = sa.connection.lifetime;
  const soft = drawSoft(rekey, random, turn.environment.random);
  sa.rekeyAt = soft === undefined ? undefined : after(turn.now, soft * 1000);
  sa.expireAt = rekey === 0 ? undefined : after(turn.now, (rekey + over) * 1000);
}

/** Both peers have just proved who they are. Only the initiator can begin again from the start. */
export function startAuthenticationLifetime(turn: Turn, sa: IkeSa): void {
  const { reauth, over, random } = sa.connection.lifetime;
  const soft = drawSoft(reauth, random, turn.environment.random);
  sa.reauthenticateAt =
    soft === undefined || !sa.originalInitiator ? undefined : after(turn.now, soft * 1000);
  sa.authenticationExpiresAt = reauth === 0 ? undefined : after(turn.now, (reauth + over) * 1000);
}

// RFC 4478 §3: the peer deletes the IKE SA unless we authenticate again within this time.
export function heedAuthLifetime(turn: Turn, sa: IkeSa, seconds: number): void {
  if (!sa.originalInitiator) return;
  const at = after(turn.now, seconds * 1000 * AUTH_LIFETIME_SHARE);
  if (sa.reauthenticateAt !== undefined && sa.reauthenticateAt <= at) return;
  sa.reauthenticateAt = at;
  turn.touched.add(sa.ownSpi);
}
