/**
 * What is measured side by side: plain routing, tsgw as it comes and with parts of it set otherwise,
 * and the gateways it is compared with.
 */
import type { GatewayKind } from '../lab/gateway.ts';
import { IpsecTunnel, type IpsecTunnelOptions } from '../lab/ipsec-tunnel.ts';
import { OpenVpnTunnel } from '../lab/openvpn.ts';
import type { PairSettings } from '../lab/swanctl-conf.ts';
import { routePlainly, type Topology } from '../lab/topology.ts';
import type { Tunnel, TunnelTerms } from '../lab/tunnel.ts';
import { WireguardGoTunnel } from '../lab/wireguard-go.ts';

export type CaseName = keyof typeof CASES;

/** What all cases of a run have in common. */
export interface CaseTerms extends TunnelTerms {
  /** Further settings of IPsec's connections. */
  readonly pair?: PairSettings;
}

export interface Case {
  readonly title: string;
  /** What carries the packets; nothing does where they are routed plainly. */
  start(topology: Topology, terms: CaseTerms): Promise<Tunnel | undefined>;
}

const CASES = {
  plain: {
    title: 'plain routing',
    async start(topology, { family }) {
      await routePlainly(topology, family);
      return undefined;
    },
  },
  tsgw: ipsec('tsgw', ['tsgw', 'tsgw']),
  'tsgw-evp': ipsec('tsgw, aead = evp', ['tsgw', 'tsgw'], { own: { aead: 'evp' } }),
  'tsgw-ipsec-mb': ipsec('tsgw, aead = ipsec-mb', ['tsgw', 'tsgw'], { own: { aead: 'ipsec-mb' } }),
  'tsgw-no-offload': ipsec('tsgw, offload = off', ['tsgw', 'tsgw'], { own: { offload: 'off' } }),
  'tsgw-proto-50': ipsec('tsgw, protocol 50', ['tsgw', 'tsgw'], { encapsulation: 'none' }),
  'tsgw-strongswan': ipsec('tsgw - strongSwan', ['tsgw', 'strongswan']),
  strongswan: ipsec('strongSwan libipsec', ['strongswan', 'strongswan']),
  'wireguard-go': {
    title: 'wireguard-go (ChaCha20)',
    start: (topology, terms) => WireguardGoTunnel.start(topology, terms),
  },
  openvpn: {
    title: 'OpenVPN, no DCO',
    start: (topology, terms) => OpenVpnTunnel.start(topology, terms),
  },
} as const satisfies Readonly<Record<string, Case>>;

export const caseNames = [
  'plain',
  'tsgw',
  'tsgw-evp',
  'tsgw-ipsec-mb',
  'tsgw-no-offload',
  'tsgw-proto-50',
  'tsgw-strongswan',
  'strongswan',
  'wireguard-go',
  'openvpn',
] as const satisfies readonly CaseName[];

export function caseOf(name: CaseName): Case {
  return CASES[name];
}

function ipsec(
  title: string,
  kinds: readonly [GatewayKind, GatewayKind],
  further: Pick<IpsecTunnelOptions, 'own' | 'encapsulation'> = {},
): Case {
  return {
    title,
    start: (topology, terms) => IpsecTunnel.start(topology, { ...terms, kinds, ...further }),
  };
}
