/**
 * What will hurt later although the SA is up now, said when it comes up: a tunnel that dies at its
 * first rekey, or carries less than both sides think, is found by nobody else.
 */
import { keyExchangeName } from '../crypto/algorithms.ts';
import { KeyExchangeId, TransformType } from '../crypto/transform.ts';
import type { ChildPolicy } from '../ipsec/connection.ts';
import type { Proposal } from '../ipsec/proposal.ts';
import {
  formatSelector,
  selectorContains,
  type TrafficSelector,
} from '../ipsec/traffic-selector.ts';
import type { ChildFeatures } from './child-features.ts';
import type { AgreedChild, ChildProposal } from './child-negotiation.ts';
import type { IkeSa } from './ike-sa.ts';
import { acceptedChildProposals } from './rekey-proposals.ts';
import type { Turn } from './turn.ts';

/**
 * As responder of IKE_AUTH: the peer's proposals tell which key exchanges it will want when it rekeys
 * the Child SA. IKE_AUTH itself has none (RFC 7296 §1.2), so that nothing failed yet.
 */
export function foreseeRekey(
  turn: Turn,
  sa: IkeSa,
  { policy }: AgreedChild,
  offered: readonly Proposal[],
): void {
  const theirs = methodsOf(offered);
  if (theirs.size === 0 || theirs.has(KeyExchangeId.NONE)) return;
  const accepted = acceptedChildProposals(policy.proposals, sa.connection.proposals, undefined);
  const ours = methodsOf(accepted);
  if ([...theirs].some((method) => ours.has(method))) return;
  turn.emit({
    kind: 'alert',
    alert: 'proposal-mismatch-child',
    what:
      `child ${policy.name}: at a rekey the peer will want ${names(theirs)}, accepted are ` +
      `${names(ours)}: the tunnel will end then; add one of the peer's to esp_proposals`,
    ...sa.subject,
  });
}

/** As initiator: the peer granted less than we asked for (RFC 7296 §2.9). */
export function reportNarrowing(
  turn: Turn,
  sa: IkeSa,
  asked: ChildProposal,
  { policy, localTs, remoteTs }: AgreedChild,
): void {
  // Whoever asks for a virtual address asks for any and gets one.
  const local = sa.connection.vips.length > 0 || covers(localTs, asked.localTs);
  if (local && covers(remoteTs, asked.remoteTs)) return;
  turn.emit({
    kind: 'alert',
    alert: 'ts-narrowed',
    what:
      `child ${policy.name}: asked for ${print(asked.localTs)} === ${print(asked.remoteTs)}, ` +
      `the peer granted ${print(localTs)} === ${print(remoteTs)}`,
    ...sa.subject,
  });
}

/** As initiator: the peer makes a tunnel of what was to be another mode (RFC 7296 §1.3.1). */
export function reportMode(
  turn: Turn,
  sa: IkeSa,
  asked: ChildProposal,
  { policy, mode }: AgreedChild,
): void {
  if (policy.mode === (mode ?? 'tunnel')) return;
  const why = asked.mode
    ? 'the peer does not grant it'
    : 'its selectors are not those of two hosts, and it was not asked for';
  turn.emit({
    kind: 'alert',
    alert: 'mode-declined',
    what: `child ${policy.name} is a tunnel, mode = ${policy.mode} is configured: ${why}`,
    ...sa.subject,
  });
}

/** What the child is configured to have, and the peer does not want (RFC 7296 §1.3.1). */
export function reportFeatures(
  turn: Turn,
  sa: IkeSa,
  { name, nonFirstFragments, tfcPadding }: ChildPolicy,
  granted: ChildFeatures,
): void {
  const declined = [
    ...(nonFirstFragments === 'yes' && !granted.nonFirstFragments
      ? ['later fragments of large packets are dropped (non_first_fragments = yes)']
      : []),
    ...(tfcPadding > 0 && !granted.tfcPadding
      ? [`packets show how long they are (tfc_padding = ${tfcPadding})`]
      : []),
  ];
  for (const what of declined) {
    turn.emit({
      kind: 'alert',
      alert: 'feature-declined',
      what: `child ${name}: ${what}: the peer does not take what is configured`,
      ...sa.subject,
    });
  }
}

/** The peer wants us to prove ourselves again in a time that we had not in mind (RFC 4478). */
export function reportAuthLifetime(turn: Turn, sa: IkeSa, seconds: number): void {
  const { reauth } = sa.connection.lifetime;
  if (reauth !== 0 && reauth <= seconds) return;
  const ours = reauth === 0 ? 'is not set' : `is ${reauth}`;
  turn.emit({
    kind: 'alert',
    alert: 'lifetime-mismatch',
    what:
      `the peer ends the IKE SA unless it is authenticated again within ${seconds} seconds, ` +
      `reauth_time ${ours}: it is done in time, write reauth_time = ${Math.floor(seconds * 0.9)}`,
    ...sa.subject,
  });
}

function methodsOf(proposals: readonly Proposal[]): ReadonlySet<number> {
  return new Set(
    proposals.flatMap(({ transforms }) =>
      transforms.filter(({ type }) => type === TransformType.KE).map(({ id }) => id),
    ),
  );
}

function names(methods: ReadonlySet<number>): string {
  return [...methods].map(keyExchangeName).join(', ') || 'none';
}

function covers(granted: readonly TrafficSelector[], asked: readonly TrafficSelector[]): boolean {
  return asked.every((one) => granted.some((outer) => selectorContains(outer, one)));
}

function print(selectors: readonly TrafficSelector[]): string {
  return selectors.map(formatSelector).join(' ');
}
