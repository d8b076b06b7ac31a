/**
 * What is answered to everything that can arrive, as a table (RFC 7296 §1.2-§1.5, §2.5, §2.21,
 * §2.25, appendix C; RFC 6989 §2.5; RFC 7383 §2.6).
 *
 * Written from the RFCs and not from `payload-rules.ts`, which it is to check. The walk over it is
 * `ike-bad-input-table.test.ts`.
 */
import { ExchangeType } from '../../src/ike/message/message.ts';

/**
 * What a message brings about.
 *
 * - `handled`: answered as what it is, without an error; the IKE SA stays.
 * - `N(X)`: answered so, nothing else happens. `N(X)!`: answered so, and the IKE SA is gone.
 * - `drop REASON`: not answered, counted.
 * - `deleted`: the IKE SA goes and the peer is told. `ended`: it is gone, as the peer wants it.
 * - `taken`: a response that ends our request, whatever becomes of it.
 */
export type Outcome =
  | 'handled'
  | 'taken'
  | 'deleted'
  | 'ended'
  | `N(${string})`
  | `N(${string})!`
  | `drop ${string}`;

/** The messages there are; CREATE_CHILD_SA has three uses. */
export const MESSAGES = {
  IKE_SA_INIT: { exchangeType: ExchangeType.IKE_SA_INIT, sealed: false },
  IKE_AUTH: { exchangeType: ExchangeType.IKE_AUTH, sealed: true },
  'new Child SA': { exchangeType: ExchangeType.CREATE_CHILD_SA, sealed: true },
  'rekeyed Child SA': { exchangeType: ExchangeType.CREATE_CHILD_SA, sealed: true },
  'rekeyed IKE SA': { exchangeType: ExchangeType.CREATE_CHILD_SA, sealed: true },
  INFORMATIONAL: { exchangeType: ExchangeType.INFORMATIONAL, sealed: true },
  'IKE_SESSION_RESUME (RFC 5723)': { exchangeType: 38, sealed: true },
  'IKE_INTERMEDIATE (RFC 9242)': { exchangeType: 43, sealed: true },
  'exchange 240': { exchangeType: 240, sealed: true },
} as const;
export type MessageName = keyof typeof MESSAGES;

/**
 * Appendix C: `SA` once, `KE?` at most once, `V*` any number; what is not named is not expected.
 * Requests and responses alike but for IKE_AUTH and IKE_SA_INIT.
 */
export const CONTENTS: Readonly<
  Record<'request' | 'response', Partial<Record<MessageName, string>>>
> = {
  request: {
    IKE_SA_INIT: 'SA KE No N* V*',
    IKE_AUTH: 'IDi AUTH? SA TSi TSr CERT* CERTREQ* IDr? CP? N* V*',
    'new Child SA': 'SA No TSi TSr KE? CP? N* V*',
    'rekeyed Child SA': 'N* SA No TSi TSr KE? CP? V*',
    'rekeyed IKE SA': 'SA No KE N* V*',
    INFORMATIONAL: 'D* CP? N* V*',
  },
  response: {
    IKE_SA_INIT: 'SA KE No CERTREQ* N* V*',
    IKE_AUTH: 'IDr AUTH SA TSi TSr CERT* CP? N* V*',
    'new Child SA': 'SA No TSi TSr KE? CP? N* V*',
    'rekeyed Child SA': 'SA No TSi TSr KE? CP? N* V*',
    'rekeyed IKE SA': 'SA No KE N* V*',
    INFORMATIONAL: 'D* CP? N* V*',
  },
};

/** Every payload there is, and one that nobody knows: §3.2, RFC 7383 §2.5. */
export const PAYLOADS = {
  SA: { type: 33, truncated: '000000', trailing: true },
  KE: { type: 34, truncated: '001f00' },
  IDi: { type: 35, truncated: '020000' },
  IDr: { type: 36, truncated: '020000' },
  CERT: { type: 37, truncated: '' },
  CERTREQ: { type: 38, truncated: '' },
  AUTH: { type: 39, truncated: '020000' },
  No: { type: 40, truncated: '00'.repeat(15) },
  N: { type: 41, truncated: '000440' },
  D: { type: 42, truncated: '030400', trailing: true },
  V: { type: 43 },
  TSi: { type: 44, truncated: '010000', trailing: true },
  TSr: { type: 45, truncated: '010000', trailing: true },
  SK: { type: 46 },
  CP: { type: 47, truncated: '010000', trailing: true },
  EAP: { type: 48, truncated: '010000', trailing: true },
  EF: { type: 53, truncated: '000100' },
  'P(200)': { type: 200 },
} as const satisfies Readonly<
  Record<string, { type: number; truncated?: string; trailing?: true }>
>;
export type PayloadName = keyof typeof PAYLOADS;

/** The states of an IKE SA as it awaits things, at the end that is attacked, and its role. */
export const STATES = [
  'half-open, responder',
  'awaiting IKE_SA_INIT, initiator',
  'awaiting IKE_AUTH, initiator',
  'established, responder',
  'established, initiator',
  'rekeying a Child SA, responder',
  'rekeying a Child SA, initiator',
  'rekeying the IKE SA, responder',
  'rekeying the IKE SA, initiator',
  'awaiting Delete, responder',
  'awaiting Delete, initiator',
  'awaiting the answer to Delete, responder',
  'awaiting the answer to Delete, initiator',
  'closed, responder',
  'closed, initiator',
  'no IKE SA',
] as const;
export type StateName = (typeof STATES)[number];

/** What every message is answered with that no state has a use for. */
interface Row {
  /** Requests by message; the others are of an exchange that is not for the state. */
  readonly requests: Partial<Record<MessageName, Outcome>>;
  readonly otherRequests: Outcome;
  /** Are requests opened and looked at, so that what is wrong with them is answered? */
  readonly reads: boolean;
  /** The message whose response is awaited. */
  readonly awaits?: MessageName;
  readonly otherResponses: Outcome;
}

const NOT_AWAITED = 'drop ike-response-not-awaited';
const LATE_INIT = 'drop ike-sa-init-not-awaited';
const PUT_OFF = 'N(TEMPORARY_FAILURE)';
/** §2.21.3: fatal at both ends. */
const FATAL = 'N(INVALID_SYNTAX)!';

const established: Row = {
  requests: {
    IKE_SA_INIT: LATE_INIT,
    'new Child SA': 'handled',
    'rekeyed Child SA': 'handled',
    'rekeyed IKE SA': 'handled',
    INFORMATIONAL: 'handled',
  },
  otherRequests: FATAL,
  reads: true,
  otherResponses: NOT_AWAITED,
};

/** §2.25.2: no SA is made over an IKE SA that is going. */
const going: Row = {
  ...established,
  requests: {
    ...established.requests,
    'new Child SA': PUT_OFF,
    'rekeyed Child SA': PUT_OFF,
    'rekeyed IKE SA': PUT_OFF,
  },
};

const closed: Row = {
  requests: { IKE_SA_INIT: LATE_INIT },
  otherRequests: 'drop ike-sa-closed',
  reads: false,
  otherResponses: NOT_AWAITED,
};

const ROWS: Readonly<Record<string, Row>> = {
  // §2.15: before AUTH there is IKE_AUTH and nothing else; this peer does not know the secret.
  'half-open': {
    requests: { IKE_SA_INIT: LATE_INIT, IKE_AUTH: 'N(AUTHENTICATION_FAILED)!' },
    otherRequests: FATAL,
    reads: true,
    otherResponses: NOT_AWAITED,
  },
  'awaiting IKE_SA_INIT': {
    requests: { IKE_SA_INIT: LATE_INIT },
    otherRequests: 'drop ike-sa-without-keys',
    reads: false,
    awaits: 'IKE_SA_INIT',
    otherResponses: 'drop ike-sa-without-keys',
  },
  'awaiting IKE_AUTH': {
    requests: { IKE_SA_INIT: LATE_INIT },
    otherRequests: 'drop ike-request-before-auth',
    reads: false,
    awaits: 'IKE_AUTH',
    otherResponses: NOT_AWAITED,
  },
  established,
  'rekeying a Child SA': {
    ...established,
    // §2.25.2: the IKE SA is not rekeyed while a Child SA is.
    requests: { ...established.requests, 'rekeyed IKE SA': PUT_OFF },
    awaits: 'rekeyed Child SA',
  },
  'rekeying the IKE SA': {
    ...established,
    // §2.25.2: nor a Child SA made while the IKE SA is rekeyed; two rekeys of it compete (§2.8.2).
    requests: {
      ...established.requests,
      'new Child SA': PUT_OFF,
      'rekeyed Child SA': PUT_OFF,
    },
    awaits: 'rekeyed IKE SA',
  },
  'awaiting Delete': going,
  'awaiting the answer to Delete': { ...going, awaits: 'INFORMATIONAL' },
  closed,
  'no IKE SA': {
    requests: {},
    otherRequests: 'drop unknown-ike-spi',
    reads: false,
    otherResponses: 'drop unknown-ike-spi',
  },
};

export function rowOf(state: StateName): Row {
  const row = ROWS[state.replace(/, (responder|initiator)$/, '')];
  if (!row) throw new Error(`no row for ${state}`);
  return row;
}

/** What can be wrong with one payload of a message. */
export type Verdict = 'fits' | 'misfit' | 'malformed' | 'critical';

/** How a message fares in a state. */
export function outcomeOf(
  state: StateName,
  direction: 'request' | 'response',
  message: MessageName,
  verdict: Verdict,
): Outcome {
  const row = rowOf(state);
  if (direction === 'response') return responseOutcome(row, message, verdict);
  const asked = row.requests[message] ?? row.otherRequests;
  if (!row.reads || asked.startsWith('drop') || verdict === 'fits') return asked;
  if (verdict !== 'critical') return FATAL;
  // §2.5: named; but of a peer that proved nothing, nothing is kept.
  const named = 'N(UNSUPPORTED_CRITICAL_PAYLOAD)';
  return state.startsWith('half-open') ? `${named}!` : named;
}

function responseOutcome(row: Row, message: MessageName, verdict: Verdict): Outcome {
  const { awaits, otherResponses } = row;
  if (message === 'IKE_SA_INIT' && awaits !== 'IKE_SA_INIT') {
    return otherResponses === 'drop unknown-ike-spi' ? otherResponses : LATE_INIT;
  }
  const awaited = awaits && MESSAGES[awaits].exchangeType === MESSAGES[message].exchangeType;
  if (!awaited) return otherResponses;
  if (verdict === 'fits') return 'taken';
  // Nothing authentic there (§2.21.1): anyone may have sent it.
  if (awaits === 'IKE_SA_INIT') {
    if (verdict === 'malformed') return 'drop malformed-ike-message';
    return `drop ${verdict === 'critical' ? 'unsupported-critical-payload' : 'invalid-syntax'}`;
  }
  return 'deleted';
}

/**
 * Notifies that mean something in a request that is handled otherwise; all others are passed over
 * (§3.10.1: errors in requests too). `echoed`: the answer repeats it (RFC 4555 §3.7).
 */
const SPECIAL_NOTIFIES: Readonly<
  Partial<Record<MessageName, Readonly<Record<string, Outcome | 'echoed'>>>>
> = {
  // §2.25: it names no Child SA.
  'new Child SA': { REKEY_SA: 'N(CHILD_SA_NOT_FOUND)' },
  // Which of the two is meant?
  'rekeyed Child SA': { REKEY_SA: FATAL },
  INFORMATIONAL: { AUTHENTICATION_FAILED: 'ended', COOKIE2: 'echoed' },
};

/** How a well-made message fares with a notify of this name in it, so many times. */
export function notifyOutcome(
  state: StateName,
  direction: 'request' | 'response',
  message: MessageName,
  notify: { readonly name: string; readonly times: number },
): Outcome | 'echoed' {
  const plain = outcomeOf(state, direction, message, 'fits');
  if (direction === 'response') {
    const authenticated = message !== 'IKE_SA_INIT' && message !== 'IKE_AUTH';
    const deletes = state.startsWith('awaiting the answer');
    const fatal = notify.name === 'INVALID_SYNTAX' && authenticated && !deletes;
    return plain === 'taken' && fatal ? 'deleted' : plain;
  }
  if (plain !== 'handled') return plain;
  if (notify.name === 'REKEY_SA' && notify.times > 1 && message === 'new Child SA') return FATAL;
  return SPECIAL_NOTIFIES[message]?.[notify.name] ?? plain;
}
