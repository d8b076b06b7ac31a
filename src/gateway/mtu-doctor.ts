/**
 * `tsgw doctor mtu`: has the path to a peer measured, lets what is clamped follow, and says what to set.
 *
 * The measurement is `ike/exchange/path-probe.ts`; what it means for inner packets is
 * `ipsec/path-mtu.ts`'s arithmetic.
 */
import type { Outcome, PathMeasurement } from '../ike/action.ts';
import type { IkeSa } from '../ike/ike-sa.ts';
import type { ChildSa } from '../ipsec/child-sa.ts';
import { formatIdentity } from '../ipsec/identity.ts';
import { ASSUMED_OUTER_MTU, espShape, innerMtu, type MeasuredMtu } from '../ipsec/path-mtu.ts';
import type { ChildMtuView, MtuOutcome, MtuView, PathSelector } from '../vici/mtu-view.ts';
import { formatAddress } from '../wire/address.ts';
import { IPV4_HEADER } from '../wire/ipv4.ts';
import { IPV6_HEADER } from '../wire/ipv6.ts';
import { TCP_HEADER } from '../wire/tcp.ts';
import type { KnownPath } from './child-sas.ts';

export interface MtuDoctorParts {
  ikeSas(): readonly IkeSa[];
  connections(): readonly {
    readonly name: string;
    readonly children: readonly { readonly name: string }[];
  }[];
  measure(ikeSaId: number, most: number): Promise<Outcome>;
  /** SAs on the path of these have it from now on. */
  measured(childSaIds: readonly number[], mtu: MeasuredMtu): void;
  childSa(id: number): ChildSa | undefined;
  path(id: number): KnownPath | undefined;
  readonly mssClamp: boolean;
}

export async function examineMtu(
  selector: PathSelector,
  parts: MtuDoctorParts,
): Promise<MtuOutcome> {
  const sa = theOne(selector, parts);
  if (typeof sa === 'string') return { kind: 'failed', what: sa };
  const before = beliefOf(sa, parts);
  const outcome = await parts.measure(sa.id, ASSUMED_OUTER_MTU);
  if (outcome.kind !== 'done') return outcome;
  const { measured } = outcome;
  if (!measured) return { kind: 'failed', what: 'nothing was measured' };
  const { outerMtu: octets, lostOctets: lost } = measured;
  parts.measured(measured.childSaIds, { octets, ...(lost !== undefined && { lost }) });
  return { kind: 'measured', view: viewOf(sa, measured, before, parts) };
}

/** The IKE SA that is meant, or why none is. */
function theOne({ peer, ikeId }: PathSelector, parts: MtuDoctorParts): IkeSa | string {
  const found = parts
    .ikeSas()
    .filter((sa) => sa.state.name === 'Established' && !sa.replaced && isWith(sa, peer))
    .filter(({ id }) => ikeId === undefined || id === ikeId);
  const [one, ...others] = found;
  if (one && others.length === 0) return one;
  if (one) {
    const numbers = found.map(({ id }) => id).join(', ');
    return `${found.length} IKE SAs are up with ${peer}: say which, --ike-id of ${numbers}`;
  }
  const number = ikeId === undefined ? '' : ` of number ${ikeId}`;
  const connection = parts.connections().find(({ name }) => name === peer);
  const child = connection?.children[0];
  const next = child
    ? `tsgw initiate ${child.name} --ike ${peer} brings one up`
    : 'tsgw sas lists those that are up';
  return `no IKE SA${number} is up with ${peer}: ${next}`;
}

function isWith(sa: IkeSa, peer: string): boolean {
  const { state, connection, remote } = sa;
  if (connection.name === peer || formatAddress(remote.address) === peer) return true;
  return state.name === 'Established' && formatIdentity(state.peer.remoteId) === peer;
}

/** What its Child SAs were held to so far. */
function beliefOf(sa: IkeSa, { path }: MtuDoctorParts): number {
  const known = [...sa.children.keys()].flatMap((id) => path(id)?.outerMtu ?? []);
  return known.length > 0 ? Math.min(...known) : ASSUMED_OUTER_MTU;
}

function viewOf(
  sa: IkeSa,
  measured: PathMeasurement,
  before: number,
  parts: MtuDoctorParts,
): MtuView {
  const { outerMtu, lostOctets, probes, losses, milliseconds, childSaIds } = measured;
  const told = lostOctets !== undefined && before > outerMtu && before < lostOctets;
  const carried = told ? before : outerMtu;
  const children = childSaIds
    .flatMap((id) => parts.childSa(id) ?? [])
    .filter(({ outbound }) => outbound !== 'never')
    .map((childSa) => childView(childSa, carried));
  return {
    connection: sa.connection.name,
    ikeSaId: sa.id,
    local: formatAddress(sa.local.address),
    remote: formatAddress(sa.remote.address),
    remoteId: sa.state.name === 'Established' ? formatIdentity(sa.state.peer.remoteId) : '',
    before,
    outerMtu: carried,
    ...(lostOctets !== undefined && { lostOctets }),
    probes,
    losses,
    milliseconds,
    children,
    ...adviceOf(children, lostOctets !== undefined, parts.mssClamp),
  };
}

function childView(childSa: ChildSa, outer: number): ChildMtuView {
  const { encr, integ, mode, remote, udpEncapsulation, localTs, name, id } = childSa;
  const { family } = remote.address;
  // In transport mode and BEET the header is outside already.
  const shed = mode === 'tunnel' ? 0 : family === 4 ? IPV4_HEADER : IPV6_HEADER;
  const path = { family, udpEncapsulation, shed };
  const inner = innerMtu(outer, espShape(encr, integ), path);
  const carries = (family: number): boolean =>
    localTs.some(({ range }) => range.first.family === family);
  return {
    name,
    uniqueId: id,
    innerMtu: inner,
    ...(carries(4) && { mssIpv4: inner - IPV4_HEADER - TCP_HEADER }),
    ...(carries(6) && { mssIpv6: inner - IPV6_HEADER - TCP_HEADER }),
  };
}

/** What follows of itself, and what does not. */
function adviceOf(
  children: readonly ChildMtuView[],
  narrow: boolean,
  mssClamp: boolean,
): Pick<MtuView, 'here' | 'there'> {
  const inner = Math.min(...children.map(({ innerMtu }) => innerMtu));
  if (children.length === 0) {
    return { here: ['no child is up: those to come over this path follow it'], there: [] };
  }
  if (!narrow) return { here: ['nothing: the path carries all that our links do'], there: [] };
  const mss = children.flatMap(({ mssIpv4, mssIpv6 }) => mssIpv4 ?? mssIpv6 ?? []);
  const clamp = Math.min(...mss);
  const least = inner >= LEAST_DEVICE_MTU;
  return {
    here: [
      'nothing for now: packets, answers that they are too big, and TCP follow this until the restart',
      ...(mssClamp ? [] : [`gateway { mss_clamp = yes }: connections would begin with ${clamp}`]),
      ...(least ? [`gateway { mtu = ${inner} }: to begin with it after the restart`] : []),
    ],
    there: [
      'the way back was not measured: have it measured there, or take it for as narrow',
      `an MTU of ${inner} for what it sends into the tunnel, or TCP MSS of ${clamp}` +
        ` (strongSwan: charon.plugins.kernel-netlink.mtu = ${inner} and .mss = ${clamp})`,
    ],
  };
}

/** `gateway.mtu` takes no less: IPv6 needs so much (RFC 8200 §5). */
const LEAST_DEVICE_MTU = 1280;
