/**
 * From a finished key exchange to an IKE SA that can seal and open (RFC 7296 §2.14).
 */
import type { Secured } from './ike-sa-state.ts';
import { copyOfSecret } from './keying-watch.ts';
import {
  deriveIkeKeys,
  deriveRekeyedIkeKeys,
  type IkeKeys,
  type IkeSuite,
  type KeyExchangeResult,
} from './keys.ts';
import type { IkeSpi } from './message/message.ts';
import type { NatDetection } from './nat-detection.ts';
import { type IvOrigin, MessageKey } from './protection.ts';
import type { Turn } from './turn.ts';

export interface FinishedKeyExchange extends Omit<KeyExchangeResult, 'spiI' | 'spiR'> {
  readonly suite: IkeSuite;
  readonly nat: NatDetection;
  readonly udpEncapsulation: boolean;
}

/** Of the SA to secure: its SPIs and our role in it. */
interface Ends {
  readonly initiator: boolean;
  readonly spiI: IkeSpi;
  readonly spiR: IkeSpi;
}

/**
 * Derives the keys, wipes the shared secret, and reports the keys where a key log asks. `old` is
 * the IKE SA that the new one replaces (RFC 7296 §2.18).
 */
export function secure(
  turn: Turn,
  ends: Ends,
  exchange: FinishedKeyExchange,
  old?: Secured,
): Secured {
  const { suite, sharedSecret, nat, udpEncapsulation } = exchange;
  const result = { ...exchange, spiI: ends.spiI, spiR: ends.spiR };
  const keys = old ? deriveRekeyedIkeKeys(suite, old, result) : deriveIkeKeys(suite, result);
  turn.environment.keyingWatch?.ikeSa({
    ...{ spiI: ends.spiI, spiR: ends.spiR, proposal: suite.proposal },
    ...{ nonceI: exchange.nonceI, nonceR: exchange.nonceR },
    sharedSecret: copyOfSecret(sharedSecret),
    ...(old && { old: { prf: old.suite.prf.id, skD: copyOfSecret(old.keys.skD) } }),
  });
  sharedSecret.wipe();
  if (turn.environment.keyLog) logKeys(turn, ends, suite, keys);
  const { ivs } = turn.environment;
  return {
    suite,
    keys,
    nat,
    udpEncapsulation,
    ...messageKeys(ends.initiator, suite, keys, { partition: ivs }),
  };
}

/** The keys of both directions; `ivs` says how those of what we seal go on. */
export function messageKeys(
  initiator: boolean,
  { encr, integ }: IkeSuite,
  keys: IkeKeys,
  ivs: IvOrigin,
): Pick<Secured, 'sealing' | 'opening'> {
  const ofInitiator = [keys.skEi, keys.skAi] as const;
  const ofResponder = [keys.skEr, keys.skAr] as const;
  const [ours, theirs] = initiator ? [ofInitiator, ofResponder] : [ofResponder, ofInitiator];
  return {
    sealing: new MessageKey(encr, integ, ...ours, ivs),
    opening: new MessageKey(encr, integ, ...theirs),
  };
}

function logKeys(turn: Turn, { spiI, spiR }: Ends, suite: IkeSuite, keys: IkeKeys): void {
  turn.push({
    kind: 'key-log',
    line: {
      spiI,
      spiR,
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
