/**
 * Building a Child SA out of what was agreed (RFC 7296 §2.17).
 */

import { EsnId, IntegrityId } from '../crypto/transform.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import { childKeymatLength, childKeys } from '../ipsec/keymat.ts';
import { formatProposal } from '../ipsec/proposal.ts';
import { formatSpi, type Spi } from '../ipsec/spi.ts';
import { formatSelector, type TrafficSelector } from '../ipsec/traffic-selector.ts';
import { type AgreedChild, chosenAsProposal } from './child-negotiation.ts';
import type { IkeSa } from './ike-sa.ts';
import type { Secured } from './ike-sa-state.ts';
import { childKeymat } from './keys.ts';
import type { Turn } from './turn.ts';
import { reportWeakAlgorithms } from './weak-algorithms.ts';

/** Derives the keys, adds the Child SA to its IKE SA and asks for its installation. */
export function createChildSa(
  turn: Turn,
  sa: IkeSa,
  secured: Secured,
  agreed: AgreedChild,
  spiIn: Spi,
): ChildSa {
  const { policy, proposal } = agreed;
  if (!proposal.encr) throw new Error('an ESP proposal without encryption was accepted');
  const integ = proposal.integ?.id === IntegrityId.NONE ? undefined : proposal.integ;
  const length = childKeymatLength(proposal.encr, integ);
  const keymat = childKeymat(secured.suite, secured.keys, secured.nonceI, secured.nonceR, length);
  const keys = childKeys(keymat, proposal.encr, integ, sa.initiator);
  const childSa: ChildSa = {
    id: turn.numbers.newChildSaId(),
    ikeSaId: sa.id,
    connection: sa.connection.name,
    name: policy.name,
    reqid: policy.reqid || turn.numbers.reqid(sa.connection.name, policy.name),
    mode: 'tunnel',
    spiIn,
    spiOut: agreed.spiOut,
    encr: proposal.encr,
    ...(integ && { integ }),
    esn: proposal.esn?.id === EsnId.ESN,
    keysIn: keys.inbound,
    keysOut: keys.outbound,
    local: sa.local,
    remote: sa.remote,
    udpEncapsulation: secured.udpEncapsulation,
    localTs: agreed.localTs,
    remoteTs: agreed.remoteTs,
    replayWindow: policy.replayWindow,
    copyDf: policy.copyDf,
    copyEcn: policy.copyEcn,
    copyDscp: policy.copyDscp,
    priority: policy.priority,
    limits: { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
    outbound: 'now',
  };
  sa.installChild(turn, childSa);
  turn.emit({
    kind: 'child-sa-up',
    child: childSa.name,
    childSa: childSa.id,
    spiIn: formatSpi(spiIn),
    spiOut: formatSpi(agreed.spiOut),
    suite: formatProposal(chosenAsProposal(proposal)),
    encapsulation: childSa.udpEncapsulation ? 'udp' : 'none',
    localTs: printSelectors(agreed.localTs),
    remoteTs: printSelectors(agreed.remoteTs),
    ...sa.subject,
  });
  reportWeakAlgorithms(turn, sa, proposal, `child SA ${childSa.name}`);
  return childSa;
}

function printSelectors(selectors: readonly TrafficSelector[]): string {
  return selectors.map(formatSelector).join(' ');
}
