/**
 * Negotiations that must fail, and what each side says about it.
 *
 *   g1 -- "this secret, these algorithms" --> g2
 *   g1 <-- N(AUTHENTICATION_FAILED), N(NO_PROPOSAL_CHOSEN), ... -- g2
 */
import type { Scenario } from '../scenario.ts';

export const pskMismatch: Scenario = {
  name: 'psk-mismatch',
  shows: 'the two ends have different pre-shared keys',
  gateways: { g1: 'tsgw', g2: 'strongswan' },
  pair: { g1: { secret: 'one secret' }, g2: { secret: 'another secret' } },
  initiator: 'g1',
  ends: 'refused',
};

export const noProposal: Scenario = {
  ...pskMismatch,
  name: 'no-proposal',
  shows: 'the two ends have no algorithm in common',
  pair: {
    g1: { proposals: 'aes128-sha256-x25519' },
    g2: { proposals: 'aes256-sha512-modp4096' },
  },
};

export const invalidKe: Scenario = {
  ...pskMismatch,
  name: 'invalid-ke',
  shows: 'the first key exchange group is not the responder’s: a second IKE_SA_INIT',
  pair: {
    g1: { proposals: 'aes256-sha256-x25519-modp2048' },
    g2: { proposals: 'aes256-sha256-modp2048' },
  },
  ends: 'up',
};
