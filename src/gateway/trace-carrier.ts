/**
 * The Child SA that a traced packet goes through, with its IKE SA and every figure of its path, and
 * those for the same traffic that do not send.
 */
import type { HeldChild } from '../ike/held-child.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import { ASSUMED_OUTER_MTU } from '../ipsec/path-mtu.ts';
import { packetEnds, pairFits } from '../ipsec/policy-trace.ts';
import type { TraceResult } from '../vici/control.ts';
import type { TraceQuestion } from '../vici/trace-question.ts';
import type {
  CarrierView,
  EncapsulationView,
  LimitsView,
  OtherChildView,
} from '../vici/trace-view.ts';
import { formatAddress } from '../wire/address.ts';
import type { Flow } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';
import { TCP_HEADER } from '../wire/tcp.ts';
import { childSaView, ikeSaView, type ViewContext } from './sa-views.ts';
import { type Carrier, carrierOf, SHOWN_POLICIES, type TraceParts } from './trace-parts.ts';
import type { Passage } from './trace-passage.ts';

export function carrierView(
  childSa: ChildSa,
  passage: Passage,
  flow: Flow,
  parts: TraceParts,
  direction: 'in' | 'out' = 'out',
): CarrierView {
  const { context, sources } = parts;
  const since = sources.path(childSa.id)?.since ?? context.now;
  const rows = context.rows[direction === 'out' ? 'outbound' : 'inbound'](childSa.id);
  return {
    encapsulation: encapsulationView(childSa, direction === 'out' && passage.outerDontFragment),
    pathMtu: {
      octets: sources.path(childSa.id)?.outerMtu ?? ASSUMED_OUTER_MTU,
      learned: sources.path(childSa.id)?.learned ?? false,
      seconds: Math.max(0, Math.floor((context.now - since) / 1000)),
    },
    innerMtu: passage.innerMtu,
    budget: passage.budget,
    ...clampedMss(flow, passage.innerMtu, sources.mssClamp()),
    sequence: {
      last: rows.sequence,
      bits: childSa.esn ? 64 : 32,
      ...(direction === 'in' && { replayWindow: childSa.replayWindow }),
    },
    limits: limitsView(childSa, rows, sources.reachedLimit(childSa.id)),
  };
}

export function saViews(
  { held, ikeSa }: Carrier,
  context: ViewContext,
): Pick<TraceResult, 'childSa' | 'ikeSa'> {
  return { childSa: childSaView(held, context), ikeSa: ikeSaView(ikeSa, context) };
}

/** Child SAs that the packet fits, but the one that carries it. */
export function otherChildren(
  { flow }: TraceQuestion,
  carrier: number | undefined,
  parts: TraceParts,
): readonly OtherChildView[] {
  const ends = packetEnds(flow, 'out');
  return parts.childSas
    .filter(({ id }) => id !== carrier)
    .filter(({ localTs, remoteTs }) =>
      localTs.some((local) => remoteTs.some((remote) => pairFits({ local, remote }, ends))),
    )
    .slice(0, SHOWN_POLICIES)
    .flatMap(({ id }) => carrierOf(id, parts) ?? [])
    .map(({ childSa, held }) => ({
      ike: childSa.connection,
      child: childSa.name,
      uniqueId: childSa.id,
      state: childSaView(held, parts.context).state,
      why: whySilent(childSa, held),
    }));
}

function whySilent({ outbound }: ChildSa, { state }: HeldChild): string {
  if (state.name === 'Replaced') {
    return `replaced by #${state.successor.childSa.id}: it only receives`;
  }
  if (state.name === 'Redundant') return 'lost a simultaneous rekey: its creator deletes it';
  if (state.name === 'Deleting') return 'is being deleted';
  if (state.name === 'Draining') return 'deleted: it takes what is under way';
  if (outbound === 'after-inbound') return 'sends once a packet of the peer proves that it has it';
  return outbound === 'never' ? 'only receives' : 'stands behind in the order of look-up';
}

function encapsulationView(
  { local, remote, udpEncapsulation }: ChildSa,
  dontFragment: boolean,
): EncapsulationView {
  return {
    protocol: udpEncapsulation ? 'udp' : 'esp',
    local: formatAddress(local.address),
    ...(udpEncapsulation && { localPort: local.port }),
    remote: formatAddress(remote.address),
    ...(udpEncapsulation && { remotePort: remote.port }),
    dontFragment,
  };
}

/** RFC 9293 §3.7.1: the MTU less the fixed headers. */
function clampedMss({ protocol, family }: Flow, innerMtu: number, clamps: boolean) {
  if (!clamps || protocol !== IpProtocol.TCP) return {};
  return { mss: innerMtu - (family === 4 ? IPV4_HEADER : IPV6_HEADER) - TCP_HEADER };
}

function limitsView(
  { limits }: ChildSa,
  { packets, octets }: { readonly packets: number; readonly octets: number },
  reached: LimitsView['reached'],
): LimitsView {
  return { reached, packets, octets, ...limits };
}
