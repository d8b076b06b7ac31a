/**
 * From a finished key exchange to an IKE SA that can seal and open (RFC 7296 §2.14).
 */
import type { SecretBytes } from '../crypto/secret-bytes.ts';
import type { Secured } from './ike-sa-state.ts';
import { deriveIkeKeys, type IkeSuite } from './keys.ts';
import type { IkeSpi } from './message/message.ts';
import type { NatDetection } from './nat-detection.ts';
import { MessageKey } from './protection.ts';
import type { Turn } from './turn.ts';

export interface FinishedKeyExchange {
  readonly suite: IkeSuite;
  readonly sharedSecret: SecretBytes;
  readonly nonceI: Uint8Array;
  readonly nonceR: Uint8Array;
  readonly requestOctets: Uint8Array;
  readonly responseOctets: Uint8Array;
  readonly nat: NatDetection;
  readonly udpEncapsulation: boolean;
}

/** Derives the keys, wipes the shared secret, and reports the keys where a key log asks. */
export function secure(
  turn: Turn,
  sa: { readonly initiator: boolean; readonly spiI: IkeSpi; readonly spiR: IkeSpi },
  exchange: FinishedKeyExchange,
): Secured {
  const { suite, sharedSecret, ...rest } = exchange;
  const keys = deriveIkeKeys(suite, { ...exchange, spiI: sa.spiI, spiR: sa.spiR });
  sharedSecret.wipe();
  if (turn.environment.keyLog) {
    turn.push({
      kind: 'key-log',
      line: {
        spiI: sa.spiI,
        spiR: sa.spiR,
        encr: suite.encr.id,
        encrKeyLength: suite.encr.keyLength,
        integ: suite.integ?.id,
        skEi: keys.skEi.reveal(),
        skEr: keys.skEr.reveal(),
        skAi: keys.skAi.reveal(),
        skAr: keys.skAr.reveal(),
      },
    });
  }
  const ours = new MessageKey(suite.encr, suite.integ, keys.skEi, keys.skAi);
  const theirs = new MessageKey(suite.encr, suite.integ, keys.skEr, keys.skAr);
  const [sealing, opening] = sa.initiator ? [ours, theirs] : [theirs, ours];
  return { suite, keys, sealing, opening, ...rest };
}
