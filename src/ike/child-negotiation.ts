/**
 * Agreeing on a Child SA: proposals and traffic selectors (RFC 7296 §1.2, §2.9, §2.17).
 *
 * Used by the exchange that creates the Child SA, for either role; makes no message itself.
 */
import type { Event, IkeSubject } from '../events/event.ts';
import { type ChildPolicy, resolveSelector, type SelectorTemplate } from '../ipsec/connection.ts';
import {
  type ChosenProposal,
  formatProposal,
  type Proposal,
  ProtocolId,
  selectProposal,
  withoutKeyExchange,
} from '../ipsec/proposal.ts';
import type { Spi } from '../ipsec/spi.ts';
import {
  formatSelector,
  intersectSelectors,
  narrow,
  selectorContains,
  type TrafficSelector,
} from '../ipsec/traffic-selector.ts';
import { formatAddress, type IpAddress } from '../wire/address.ts';
import {
  boundPairs,
  hasTooManyPairs,
  peerSpi,
  type SelectorEnds,
  usableOffers,
} from './child-limits.ts';
import {
  fitsMode,
  type HostMode,
  hostMode,
  type ModeEnds,
  type ModeOffer,
  modeNotifies,
  type SeenSelectors,
  selectorsAsSeen,
} from './child-mode.ts';
import type { Payload, SaPayload, TsPayload } from './message/message.ts';
import { NotifyType } from './message/notify-types.ts';
import { statusNotify } from './payload-access.ts';
import { type PeerFault, peerFault, proposalsRefused } from './peer-fault.ts';

/** What `dynamic` selectors stand for on each side: outer or virtual addresses. */
export interface DynamicAddresses {
  readonly local: readonly IpAddress[];
  readonly remote: readonly IpAddress[];
}

/** What we ask for, or asked for: an answer is held against it. */
export interface ChildProposal {
  readonly proposals: readonly Proposal[];
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
  /** Unset = a tunnel. */
  readonly mode?: HostMode | undefined;
}

const NO_SPIS: ReadonlySet<Spi> = new Set();

/** SA, TSi and TSr of a message, and the mode that it names besides the tunnel. */
export interface ChildPayloads {
  readonly sa: SaPayload;
  readonly tsI: TsPayload;
  readonly tsR: TsPayload;
  readonly named?: ModeOffer | undefined;
}

/** What we would accept under one policy. */
export interface AcceptableChild extends ChildProposal {
  readonly policy: ChildPolicy;
}

export interface AgreedChild extends SeenSelectors {
  readonly kind: 'agreed';
  readonly policy: ChildPolicy;
  readonly proposal: ChosenProposal;
  readonly spiOut: Spi;
  /** Unset = a tunnel. */
  readonly mode?: HostMode;
  /** Another policy would take more of what was offered (ADDITIONAL_TS_POSSIBLE). */
  readonly more?: boolean;
}

/** What a policy says, to offer or to accept; IKE_AUTH leaves key exchange away (RFC 7296 §1.2). */
export function policyProposal(policy: ChildPolicy, addresses: DynamicAddresses): AcceptableChild {
  const mode = hostMode(policy.mode);
  return {
    policy,
    ...(mode && { mode }),
    proposals: withoutKeyExchange(policy.proposals),
    localTs: resolveSelectors(policy.localTs, addresses.local),
    remoteTs: resolveSelectors(policy.remoteTs, addresses.remote),
  };
}

/** As initiator: another mode than the tunnel is asked for only where it could be granted. */
export function inFittingMode<Asked extends ChildProposal>(asked: Asked, ends: ModeEnds): Asked {
  const pair = { local: ends.local.address, remote: ends.remote.address };
  const fits = asked.mode === undefined || fitsMode(asked.mode, pair, asked);
  return fits ? asked : { ...asked, mode: undefined };
}

/** SA, TSi and TSr that ask for a Child SA. */
export function childOffer(wanted: ChildProposal, spiIn: Spi): readonly Payload[] {
  const proposals = wanted.proposals.map((proposal, index) => ({
    ...proposal,
    number: index + 1,
    protocol: ProtocolId.ESP,
    spi: spiOctets(spiIn),
  }));
  return [
    { kind: 'SA', proposals },
    tsPayload('TSi', wanted.localTs),
    tsPayload('TSr', wanted.remoteTs),
    // RFC 7296 §1.3.1: transport mode is asked for, and tunnel mode is had without asking.
    ...modeNotifies(wanted.mode),
  ];
}

/** SA, TSi and TSr that grant what was agreed. */
export function childGrant(agreed: AgreedChild, spiIn: Spi): readonly Payload[] {
  return [
    { kind: 'SA', proposals: [{ ...chosenAsProposal(agreed.proposal), spi: spiOctets(spiIn) }] },
    tsPayload('TSi', agreed.remoteTs),
    tsPayload('TSr', agreed.localTs),
    ...modeNotifies(agreed.mode),
    // RFC 7296 §2.9: a Child SA of its own would be granted for the rest.
    ...(agreed.more ? [statusNotify(NotifyType.ADDITIONAL_TS_POSSIBLE)] : []),
  ];
}

/**
 * As responder: of the policies that fit both proposals and selectors of the offer the first that
 * need not narrow it, or else the first. A proposal with the `method` the peer computed is preferred.
 */
export function answerChildOffer(
  policies: readonly AcceptableChild[],
  offer: ChildPayloads,
  method?: number,
  spisInUse: ReadonlySet<Spi> = NO_SPIS,
): AgreedChild | PeerFault {
  const espOffers = usableOffers(offer.sa.proposals, spisInUse);
  let fault: PeerFault | undefined;
  let found: AgreedChild | undefined;
  for (const acceptable of thoseOfMode(policies, offer.named?.mode)) {
    const { policy, proposals } = acceptable;
    const { offered, ...taken } = takeSelectors(acceptable, offer);
    const { localTs, remoteTs } = taken;
    if (localTs.length === 0 || remoteTs.length === 0) {
      fault ??= selectorsRefused(acceptable, offer);
      continue;
    }
    const proposal = selectProposal(proposals, espOffers, method);
    const spiOut = proposal && peerSpi(proposal.spi);
    if (!proposal || spiOut === undefined) {
      // Selectors fitted, so this is the fault that tells the peer most.
      fault = {
        ...peerFault('no-proposal-chosen', `child ${policy.name}: no common ESP proposal`),
        refusal: proposalsRefused(proposals, offer.sa.proposals, policy.name),
      };
      continue;
    }
    const agreed = { kind: 'agreed', policy, proposal, spiOut, ...taken } as const;
    if (within(offered.localTs, localTs) && within(offered.remoteTs, remoteTs)) return agreed;
    found = found ? { ...found, more: true } : agreed;
  }
  return found ?? fault ?? peerFault('ts-unacceptable', 'the connection has no child');
}

/** Those of the mode that was asked for come first: the others can be had as a tunnel only. */
function thoseOfMode(
  policies: readonly AcceptableChild[],
  mode: HostMode | undefined,
): readonly AcceptableChild[] {
  const [same, others] = [true, false].map((wanted) =>
    policies.filter((one) => (one.mode === mode) === wanted),
  );
  return [...(same ?? []), ...(others ?? [])];
}

/** What a policy takes of an offer, of which selectors, and in another mode than the tunnel. */
interface TakenSelectors extends SeenSelectors {
  readonly offered: SelectorEnds;
  readonly mode?: HostMode;
}

// RFC 7296 §2.23.1: where transport mode cannot be had, the selectors mean a tunnel as they came.
function takeSelectors(acceptable: AcceptableChild, offer: ChildPayloads): TakenSelectors {
  const written = { localTs: known(offer.tsR), remoteTs: known(offer.tsI) };
  const { named } = offer;
  if (named && named.mode === acceptable.mode) {
    const { mode, ends } = named;
    const offered = mode === 'transport' ? selectorsAsSeen(ends, written) : written;
    const taken = offered && { ...offered, ...narrowEnds(acceptable, offered) };
    if (taken && fitsMode(mode, ends, taken)) return { ...taken, offered, mode };
  }
  return { ...narrowEnds(acceptable, written), offered: written };
}

function narrowEnds(acceptable: AcceptableChild, offered: SelectorEnds): SelectorEnds {
  const ends = {
    localTs: narrow(acceptable.localTs, offered.localTs),
    remoteTs: narrow(acceptable.remoteTs, offered.remoteTs),
  };
  return boundPairs(ends, acceptable);
}

/** The event of a Child SA that the peer refused: what it refused, by what the notify is about. */
export function childRefusedByPeer(
  notify: string,
  { policy, proposals, localTs, remoteTs }: AcceptableChild,
): Omit<Extract<Event, { kind: 'refused' }>, keyof IkeSubject> {
  const aboutSelectors = notify === 'TS_UNACCEPTABLE' || notify === 'SINGLE_PAIR_REQUIRED';
  const offered = aboutSelectors
    ? [selectorText(localTs, remoteTs)]
    : proposals.map(formatProposal);
  return {
    kind: 'refused',
    by: 'peer',
    notify,
    what: `child ${policy.name}: offered ${offered.join(', ')}`,
    // The peer never says what it would have accepted.
    transforms: [],
    child: policy.name,
    offered,
  };
}

/**
 * As initiator: checks that the grant is one of our proposals and within our selectors. Of one for
 * any address only our virtual ones are taken, which came with it (RFC 7296 §2.19).
 */
export function acceptChildGrant(
  policy: ChildPolicy,
  asked: ChildProposal,
  grant: ChildPayloads,
  virtual: readonly IpAddress[] = [],
): AgreedChild | PeerFault {
  const [granted, ...others] = grant.sa.proposals;
  const proposal = granted && selectProposal(asked.proposals, [granted]);
  if (!granted || others.length > 0 || !proposal || !isSingle(granted)) {
    return peerFault(
      'no-proposal-chosen',
      `child ${policy.name}: the peer chose what we never offered`,
    );
  }
  const spiOut = peerSpi(granted.spi);
  if (spiOut === undefined) {
    return peerFault(
      'no-proposal-chosen',
      `child ${policy.name}: the peer's ESP SPI is reserved or not 4 octets`,
    );
  }
  const seen = seenGrant(policy, asked, grant);
  if ('kind' in seen) return seen;
  const { localTs: grantedTs, remoteTs, ...rest } = seen;
  const selectors = `${grantedTs.map(formatSelector)} === ${remoteTs.map(formatSelector)}`;
  if (!within(grantedTs, asked.localTs) || !within(remoteTs, asked.remoteTs)) {
    const what = `child ${policy.name}: the peer widened the selectors to ${selectors}`;
    return peerFault('ts-unacceptable', what);
  }
  if (hasTooManyPairs({ localTs: grantedTs, remoteTs }, asked)) {
    const what = `child ${policy.name}: ${grantedTs.length} and ${remoteTs.length} selectors granted`;
    return peerFault('ts-unacceptable', what);
  }
  const localTs =
    virtual.length > 0 ? narrow(resolveSelectors(policy.localTs, virtual), grantedTs) : grantedTs;
  if (localTs.length === 0) {
    const ours = virtual.map(formatAddress).join(' ');
    const what = `child ${policy.name}: the peer granted ${selectors}, nothing of it for ${ours}`;
    return peerFault('ts-unacceptable', what);
  }
  return { kind: 'agreed', policy, proposal, spiOut, localTs, remoteTs, ...rest };
}

/** The mode and the selectors of a grant; a mode that nobody asked for, or that does not fit them, is a fault. */
function seenGrant(
  { name }: ChildPolicy,
  asked: ChildProposal,
  grant: ChildPayloads,
): (SeenSelectors & { readonly mode?: HostMode }) | PeerFault {
  const written = { localTs: known(grant.tsI), remoteTs: known(grant.tsR) };
  // RFC 7296 §1.3.1: who does not answer the notify has made a tunnel.
  if (!grant.named) return written;
  const { mode, ends } = grant.named;
  if (mode !== asked.mode) {
    const what = `child ${name}: the peer chose ${mode} mode, which was not asked for`;
    return peerFault('no-proposal-chosen', what);
  }
  const seen = mode === 'transport' ? selectorsAsSeen(ends, written) : written;
  if (seen && fitsMode(mode, ends, seen)) return { ...seen, mode };
  const selectors = selectorText(written.localTs, written.remoteTs);
  const what = `child ${name}: the peer granted ${mode} mode for ${selectors}, not for two hosts`;
  return peerFault('ts-unacceptable', what);
}

/** Selectors with `dynamic` replaced by each address. */
export function resolveSelectors(
  templates: readonly SelectorTemplate[],
  addresses: readonly IpAddress[],
): readonly TrafficSelector[] {
  return templates.flatMap((template) =>
    template.kind === 'fixed'
      ? [template.selector]
      : addresses.map((address) => resolveSelector(template, address)),
  );
}

/** A chosen proposal as it goes on the wire: one transform of each type. */
export function chosenAsProposal(chosen: ChosenProposal): Proposal {
  const { encr, prf, integ, ke, esn } = chosen;
  return {
    number: chosen.number,
    protocol: chosen.protocol,
    spi: chosen.spi,
    transforms: [encr, prf, integ, ke, esn].filter((transform) => transform !== undefined),
  };
}

/** One transform of each type: what an answer must be (RFC 7296 §3.3). */
export function isSingle(proposal: Proposal): boolean {
  const types = proposal.transforms.map((transform) => transform.type);
  return new Set(types).size === types.length;
}

function within(inner: readonly TrafficSelector[], outer: readonly TrafficSelector[]): boolean {
  return (
    inner.length > 0 && inner.every((one) => outer.some((ours) => selectorContains(ours, one)))
  );
}

/**
 * Selectors of types we know; the others cannot be narrowed to and fall away (§2.9), and so does a
 * range that runs backwards and describes nothing.
 */
function known(payload: TsPayload): readonly TrafficSelector[] {
  return payload.entries.flatMap((entry) =>
    entry.kind === 'range' && intersectSelectors(entry.selector, entry.selector)
      ? [entry.selector]
      : [],
  );
}

function tsPayload(kind: 'TSi' | 'TSr', selectors: readonly TrafficSelector[]): TsPayload {
  return { kind, entries: selectors.map((selector) => ({ kind: 'range', selector })) };
}

export function spiOctets(value: Spi): Uint8Array {
  return Uint8Array.of(value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff);
}

function selectorsRefused(ours: AcceptableChild, offer: ChildPayloads): PeerFault {
  const child = ours.policy.name;
  const offered = selectorText(known(offer.tsR), known(offer.tsI));
  const accepted = selectorText(ours.localTs, ours.remoteTs);
  const what = `child ${child}: offered ${offered}, accepted ${accepted}`;
  const refusal = { child, offered: [offered], accepted: [accepted] };
  return { ...peerFault('ts-unacceptable', what), refusal };
}

/** Ours first. */
function selectorText(
  local: readonly TrafficSelector[],
  remote: readonly TrafficSelector[],
): string {
  return [local, remote].map((list) => list.map(formatSelector).join(' ')).join(' === ');
}
