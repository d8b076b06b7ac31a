/** Child SAs as the IKE engine installs them, and pairs of gateways that have one up. */
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { HeldChild } from '../../src/ike/held-child.ts';
import type { IkeSa } from '../../src/ike/ike-sa.ts';
import type { Secured } from '../../src/ike/ike-sa-state.ts';
import type { ChildSa } from '../../src/ipsec/child-sa.ts';
import type { ChildPolicy, Connection } from '../../src/ipsec/connection.ts';
import { spi } from '../../src/ipsec/spi.ts';
import type { TrafficSelector } from '../../src/ipsec/traffic-selector.ts';
import { parsePrefix, prefixRange } from '../../src/wire/address.ts';
import { instant } from '../../src/wire/instant.ts';
import { AES_GCM_256, child, connection } from './connections.ts';
import { A, B, endpoint, type Pair, type Side } from './pair.ts';
import { seededRandom } from './seeded-random.ts';
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
    icmpErrors: true,
    copyEcn: true,
    copyDscp: 'out',
    priority: 0,
    nonFirstFragments: false,
    tfcPadding: 0,
    dummyPackets: 0,
    limits: { softOctets: 0, hardOctets: 0, softPackets: 0, hardPackets: 0 },
    outbound: 'now',
    ...changes,
  };
}

/** A Child SA as its IKE SA holds it, installed at `milliseconds`. */
export function heldChild(
  changes: Partial<ChildSa> = {},
  policy: ChildPolicy = child(),
  milliseconds = 0,
): HeldChild {
  return new HeldChild(childSa(changes), policy, instant(milliseconds), seededRandom(3));
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

/** The only Child SA of an IKE SA. */
export function onlyChild(sa: IkeSa): HeldChild {
  const [held, ...others] = sa.children.values();
  if (!held || others.length > 0) throw new Error(`IKE SA ${sa.id}: ${sa.children.size} Child SAs`);
  return held;
}

/** The keys of an IKE SA that has some. */
export function securedOf(sa: IkeSa): Secured {
  if (!sa.secured) throw new Error(`IKE SA ${sa.id} has no keys`);
  return sa.secured;
}

/** The only IKE SA of a side. */
export function onlyIkeSa(side: Side): IkeSa {
  const [sa, ...others] = side.engine.ikeSas();
  if (!sa || others.length > 0) throw new Error(`side ${side.name}: not one IKE SA`);
  return sa;
}
