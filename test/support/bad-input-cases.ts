/** Every case of the table: what can be wrong with each message in each state, one thing at a time. */
import { encodePayloads } from '../../src/ike/message/codec.ts';
import type { Payload } from '../../src/ike/message/message.ts';
import { isErrorNotify, NotifyType } from '../../src/ike/message/notify-types.ts';
import { fromHex } from '../../src/wire/octets.ts';
import {
  CONTENTS,
  MESSAGES,
  type MessageName,
  notifyOutcome,
  type Outcome,
  outcomeOf,
  PAYLOADS,
  type PayloadName,
  rowOf,
  type StateName,
  type Verdict,
} from './bad-input.ts';
import { SAMPLES } from './bad-input-samples.ts';
import type { About } from './hostile-peer.ts';

export type Direction = 'request' | 'response';

/** One message that arrives, and what shall come of it. */
export interface Case {
  readonly state: StateName;
  readonly message: MessageName;
  readonly direction: Direction;
  readonly what: string;
  readonly expected: Outcome | 'echoed';
  /** Makes the message of its well-made payloads. */
  readonly spoil: (payloads: readonly Payload[]) => Spoilt;
  readonly about?: Partial<About>;
}

export interface Spoilt {
  readonly payloads: readonly Payload[];
  /** Before SK. */
  readonly clear?: readonly Payload[];
  /** What becomes of the octets of the chain. */
  readonly patch?: (octets: Uint8Array) => Uint8Array;
}

const messages = Object.keys(MESSAGES).filter((name): name is MessageName => name in MESSAGES);
const directions: readonly Direction[] = ['request', 'response'];
const payloadNames = Object.keys(PAYLOADS).filter((name): name is PayloadName => name in PAYLOADS);

export function* casesOf(state: StateName): Generator<Case> {
  for (const direction of directions) {
    for (const message of messages) {
      const about = { state, direction, message };
      yield* wholeCases(about);
      yield* payloadCases(about);
      yield* notifyCases(about);
    }
  }
}

type Where = Pick<Case, 'state' | 'direction' | 'message'>;

const asIs = (payloads: readonly Payload[]): Spoilt => ({ payloads });

/** The message as it should be, and with what its header and its chain of payloads should not have. */
function* wholeCases(where: Where): Generator<Case> {
  const { state, direction, message } = where;
  const expected = outcomeOf(state, direction, message, verdictOf(where));
  yield { ...where, what: 'well made', expected, spoil: asIs };
  const fromInitiator = state.endsWith('initiator');
  const unknown = 'drop unknown-ike-spi';
  yield { ...where, what: 'I flag', expected: unknown, spoil: asIs, about: { fromInitiator } };
  for (const [what, length] of [
    ['a payload longer than the message', SAMPLE_OCTETS + 1],
    ['a payload shorter than its header', 3],
    ['octets behind the last payload', SAMPLE_OCTETS - 1],
  ] as const) {
    yield make(where, what, 'malformed', (payloads) => ({
      payloads: [...payloads, SAMPLES['P(200)']],
      patch: (octets) => {
        const patched = octets.slice();
        patched[octets.length - SAMPLE_OCTETS + 3] = length;
        return patched;
      },
    }));
  }
  if (direction === 'response' || !rowOf(state).reads || expected.startsWith('drop')) return;
  for (const id of [7, 0xffff_ffff]) {
    const late = 'drop message-id-out-of-window';
    yield { ...where, what: `id ${id}`, expected: late, spoil: asIs, about: { id } };
  }
}

/** Generic header and one octet: `SAMPLES['P(200)']`, which is the last of a chain. */
const SAMPLE_OCTETS = 5;

function make(where: Where, what: string, verdict: Verdict, spoil: Case['spoil']): Case {
  const { state, direction, message } = where;
  return { ...where, what, expected: outcomeOf(state, direction, message, verdict), spoil };
}

/** Each payload: absent, once more, twice, in the clear, malformed in every way, critical. */
function* payloadCases(where: Where): Generator<Case> {
  const { sealed } = MESSAGES[where.message];
  const whole = isWalkedWhole(where);
  for (const name of payloadNames) {
    const sample = SAMPLES[name];
    const present = baselineCount(where, name);
    const add =
      (...samples: readonly Payload[]) =>
      (payloads: readonly Payload[]) => ({
        payloads: [...payloads, ...samples],
      });
    const once = verdictOf(where, name, present + 1);
    yield make(where, `${name} more`, once, add(sample));
    if (name === 'P(200)') {
      yield make(where, `${name} critical`, 'critical', add({ ...sample, critical: true }));
    }
    if (!whole) continue;
    if (present > 0) {
      yield make(where, `${name} absent`, verdictOf(where, name, present - 1), (payloads) => ({
        payloads: payloads.filter(({ kind }) => kind !== sample.kind),
      }));
    }
    yield* malformedCases(where, name);
    // Nothing can follow SK or SKF, so that there is one of them at most.
    if (name === 'SK' || name === 'EF') continue;
    const twice = verdictOf(where, name, present + 2);
    yield make(where, `${name} twice more`, twice, add(sample, sample));
    if (name !== 'P(200)') {
      yield make(where, `${name} critical`, once, add({ ...sample, critical: true }));
    }
    const clear = name === 'P(200)' ? verdictOf(where) : 'misfit';
    if (sealed) {
      const spoil = (payloads: readonly Payload[]) => ({ payloads, clear: [sample] });
      yield make(where, `${name} in the clear`, clear, spoil);
    }
  }
}

/**
 * An exchange that the state has no use for, or that goes a way others went before, is not walked with
 * everything that can be wrong with it: each such case costs an IKE SA.
 */
function isWalkedWhole({ state, direction, message }: Where): boolean {
  const plain = outcomeOf(state, direction, message, 'fits');
  if (plain.startsWith('drop')) return true;
  const others = state.endsWith('initiator') && !state.startsWith('awaiting IKE');
  if (direction === 'response') return !others && rowOf(state).awaits === message;
  if (plain.endsWith('!')) return state === 'half-open, responder' && message === 'IKE_AUTH';
  if (state === 'established, responder') return true;
  return !others && message === (plain === 'handled' ? 'INFORMATIONAL' : 'new Child SA');
}

function* malformedCases(where: Where, name: PayloadName): Generator<Case> {
  const { type, ...shape }: { type: number; truncated?: string; trailing?: true } = PAYLOADS[name];
  const withBody = (body: Uint8Array) => (payloads: readonly Payload[]) => ({
    payloads: [...payloads, { kind: 'unknown', type, body } as const],
  });
  if (shape.truncated !== undefined) {
    const octets = fromHex(shape.truncated);
    yield make(where, `${name} truncated`, 'malformed', withBody(octets));
  }
  if (shape.trailing) {
    const { octets } = encodePayloads([SAMPLES[name]]);
    const body = Uint8Array.of(...octets.subarray(4), 0);
    yield make(where, `${name} with an octet behind it`, 'malformed', withBody(body));
  }
}

/** Each notify we have a name for, and some that nobody has. */
function* notifyCases(where: Where): Generator<Case> {
  const { state, direction, message } = where;
  const [fewShapes, malformedToo] = notifyDepth(where);
  for (const [name, type] of [...Object.entries(NotifyType), ...UNASSIGNED]) {
    const error = direction === 'response' && isErrorNotify(type);
    const fits = verdictOf(where) === 'fits' || error;
    for (const [what, notifies] of notifyShapes(type).slice(0, fewShapes)) {
      const expected = fits
        ? notifyOutcome(state, direction, message, { name, times: notifies.length })
        : outcomeOf(state, direction, message, verdictOf(where));
      const spoil = (payloads: readonly Payload[]) => ({ payloads: [...payloads, ...notifies] });
      yield { ...where, what: `N(${name}) ${what}`, expected, spoil };
    }
    if (!malformedToo) continue;
    const body = Uint8Array.of(3, 9, type >> 8, type & 0xff, 1);
    const cut = { kind: 'unknown', type: PAYLOADS.N.type, body } as const;
    yield make(where, `N(${name}) cut within its SPI`, 'malformed', (payloads) => ({
      payloads: [...payloads, cut],
    }));
  }
}

function notifyShapes(type: number): readonly (readonly [string, readonly Payload[]])[] {
  const nothing = new Uint8Array();
  const notify = { kind: 'NOTIFY', protocol: 0, spi: nothing, type, data: nothing } as const;
  return [
    ['once', [notify]],
    ['twice', [notify, notify]],
    ['with three octets', [{ ...notify, data: new Uint8Array(3) }]],
    ['with 300 octets', [{ ...notify, data: new Uint8Array(300) }]],
    ['with an SPI', [{ ...notify, protocol: 3, spi: Uint8Array.of(0, 0, 0, 7) }]],
    ['critical', [{ ...notify, critical: true }]],
  ];
}

/** In how many shapes each notify is tried; and cut, too? Not often where that costs an IKE SA. */
function notifyDepth(where: Where): readonly [shapes: number, malformedToo: boolean] {
  const { state, direction, message } = where;
  const plain = outcomeOf(state, direction, message, 'fits');
  const up = state === 'established, responder';
  const whole = isWalkedWhole(where);
  if (direction === 'response') return [plain !== 'taken' || whole ? 1 : 0, false];
  if (!rowOf(state).reads) return [1, false];
  if (plain.endsWith('!')) return [whole || (up && message === 'IKE_AUTH') ? 1 : 0, whole];
  if (plain === 'handled' && message.startsWith('rekeyed')) return [up ? 1 : 0, false];
  if (up) return [6, message === 'INFORMATIONAL'];
  return [state.endsWith('responder') ? 2 : 1, false];
}

const UNASSIGNED: readonly (readonly [string, number])[] = [
  ['0', 0],
  ['2', 2],
  ['8191', 8191],
  ['16383', 16_383],
  ['40959', 40_959],
  ['65535', 65_535],
];

/** Does a message with so many of one payload fit the table of contents? */
function verdictOf({ direction, message }: Where, name?: PayloadName, count = 0): Verdict {
  const contents = CONTENTS[direction][message]?.split(' ');
  if (!contents) return 'misfit';
  if (name === undefined || name === 'P(200)') return 'fits';
  const rule = contents.find((word) => word.replace(/[?*]$/, '') === name);
  if (rule === undefined) return count === 0 ? 'fits' : 'misfit';
  if (rule.endsWith('*')) return 'fits';
  const least = rule.endsWith('?') ? 0 : 1;
  return count >= least && count <= 1 ? 'fits' : 'misfit';
}

function baselineCount({ direction, message }: Where, name: PayloadName): number {
  const contents = CONTENTS[direction][message]?.split(' ') ?? [];
  if (message === 'rekeyed Child SA' && name === 'N' && direction === 'request') return 1;
  return contents.includes(name) || (name === 'AUTH' && contents.includes('AUTH?')) ? 1 : 0;
}
