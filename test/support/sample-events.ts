/**
 * One event of each kind, as the engine emits them.
 */
import type { Event, IkeSubject } from '../../src/events/event.ts';

export const subject: IkeSubject = {
  ikeSa: 1,
  connection: 'peer',
  local: '192.0.2.1[500]',
  peer: '192.0.2.2[500]',
};

export const sampleEvents = {
  message: {
    kind: 'message',
    direction: 'sent',
    exchange: 'IKE_SA_INIT',
    response: false,
    messageId: 0,
    payloads: ['SA', 'KE', 'No', 'N(NAT_DETECTION_SOURCE_IP)', 'N(NAT_DETECTION_DESTINATION_IP)'],
    octets: 328,
    retransmission: 0,
    ...subject,
  },
  received: {
    kind: 'message',
    direction: 'received',
    exchange: 'IKE_SA_INIT',
    response: true,
    messageId: 0,
    payloads: ['SA', 'KE', 'No'],
    octets: 248,
    retransmission: 0,
    ...subject,
  },
  ikeSaUp: {
    kind: 'ike-sa-up',
    initiator: true,
    spiI: 'd337a0ccf1b1cee2',
    spiR: 'f4bc129688e456f8',
    localId: 'a.lab',
    remoteId: 'b.lab',
    suite: 'IKE:AES_CBC_256/HMAC_SHA2_256_128/PRF_HMAC_SHA2_256/CURVE_25519',
    ...subject,
  },
  ikeSaDown: { kind: 'ike-sa-down', reason: 'deleted by the operator', ...subject },
  childSaUp: {
    kind: 'child-sa-up',
    child: 'net',
    childSa: 1,
    spiIn: 'b6583d96',
    spiOut: '55c36b9d',
    suite: 'ESP:AES_GCM_16_128/NO_EXT_SEQ',
    encapsulation: 'udp',
    localTs: '10.1.0.0/16',
    remoteTs: '10.2.0.0/16',
    ...subject,
  },
  childSaDown: {
    kind: 'child-sa-down',
    child: 'net',
    childSa: 1,
    spiIn: 'b6583d96',
    spiOut: '55c36b9d',
    reason: 'deleted by the peer',
    ...subject,
  },
  refused: {
    kind: 'refused',
    by: 'us',
    notify: 'NO_PROPOSAL_CHOSEN',
    what: 'no proposal fits',
    transforms: [
      { type: 'ENCR', offered: ['AES_CBC_128'], accepted: ['AES_CBC_256', 'AES_GCM_16_256'] },
      { type: 'KE', offered: ['MODP_2048'], accepted: [] },
    ],
    ...subject,
  },
  authenticationFailed: {
    kind: 'authentication-failed',
    by: 'peer',
    what: 'the peer answered AUTHENTICATION_FAILED',
    ...subject,
  },
  peerFault: { kind: 'peer-fault', what: 'two SA payloads', ...subject },
  retransmit: { kind: 'retransmit', messageId: 0, attempt: 1, ...subject },
  peerUnreachable: { kind: 'peer-unreachable', attempts: 5, ...subject },
  natDetected: { kind: 'nat-detected', localBehindNat: true, remoteBehindNat: true, ...subject },
  weakAlgorithm: { kind: 'weak-algorithm', algorithm: 'HMAC_SHA1_96', where: 'peer' },
  ikeDrop: { kind: 'ike-drop', reason: 'malformed', peer: '192.0.2.66[500]' },
  pathMtu: { kind: 'path-mtu', peer: '192.0.2.2', mtu: 1400 },
  daemon: { kind: 'daemon', level: 'notice', what: 'ready' },
} as const satisfies Readonly<Record<string, Event>>;
