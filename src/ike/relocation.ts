/**
 * The outer addresses of an IKE SA change, and those of its Child SAs with them (RFC 4555 §3.5,
 * RFC 7296 §2.23). Keys, message ids, sequence numbers and replay windows go on.
 */
import { equalAddresses, equalEndpoints, formatEndpoint } from '../wire/address.ts';
import type { IkeSa } from './ike-sa.ts';
import { type NatDetection, needsEncapsulation } from './nat-detection.ts';
import type { Path } from './path.ts';
import type { Turn } from './turn.ts';

/** From now on both ends are there. ESP follows at once. */
export function relocate(turn: Turn, sa: IkeSa, path: Path, why: string): void {
  if (equalEndpoints(sa.local, path.local) && equalEndpoints(sa.remote, path.remote)) return;
  const [fromLocal, fromPeer] = [formatEndpoint(sa.local), formatEndpoint(sa.remote)];
  const elsewhere =
    !equalAddresses(sa.local.address, path.local.address) ||
    !equalAddresses(sa.remote.address, path.remote.address);
  sa.local = path.local;
  sa.remote = path.remote;
  // What the old path carried says nothing about the new one.
  if (elsewhere) sa.pathSize = undefined;
  turn.touched.add(sa.ownSpi);
  turn.emit({ kind: 'ike-sa-moved', fromLocal, fromPeer, why, ...sa.subject });
  moveChildren(turn, sa);
}

/**
 * A peer behind a NAT shows by an authentic packet where it is now (RFC 7296 §2.23). Where there is
 * no NAT at its side an address does not change by itself, and a copied packet must not move an SA.
 */
export function followNat(turn: Turn, sa: IkeSa, { local, remote }: Path, why: string): void {
  if (sa.state.name !== 'Established' || !sa.secured?.nat.remoteBehindNat) return;
  relocate(turn, sa, { local, remote }, why);
}

/** What NAT detection says of the path as it is now; ESP goes into UDP, or out of it, accordingly. */
export function heedNat(turn: Turn, sa: IkeSa, nat: NatDetection): void {
  const { secured } = sa;
  if (!secured || !nat.supported) return;
  const udpEncapsulation = needsEncapsulation(nat, sa.connection.encap);
  const same =
    nat.localBehindNat === secured.nat.localBehindNat &&
    nat.remoteBehindNat === secured.nat.remoteBehindNat &&
    udpEncapsulation === secured.udpEncapsulation;
  if (same) return;
  sa.resecure({ ...secured, nat, udpEncapsulation });
  if (nat.localBehindNat || nat.remoteBehindNat) {
    const { localBehindNat, remoteBehindNat } = nat;
    turn.emit({ kind: 'nat-detected', localBehindNat, remoteBehindNat, ...sa.subject });
  }
  moveChildren(turn, sa);
}

function moveChildren(turn: Turn, sa: IkeSa): void {
  const { local, remote, secured } = sa;
  if (!secured) return;
  const { udpEncapsulation } = secured;
  for (const child of sa.children.values()) {
    const { id: childSaId } = child.childSa;
    child.childSa = { ...child.childSa, local, remote, udpEncapsulation };
    turn.push({ kind: 'move-child-sa', childSaId, local, remote, udpEncapsulation });
  }
}
