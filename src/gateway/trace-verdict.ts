/**
 * The verdict on a traced packet in one line, and what the operator can do next.
 */
import type { ChildSa } from '../ipsec/child-sa.ts';
import { type ChildPolicy, type Connection, isProtecting } from '../ipsec/connection.ts';
import {
  type Compared,
  nearest,
  type PacketEnds,
  packetEnds,
  pairFits,
  type SelectorPair,
} from '../ipsec/policy-trace.ts';
import type { SpdRow } from '../ipsec/spd.ts';
import { formatSelector } from '../ipsec/traffic-selector.ts';
import type { TraceQuestion } from '../vici/trace-question.ts';
import type { CarrierView, DeviceView, OtherChildView, VerdictView } from '../vici/trace-view.ts';
import { formatAddress } from '../wire/address.ts';
import { addressFromWords, type Flow } from '../wire/flow.ts';
import { ownerOf, type TraceParts } from './trace-parts.ts';
import type { Passage } from './trace-passage.ts';

/** Of a packet that a Child SA protects, in the order in which outbound processing asks. */
export function verdictOf(
  { name, connection, mode }: ChildSa,
  carrier: CarrierView,
  passage: Passage,
  device: { readonly name: string },
): VerdictView {
  const { refusal, budget, fragments, pieces } = passage;
  const { sequence, limits, pathMtu } = carrier;
  if (refusal) {
    const by = refusal.by === 'device' ? `the device ${device.name}` : `child ${name}`;
    return dropped(
      'packet-too-big',
      `${by} takes ${refusal.mtu} octets, and the sender is told so by ICMP`,
      [`send at most ${refusal.mtu} octets, or let the packet be fragmented`],
    );
  }
  if (limits.reached === 'hard' && isAtHardLimit(carrier)) {
    return dropped('outbound-hard-limit', `child ${name} is at the end of its lifetime`, [
      `tsgw rekey ${name} --ike ${connection}; if that does not help, raise its life_bytes or life_packets`,
    ]);
  }
  if (sequence.last >= 2 ** sequence.bits - 1) {
    return dropped('sequence-exhausted', `child ${name} has used its last sequence number`, [
      `tsgw rekey ${name} --ike ${connection}`,
    ]);
  }
  const outside =
    fragments === 1
      ? `${budget.total} of ${pathMtu.octets} octets`
      : `${budget.total} octets outside in ${fragments} fragments, over a path of ${pathMtu.octets}`;
  if (pieces === 1) {
    const outcome = fragments === 1 ? 'sent' : 'fragmented';
    return { outcome, what: `sent by child ${name}, ${outside}`, next: [] };
  }
  const cut = `cut into ${pieces} fragments at ${device.name}`;
  // RFC 4303 §3.3.4: outside of tunnels ESP is for whole datagrams.
  const what =
    mode === 'tunnel'
      ? `${cut}, each sent by child ${name}, the largest with ${outside}`
      : `${cut}, put together again and sent by child ${name}, ${outside}`;
  return { outcome: 'fragmented', what, next: [] };
}

/** No policy is asked about what the host does not route to the device. */
export function routed(verdict: VerdictView, { name, route }: DeviceView): VerdictView {
  if (route === 'device' || route === undefined) return verdict;
  if (verdict.outcome === 'bypassed') {
    return { ...verdict, what: `${verdict.what}, on a route past ${name}` };
  }
  const where =
    route === 'nowhere'
      ? 'the host has no route for it'
      : 'the host routes it elsewhere, unprotected';
  const what = `does not come to ${name}: ${where}; if it did: ${verdict.what}`;
  // Nothing of ours counts it.
  return { outcome: 'elsewhere', what, next: verdict.next };
}

/** Of a packet that no Child SA protects. */
export function unprotectedVerdict(
  question: TraceQuestion,
  found: {
    readonly hit: SpdRow | undefined;
    readonly passed: readonly Compared<SpdRow>[];
    readonly others: readonly OtherChildView[];
  },
  parts: TraceParts,
): VerdictView {
  const { hit, passed, others } = found;
  if (!hit) return noPolicy(question, passed, others, parts);
  const owner = ownerName(hit, parts);
  switch (hit.entry.action) {
    case 'bypass':
      return { outcome: 'bypassed', what: `leaves unprotected: policy ${owner}`, next: [] };
    case 'discard':
      return dropped('discard-policy', `policy ${owner} says so`, [
        `take the policy away: swanctl --uninstall --child ${owner.split('/').at(-1)}; or narrow its selectors`,
      ]);
    case 'trap': {
      const what = `held for up to 16 s while its child comes up: policy ${owner} is a trap`;
      return { outcome: 'held', what, next: [`tsgw why ${owner.split('/')[0]} if it does not`] };
    }
    case 'protect':
      return dropped('no-sa', `the SA of policy ${owner} is going`, []);
  }
}

function noPolicy(
  { flow }: TraceQuestion,
  passed: readonly Compared<SpdRow>[],
  others: readonly OtherChildView[],
  parts: TraceParts,
): VerdictView {
  const [silent] = others;
  const near = nearest(passed);
  const what = silent
    ? `child ${silent.child} #${silent.uniqueId} ${silent.why}`
    : near
      ? `nearest policy is ${ownerName(near.pair, parts)}: ${missText(near, flow, 'out')}`
      : 'there is no policy at all';
  const configured = configuredFor(flow, parts.connections);
  return dropped('no-policy', what, [
    ...configured,
    ...(configured.length === 0 && near ? [widen(near, flow, parts)] : []),
  ]);
}

/** `remote address 10.3.0.9 is not in 10.2.0.0/16`. */
export function missText(
  { pair: { local, remote }, misses }: Compared<SelectorPair>,
  flow: Flow,
  direction: 'out' | 'in',
): string {
  const address = addressesOf(flow, direction);
  const texts = misses.map((miss) => {
    if (miss === 'remote address')
      return `${miss} ${address.remote} is not in ${formatSelector(remote)}`;
    if (miss === 'local address')
      return `${miss} ${address.local} is not in ${formatSelector(local)}`;
    const selector = miss === 'local port' || remote.protocol === 0 ? local : remote;
    return `${miss} is not that of ${formatSelector(miss === 'remote port' ? remote : selector)}`;
  });
  return texts.join(', ');
}

function widen({ pair, misses }: Compared<SpdRow>, flow: Flow, parts: TraceParts): string {
  const { local, remote } = addressesOf(flow, 'out');
  const additions = [
    ...(misses.includes('remote address') ? [`${remote} to remote_ts`] : []),
    ...(misses.includes('local address') ? [`${local} to local_ts`] : []),
  ];
  const what =
    additions.length > 0 ? `add ${additions.join(' and ')}` : 'widen the protocol and ports';
  const owner = ownerName(pair, parts);
  return `${what} of ${owner} here and the mirror image of that at the peer, and bring it up anew`;
}

/** Children whose configured selectors the packet fits, though nothing of them is installed. */
function configuredFor(flow: Flow, connections: readonly Connection[]): readonly string[] {
  const ends = packetEnds(flow, 'out');
  return connections.flatMap((connection) =>
    connection.children
      .filter((child) => childCovers(child, ends))
      .map(({ name, mode }) =>
        isProtecting(mode)
          ? `bring up the child that covers it: tsgw initiate ${name} --ike ${connection.name}`
          : `install the policy that covers it: swanctl --install --child ${name} --ike ${connection.name}`,
      ),
  );
}

function childCovers({ localTs, remoteTs }: ChildPolicy, ends: PacketEnds): boolean {
  return localTs.some((local) =>
    remoteTs.some(
      (remote) =>
        local.kind === 'fixed' &&
        remote.kind === 'fixed' &&
        pairFits({ local: local.selector, remote: remote.selector }, ends),
    ),
  );
}

/** Counts tell which direction came to the limit that was reported. */
function isAtHardLimit({ limits }: CarrierView): boolean {
  const { packets, octets, hardPackets, hardOctets } = limits;
  return (hardPackets > 0 && packets >= hardPackets) || (hardOctets > 0 && octets >= hardOctets);
}

export function dropped(reason: string, why: string, next: readonly string[]): VerdictView {
  return { outcome: 'dropped', reason, what: `dropped: ${reason}; ${why}`, next };
}

function ownerName({ entry }: SpdRow, parts: TraceParts): string {
  const { ike, child } = ownerOf(entry.id, parts);
  return child === '' ? `number ${entry.id}` : `${ike}/${child}`;
}

function addressesOf({ family, source, destination }: Flow, direction: 'out' | 'in') {
  const [from, to] = [source, destination].map((words) =>
    formatAddress(addressFromWords(family, words)),
  );
  return direction === 'out' ? { local: from, remote: to } : { local: to, remote: from };
}
