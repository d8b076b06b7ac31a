/**
 * MOBIKE (RFC 4555): peers tell each other their addresses, the initiator of the IKE SA decides which
 * are used, both follow, and the responder makes sure that the initiator is where it says.
 */

import { equalSecrets } from '../../crypto/constant-time.ts';
import type { RandomBytes } from '../../crypto/random.ts';
import { matchAddress, type ResolvedNames } from '../../ipsec/address-match.ts';
import { equalAddresses, formatAddress, type IpAddress, ipAddress } from '../../wire/address.ts';
import { sendDatagrams } from '../envelope.ts';
import type { IkeSa, RequestWish } from '../ike-sa.ts';
import type { Incoming } from '../incoming.ts';
import { ExchangeType, type NotifyPayload, type Payload } from '../message/message.ts';
import { NotifyType } from '../message/notify-types.ts';
import { detectNat, natDetectionNotifies } from '../nat-detection.ts';
import { type Path, samePath } from '../path.ts';
import { errorNotify, notifiesOf, statusNotify } from '../payload-access.ts';
import { heedNat, relocate } from '../relocation.ts';
import { repeatRequest } from '../repetition.ts';
import type { Turn } from '../turn.ts';

/** Addresses of a peer that we remember; further ones are passed over. */
const MAX_PEER_ADDRESSES = 16;
/** A name in `local_addrs` stands for the address in use and for no other. */
const NO_NAMES: ResolvedNames = new Map();
/** Repetitions after which other paths are tried, and how many of those. */
const PROBE_AFTER = 2;
const MAX_PROBES = 16;
/** RFC 4555 §4.2.5: a cookie has 8 to 64 octets. */
const COOKIE_OCTETS = 16;

/** For IKE_AUTH: that we move, and where else we can be reached (§3.1, §3.4). */
export function mobikeNotifies(turn: Turn, sa: IkeSa): readonly NotifyPayload[] {
  return [statusNotify(NotifyType.MOBIKE_SUPPORTED), ...addressNotifies(turn, sa)];
}

/** From IKE_AUTH: whether the peer moves too, and where else it can be reached. */
export function heedMobike(sa: IkeSa, payloads: readonly Payload[]): void {
  if (!sa.connection.mobike) return;
  if (notifiesOf(payloads, NotifyType.MOBIKE_SUPPORTED).length === 0) return;
  sa.mobility.agreed = true;
  heedAddresses(sa, payloads);
}

/** What an INFORMATIONAL request has of MOBIKE, done and answered (§3.5, §3.6, §3.7, §3.9). */
export function answerMobike(turn: Turn, sa: IkeSa, request: Incoming): readonly Payload[] {
  const { payloads } = request;
  // RFC 4555 §3.7: the cookie goes back as it came, whatever else the request is about.
  const cookies = notifiesOf(payloads, NotifyType.COOKIE2).map(({ data }) =>
    statusNotify(NotifyType.COOKIE2, data),
  );
  if (!sa.mobility.agreed) return cookies;
  heedAddresses(sa, payloads);
  const nat = detectNat(payloads, sa.spiI, sa.spiR, request);
  const hashes = nat.supported ? natHashes(sa, request) : [];
  if (notifiesOf(payloads, NotifyType.UPDATE_SA_ADDRESSES).length === 0 || sa.originalInitiator) {
    return [...cookies, ...hashes];
  }
  if (forbidsNat(payloads, request)) {
    return [...cookies, statusNotify(NotifyType.UNEXPECTED_NAT_DETECTED)];
  }
  const moved = !equalAddresses(sa.remote.address, request.remote.address);
  relocate(turn, sa, request, 'UPDATE_SA_ADDRESSES');
  heedNat(turn, sa, nat);
  if (moved) checkRoutability(turn, sa);
  return [...cookies, ...hashes];
}

/** Tells the responder the addresses this IKE SA has now; we have moved already (§3.5). */
export function requestAddressUpdate(turn: Turn, sa: IkeSa): void {
  // One that waits for the window will tell where we are by then.
  if (sa.queued.some(({ kind }) => kind === 'update-addresses')) return;
  sa.request(turn, addressUpdate());
}

export function addressUpdate(): RequestWish {
  return {
    purpose: { kind: 'update-addresses' },
    compose: (now, carrier) =>
      carrier.state.name === 'Established'
        ? {
            exchangeType: ExchangeType.INFORMATIONAL,
            payloads: [
              statusNotify(NotifyType.UPDATE_SA_ADDRESSES),
              ...natHashes(carrier, carrier),
              ...addressNotifies(now, carrier),
            ],
            purpose: { kind: 'update-addresses', told: pathOf(carrier) },
          }
        : undefined,
  };
}

/** Only tells our further addresses: they changed, not those in use (§3.6). */
function requestAddressList(turn: Turn, sa: IkeSa): void {
  sa.request(turn, addressList());
}

export function addressList(): RequestWish {
  return {
    purpose: { kind: 'tell-addresses' },
    compose: (now, carrier) => ({
      exchangeType: ExchangeType.INFORMATIONAL,
      payloads: addressNotifies(now, carrier),
    }),
  };
}

/** The responder has moved too, or will not. */
export function handleAddressUpdateResponse(
  turn: Turn,
  sa: IkeSa,
  told: Path | undefined,
  response: Incoming,
): void {
  const refusal = errorNotify(response.payloads);
  if (refusal) {
    const what = 'the peer does not accept our new addresses';
    turn.emit({ kind: 'peer-fault', what, ...sa.subject });
    return;
  }
  heedNat(turn, sa, detectNat(response.payloads, sa.spiI, sa.spiR, response));
  // RFC 4555 §3.5: what was said is no longer true; say it again.
  const current = pathOf(sa);
  if (told && !samePath(told, current)) requestAddressUpdate(turn, sa);
}

/** The liveness check of an initiator behind a NAT also finds out whether the NAT forgot us (§3.8). */
export function livenessPayloads(sa: IkeSa): readonly Payload[] {
  const behindNat = sa.secured?.nat.localBehindNat ?? false;
  return sa.mobility.agreed && sa.originalInitiator && behindNat ? natHashes(sa, sa) : [];
}

/** The answer to a liveness check with hashes: a new mapping is told at once (§3.8). */
export function heedLiveness(turn: Turn, sa: IkeSa, response: Incoming): void {
  if (!sa.mobility.agreed || !sa.originalInitiator) return;
  const seen = notifiesOf(response.payloads, NotifyType.NAT_DETECTION_DESTINATION_IP)[0]?.data;
  if (!seen) return;
  const before = sa.mobility.mappingSeen;
  sa.mobility.mappingSeen = seen;
  // The first one has none to be compared with, and the mapping may have changed since IKE_AUTH.
  if (!before || !equalSecrets(before, seen)) requestAddressUpdate(turn, sa);
}

/** §3.7: does the peer answer where it says it is? The cookie in the answer proves it. */
function checkRoutability(turn: Turn, sa: IkeSa): void {
  // One that waits for the window finds out about the place of by then.
  if (sa.queued.some(({ kind }) => kind === 'check-routability')) return;
  sa.request(turn, routabilityCheck(newCookie(turn.environment.random)));
}

export function routabilityCheck(cookie: Uint8Array): RequestWish {
  return {
    purpose: { kind: 'check-routability', cookie },
    compose: () => ({
      exchangeType: ExchangeType.INFORMATIONAL,
      payloads: [statusNotify(NotifyType.COOKIE2, cookie)],
    }),
  };
}

/** Whether the answer carries the cookie it must (RFC 4555 §3.7). */
export function isRoutable(cookie: Uint8Array, { payloads }: Incoming): boolean {
  return notifiesOf(payloads, NotifyType.COOKIE2).some(({ data }) => equalSecrets(data, cookie));
}

/** Where the peer might be reached besides, as endpoints of its ports. */
function alternatives(turn: Turn, sa: IkeSa): readonly Path[] {
  const remotes = [sa.remote.address, ...sa.mobility.peerAddresses];
  return usableAddresses(turn, sa)
    .flatMap((local) =>
      remotes
        .filter(({ family }) => family === local.family)
        .map((remote) => ({
          local: { address: local, port: sa.local.port },
          remote: { address: remote, port: sa.remote.port },
        })),
    )
    .filter((path) => !samePath(path, sa));
}

function pathOf({ local, remote }: Path): Path {
  return { local, remote };
}

function natHashes(sa: IkeSa, path: Path): readonly NotifyPayload[] {
  return natDetectionNotifies(sa.spiI, sa.spiR, path, sa.connection.encap);
}

// RFC 4555 §3.9: the addresses of the header must be those of the packet.
function forbidsNat(payloads: readonly Payload[], { local, remote }: Path): boolean {
  return notifiesOf(payloads, NotifyType.NO_NATS_ALLOWED).some(({ data }) => {
    const expected = [remote, local].flatMap(({ address }) => [...address.octets]);
    const ports = [remote, local].flatMap(({ port }) => [port >> 8, port & 0xff]);
    const octets = [...expected, ...ports];
    return data.length !== octets.length || octets.some((octet, index) => data[index] !== octet);
  });
}

/** The machine's addresses that the connection may be used from (`local_addrs`). */
function usableAddresses(turn: Turn, { connection }: IkeSa): readonly IpAddress[] {
  return turn.ownAddresses.filter(
    (address) => matchAddress(connection.localAddresses, address, NO_NAMES) > 0,
  );
}

/** Our addresses besides the one in use; that there are none is said too. */
function addressNotifies(turn: Turn, sa: IkeSa): readonly NotifyPayload[] {
  const others = usableAddresses(turn, sa).filter(
    (address) => !equalAddresses(address, sa.local.address),
  );
  sa.mobility.addressesTold = others.map(formatAddress).join(' ');
  if (others.length === 0) return [statusNotify(NotifyType.NO_ADDITIONAL_ADDRESSES)];
  return others
    .slice(0, MAX_PEER_ADDRESSES)
    .map(({ family, octets }) =>
      statusNotify(
        family === 4 ? NotifyType.ADDITIONAL_IP4_ADDRESS : NotifyType.ADDITIONAL_IP6_ADDRESS,
        octets,
      ),
    );
}

/** §3.6: each list replaces the one before. */
function heedAddresses(sa: IkeSa, payloads: readonly Payload[]): void {
  const none = notifiesOf(payloads, NotifyType.NO_ADDITIONAL_ADDRESSES).length > 0;
  const four = notifiesOf(payloads, NotifyType.ADDITIONAL_IP4_ADDRESS);
  const six = notifiesOf(payloads, NotifyType.ADDITIONAL_IP6_ADDRESS);
  if (!none && four.length === 0 && six.length === 0) return;
  const addresses: readonly IpAddress[] = [
    ...four.filter(({ data }) => data.length === 4),
    ...six.filter(({ data }) => data.length === 16),
  ].map(({ data }) => ipAddress(data));
  sa.mobility.peerAddresses = addresses.slice(0, MAX_PEER_ADDRESSES);
}

function newCookie(random: RandomBytes): Uint8Array {
  return random(COOKIE_OCTETS);
}

/**
 * The machine's addresses changed (§3.5, §3.6): an initiator whose address is gone moves, everyone
 * else tells what there is now.
 */
export function heedOwnAddresses(turn: Turn, sa: IkeSa): void {
  if (!sa.mobility.agreed || sa.state.name !== 'Established') return;
  const stays = turn.ownAddresses.some((address) => equalAddresses(address, sa.local.address));
  if (stays && !isStranded(turn, sa)) {
    const others = usableAddresses(turn, sa).filter(
      (address) => !equalAddresses(address, sa.local.address),
    );
    if (others.map(formatAddress).join(' ') !== sa.mobility.addressesTold)
      requestAddressList(turn, sa);
    return;
  }
  const path = sa.originalInitiator ? anotherPath(turn, sa) : undefined;
  if (!path) return;
  relocate(turn, sa, path, 'our address is gone');
  repeatRequest(turn, sa);
  requestAddressUpdate(turn, sa);
}

/** Moved for want of a better way, unheard so far, and now there is one. */
function isStranded(turn: Turn, sa: IkeSa): boolean {
  const unheard = sa.originalInitiator && sa.inFlight?.kind === 'update-addresses';
  if (!unheard || isRouted(turn, sa)) return false;
  return alternatives(turn, sa).some((path) => isRouted(turn, path));
}

/** An initiator whose request stays unanswered tries all ways there are (§3.5, §3.10). */
export function probeOtherPaths(turn: Turn, sa: IkeSa): void {
  const request = sa.window.inFlight;
  if (!sa.mobility.agreed || !sa.originalInitiator || !request) return;
  if (
    request.retransmission.attempts < PROBE_AFTER ||
    sa.mobility.probed === request.retransmission.attempts
  ) {
    return;
  }
  sa.mobility.probed = request.retransmission.attempts;
  for (const path of alternatives(turn, sa).slice(0, MAX_PROBES)) {
    sendDatagrams(turn, request.datagrams, path, { sa });
  }
}

/** An answer that came another way than we believed shows a way that works. */
export function heedProbe(turn: Turn, sa: IkeSa, response: Incoming): void {
  const probed = sa.mobility.probed !== 0;
  sa.mobility.probed = 0;
  if (!sa.mobility.agreed || !sa.originalInitiator || !probed || sa.state.name !== 'Established')
    return;
  if (samePath(response, sa)) return;
  relocate(turn, sa, pathOf(response), 'the peer answered there');
  requestAddressUpdate(turn, sa);
}

/** To the same address of the peer if we can, or else to another. */
function anotherPath(turn: Turn, sa: IkeSa): Path | undefined {
  const paths = alternatives(turn, sa);
  const routed = paths.filter((path) => isRouted(turn, path));
  const candidates = routed.length > 0 ? routed : paths;
  const same = candidates.find(({ remote }) => equalAddresses(remote.address, sa.remote.address));
  return same ?? candidates[0];
}

/** The machine would take this way by itself: a gateway has addresses that lead nowhere else. */
function isRouted({ environment }: Turn, { local, remote }: Path): boolean {
  const source = environment.sourceFor?.(remote.address);
  return source !== undefined && equalAddresses(source, local.address);
}
