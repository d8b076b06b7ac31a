/**
 * What would become of a packet (`tsgw trace`), in the steps of RFC 4301 §5.1 and §5.2: the
 * policies in the order of look-up, the SA behind the one that decides, the size outside, the verdict.
 *
 * Decides nothing of its own: policies stand in the order of the SPD, selectors are matched as the
 * packet path does, and sizes are `ipsec/path-mtu.ts`'s.
 */
import { nearestFew, tracePolicies } from '../ipsec/policy-trace.ts';
import type { SpdRow } from '../ipsec/spd.ts';
import { formatSpi } from '../ipsec/spi.ts';
import { formatSelector } from '../ipsec/traffic-selector.ts';
import type { TraceResult } from '../vici/control.ts';
import type { TraceQuestion } from '../vici/trace-question.ts';
import type { TracedPolicyView, TracedRoute } from '../vici/trace-view.ts';
import { addressFromWords, OPAQUE } from '../wire/flow.ts';
import { carrierView, otherChildren, saViews } from './trace-carrier.ts';
import { inboundTrace } from './trace-inbound.ts';
import { packetView } from './trace-packet.ts';
import { carrierOf, ownerOf, SHOWN_POLICIES, type TraceParts } from './trace-parts.ts';
import { passageOf, withoutSize } from './trace-passage.ts';
import { routed, unprotectedVerdict, verdictOf } from './trace-verdict.ts';

export function traceView(question: TraceQuestion, parts: TraceParts): TraceResult {
  if (question.inbound) return inboundTrace(question, parts);
  const { passed, hit } = tracePolicies(parts.rows, question.flow);
  const others = otherChildren(question, hit?.entry.id, parts);
  const device = { ...parts.sources.device(), route: routeOf(question, parts) };
  const common = {
    direction: 'out' as const,
    device,
    policies: [
      ...nearestFew(passed, SHOWN_POLICIES).map(({ pair, misses }) =>
        policyView(pair, misses, parts),
      ),
      ...(hit ? [policyView(hit, [], parts)] : []),
    ],
    passed: passed.length,
    all: parts.rows.length,
    action: hit?.entry.action ?? ('none' as const),
    others,
  };
  const carrier = hit?.entry.action === 'protect' ? carrierOf(hit.entry.id, parts) : undefined;
  if (!carrier) {
    const packet = packetView(question, withoutSize(question));
    const verdict = unprotectedVerdict(question, { passed, hit, others }, parts);
    return { trace: { ...common, packet, notes: [], verdict: routed(verdict, device) } };
  }
  const { childSa } = carrier;
  const passage = passageOf(question, childSa, parts);
  const view = carrierView(childSa, passage, question.flow, parts);
  return {
    trace: {
      ...common,
      packet: packetView(question, passage.packet),
      carrier: view,
      notes: childSa.nonFirstFragments ? [] : notesOf(question, hit, passage.pieces, parts),
      verdict: routed(verdictOf(childSa, view, passage, device), device),
    },
    ...saViews(carrier, parts.context),
  };
}

function routeOf({ flow }: TraceQuestion, { sources }: TraceParts): TracedRoute {
  return sources.routeTo(addressFromWords(flow.family, flow.destination));
}

function policyView(
  { entry, local, remote, priority }: SpdRow,
  misses: readonly string[],
  parts: TraceParts,
): TracedPolicyView {
  const { ike, child, childSa } = ownerOf(entry.id, parts);
  return {
    ike,
    child,
    action: entry.action,
    local: formatSelector(local),
    remote: formatSelector(remote),
    priority,
    spi: childSa ? formatSpi(childSa.spiOut) : '',
    misses,
  };
}

/** RFC 4301 §7.4: what is cut before it is sealed shows its ports only in its first fragment. */
function notesOf(
  { flow }: TraceQuestion,
  hit: SpdRow | undefined,
  pieces: number,
  { rows }: TraceParts,
): readonly string[] {
  if (pieces === 1 || flow.destinationPort === OPAQUE) return [];
  const later = { ...flow, sourcePort: OPAQUE, destinationPort: OPAQUE };
  const action = tracePolicies(rows, later).hit?.entry;
  if (action?.id === hit?.entry.id) return [];
  if (action !== undefined && action.action !== 'bypass') {
    return [`later fragments show no ports and meet another policy (${action.action})`];
  }
  const wish = 'write non_first_fragments = yes at one end, unless at the other it is no';
  return [`later fragments show no ports and are dropped: ${wish}`];
}
