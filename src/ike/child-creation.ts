/**
 * Building a Child SA out of what was agreed (RFC 7296 §2.17).
 */

import type { RandomBytes } from '../crypto/random.ts';
import { EsnId, IntegrityId } from '../crypto/transform.ts';
import type { ChildSa, OutboundUse, TrafficLimits } from '../ipsec/child-sa.ts';
import type { ChildPolicy } from '../ipsec/connection.ts';
import { childKeymatLength, childKeys } from '../ipsec/keymat.ts';
import { drawSoft, type LifetimeBounds } from '../ipsec/lifetime.ts';
import { formatProposal } from '../ipsec/proposal.ts';
import { formatSpi, type Spi } from '../ipsec/spi.ts';
import { formatSelector, type TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { ChildFeatures } from './child-features.ts';
import { type AgreedChild, chosenAsProposal } from './child-negotiation.ts';
import { HeldChild } from './held-child.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Secured } from './ike-sa-state.ts';
import { copyOfSecret } from './keying-watch.ts';
import { type ChildKeying, childKeymat } from './keys.ts';
import { reportFeatures } from './latent-mismatch.ts';
import { drawSpi } from './own-spis.ts';
import type { Turn } from './turn.ts';
import { reportWeakAlgorithms } from './weak-algorithms.ts';

/** An inbound SPI for an offer. The peer may use it before we have read its answer. */
export function offerSpi(turn: Turn, sa: IkeSa): Spi {
  const spiIn = drawSpi(turn, sa);
  turn.push({ kind: 'expect-spi', spiIn });
  return spiIn;
}

/** How a Child SA came about. */
export interface ChildOrigin {
  readonly agreed: AgreedChild;
  readonly features: ChildFeatures;
  readonly spiIn: Spi;
  readonly keying: ChildKeying;
  /** We began the exchange that made it. */
  readonly initiator: boolean;
  readonly outbound: OutboundUse;
  readonly replaces?: HeldChild;
}

/** Derives the keys, adds the Child SA to its IKE SA and asks for its installation. */
export function createChildSa(
  turn: Turn,
  sa: IkeSa,
  secured: Secured,
  origin: ChildOrigin,
): HeldChild {
  const { agreed, features, spiIn, keying, initiator, outbound, replaces } = origin;
  const { policy, proposal } = agreed;
  if (!proposal.encr) throw new Error('an ESP proposal without encryption was accepted');
  const integ = proposal.integ?.id === IntegrityId.NONE ? undefined : proposal.integ;
  const length = childKeymatLength(proposal.encr, integ);
  const keys = childKeys(childKeymat(secured, keying, length), proposal.encr, integ, initiator);
  const childSa: ChildSa = {
    id: turn.numbers.newChildSaId(),
    connection: sa.connection.name,
    name: policy.name,
    reqid:
      replaces?.childSa.reqid ??
      (policy.reqid || turn.numbers.reqid(sa.connection.name, policy.name)),
    mode: agreed.mode ?? 'tunnel',
    spiIn,
    spiOut: agreed.spiOut,
    encr: proposal.encr,
    ...(integ && { integ }),
    ...(proposal.ke && { ke: proposal.ke }),
    esn: proposal.esn?.id === EsnId.ESN,
    keysIn: keys.inbound,
    keysOut: keys.outbound,
    local: sa.local,
    remote: sa.remote,
    udpEncapsulation: secured.udpEncapsulation,
    localTs: agreed.localTs,
    remoteTs: agreed.remoteTs,
    ...(agreed.peerAddresses && { peerAddresses: agreed.peerAddresses }),
    replayWindow: policy.replayWindow,
    copyDf: policy.copyDf,
    copyEcn: policy.copyEcn,
    copyDscp: policy.copyDscp,
    icmpErrors: policy.icmpErrors,
    priority: policy.priority,
    nonFirstFragments: features.nonFirstFragments,
    // RFC 4303 §2.7: what is no whole packet does not say where it ends.
    tfcPadding: features.tfcPadding && !agreed.mode ? policy.tfcPadding : 0,
    dummyPackets: policy.dummyPackets,
    limits: trafficLimits(policy, turn.environment.random),
    outbound,
  };
  const { sharedSecret } = keying;
  turn.environment.keyingWatch?.childSa({
    ...{ childSa, proposal, initiator, nonceI: keying.nonceI, nonceR: keying.nonceR },
    ...(sharedSecret && { sharedSecret: copyOfSecret(sharedSecret) }),
  });
  sharedSecret?.wipe();
  const child = new HeldChild(childSa, policy, turn.now, turn.environment.random);
  sa.installChild(turn, child);
  announce(turn, sa, childSa, agreed, replaces);
  reportWeakAlgorithms(turn, sa, proposal, `child SA ${childSa.name}`);
  if (initiator && !replaces) reportFeatures(turn, sa, policy, features);
  return child;
}

function announce(
  turn: Turn,
  sa: IkeSa,
  childSa: ChildSa,
  { proposal, localTs, remoteTs }: AgreedChild,
  replaces: HeldChild | undefined,
): void {
  const common = {
    child: childSa.name,
    childSa: childSa.id,
    spiIn: formatSpi(childSa.spiIn),
    spiOut: formatSpi(childSa.spiOut),
    ...(childSa.mode !== 'tunnel' && { mode: childSa.mode }),
    suite: formatProposal(chosenAsProposal(proposal)),
    ...sa.subject,
  };
  if (replaces) {
    turn.emit({ kind: 'child-sa-rekeyed', replaces: replaces.childSa.id, ...common });
    return;
  }
  turn.emit({
    kind: 'child-sa-up',
    encapsulation: childSa.udpEncapsulation ? 'udp' : 'none',
    localTs: printSelectors(localTs),
    remoteTs: printSelectors(remoteTs),
    ...common,
  });
}

/** Soft limits are drawn, so that two ends do not reach them together. */
function trafficLimits({ lifetime }: ChildPolicy, random: RandomBytes): TrafficLimits {
  if (!isLimited(lifetime.octets) && !isLimited(lifetime.packets)) return NO_LIMITS;
  const soft = (bounds: LifetimeBounds) =>
    Math.floor(drawSoft(bounds.rekey, bounds.random, random) ?? 0);
  return {
    softOctets: soft(lifetime.octets),
    hardOctets: lifetime.octets.life,
    softPackets: soft(lifetime.packets),
    hardPackets: lifetime.packets.life,
  };
}

function isLimited({ rekey, life }: LifetimeBounds): boolean {
  return rekey !== 0 || life !== 0;
}

/** One for all Child SAs without limits. */
const NO_LIMITS: TrafficLimits = Object.freeze({
  ...{ softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
});

function printSelectors(selectors: readonly TrafficSelector[]): string {
  return selectors.map(formatSelector).join(' ');
}
