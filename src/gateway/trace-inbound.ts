/**
 * Which SAs would deliver a packet that came through a tunnel (RFC 4301 §5.2 step 4): its inner
 * header is held against the selectors of the SA it came by, not against the SPD.
 */
import type { ChildSa } from '../ipsec/child-sa.ts';
import { type Compared, compare, nearest, nearestFew, packetEnds } from '../ipsec/policy-trace.ts';
import { formatSpi } from '../ipsec/spi.ts';
import { formatSelector, type TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { TraceResult } from '../vici/control.ts';
import type { TraceQuestion } from '../vici/trace-question.ts';
import type { TracedPolicyView, VerdictView } from '../vici/trace-view.ts';
import type { Flow } from '../wire/flow.ts';
import { carrierView, saViews } from './trace-carrier.ts';
import { packetView } from './trace-packet.ts';
import { carrierOf, SHOWN_POLICIES, type TraceParts } from './trace-parts.ts';
import { passageOf, withoutSize } from './trace-passage.ts';
import { dropped, missText } from './trace-verdict.ts';

export function inboundTrace(question: TraceQuestion, parts: TraceParts): TraceResult {
  const { flow } = question;
  const ends = packetEnds(flow, 'in');
  const pairs = parts.childSas.flatMap((childSa) =>
    childSa.localTs.flatMap((local) =>
      childSa.remoteTs.map((remote) => compare({ childSa, local, remote }, ends)),
    ),
  );
  const passed = pairs.filter(({ misses }) => misses.length > 0);
  const fitting = pairs.filter(({ misses }) => misses.length === 0);
  // The newest comes first: a peer that has it sends by it.
  const accepting = [...new Set(fitting.map(({ pair }) => pair.childSa))].toReversed();
  const [first] = accepting;
  const shown = new Set([
    ...nearestFew(passed, SHOWN_POLICIES),
    ...fitting.slice(0, SHOWN_POLICIES),
  ]);
  const passage = first && passageOf(question, first, parts);
  const carrier = first && carrierOf(first.id, parts);
  return {
    trace: {
      direction: 'in',
      packet: packetView(question, passage?.packet ?? withoutSize(question)),
      device: parts.sources.device(),
      policies: pairs.filter((pair) => shown.has(pair)).map(pairView),
      passed: passed.length,
      all: pairs.length,
      action: first ? 'protect' : 'none',
      ...(first && passage && { carrier: carrierView(first, passage, flow, parts, 'in') }),
      others: [],
      notes: ['what comes in without protection is for the firewall of the host to judge'],
      verdict: first ? accepted(accepting) : refused(passed, flow),
    },
    ...(carrier && saViews(carrier, parts.context)),
  };
}

function accepted(accepting: readonly ChildSa[]): VerdictView {
  const names = accepting
    .slice(0, SHOWN_NAMES)
    .map(({ name, spiIn }) => `${name} (SPI ${formatSpi(spiIn)})`);
  const more =
    accepting.length > names.length ? ` and ${accepting.length - names.length} more` : '';
  return { outcome: 'accepted', what: `accepted from child ${names.join(', ')}${more}`, next: [] };
}

function refused(passed: readonly Compared<Pair>[], flow: Flow): VerdictView {
  const near = nearest(passed);
  if (!near) {
    return dropped('unknown-spi', 'no SA is there to come by', ['tsgw initiate brings one up']);
  }
  const { childSa } = near.pair;
  return dropped(
    'inbound-policy-mismatch',
    `nearest is child ${childSa.name}: ${missText(near, flow, 'in')}`,
    [`let the selectors of ${childSa.connection}/${childSa.name} cover it at both ends`],
  );
}

/** One pair of an SA's selectors. */
interface Pair {
  readonly childSa: ChildSa;
  readonly local: TrafficSelector;
  readonly remote: TrafficSelector;
}

function pairView({ pair: { childSa, local, remote }, misses }: Compared<Pair>): TracedPolicyView {
  return {
    ike: childSa.connection,
    child: childSa.name,
    action: 'protect',
    local: formatSelector(local),
    remote: formatSelector(remote),
    spi: formatSpi(childSa.spiIn),
    misses,
  };
}

const SHOWN_NAMES = 4;
