/**
 * Measuring what the path to a peer carries, by INFORMATIONAL requests of every length.
 *
 * Dummy packets (RFC 4303 §2.6) of such lengths would have nobody to answer them. A peer answers every
 * INFORMATIONAL request (RFC 7296 §1.4), whoever made it, and passes over a status notify it does not
 * know (§3.10.1), which can be as long as we like; on port 4500 the request takes the way of ESP.
 *
 * Each goes out with DF set, and a second time, because packets get lost for other reasons too. A
 * request must be answered before the next one (§2.3): one that is too long for the path goes out a
 * third time, octet for octet (§2.1), in fragments of IP that every path carries, so that the window opens
 * again. We make them ourselves: a path that loses large packets without a word may have no router that
 * would, and IPv6 has none.
 */
import { equalAddresses } from '../../wire/address.ts';
import type { Input, PathMeasurement } from '../action.ts';
import { octetsAround } from '../fragmentation.ts';
import type { Composed, IkeSa } from '../ike-sa.ts';
import type { Incoming } from '../incoming.ts';
import { ExchangeType } from '../message/message.ts';
import { PathMeasuring } from '../path-measuring.ts';
import { PathSearch } from '../path-search.ts';
import { statusNotify } from '../payload-access.ts';
import { wholeOctets, wholeRoom } from '../protection.ts';
import type { Turn } from '../turn.ts';

/** Begins to measure the path of one IKE SA. */
export function measurePath(
  turn: Turn,
  sas: readonly IkeSa[],
  { request, ikeSaId, most }: Extract<Input, { readonly kind: 'measure-path' }>,
): void {
  const sa = sas.find(({ id }) => id === ikeSaId);
  const busy = sa && [sa.inFlight, ...sa.queued].some((one) => one?.kind === 'probe-path');
  if (sa?.state.name !== 'Established' || busy) {
    const what = busy
      ? `the path of IKE SA ${ikeSaId} is being measured already`
      : `IKE SA ${ikeSaId} is not established`;
    turn.push({ kind: 'complete', request, outcome: { kind: 'failed', what } });
    return;
  }
  const { local, remote } = sa;
  const search = new PathSearch(LEAST_PACKET[remote.address.family], most);
  probe(turn, sa, new PathMeasuring(request, search, { local, remote }, turn.now));
}

function probe(turn: Turn, sa: IkeSa, measuring: PathMeasuring): void {
  sa.request(turn, {
    purpose: { kind: 'probe-path', measuring },
    compose: (now, carrier) => compose(now, carrier, measuring),
  });
}

function compose(turn: Turn, sa: IkeSa, measuring: PathMeasuring): Composed | undefined {
  const { secured } = sa;
  if (sa.state.name !== 'Established' || !secured) {
    measuring.end(turn, { kind: 'failed', what: 'the IKE SA is going' });
    return undefined;
  }
  const around = octetsAround(sa, turn.environment.settings.portNatT);
  const { sealing } = secured;
  const fitting = (octets: number): number =>
    around + wholeOctets(sealing, wholeRoom(sealing, octets - around));
  const octets = measuring.search.next(fitting);
  if (octets === undefined) {
    finish(turn, sa, measuring);
    return undefined;
  }
  measuring.sent(octets, turn.now);
  const data = new Uint8Array(wholeRoom(sealing, octets - around) - NOTIFY_HEADER);
  return {
    exchangeType: ExchangeType.INFORMATIONAL,
    payloads: [statusNotify(PATH_PROBE, data)],
    whole: measuring.waits,
  };
}

/** The answer to a probe. */
export function heedPathProbe(
  turn: Turn,
  sa: IkeSa,
  measuring: PathMeasuring,
  response: Incoming,
): void {
  if (measuring.over) return;
  const { path } = measuring;
  const moved = (['local', 'remote'] as const).some(
    (end) => !equalAddresses(response[end].address, path[end].address),
  );
  if (moved) {
    measuring.end(turn, { kind: 'failed', what: 'the peer was reached another way meanwhile' });
    return;
  }
  measuring.heard(turn.now);
  probe(turn, sa, measuring);
}

function finish(turn: Turn, sa: IkeSa, measuring: PathMeasuring): void {
  const { search, since } = measuring;
  if (search.answered === 0) {
    const what = `the path carries less than ${search.lost ?? 0} octets`;
    measuring.end(turn, { kind: 'failed', what });
    return;
  }
  const measured: PathMeasurement = {
    outerMtu: search.answered,
    ...(search.lost !== undefined && { lostOctets: search.lost }),
    probes: search.probes,
    losses: search.losses,
    milliseconds: turn.now - since,
    childSaIds: [...sa.children.keys()],
  };
  measuring.end(turn, { kind: 'done', matches: 1, terminated: 0, measured });
}

/** Of the private range (RFC 7296 §3.10.1), so that it means nothing to anyone. */
const PATH_PROBE = 50_000;
/** Generic header, protocol, SPI size and type. */
const NOTIFY_HEADER = 8;
// What every path carries: IPv6 by RFC 8200 §5, IPv4 by RFC 791 §3.2 as good as.
const LEAST_PACKET = { 4: 576, 6: 1280 } as const;
