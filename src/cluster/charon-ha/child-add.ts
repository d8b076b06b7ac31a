/**
 * CHILD_ADD: a Child SA, and what its keys are made of besides SK_d of its IKE SA.
 */
import type { SecretBytes } from '../../crypto/secret-bytes.ts';
import type { EncapsulationMode } from '../../ipsec/child-sa.ts';
import { type ChosenProposal, ProtocolId } from '../../ipsec/proposal.ts';
import { type Spi, spi } from '../../ipsec/spi.ts';
import type { HaIkeSaId, HaName, HaSelector, HaVersion } from './attribute.ts';
import { HaAttributes } from './attributes.ts';
import { readProposal, writeProposal } from './ike-add.ts';
import { type HaMessage, HaMessageType, haMessage } from './message.ts';

export interface HaChildMaterial {
  readonly ikeSa: HaIkeSaId;
  /** The node that sends began the exchange that made it. */
  readonly initiator: boolean;
  readonly spiIn: Spi;
  readonly spiOut: Spi;
  /** Undefined for what we have no name for. */
  readonly mode: EncapsulationMode | undefined;
  /** Transform of IPComp, 0 without. */
  readonly ipcomp: number;
  /** Name of the child in the configuration. */
  readonly name: string;
  readonly proposal: ChosenProposal;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** g^ir of a key exchange of its own. */
  readonly sharedSecret?: SecretBytes;
  readonly localTs: readonly HaSelector[];
  readonly remoteTs: readonly HaSelector[];
  /** Of several key exchanges (RFC 9370), which we cannot derive keys from. */
  readonly additional: boolean;
}

/** Throws `MalformedError` where something is missing. */
export function readChildAdd(message: HaMessage): HaChildMaterial {
  const attributes = new HaAttributes(message);
  const required = <T>(name: HaName, value: T | undefined) => attributes.required(name, value);
  const sharedSecret = attributes.secret('SECRET');
  const mode = required('IPSEC_MODE', attributes.number('IPSEC_MODE'));
  return {
    ikeSa: required('IKE_ID', attributes.ikeSaId('IKE_ID')),
    initiator: required('INITIATOR', attributes.flag('INITIATOR')),
    spiIn: spi(required('INBOUND_SPI', attributes.number('INBOUND_SPI'))),
    spiOut: spi(required('OUTBOUND_SPI', attributes.number('OUTBOUND_SPI'))),
    mode: MODES.find(([, number]) => number === mode)?.[0],
    ipcomp: attributes.number('IPCOMP') ?? 0,
    name: required('CONFIG_NAME', attributes.text('CONFIG_NAME')),
    proposal: readProposal(attributes, ProtocolId.ESP),
    nonceI: required('NONCE_I', attributes.octets('NONCE_I')),
    nonceR: required('NONCE_R', attributes.octets('NONCE_R')),
    ...(sharedSecret && { sharedSecret }),
    localTs: attributes.selectors('LOCAL_TS'),
    remoteTs: attributes.selectors('REMOTE_TS'),
    additional: attributes.has('ADD_SECRET') || attributes.has('ADD_KES'),
  };
}

/** In the order charon writes. */
export function writeChildAdd(version: HaVersion, material: HaChildMaterial): HaMessage {
  const { sharedSecret, localTs, remoteTs } = material;
  return haMessage(version, HaMessageType.CHILD_ADD, [
    { shape: 'ike-sa-id', name: 'IKE_ID', value: material.ikeSa },
    { shape: 'flag', name: 'INITIATOR', value: material.initiator },
    { shape: 'spi', name: 'INBOUND_SPI', value: material.spiIn },
    { shape: 'spi', name: 'OUTBOUND_SPI', value: material.spiOut },
    { shape: 'u16', name: 'INBOUND_CPI', value: 0 },
    { shape: 'u16', name: 'OUTBOUND_CPI', value: 0 },
    { shape: 'u8', name: 'IPSEC_MODE', value: numberOf(material.mode) },
    { shape: 'u8', name: 'IPCOMP', value: material.ipcomp },
    { shape: 'text', name: 'CONFIG_NAME', value: material.name },
    ...writeProposal(material.proposal),
    { shape: 'octets', name: 'NONCE_I', value: material.nonceI },
    { shape: 'octets', name: 'NONCE_R', value: material.nonceR },
    ...(sharedSecret === undefined
      ? []
      : ([{ shape: 'octets', name: 'SECRET', value: sharedSecret.reveal() }] as const)),
    ...localTs.map((value) => ({ shape: 'selector', name: 'LOCAL_TS', value }) as const),
    ...remoteTs.map((value) => ({ shape: 'selector', name: 'REMOTE_TS', value }) as const),
  ]);
}

function numberOf(mode: EncapsulationMode | undefined): number {
  const number = MODES.find(([name]) => name === mode)?.[1];
  if (number === undefined) throw new RangeError(`no number for the mode ${mode}`);
  return number;
}

/** charon's own numbers. */
const MODES = [
  ['transport', 1],
  ['tunnel', 2],
  ['beet', 3],
] as const satisfies readonly (readonly [EncapsulationMode, number])[];
