/**
 * The Child SAs of snapshots, as their IKE SAs held them elsewhere.
 */
import type { ChildSa } from '../ipsec/child-sa.ts';
import type { ChildPolicy, Connection } from '../ipsec/connection.ts';
import type { Proposal } from '../ipsec/proposal.ts';
import { ProtocolId } from '../ipsec/proposal.ts';
import type { Spi } from '../ipsec/spi.ts';
import type { TrafficSelector } from '../ipsec/traffic-selector.ts';
import type { Instant } from '../wire/instant.ts';
import { type ChildState, HeldChild } from './held-child.ts';
import { dueAt, instantOf, type Received, type Restoring } from './received-snapshot.ts';
import type { ChildSnapshot } from './snapshot.ts';

interface Origin {
  readonly received: Received;
  readonly child: ChildSnapshot;
}

/**
 * By their inbound SPI. One that a snapshot only speaks of is the one that another has, if any does: an
 * IKE SA hands its Child SAs to another, and both are of the same turn.
 */
export function restoreChildren(
  restoring: Restoring,
  received: readonly Received[],
): ReadonlyMap<Spi, HeldChild> {
  const origins = new Map<Spi, Origin>();
  for (const one of received) {
    for (const child of one.snapshot.children) {
      const { spiIn } = child.childSa;
      if (child.held || !origins.has(spiIn)) origins.set(spiIn, { received: one, child });
    }
  }
  const made = new Map<Spi, HeldChild>();
  const begun = new Set<Spi>();
  const make = (spiIn: Spi): HeldChild | undefined => {
    const known = made.get(spiIn);
    const origin = origins.get(spiIn);
    if (known || !origin || begun.has(spiIn)) return known;
    begun.add(spiIn);
    const child = restoreChild(restoring, origin, make);
    made.set(spiIn, child);
    return child;
  };
  for (const spiIn of origins.keys()) make(spiIn);
  return made;
}

function restoreChild(
  restoring: Restoring,
  { received, child }: Origin,
  successor: (spiIn: Spi) => HeldChild | undefined,
): HeldChild {
  const { connection } = received;
  const policy = policyOf(connection, child);
  const childSa = childSaOf(restoring, received, child);
  const ends = (offset: number | undefined): Instant | undefined =>
    offset === undefined ? undefined : instantOf(received, offset);
  return new HeldChild(childSa, policy, restoring.now, {
    installed: instantOf(received, child.installed),
    rekeyAt: child.rekeyAt === undefined ? undefined : dueAt(restoring, received, child.rekeyAt),
    expireAt: ends(child.expireAt),
    state: stateOf(restoring, { received, child }, successor),
  });
}

/** As the packet loop gets it. */
export function childSaOf(
  restoring: Pick<Restoring, 'childSaId' | 'reqid'>,
  { connection }: Pick<Received, 'connection'>,
  child: ChildSnapshot,
): ChildSa {
  const { childSa, sequences, outbound } = child;
  const heard = sequences && (sequences.inboundEdge.high > 0 || sequences.inboundEdge.low > 0);
  const { reqid } = policyOf(connection, child);
  return {
    ...childSa,
    id: restoring.childSaId(childSa.spiIn),
    connection: connection.name,
    reqid: reqid || restoring.reqid(connection.name, childSa.name),
    // A packet that arrived has proved that the peer has it.
    outbound: outbound === 'after-inbound' && heard ? 'now' : outbound,
  };
}

function stateOf(
  restoring: Restoring,
  { received, child }: Origin,
  find: (spiIn: Spi) => HeldChild | undefined,
): ChildState {
  const { state } = child;
  switch (state.name) {
    case 'Replaced': {
      const successor = find(state.successor);
      const until = dueAt(restoring, received, state.until);
      // Without one it is the same to the peer: something that it deletes.
      return successor ? { name: state.name, successor, until } : { name: 'Redundant', until };
    }
    case 'Redundant':
      return { name: state.name, until: dueAt(restoring, received, state.until) };
    case 'Draining':
      return { name: state.name, until: instantOf(received, state.until) };
    case 'Installed':
    case 'Rekeying':
    case 'Deleting':
      return state;
    default:
      return state satisfies never;
  }
}

function policyOf(connection: Connection, { childSa }: ChildSnapshot): ChildPolicy {
  const loaded = connection.children.find(({ name }) => name === childSa.name);
  if (loaded) return loaded;
  const { name, mode, encr, integ, ke, localTs, remoteTs } = childSa;
  const transforms = [encr, integ, ke].filter((transform) => transform !== undefined);
  const proposal = { number: 0, protocol: ProtocolId.ESP, spi: new Uint8Array(), transforms };
  return standInPolicy({ name, mode, proposals: [proposal], localTs, remoteTs });
}

/** What a Child SA was agreed on, where nothing is configured of its name any more. */
interface Remembered {
  readonly name: string;
  readonly mode: ChildPolicy['mode'];
  readonly proposals: readonly Proposal[];
  readonly localTs: readonly TrafficSelector[];
  readonly remoteTs: readonly TrafficSelector[];
}

/** A policy under which it goes on, and ends when its IKE SA does. */
export function standInPolicy(remembered: Remembered): ChildPolicy {
  const never = { rekey: 0, life: 0, random: 0 };
  const fixed = (selector: TrafficSelector) => ({ kind: 'fixed', selector }) as const;
  return {
    ...remembered,
    localTs: remembered.localTs.map(fixed),
    remoteTs: remembered.remoteTs.map(fixed),
    startAction: 'none',
    closeAction: 'none',
    dpdAction: 'clear',
    replayWindow: 32,
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out',
    icmpErrors: false,
    nonFirstFragments: 'accept',
    tfcPadding: 0,
    dummyPackets: 0,
    priority: 0,
    reqid: 0,
    lifetime: { seconds: never, octets: never, packets: never },
    inactivitySeconds: 0,
  };
}
