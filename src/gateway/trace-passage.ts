/**
 * What becomes of a packet by its size on the way through the device and the SA: whole, in fragments,
 * or back as an error (RFC 4301 §8.1, §8.2.1).
 *
 * The host cuts or refuses what its device does not take, before any policy is asked.
 */
import type { ChildSa } from '../ipsec/child-sa.ts';
import {
  ASSUMED_OUTER_MTU,
  type EspBudget,
  type EspShape,
  espBudget,
  espShape,
  fragmentCount,
  innerMtu,
  type OuterPath,
  type SizeVerdict,
  sizeVerdict,
} from '../ipsec/path-mtu.ts';
import type { TraceQuestion } from '../vici/trace-question.ts';
import type { TracedPacketView } from '../vici/trace-view.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';
import type { TraceParts } from './trace-parts.ts';

export interface Passage {
  readonly packet: Pick<TracedPacketView, 'size' | 'sizeAssumed'>;
  /** Inner packets that the host makes of it. */
  readonly pieces: number;
  /** Of the packet, or of the largest of its pieces where they go one by one. */
  readonly budget: EspBudget;
  readonly verdict: SizeVerdict;
  /** The packet is refused with this MTU, by the host or by the SA. */
  readonly refusal?: { readonly by: 'device' | 'sa'; readonly mtu: number };
  /** Fragments of the outer packet. */
  readonly fragments: number;
  readonly outerDontFragment: boolean;
  /** Octets of the largest inner packet that passes whole. */
  readonly innerMtu: number;
}

export function passageOf(
  { flow, size: asked, dontFragment: askedDf }: TraceQuestion,
  childSa: ChildSa,
  { context, sources }: TraceParts,
): Passage {
  const { shape, path, outerMtu } = sealingOf(childSa, flow.family, sources);
  const most = context.innerMtu(childSa.id) || innerMtu(outerMtu, shape, path);
  const { mtu } = sources.device();
  const size = asked ?? Math.min(most, mtu);
  const packet = { size, sizeAssumed: asked === undefined };
  const dontFragment = askedDf || flow.family === 6;
  const refusedByDevice = size > mtu && dontFragment;
  const pieces = size > mtu && !dontFragment ? fragmentCount(size, mtu, 4) : 1;
  const octets = pieces === 1 || childSa.mode !== 'tunnel' ? size : largestPiece(mtu);
  const verdict = refusedByDevice
    ? 'too-big'
    : sizeVerdict(flow.family, octets, dontFragment, { innerMtu: most, copyDf: childSa.copyDf });
  const budget = espBudget(octets, shape, path, Math.min(childSa.tfcPadding, most));
  return {
    packet,
    pieces,
    budget,
    verdict,
    ...(verdict === 'too-big' && {
      refusal: refusedByDevice
        ? ({ by: 'device', mtu } as const)
        : ({ by: 'sa', mtu: told(most, flow.family) } as const),
    }),
    fragments: verdict === 'fits' ? 1 : fragmentCount(budget.total, outerMtu, path.family),
    outerDontFragment: verdict === 'fits' && childSa.copyDf && dontFragment,
    innerMtu: most,
  };
}

/** Where no SA carries the packet nothing follows from its size. */
export function withoutSize({ size }: TraceQuestion): Passage['packet'] {
  return { size: size ?? 0, sizeAssumed: false };
}

function sealingOf(
  { id, mode, encr, integ, remote, udpEncapsulation }: ChildSa,
  inner: number,
  sources: TraceParts['sources'],
): { readonly shape: EspShape; readonly path: OuterPath; readonly outerMtu: number } {
  return {
    shape: espShape(encr, integ),
    path: {
      family: remote.address.family,
      udpEncapsulation,
      shed: mode === 'tunnel' ? 0 : inner === 4 ? IPV4_HEADER : IPV6_HEADER,
    },
    outerMtu: sources.path(id)?.outerMtu ?? ASSUMED_OUTER_MTU,
  };
}

/** RFC 8200 §5: no sender of IPv6 is told to go below 1280 octets. */
function told(mtu: number, family: number): number {
  return family === 6 ? Math.max(mtu, IPV6_MINIMUM_MTU) : mtu;
}

/** RFC 791 §3.2: all fragments but the last hold a multiple of 8 octets. */
function largestPiece(mtu: number): number {
  const room = mtu - IPV4_HEADER;
  return IPV4_HEADER + room - (room % 8);
}

const IPV6_MINIMUM_MTU = 1280;
