/**
 * IKE_ADD: what the keys of an IKE SA are made of. Keys are never sent: each node derives them.
 */
import { encryptionAlgorithm } from '../../crypto/algorithms.ts';
import type { SecretBytes } from '../../crypto/secret-bytes.ts';
import { TransformType } from '../../crypto/transform.ts';
import { type ChosenProposal, ProtocolId, type Transform } from '../../ipsec/proposal.ts';
import type { Endpoint } from '../../wire/address.ts';
import type { HaAttribute, HaIkeSaId, HaName, HaVersion } from './attribute.ts';
import { HaAttributes } from './attributes.ts';
import { type HaMessage, HaMessageType, haMessage } from './message.ts';

export interface HaIkeMaterial {
  readonly id: HaIkeSaId;
  /** The IKE SA that it replaces. */
  readonly rekeyed?: { readonly id: HaIkeSaId; readonly prf: number; readonly skD: SecretBytes };
  /** Without number and SPI. */
  readonly proposal: ChosenProposal;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  /** g^ir. */
  readonly sharedSecret: SecretBytes;
  readonly remote: Endpoint;
  /** Of several key exchanges (RFC 9370), which we cannot derive keys from. */
  readonly additional: boolean;
}

/** Throws `MalformedError` where something is missing. */
export function readIkeAdd(message: HaMessage): HaIkeMaterial {
  const attributes = new HaAttributes(message);
  const required = <T>(name: HaName, value: T | undefined) => attributes.required(name, value);
  const id = required('IKE_ID', attributes.ikeSaId('IKE_ID'));
  const rekeyed = attributes.ikeSaId('IKE_REKEY_ID');
  return {
    id,
    ...(rekeyed && {
      rekeyed: {
        id: rekeyed,
        prf: required('ALG_OLD_PRF', attributes.number('ALG_OLD_PRF')),
        skD: required('OLD_SKD', attributes.secret('OLD_SKD')),
      },
    }),
    proposal: readProposal(attributes, ProtocolId.IKE),
    nonceI: required('NONCE_I', attributes.octets('NONCE_I')),
    nonceR: required('NONCE_R', attributes.octets('NONCE_R')),
    sharedSecret: required('SECRET', attributes.secret('SECRET')),
    remote: required('REMOTE_ADDR', attributes.endpoint('REMOTE_ADDR')),
    additional: attributes.has('ADD_SECRET') || attributes.has('ADD_KES'),
  };
}

/** In the order charon writes. */
export function writeIkeAdd(version: HaVersion, material: HaIkeMaterial): HaMessage {
  const { id, rekeyed, proposal, nonceI, nonceR, sharedSecret, remote } = material;
  return haMessage(version, HaMessageType.IKE_ADD, [
    { shape: 'u8', name: 'IKE_VERSION', value: id.ikeVersion },
    { shape: 'ike-sa-id', name: 'IKE_ID', value: id },
    ...(rekeyed === undefined
      ? []
      : ([
          { shape: 'ike-sa-id', name: 'IKE_REKEY_ID', value: rekeyed.id },
          { shape: 'u16', name: 'ALG_OLD_PRF', value: rekeyed.prf },
          { shape: 'octets', name: 'OLD_SKD', value: rekeyed.skD.reveal() },
        ] as const)),
    ...writeProposal(proposal),
    { shape: 'octets', name: 'NONCE_I', value: nonceI },
    { shape: 'octets', name: 'NONCE_R', value: nonceR },
    { shape: 'octets', name: 'SECRET', value: sharedSecret.reveal() },
    { shape: 'endpoint', name: 'REMOTE_ADDR', value: remote },
  ]);
}

/** The transforms of a message, of an IKE SA or of a Child SA. */
export function readProposal(attributes: HaAttributes, protocol: ProtocolId): ChosenProposal {
  const transform = (type: TransformType, id: number | undefined): Transform | undefined =>
    id === undefined ? undefined : { type, id };
  const encr = attributes.number('ALG_ENCR');
  const keyLength = attributes.number('ALG_ENCR_LEN');
  // charon also says the length of keys that have only one.
  const says = encr !== undefined && encryptionAlgorithm(encr)?.variableKey === true;
  return {
    number: 0,
    protocol,
    spi: NOTHING,
    encr:
      encr === undefined
        ? undefined
        : { type: TransformType.ENCR, id: encr, ...(says && keyLength && { keyLength }) },
    prf: transform(TransformType.PRF, attributes.number('ALG_PRF')),
    integ: transform(TransformType.INTEG, attributes.number('ALG_INTEG')),
    ke: transform(TransformType.KE, attributes.number('ALG_KE')),
    esn: transform(TransformType.ESN, attributes.number('ESN')),
  };
}

/** The other way, in the order charon writes. */
export function writeProposal(proposal: ChosenProposal): readonly HaAttribute[] {
  const { encr, prf, integ, ke, esn } = proposal;
  const lengths = encr === undefined ? [] : (encryptionAlgorithm(encr.id)?.keyLengths ?? []);
  const keyLength = encr?.keyLength ?? (lengths.length === 1 ? lengths[0] : undefined);
  const values: readonly (readonly [HaName<'u16'>, number | undefined])[] = [
    ['ALG_ENCR', encr?.id],
    ['ALG_ENCR_LEN', keyLength],
    ['ALG_INTEG', integ?.id],
    ['ALG_PRF', prf?.id],
    ['ALG_KE', ke?.id],
    ['ESN', esn?.id],
  ];
  return values.flatMap(([name, value]) =>
    value === undefined ? [] : [{ shape: 'u16', name, value } as const],
  );
}

const NOTHING = new Uint8Array(0);
