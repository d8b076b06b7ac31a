/**
 * What each worker of the packet path begins with: its queue of the device, its sockets, its counters
 * and the ways to the other workers.
 */
import type { SendLease } from '../events/send-lease.ts';
import type { SharedCounters } from '../events/shared-counters.ts';
import { ASSUMED_OUTER_MTU } from '../ipsec/path-mtu.ts';
import type { OuterSockets } from './outer-sockets.ts';
import type { PacketLoopSetup, PacketLoopShare } from './packet-loop-protocol.ts';
import type { TunDevice } from './tun.ts';

export interface PacketLoopSetupParts {
  readonly settings: {
    /** Of the device; 0 = what fits into the paths of the installed SAs. */
    readonly mtu: number;
    readonly mssClamp: boolean;
    readonly portNatT: number;
  };
  /** By worker. */
  readonly counters: readonly SharedCounters[];
  readonly lease: SendLease | undefined;
  readonly tun: TunDevice;
  readonly sockets: OuterSockets;
  readonly shares: readonly (PacketLoopShare | undefined)[];
}

/** By worker. */
export function packetLoopSetups(parts: PacketLoopSetupParts): readonly PacketLoopSetup[] {
  const { settings, lease, tun, sockets, shares } = parts;
  const { mtu, mssClamp, portNatT } = settings;
  const common = {
    offload: tun.offload,
    nattPort: portNatT,
    tunMtu: mtu || ASSUMED_OUTER_MTU,
    outerMtu: ASSUMED_OUTER_MTU,
    mssClamp,
  };
  const queues = [tun.fd, ...tun.further];
  const data = [sockets, ...sockets.further];
  return parts.counters.map((counters, worker) => {
    const { natt4, natt6, esp4, esp6, plain4, plain6 } = data[worker] ?? sockets;
    const share = shares[worker];
    return {
      ...common,
      counters,
      tun: queues[worker] ?? tun.fd,
      ...{ natt4, natt6, esp4, esp6, plain4, plain6 },
      ...(share && { share }),
      ...(lease && { lease: lease.memory }),
    };
  });
}
