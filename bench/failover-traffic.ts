/**
 * Traffic between a client and the host behind a cluster, while something happens to the cluster.
 */
import type { FailoverCluster } from '../lab/failover-cluster.ts';
import { PacketStream } from '../lab/packet-stream.ts';

/** Of both ends. */
export const STREAM_PORT = 20_000;

const MOST_SECONDS_AFTER = 60;

/** Numbered packets each way. */
export function startStream(
  { network, inner }: FailoverCluster,
  perSecond: number,
): Promise<PacketStream> {
  return PacketStream.start(
    { network },
    {
      ...{ perSecond, port: STREAM_PORT },
      ends: [
        { node: 'client', address: inner.client },
        { node: 'host', address: inner.host },
      ],
    },
  );
}

/**
 * Until pings come back without a hole for `quietSeconds`, at most a minute behind a fault that took
 * `faultMilliseconds`: what it takes is part of the gap.
 */
export async function flowsAgain(
  { network, inner }: FailoverCluster,
  quietSeconds: number,
  faultMilliseconds: number,
): Promise<void> {
  const end = performance.now() + MOST_SECONDS_AFTER * 1000 + faultMilliseconds;
  let since = performance.now();
  while (performance.now() < end) {
    const argv = ['ping', '-n', '-q', '-c', '10', '-i', '0.02', '-W', '1', inner.host];
    const { stdout } = await network.exec('client', argv, { mayFail: true });
    if (!stdout.includes(' 0% packet loss')) since = performance.now();
    else if (performance.now() - since > quietSeconds * 1000) return;
  }
}
