/**
 * Is the peer still there, and does the NAT still know us (RFC 7296 §2.4, §2.23; RFC 3948 §4).
 *
 * A probe goes out only when nothing was heard for `dpd_delay`: traffic is proof of life.
 */
import { after, earliest, type Instant } from '../wire/instant.ts';
import { startLiveness } from './exchange/informational.ts';
import type { IkeSa } from './ike-sa.ts';
import type { IkeEnvironment, Turn } from './turn.ts';

/** When this SA next wants a probe or a keepalive. */
export function livenessDeadline(sa: IkeSa, environment: IkeEnvironment): Instant | undefined {
  return earliest(probeAt(sa, environment), keepaliveAt(sa, environment));
}

/** Sends what is due. */
export function keepAlive(turn: Turn, sa: IkeSa): void {
  const { environment, now } = turn;
  const probe = probeAt(sa, environment);
  if (probe !== undefined && now >= probe) startLiveness(turn, sa);
  const keepalive = keepaliveAt(sa, environment);
  if (keepalive !== undefined && now >= keepalive) {
    sa.lastKeepalive = now;
    turn.push({ kind: 'send-nat-keepalive', local: sa.local, remote: sa.remote });
  }
}

function probeAt(sa: IkeSa, { traffic }: IkeEnvironment): Instant | undefined {
  const { dpdDelaySeconds } = sa.connection;
  if (sa.state.name !== 'Established' || sa.rivalOf) return undefined;
  if (dpdDelaySeconds === 0 || sa.inFlight || sa.sync) return undefined;
  let heard = sa.lastHeard;
  for (const id of sa.children.keys()) {
    const inbound = traffic.lastInbound(id);
    if (inbound !== undefined && inbound > heard) heard = inbound;
  }
  return after(heard, dpdDelaySeconds * 1000);
}

function keepaliveAt(sa: IkeSa, { settings, traffic }: IkeEnvironment): Instant | undefined {
  const behindNat = sa.state.name === 'Established' && sa.state.secured.nat.localBehindNat;
  if (!behindNat || settings.keepAliveSeconds === 0) return undefined;
  let sent = sa.lastKeepalive;
  for (const id of sa.children.keys()) {
    const outbound = traffic.lastOutbound(id);
    if (outbound !== undefined && outbound > sent) sent = outbound;
  }
  return after(sent, settings.keepAliveSeconds * 1000);
}
