/**
 * Advice on refused authentication (RFC 7296 §2.15): whose identity or secret does not fit.
 */
import type { AuthenticationFault } from '../events/event.ts';
import type { Advice, AuthenticationFailure } from './advice.ts';

/** The peer did not prove what it must. */
export function authenticationAdvice(event: AuthenticationFailure): Advice {
  const { localId = 'our identity', remoteId = 'its identity', connection } = event;
  const where = connection === '' ? 'a connection for this peer' : `connection ${connection}`;
  const what = `we refused the peer's authentication: ${event.what}`;
  const advice = BY_CAUSE[event.cause ?? 'refused-by-peer'];
  return { what, ...advice({ localId, remoteId, where }) };
}

/** The peer did not accept what we showed; it never says why (RFC 7296 §2.21.2). */
export function refusedAuthenticationAdvice(event: AuthenticationFailure): Advice {
  const { connection, localId, remoteId } = event;
  return {
    what: `the peer refused our authentication (AUTHENTICATION_FAILED): ${event.what}`,
    why: 'the shared secrets differ, or it expects another identity of us, or none of its connections fits; it does not say which',
    here: [
      `check local.id${of(localId)} and remote.id${of(remoteId)} of connection ${connection}, and load the secret that both ends share`,
    ],
    there: [
      `its log says which it was: it must expect ${localId ?? 'our identity'} from our address and have the same secret`,
    ],
  };
}

interface Parties {
  readonly localId: string;
  readonly remoteId: string;
  /** The connection that is meant, as words. */
  readonly where: string;
}

function of(id: string | undefined): string {
  return id === undefined ? '' : ` (${id})`;
}

const BY_CAUSE: Readonly<Record<AuthenticationFault, (parties: Parties) => Omit<Advice, 'what'>>> =
  {
    'unknown-identity': ({ remoteId, where }) => ({
      why: `no connection between these addresses takes the identity ${remoteId}, or the one it wants of us`,
      here: [`write remote { id = ${remoteId} } in ${where}, or a pattern that it fits`],
      there: ['let it send the identity that remote.id asks for here; tsgw conns lists them'],
    }),
    'no-secret': ({ localId, remoteId }) => ({
      why: `its identity is known, but no shared secret belongs to ${localId} and ${remoteId}`,
      here: [
        `add secrets { ike-NAME { id-1 = ${localId} id-2 = ${remoteId} secret = ... } } and load it (swanctl --load-creds)`,
      ],
      there: [],
    }),
    'wrong-secret': ({ localId, remoteId }) => ({
      why: `the two ends hold different shared secrets for ${localId} and ${remoteId}, or one of them was typed with a blank or a line's end too many`,
      here: ['write the secret again, in quotes, and load it (swanctl --load-creds)'],
      there: ['load the same secret, octet by octet; 0x and 0s before it mean hex and Base64'],
    }),
    'other-method': ({ remoteId, where }) => ({
      why: `${remoteId} proves itself by another method than auth = psk, which ${where} asks for`,
      here: [],
      there: ['let it use a pre-shared key'],
    }),
    'not-admitted': ({ remoteId }) => ({
      why: `${remoteId} has as many IKE SAs as it may`,
      here: [
        'write unique = replace so that the newest stays, or raise gateway.max_ike_sas_per_identity',
      ],
      there: ['let it use one identity for each device'],
    }),
    'refused-by-peer': () => ({
      why: 'what the peer showed does not fit what is configured for it',
      here: ['compare remote.id and the shared secret with those of the peer'],
      there: ['compare its own identity and secret with those here'],
    }),
  };
