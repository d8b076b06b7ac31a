/**
 * The packet of a trace as its answer repeats it.
 */
import { formatProtocolAndPorts } from '../ipsec/traffic-selector.ts';
import type { TraceQuestion } from '../vici/trace-question.ts';
import type { TracedPacketView } from '../vici/trace-view.ts';
import { formatAddress } from '../wire/address.ts';
import { addressFromWords, OPAQUE } from '../wire/flow.ts';
import { IpProtocol } from '../wire/ip-protocol.ts';

export function packetView(
  { flow, sourcePortAssumed, dontFragment }: TraceQuestion,
  size: Pick<TracedPacketView, 'size' | 'sizeAssumed'>,
): TracedPacketView {
  const { protocol, destinationPort: port } = flow;
  const ports =
    port === OPAQUE ? { startPort: 0, endPort: 0xffff } : { startPort: port, endPort: port };
  const traffic = formatProtocolAndPorts({
    protocol: protocol === OPAQUE ? 0 : protocol,
    ...ports,
  });
  const isIcmp = protocol === IpProtocol.ICMP || protocol === IpProtocol.IPV6_ICMP;
  return {
    source: formatAddress(addressFromWords(flow.family, flow.source)),
    destination: formatAddress(addressFromWords(flow.family, flow.destination)),
    traffic: traffic === '' ? 'any' : traffic.slice(1, -1),
    ...(flow.sourcePort !== OPAQUE && !isIcmp && { sourcePort: flow.sourcePort }),
    sourcePortAssumed,
    ...size,
    dontFragment: dontFragment || flow.family === 6,
  };
}
