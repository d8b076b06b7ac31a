/** Connections for tests, made the way an operator makes them: by their values. */
import { SecretBytes } from '../../src/crypto/secret-bytes.ts';
import { EsnId, TransformType } from '../../src/crypto/transform.ts';
import type { ChildPolicy, Connection, SelectorTemplate } from '../../src/ipsec/connection.ts';
import type { Identity } from '../../src/ipsec/identity.ts';
import { IdType } from '../../src/ipsec/identity.ts';
import type { Pad } from '../../src/ipsec/pad.ts';
import { type Proposal, ProtocolId, type Transform } from '../../src/ipsec/proposal.ts';
import { parsePrefix, prefixRange } from '../../src/wire/address.ts';

export const AES_GCM_256: Transform = { type: TransformType.ENCR, id: 20, keyLength: 256 };
export const AES_CBC_256: Transform = { type: TransformType.ENCR, id: 12, keyLength: 256 };
export const SHA2_256: Transform = { type: TransformType.INTEG, id: 12 };
export const PRF_SHA2_256: Transform = { type: TransformType.PRF, id: 5 };
export const X25519: Transform = { type: TransformType.KE, id: 31 };
export const ECP_256: Transform = { type: TransformType.KE, id: 19 };
export const NO_ESN: Transform = { type: TransformType.ESN, id: EsnId.NO_ESN };

export function ikeProposal(...transforms: readonly Transform[]): Proposal {
  return { number: 0, protocol: ProtocolId.IKE, spi: new Uint8Array(), transforms };
}

export function espProposal(...transforms: readonly Transform[]): Proposal {
  return { number: 0, protocol: ProtocolId.ESP, spi: new Uint8Array(), transforms };
}

const NEVER = { rekey: 0, life: 0, random: 0 };

export function network(text: string): SelectorTemplate {
  const prefix = parsePrefix(text);
  if (!prefix) throw new Error(`not a prefix: ${text}`);
  const selector = { range: prefixRange(prefix), protocol: 0, startPort: 0, endPort: 65_535 };
  return { kind: 'fixed', selector };
}

export function fqdn(name: string): Identity {
  return { type: IdType.ID_FQDN, data: new TextEncoder().encode(name) };
}

export function child(changes: Partial<ChildPolicy> = {}): ChildPolicy {
  return {
    name: 'net',
    mode: 'tunnel',
    proposals: [espProposal(AES_GCM_256, NO_ESN)],
    localTs: [network('10.1.0.0/16')],
    remoteTs: [network('10.2.0.0/16')],
    startAction: 'none',
    closeAction: 'none',
    dpdAction: 'clear',
    replayWindow: 1024,
    copyDf: true,
    icmpErrors: true,
    copyEcn: true,
    copyDscp: 'out',
    nonFirstFragments: 'accept',
    tfcPadding: 0,
    dummyPackets: 0,
    priority: 0,
    reqid: 0,
    lifetime: { seconds: { rekey: 3600, life: 3960, random: 0 }, octets: NEVER, packets: NEVER },
    inactivitySeconds: 0,
    ...changes,
  };
}

/** Site a's view of its tunnel to site b; `mirrored` makes site b's. */
export function connection(changes: Partial<Connection> = {}): Connection {
  return {
    name: 'peer',
    localAddresses: [{ kind: 'any' }],
    remoteAddresses: [{ kind: 'any' }],
    localPort: 500,
    remotePort: 500,
    proposals: [ikeProposal(AES_CBC_256, SHA2_256, PRF_SHA2_256, X25519, ECP_256)],
    local: { method: 'psk', id: { text: 'a.lab', identity: fqdn('a.lab') } },
    remote: { method: 'psk', id: { text: 'b.lab', identity: fqdn('b.lab') } },
    encap: false,
    dpdDelaySeconds: 0,
    keyingTries: 1,
    unique: 'no',
    lifetime: { rekey: 14_400, reauth: 0, over: 1440, random: 0 },
    mobike: false,
    fragmentation: 'no',
    childless: 'allow',
    vips: [],
    pools: [],
    children: [child()],
    ...changes,
  };
}

export function mirrored(one: Connection): Connection {
  return {
    ...one,
    local: one.remote,
    remote: one.local,
    children: one.children.map((policy) => ({
      ...policy,
      localTs: policy.remoteTs,
      remoteTs: policy.localTs,
    })),
  };
}

/** A secret for any two identities. */
export function loadSecret(pad: Pad, text: string): void {
  const secret = new SecretBytes(new TextEncoder().encode(text));
  pad.loadShared({ id: 'ike-test', owners: [], secret });
}
