/** Child SAs as the IKE engine installs them, and pairs of gateways that have one up. */
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import type { ChildSa } from '../../src/ipsec/child-sa.ts';
import type { Connection } from '../../src/ipsec/connection.ts';
import { spi } from '../../src/ipsec/spi.ts';
import type { TrafficSelector } from '../../src/ipsec/traffic-selector.ts';
import { parsePrefix, prefixRange } from '../../src/wire/address.ts';
import { AES_GCM_256, connection } from './connections.ts';
import { A, B, endpoint, type Pair, type Side } from './pair.ts';
import { initiate, sites } from './sites.ts';

/** Everything between a prefix and anywhere. */
export function selector(text: string): TrafficSelector {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(`not a prefix: ${text}`);
  return { range: prefixRange(prefix), protocol: 0, startPort: 0, endPort: 65_535 };
}

export function childSa(changes: Partial<ChildSa> = {}): ChildSa {
  return {
    id: 7,
    ikeSaId: 1,
    connection: 'peer',
    name: 'net',
    reqid: 1,
    mode: 'tunnel',
    spiIn: spi(0xb6583d96),
    spiOut: spi(0x55c36b9d),
    encr: AES_GCM_256,
    esn: false,
    keysIn: { encryption: key(36, 1), integrity: key(0, 0) },
    keysOut: { encryption: key(36, 2), integrity: key(0, 0) },
    local: endpoint(A, 4500),
    remote: endpoint(B, 4500),
    udpEncapsulation: true,
    localTs: [selector('10.1.0.0/16')],
    remoteTs: [selector('10.2.0.0/16')],
    replayWindow: 1024,
    copyDf: true,
    copyEcn: true,
    copyDscp: 'out',
    priority: 0,
    limits: { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
    outbound: 'now',
    ...changes,
  };
}

/** Key octets that are all the same number. */
export function key(length: number, octet: number): SecretBytes {
  return new SecretBytes(new Uint8Array(length).fill(octet));
}

/** Two sides with an IKE SA and its first Child SA. */
export function established(one: Connection = connection()): Pair {
  const pair = sites(one);
  initiate(pair);
  pair.run(1000, () => pair.a.outcomes.has(1));
  return pair;
}

/** The only IKE SA of a side. */
export function onlyIkeSa(side: Side): IkeSa {
  const [sa, ...others] = side.engine.ikeSas();
  if (!sa || others.length > 0) throw new Error(`side ${side.name}: not one IKE SA`);
  return sa;
}
