/**
 * A worker does what it is told about the SAs of a cluster.
 */
import type { PacketEngine } from '../esp/packet-engine.ts';
import type { Instant } from '../wire/instant.ts';
import type { ClusterCommand } from './cluster-protocol.ts';

export function performClusterCommand(
  engine: PacketEngine,
  command: ClusterCommand,
  now: Instant,
): void {
  const sa = engine.find(command.id);
  if (sa === undefined) return;
  switch (command.kind) {
    case 'grant':
      engine.grantSequence(sa, command.upTo, now);
      return;
    case 'go-alone':
      engine.goAlone(sa, now);
      return;
    default:
      command satisfies never;
  }
}
