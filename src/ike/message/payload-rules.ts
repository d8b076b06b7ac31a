/**
 * Which payload may appear in which message, how often, in the clear or inside SK
 * (RFC 7296 §1.2-1.5, §3.1, appendix C).
 *
 * The table holds the shapes a message may have; it must fit one of them. Payloads come in any
 * order (RFC 7296 §2.5). What a payload contains is not looked at here.
 */
import { ExchangeType, type Payload } from './message.ts';
import { isErrorNotify, NotifyType, notifyName } from './notify-types.ts';

export type RuleCheck =
  | { readonly kind: 'ok' }
  | {
      readonly kind: 'fault';
      readonly what: string;
      /** Type of an unknown payload with the critical bit: UNSUPPORTED_CRITICAL_PAYLOAD's data. */
      readonly unsupportedCritical?: number;
    };

/**
 * Compares the payloads of a message with the table: those in the clear, or (`encrypted`) those
 * that were inside SK or SKF.
 */
export function checkPayloads(
  exchangeType: number,
  isResponse: boolean,
  encrypted: boolean,
  payloads: readonly Payload[],
): RuleCheck {
  for (const payload of payloads) {
    // RFC 7296 §2.5: an unknown payload is passed over unless it is critical.
    if (payload.kind === 'unknown' && payload.critical === true) {
      const { type } = payload;
      return { kind: 'fault', what: `critical payload ${type}`, unsupportedCritical: type };
    }
  }
  const rules = EXCHANGES.find(({ type }) => type === exchangeType);
  if (!rules) return { kind: 'fault', what: `exchange type ${exchangeType}` };
  const { clear, sealed } = isResponse ? rules.response : rules.request;
  const misfits = (encrypted ? sealed : clear).map((one) => misfit(one, payloads, isResponse));
  if (misfits.includes(undefined)) return { kind: 'ok' };
  const where = `${rules.name} ${isResponse ? 'response' : 'request'}`;
  return { kind: 'fault', what: `${where}: ${misfits[0] ?? 'SK is not expected'}` };
}

/**
 * The notation of RFC 7296 §1.2: `SA`, `No`, `N(COOKIE)`; `P(200)` for a type we do not know,
 * `EF(1/3)` for a fragment.
 */
export function payloadName(payload: Payload): string {
  switch (payload.kind) {
    case 'NONCE':
      return 'No';
    case 'NOTIFY':
      return `N(${notifyName(payload.type)})`;
    case 'DELETE':
      return 'D';
    case 'VENDOR':
      return 'V';
    case 'SKF':
      return `EF(${payload.fragmentNumber}/${payload.totalFragments})`;
    case 'unknown':
      return `P(${payload.type})`;
    default:
      return payload.kind;
  }
}

/** The name of an exchange type, or its number. */
export function exchangeName(exchangeType: number): string {
  return EXCHANGES.find(({ type }) => type === exchangeType)?.name ?? String(exchangeType);
}

type Kind = Exclude<Payload['kind'], 'unknown'>;
/** Once; `?` at most once; `*` any number; `+` at least once. */
type Term = Kind | `${Kind}?` | `${Kind}*` | `${Kind}+`;

interface Count {
  readonly kind: Payload['kind'];
  readonly least: number;
  readonly most: number;
}

interface Shape {
  readonly counts: readonly Count[];
  /** A notify without which the message does not have this shape. */
  readonly notify?: number;
}

interface Shapes {
  readonly clear: readonly Shape[];
  /** The contents of SK. */
  readonly sealed: readonly Shape[];
}

interface ExchangeRules {
  readonly type: number;
  readonly name: string;
  readonly request: Shapes;
  readonly response: Shapes;
}

/** The first thing in which the payloads differ from the shape. */
function misfit(
  { counts, notify }: Shape,
  payloads: readonly Payload[],
  isResponse: boolean,
): string | undefined {
  for (const payload of payloads) {
    const most = counts.find(({ kind }) => kind === payload.kind)?.most ?? 0;
    if (most === 0) return `${payloadName(payload)} is not expected`;
    const present = occurrences(payloads, payload.kind);
    if (present > most) return `${payloadName(payload)} appears ${present} times`;
  }
  // RFC 7296 §2.21: a response that reports an error need hold nothing else.
  if (isResponse && payloads.some((one) => one.kind === 'NOTIFY' && isErrorNotify(one.type))) {
    return undefined;
  }
  const missing = counts.find(({ kind, least }) => occurrences(payloads, kind) < least);
  if (missing) return `${missing.kind} is missing`;
  if (notify === undefined) return undefined;
  const notified = payloads.some((one) => one.kind === 'NOTIFY' && one.type === notify);
  return notified ? undefined : `N(${notifyName(notify)}) is missing`;
}

function occurrences(payloads: readonly Payload[], kind: Payload['kind']): number {
  return payloads.filter((payload) => payload.kind === kind).length;
}

/** A shape of these payloads; unknown payloads that are not critical may be in every shape. */
function only(...terms: readonly Term[]): Shape {
  const unknown = { kind: 'unknown', least: 0, most: Number.POSITIVE_INFINITY } as const;
  return { counts: [...terms.map(count), unknown] };
}

/** Appendix C has [V+][N+] in every message of an IKE SA. */
function shape(...terms: readonly Term[]): Shape {
  return only(...terms, 'NOTIFY*', 'VENDOR*');
}

function count(term: Term): Count {
  const optional = term.endsWith('?') || term.endsWith('*');
  const repeated = term.endsWith('*') || term.endsWith('+');
  const kind = KINDS.find((one) => one === term.replace(/[?*+]$/, ''));
  if (!kind) throw new Error(`no payload ${term}`);
  return { kind, least: optional ? 0 : 1, most: repeated ? Number.POSITIVE_INFINITY : 1 };
}

const KINDS: readonly Kind[] = [
  'SA',
  'KE',
  'IDi',
  'IDr',
  'CERT',
  'CERTREQ',
  'AUTH',
  'NONCE',
  'NOTIFY',
  'DELETE',
  'VENDOR',
  'TSi',
  'TSr',
  'SK',
  'SKF',
  'CP',
  'EAP',
];

/** What is sealed, whole or in fragments (RFC 7383 §2.5), and nothing beside it in the clear. */
const SEALED = [only('SK'), only('SKF')];
/** RFC 7296 §1.5, §2.21: an error about a message that no IKE SA of ours protects. */
const UNPROTECTED_NOTIFY = only('NOTIFY+', 'VENDOR*');

const EXCHANGES: readonly ExchangeRules[] = [
  {
    type: ExchangeType.IKE_SA_INIT,
    name: 'IKE_SA_INIT',
    request: { clear: [shape('SA', 'KE', 'NONCE')], sealed: [] },
    response: {
      clear: [
        shape('SA', 'KE', 'NONCE', 'CERTREQ*'),
        { ...shape(), notify: NotifyType.COOKIE },
        { ...shape(), notify: NotifyType.REDIRECT },
      ],
      sealed: [],
    },
  },
  {
    type: ExchangeType.IKE_AUTH,
    name: 'IKE_AUTH',
    request: {
      clear: SEALED,
      sealed: [
        // Without AUTH the initiator asks for EAP (§2.16).
        shape('IDi', 'CERT*', 'CERTREQ*', 'IDr?', 'AUTH?', 'CP?', 'SA', 'TSi', 'TSr'),
        // RFC 6023 §3: an IKE SA without a Child SA.
        shape('IDi', 'CERT*', 'CERTREQ*', 'IDr?', 'AUTH?', 'CP?'),
        shape('EAP'),
        shape('AUTH'),
      ],
    },
    response: {
      clear: [...SEALED, UNPROTECTED_NOTIFY],
      sealed: [
        shape('IDr', 'CERT*', 'AUTH', 'CP?', 'SA', 'TSi', 'TSr'),
        // Without a Child SA (RFC 6023 §3), or with one that was refused, or a REDIRECT (RFC 5685 §6).
        shape('IDr', 'CERT*', 'AUTH', 'CP?'),
        shape('IDr', 'CERT*', 'AUTH', 'EAP'),
        shape('EAP'),
        shape('AUTH', 'CP?', 'SA', 'TSi', 'TSr'),
      ],
    },
  },
  {
    type: ExchangeType.CREATE_CHILD_SA,
    name: 'CREATE_CHILD_SA',
    request: {
      clear: SEALED,
      sealed: [shape('SA', 'NONCE', 'KE?', 'CP?', 'TSi', 'TSr'), shape('SA', 'NONCE', 'KE')],
    },
    response: {
      clear: [...SEALED, UNPROTECTED_NOTIFY],
      sealed: [shape('SA', 'NONCE', 'KE?', 'CP?', 'TSi', 'TSr'), shape('SA', 'NONCE', 'KE')],
    },
  },
  {
    type: ExchangeType.INFORMATIONAL,
    name: 'INFORMATIONAL',
    request: {
      clear: [...SEALED, UNPROTECTED_NOTIFY],
      sealed: [shape('DELETE*', 'CP?')],
    },
    response: {
      clear: [...SEALED, UNPROTECTED_NOTIFY],
      sealed: [shape('DELETE*', 'CP?')],
    },
  },
];
